// A duration: an amount and a unit.
import { html } from '../lib/html.js';
import { NumberField } from '../parts/number-field.js';
import { UNITS, parseDuration } from '../rules/grammar.js';
import { t } from '../texts/texts.js';

const LONGEST = 999_999_999;

export function DurationField({ value, label, onChange, invalid, suffix }) {
  const parts = parseDuration(value);
  if (!parts && value !== undefined && value !== '' && !/^\d*[smhdw]$/.test(value)) {
    // What is no duration is shown as it is, to be mended.
    return html`
      <input
        class="pill"
        aria-label=${label}
        aria-invalid="true"
        value=${JSON.stringify(value)}
        onChange=${(event) => onChange(event.target.value)}
      />
    `;
  }
  const unit = parts?.unit ?? String(value ?? 'd').slice(-1);
  const set = (amount, to) => onChange(`${amount}${to}`);
  return html`
    <span class="joined">
      <${NumberField}
        value=${parts?.amount}
        label=${t('durationField.labelAmount', { label })}
        invalid=${invalid || !parts}
        minimum=${1}
        maximum=${LONGEST}
        isWhole
        size="3"
        onChange=${(amount) => set(amount, unit)}
      />
      <select
        class="pill"
        aria-label=${t('durationField.labelUnit', { label })}
        value=${unit}
        onChange=${(event) => set(parts?.amount ?? 1, event.target.value)}
      >
        ${Object.entries(UNITS).map(([key, text]) => html`<option value=${key}>${text}</option>`)}
      </select>
    </span>
    ${suffix && html`<span class="word">${suffix}</span>`}
  `;
}
