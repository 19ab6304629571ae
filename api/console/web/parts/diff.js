// What differs between two versions of a segment: each difference as a sentence before and after.
import { html } from '../lib/html.js';
import { path, read } from '../lib/api.js';
import { useLoad } from '../lib/load.js';
import { differences } from '../rules/differences.js';
import { Loading, NotOffered, ProblemBanner } from './feedback.js';

const WORDS = { added: 'Added', removed: 'Removed', changed: 'Changed' };
const FIELDS = {
  rules: 'Condition',
  name: 'Name',
  description: 'Description',
  tags: 'Tags',
  owner: 'Owner',
  status: 'State',
  type: 'Kind',
};

/** The differences of two versions, with the versions themselves. */
async function load(id, from, to, signal) {
  const base = path`/api/segments/${id}/versions`;
  const [{ changes }, { items }] = await Promise.all([
    read(`${base}/${from}/diff/${to}`, signal),
    read(base, signal),
  ]);
  const version = (number) => items.find((one) => one.version === number);
  return differences(changes, version(from), version(to));
}

export function Diff({ id, from, to }) {
  const { data, problem } = useLoad((signal) => load(id, from, to, signal), [id, from, to]);
  if (problem?.isMissingPath) return html`<${NotOffered} what="A comparison" />`;
  if (problem) return html`<${ProblemBanner} problem=${problem} />`;
  if (!data) return html`<${Loading} lines=${2} />`;
  if (data.length === 0) return html`<p class="muted">These two say the same.</p>`;
  return html`
    <ul class="diff">
      ${data.map(
        ({ change, field, before, after }) => html`
          <li>
            <div class="spread">
              <strong>${WORDS[change] ?? change}</strong>
              <span class="muted small">${FIELDS[field] ?? field}</span>
            </div>
            ${before !== undefined && html`<div class="before">− ${before}</div>`}
            ${after !== undefined && html`<div class="after">+ ${after}</div>`}
          </li>
        `,
      )}
    </ul>
  `;
}
