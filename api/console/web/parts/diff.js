// Differences between two versions of a segment or a trait, each as a sentence before and after.
import { html } from '../lib/html.js';
import { read } from '../lib/api.js';
import { useLoad } from '../lib/load.js';
import { differences } from '../rules/differences.js';
import { Loading, NotOffered, ProblemBanner } from './feedback.js';
import { t } from '../texts/texts.js';

const WORDS = { added: t('common.added'), removed: t('common.removed'), changed: t('common.changed') };
const FIELDS = {
  rules: t('diff.condition'),
  name: t('common.name'),
  description: t('common.description'),
  tags: t('common.tags'),
  owner: t('common.owner'),
  status: t('common.state'),
  type: t('common.kind'),
  definition: t('diff.definition'),
};

/** The differences of two versions, with the versions themselves. */
async function load(base, from, to, signal) {
  const versions = `${base}/versions`;
  const [{ changes }, { items }] = await Promise.all([
    read(`${versions}/${from}/diff/${to}`, signal),
    read(versions, signal),
  ]);
  const version = (number) => items.find((one) => one.version === number);
  return differences(changes, version(from), version(to));
}

/** `base` is the path of the document in the API. */
export function Diff({ base, from, to }) {
  const { data, problem } = useLoad((signal) => load(base, from, to, signal), [base, from, to]);
  if (problem?.isMissingPath) return html`<${NotOffered} what=${t('diff.aComparison')} />`;
  if (problem) return html`<${ProblemBanner} problem=${problem} />`;
  if (!data) return html`<${Loading} lines=${2} />`;
  if (data.length === 0) return html`<p class="muted">${t('diff.theseTwoSayTheSame')}</p>`;
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
