// The members of an object in a line.
import { html } from '../lib/html.js';
import { plain } from '../lib/format.js';

export function Properties({ values }) {
  const all = Object.entries(values ?? {});
  if (all.length === 0) return null;
  return html`
    <span class="props">
      ${all.map(([name, value]) => html`<span><b>${name}</b> ${plain(value)}</span>`)}
    </span>
  `;
}
