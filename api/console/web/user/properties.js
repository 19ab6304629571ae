// The members of an object in a line; the lines of an order, and other lists of objects, each in one of their own.
import { html } from '../lib/html.js';
import { nameOf, shown, titleOf } from '../lib/vocabulary.js';

const isObject = (value) => value !== null && typeof value === 'object' && !Array.isArray(value);
const isListOfObjects = (value) => Array.isArray(value) && value.length > 0 && value.every(isObject);

function Value({ kind, name, value }) {
  if (!isListOfObjects(value)) return shown(kind, name, value);
  return html`
    <ul class="props-lines">
      ${value.map((line) => html`<li><${Properties} values=${line} kind=${kind} /></li>`)}
    </ul>
  `;
}

export function Properties({ values, kind = 'property' }) {
  const all = Object.entries(values ?? {});
  if (all.length === 0) return null;
  return html`
    <span class="props">
      ${all.map(
        ([name, value]) => html`
          <span class=${isListOfObjects(value) ? 'whole' : undefined}>
            <b title=${titleOf(kind, name)}>${nameOf(kind, name)}</b>${' '}
            <${Value} kind=${kind} name=${name} value=${value} />
          </span>
        `,
      )}
    </span>
  `;
}
