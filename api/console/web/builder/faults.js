// Faults at a node, in words for people.
import { html } from '../lib/html.js';
import { sentenceOf } from '../lib/sentences.js';
import { Icon } from '../parts/icon.js';

export function Faults({ faults }) {
  if (!faults?.length) return null;
  const sentences = new Set(faults.map(sentenceOf));
  return html`
    <div role="alert">
      <ul class="faults">${[...sentences].map((text) => html`<li><${Icon} name="warn" />${text}</li>`)}</ul>
    </div>
  `;
}

/** True if a member of a node, or anything below it, has a fault. */
export const isFaulty = (faults, pointer, member) =>
  faults.some((fault) => {
    const at = `${pointer}/${member}`;
    return fault.pointer === at || fault.pointer.startsWith(`${at}/`);
  });
