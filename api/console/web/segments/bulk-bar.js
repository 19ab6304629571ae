// What is done with several segments at once, after one question for all of them.
import { html, useState } from '../lib/html.js';
import { plural } from '../lib/format.js';
import { toast } from '../lib/toast.js';
import { confirmEffect } from '../parts/effect-dialog.js';
import { Icon } from '../parts/icon.js';
import { moved, perform, undoOf } from '../segment/acts.js';

const ACTS = {
  activate: {
    name: 'Activate',
    icon: 'play',
    from: ['DRAFT', 'INACTIVE'],
    text: 'Whoever meets their rules enters them, and follows them from then on.',
    done: 'active',
  },
  deactivate: {
    name: 'Deactivate',
    icon: 'pause',
    from: ['ACTIVE'],
    text: 'All members leave them until they are activated again.',
    done: 'inactive',
  },
  archive: {
    name: 'Archive',
    icon: 'archive',
    from: ['DRAFT', 'ACTIVE', 'INACTIVE'],
    text: 'All members leave them, and nobody can edit them until they are brought back. Their versions stay.',
    done: 'archived',
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
    const { name, from, text, done: word } = ACTS[action];
    const fitting = chosen.filter((one) => from.includes(one.status));
    const change = { segments: fitting.flatMap((segment) => moved(action, segment)) };
    const title = `${name} ${plural(fitting.length, 'segment')}?`;
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
      toast(`${plural(done.length, 'segment')} ${done.length === 1 ? 'is' : 'are'} ${word} now.`, { undo });
    }
    if (failed) toast(failed, { bad: true });
    onClear();
    reload();
  };
  return html`
    <div class="bulk-bar" role="region" aria-label="Chosen segments">
      <strong>${plural(chosen.length, 'segment')} chosen</strong>
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
      <button type="button" class="button quiet small" onClick=${onClear}>Clear</button>
    </div>
  `;
}
