// Someone else saved in between: what they saved, and the ways on.
import { html } from '../lib/html.js';
import { ask, path } from '../lib/api.js';
import { useLoad } from '../lib/load.js';
import { relative } from '../lib/format.js';
import { Dialog } from '../parts/dialog.js';
import { Loading, ProblemBanner } from '../parts/feedback.js';
import { RuleOutline } from '../parts/rule-outline.js';

const FIELDS = { name: 'Name', description: 'Description', tags: 'Tags', owner: 'Owner', status: 'State' };
const textOf = (value) => (Array.isArray(value) ? value.join(', ') : (value ?? ''));

/** The fields besides the rules that the two say differently. */
function Differences({ theirs, mine }) {
  const other = Object.entries(FIELDS).filter(([field]) => textOf(theirs[field]) !== textOf(mine[field]));
  if (other.length === 0) return null;
  return html`
    <div class="table-wrap">
      <table>
        <thead>
          <tr><th scope="col">Also different</th><th scope="col">Theirs</th><th scope="col">Yours</th></tr>
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
      title="Someone else saved this segment"
      wide
      onClose=${onClose}
      foot=${html`
        <button type="button" class="button" onClick=${onClose}>Go on editing</button>
        <button type="button" class="button" onClick=${onTheirs}>Discard mine, load theirs</button>
        <button
          type="button"
          class="button primary danger"
          disabled=${!data}
          onClick=${() => onOver(data.etag)}
        >
          Save mine over theirs
        </button>
      `}
    >
      <${ProblemBanner} problem=${problem} />
      ${!theirs && !problem && html`<${Loading} />`}
      ${theirs &&
      html`
        <p class="soft">
          You began with version ${segment.version}. Version ${theirs.version} was saved${' '}
          ${relative(theirs.updatedAt)}${theirs.updatedBy ? ` by ${theirs.updatedBy}` : ''}
          ${theirs.note ? `: “${theirs.note}”` : ''}. Nothing of yours is lost yet; every version stays in the
          history.
        </p>
        <${Differences} theirs=${theirs} mine=${mine} />
        <div class="halves">
          <div class="stack tight">
            <h3>Theirs, version ${theirs.version}</h3>
            <${RuleOutline} rules=${theirs.rules} />
          </div>
          <div class="stack tight"><h3>Yours</h3><${RuleOutline} rules=${mine.rules} /></div>
        </div>
      `}
    <//>
  `;
}
