// A name that the data does not have: no fault, but most often a mistake.
import { html } from '../lib/html.js';
import { nearest } from '../rules/nearest.js';

/** Whether a name, or the object that a path of it begins with, was seen; some names have a meaning of their own. */
const isSeen = (name, known) =>
  known.includes(name) || known.includes(name.split('.')[0]) || /^(properties|context)\./.test(name);

/** Says that a name was never seen, and offers the one that may be meant; `known` are the names that were. */
export function Unseen({ name, known, onChange }) {
  if (!name || name === '*' || known.length === 0 || isSeen(String(name), known)) return null;
  const meant = nearest(name, known);
  return html`
    <span class="aside unseen">
      never seen
      ${meant &&
      html`
        ; did you mean <button type="button" class="meant" onClick=${() => onChange(meant)}>${meant}</button>?
      `}
    </span>
  `;
}
