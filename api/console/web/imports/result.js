// What an import did, or would do.
import { html } from '../lib/html.js';
import { count, plural } from '../lib/format.js';
import { ProblemBanner } from '../parts/feedback.js';

const SHOWN = 200;

function rowsOf({ result, state }, trimmed) {
  const isDone = state === 'done';
  return [
    ['Rows read', result.received],
    ['Spaces cut off', trimmed || undefined],
    ['Fit', result.accepted],
    ['Ids of known users', result.known],
    ['Ids of nobody known yet', result.unknown],
    [isDone ? 'Added' : 'Would be added', result.added],
    [isDone ? 'Removed' : 'Would be removed', result.removed],
    ['No change', result.unchanged],
    ['Twice in the file', result.duplicates],
    ['Faulty', result.rejectedCount ?? result.rejected?.length],
    ['Users who would enter', result.entered],
    ['Users who would leave', result.left],
  ].filter(([, value]) => value !== undefined);
}

export function Result({ run, trimmed }) {
  const { result, problem } = run;
  if (problem && !result) return html`<${ProblemBanner} problem=${problem} />`;
  if (!result) return html`<p class="muted">Choose a list and a file, then try it.</p>`;
  return html`
    ${problem && html`<${ProblemBanner} problem=${problem} />`}
    <dl class="facts">
      ${rowsOf(run, trimmed).map(
        ([text, value]) => html`
          <dt>${text}</dt>
          <dd class="number ${text === 'Faulty' && value > 0 ? 'bad-text' : ''}">
            <strong>${count(value)}</strong>
          </dd>
        `,
      )}
    </dl>
    ${result.sampleUnknown?.length > 0 &&
    html`<${Unknown} names=${result.sampleUnknown} total=${result.unknown} />`}
  `;
}

/** Some of the ids that nobody known has: they count as soon as such a user comes. */
function Unknown({ names, total }) {
  const shown = names.slice(0, 5);
  const more = total - shown.length;
  return html`
    <p class="small warn-text" role="status">
      Not known yet: ${shown.join(', ')}${more > 0 ? ` and ${count(more)} others` : ''}.
    </p>
  `;
}

export function Rejected({ result }) {
  const total = result.rejectedCount ?? result.rejected.length;
  return html`
    <section class="card" aria-label="Faulty rows">
      <div class="card-head">
        <h2>${plural(total, 'faulty row')}</h2>
        ${total > result.rejected.length &&
        html`<span class="small muted">the first ${count(result.rejected.length)}</span>`}
      </div>
      <div class="table-wrap tall">
        <table>
          <thead>
            <tr>
              <th scope="col" class="end">Line</th>
              <th scope="col">Value</th>
              <th scope="col">What is wrong</th>
            </tr>
          </thead>
          <tbody>${result.rejected.slice(0, SHOWN).map((one) => html`<${Fault} ...${one} />`)}</tbody>
        </table>
      </div>
    </section>
  `;
}

function Fault({ row, value, message }) {
  return html`
    <tr>
      <td class="end number">${count(row)}</td>
      <td class="mono">${value ? String(value).slice(0, 80) : html`<span class="muted">none</span>`}</td>
      <td>${message}</td>
    </tr>
  `;
}
