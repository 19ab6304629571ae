// A duration: an amount and a unit.
import { html } from '../lib/html.js';
import { UNITS, parseDuration } from '../rules/grammar.js';

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
  const wrong = invalid || !parts;
  return html`
    <span class="joined">
      <input
        class="pill number"
        inputmode="numeric"
        aria-label="${label}, amount"
        aria-invalid=${wrong ? 'true' : undefined}
        size="3"
        maxlength="9"
        value=${parts?.amount ?? ''}
        onInput=${(event) => set(event.target.value.replace(/\D/g, '').replace(/^0+/, ''), unit)}
      />
      <select
        class="pill"
        aria-label="${label}, unit"
        value=${unit}
        onChange=${(event) => set(parts?.amount ?? 1, event.target.value)}
      >
        ${Object.entries(UNITS).map(([key, text]) => html`<option value=${key}>${text}</option>`)}
      </select>
    </span>
    ${suffix && html`<span class="word">${suffix}</span>`}
  `;
}
