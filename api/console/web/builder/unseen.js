// A name or a value that the data does not have: no fault, but most often a mistake.
import { html } from '../lib/html.js';
import { nearest } from '../rules/nearest.js';
import { t } from '../texts/texts.js';

/** True if a name, or the object that its path begins with, was seen; some names have a meaning of their own. */
const isSeen = (name, known) =>
  known.includes(name) ||
  known.includes(name.split('.')[0]) ||
  /^(properties|context|traits|item)\./.test(name);

/** Says that something was never seen, and offers what may be meant. */
function Never({ name, known, onChange }) {
  const meant = nearest(name, known);
  return html`
    <span class="aside unseen">
      ${t('unseen.neverSeen')}
      ${meant !== undefined &&
      html`
        ${t('unseen.didYouMean')}${' '}
        <button type="button" class="meant" onClick=${() => onChange(meant)}>${meant}</button>?
      `}
    </span>
  `;
}

/** Says that a name was never seen; `known` are the names that were. */
export function Unseen({ name, known, onChange }) {
  if (!name || name === '*' || known.length === 0 || isSeen(String(name), known)) return null;
  return html`<${Never} name=${name} known=${known} onChange=${onChange} />`;
}

/** As many values as the server keeps of a field: where there are fewer, they are all. */
const MOST_EXAMPLES = 10;

/** Says which texts were never seen in a field of which all values are known. */
export function UnseenValues({ value, known, onChange }) {
  const all = known?.examples ?? [];
  const isKnown = all.length > 0 && all.length < MOST_EXAMPLES && known.types.join() === 'text';
  if (!isKnown) return null;
  const values = Array.isArray(value) ? value : [value];
  const never = values.filter((one) => typeof one === 'string' && one !== '' && !all.includes(one));
  const put = (one) => (meant) =>
    onChange(Array.isArray(value) ? value.map((other) => (other === one ? meant : other)) : meant);
  return never.map((one) => html`<${Never} key=${one} name=${one} known=${all} onChange=${put(one)} />`);
}
