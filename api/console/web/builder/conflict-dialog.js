// Someone else saved in between: what they saved, and the ways on.
import { html } from '../lib/html.js';
import { ask, path } from '../lib/api.js';
import { useLoad } from '../lib/load.js';
import { relative } from '../lib/format.js';
import { Dialog } from '../parts/dialog.js';
import { Loading, ProblemBanner } from '../parts/feedback.js';
import { RuleOutline } from '../parts/rule-outline.js';
import { t } from '../texts/texts.js';

const FIELDS = {
  name: t('common.name'),
  description: t('common.description'),
  tags: t('common.tags'),
  owner: t('common.owner'),
  status: t('common.state'),
};
const textOf = (value) => (Array.isArray(value) ? value.join(', ') : (value ?? ''));

/** The fields besides the rules that the two say differently. */
function Differences({ theirs, mine }) {
  const other = Object.entries(FIELDS).filter(([field]) => textOf(theirs[field]) !== textOf(mine[field]));
  if (other.length === 0) return null;
  return html`
    <div class="table-wrap">
      <table>
        <thead>
          <tr>
            <th scope="col">${t('conflictDialog.alsoDifferent')}</th>
            <th scope="col">${t('conflictDialog.theirs')}</th>
            <th scope="col">${t('conflictDialog.yours')}</th>
          </tr>
        </thead>
        <tbody>
          ${other.map(
            ([field, name]) => html`
              <tr key=${field}>
                <th scope="row">${name}</th>
                <td>${textOf(theirs[field]) || '–'}</td>
                <td>${textOf(mine[field]) || '–'}</td>
              </tr>
            `,
          )}
        </tbody>
      </table>
    </div>
  `;
}

/** The dialog of a conflict; `mine` is what would be saved. */
export function ConflictDialog({ segment, mine, onClose, onTheirs, onOver }) {
  const { data, problem } = useLoad(
    (signal) => ask('GET', path`/api/segments/${segment.id}`, { signal }),
    [segment.id],
  );
  const theirs = data?.data;
  return html`
    <${Dialog}
      title=${t('conflictDialog.someoneElseSavedThisSegment')}
      wide
      onClose=${onClose}
      foot=${html`
        <button type="button" class="button" onClick=${onClose}>${t('conflictDialog.goOnEditing')}</button>
        <button type="button" class="button" onClick=${onTheirs}>
          ${t('conflictDialog.discardMineLoadTheirs')}
        </button>
        <button
          type="button"
          class="button primary danger"
          disabled=${!data}
          onClick=${() => onOver(data.etag)}
        >
          ${t('conflictDialog.saveMineOverTheirs')}
        </button>
      `}
    >
      <${ProblemBanner} problem=${problem} />
      ${!theirs && !problem && html`<${Loading} />`}
      ${theirs &&
      html`
        <p class="soft">
          ${t('conflictDialog.youBeganWithVersionVersionVersion', {
            version: segment.version,
            version2: theirs.version,
            updatedAt: relative(theirs.updatedAt),
            updatedBy: theirs.updatedBy
              ? ` ${t('conflictDialog.byUpdatedby', { updatedBy: theirs.updatedBy })}`
              : '',
            note: theirs.note ? `: “${theirs.note}”` : '',
          })}
        </p>
        <${Differences} theirs=${theirs} mine=${mine} />
        <div class="halves">
          <div class="stack tight">
            <h3>${t('conflictDialog.theirsVersionVersion', { version: theirs.version })}</h3>
            <${RuleOutline} rules=${theirs.rules} />
          </div>
          <div class="stack tight">
            <h3>${t('conflictDialog.yours')}</h3>
            <${RuleOutline} rules=${mine.rules} />
          </div>
        </div>
      `}
    <//>
  `;
}
