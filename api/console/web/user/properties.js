// The members of an object in a line.
import { html } from '../lib/html.js';
import { nameOf, shown, titleOf } from '../lib/vocabulary.js';

export function Properties({ values, kind = 'property' }) {
  const all = Object.entries(values ?? {});
  if (all.length === 0) return null;
  return html`
    <span class="props">
      ${all.map(
        ([name, value]) => html`
          <span><b title=${titleOf(kind, name)}>${nameOf(kind, name)}</b> ${shown(kind, name, value)}</span>
        `,
      )}
    </span>
  `;
}
