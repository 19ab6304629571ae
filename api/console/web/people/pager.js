// Pages of a list, back and forth.
import { html } from '../lib/html.js';
import { Icon } from '../parts/icon.js';
import { t } from '../texts/texts.js';

/** `cursors` are those of the pages up to this one; nothing is shown where there is one page. */
export function Pager({ cursors, onChange, next }) {
  if (!next && cursors.length === 1) return null;
  return html`
    <div class="card-foot row">
      <button
        type="button"
        class="button small"
        disabled=${cursors.length === 1}
        onClick=${() => onChange(cursors.slice(0, -1))}
      >
        <${Icon} name="back" />
        ${t('people.previous')}
      </button>
      <button
        type="button"
        class="button small"
        disabled=${!next}
        onClick=${() => onChange([...cursors, next])}
      >
        ${t('people.next')}
        <${Icon} name="arrow" />
      </button>
    </div>
  `;
}
