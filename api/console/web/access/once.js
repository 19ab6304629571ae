// A link or a key that is shown once, to be copied now.
import { html } from '../lib/html.js';
import { toast } from '../lib/toast.js';
import { Dialog } from '../parts/dialog.js';
import { t } from '../texts/texts.js';

export function Once({ title, value, onClose }) {
  const copy = async () => {
    await navigator.clipboard.writeText(value);
    toast(t('access.copied'));
  };
  const foot = html`
    <button type="button" class="button" onClick=${copy}>${t('access.copy')}</button>
    <button type="button" class="button primary" onClick=${onClose}>${t('shell.done')}</button>
  `;
  return html`
    <${Dialog} title=${title} onClose=${onClose} foot=${foot}>
      <p class="soft">${t('access.shownOnlyNow')}</p>
      <input
        class="input"
        readonly
        value=${value}
        aria-label=${title}
        onFocus=${(event) => event.target.select()}
      />
    <//>
  `;
}

/** A link of an invitation with the address of this page, where the server does not know its own. */
export const wholeLink = (link) => new URL(link, window.location.origin).href;
