// An instant. It is written and shown in UTC, so that a rule says the same wherever it is read.
import { html } from '../lib/html.js';
import { InstantField } from '../parts/instant-field.js';
import { t } from '../texts/texts.js';

const asField = (value) => {
  const at = new Date(value);
  return Number.isNaN(at.getTime()) ? '' : at.toISOString().slice(0, 19);
};

export function TimeField({ value, label, onChange, invalid }) {
  return html`
    <span class="joined">
      <${InstantField}
        value=${asField(value)}
        label=${t('timeField.labelUtc', { label })}
        invalid=${invalid}
        onChange=${(text) => onChange(`${text}Z`)}
      />
      <span class="pill type" aria-hidden="true">UTC</span>
    </span>
  `;
}
