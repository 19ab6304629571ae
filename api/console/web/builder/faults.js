// Faults at a node, in the words of the server.
import { html } from '../lib/html.js';
import { Icon } from '../parts/icon.js';

export function Faults({ faults }) {
  if (!faults?.length) return null;
  return html`
    <div role="alert">
      <ul class="faults">${faults.map((fault) => html`<li><${Icon} name="warn" />${fault.message}</li>`)}</ul>
    </div>
  `;
}

/** Whether a member of a node, or what is below it, has a fault. */
export const isFaulty = (faults, pointer, member) =>
  faults.some((fault) => {
    const at = `${pointer}/${member}`;
    return fault.pointer === at || fault.pointer.startsWith(`${at}/`);
  });
