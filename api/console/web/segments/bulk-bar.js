// Acts on several segments at once, after one question for all of them.
import { html, useState } from '../lib/html.js';
import { toast } from '../lib/toast.js';
import { confirmEffect } from '../parts/effect-dialog.js';
import { Icon } from '../parts/icon.js';
import { many, t } from '../texts/texts.js';
import { moved, perform, undoOf } from '../segment/acts.js';

const ACTS = {
  activate: {
    name: t('bulkBar.activate'),
    icon: 'play',
    from: ['DRAFT', 'INACTIVE'],
    text: t('bulkBar.whoeverMeetsTheirRulesEntersThem'),
  },
  deactivate: {
    name: t('bulkBar.deactivate'),
    icon: 'pause',
    from: ['ACTIVE'],
    text: t('bulkBar.allMembersLeaveThemUntilThey'),
  },
  archive: {
    name: t('bulkBar.archive'),
    icon: 'archive',
    from: ['DRAFT', 'ACTIVE', 'INACTIVE'],
    text: t('bulkBar.allMembersLeaveThemAndNobody'),
  },
};

/** Does an act with one segment after the other; those that failed are told with the first reason. */
async function performAll(action, segments, note) {
  const done = [];
  let failed;
  for (const segment of segments) {
    try {
      await perform(action, segment, `"${segment.version}"`, note);
      done.push(segment);
    } catch (problem) {
      failed ??= `${segment.name}: ${problem.message}`;
    }
  }
  return { done, failed };
}

/** The bar above the list while segments are chosen. */
export function BulkBar({ chosen, onClear, reload }) {
  const [isBusy, setBusy] = useState(false);
  const act = async (action) => {
    const { name, from, text } = ACTS[action];
    const fitting = chosen.filter((one) => from.includes(one.status));
    const change = { segments: fitting.flatMap((segment) => moved(action, segment)) };
    const title = many(`bulk.ask.${action}`, fitting.length);
    const answer = await confirmEffect({ title, text, confirm: name, note: true, change });
    if (!answer) return;
    setBusy(true);
    const { done, failed } = await performAll(action, fitting, answer.note);
    setBusy(false);
    if (done.length > 0) {
      const undo = async () => {
        for (const segment of done) await undoOf(action, segment)();
        reload();
      };
      toast(many(`bulk.${action}`, done.length), { undo });
    }
    if (failed) toast(failed, { bad: true });
    onClear();
    reload();
  };
  return html`
    <div class="bulk-bar" role="region" aria-label=${t('bulkBar.chosenSegments')}>
      <strong>${many('bulk.chosen', chosen.length)}</strong>
      ${Object.entries(ACTS).map(
        ([action, { name, icon, from }]) => html`
          <button
            key=${action}
            type="button"
            class="button small"
            disabled=${isBusy || !chosen.some((one) => from.includes(one.status))}
            onClick=${() => act(action)}
          >
            <${Icon} name=${icon} />${name}…
          </button>
        `,
      )}
      <button type="button" class="button quiet small" onClick=${onClear}>${t('bulkBar.clear')}</button>
    </div>
  `;
}
