// A duration: an amount and a unit.
import { html } from '../lib/html.js';
import { NumberField } from '../parts/number-field.js';
import { CALENDAR_UNITS, UNITS, parseDuration } from '../rules/grammar.js';
import { t } from '../texts/texts.js';

const LONGEST = 999_999_999;
const UNFINISHED = /^\d*([smhdwy]|mo)$/;

/** Months and years are offered where `calendar` says that they may stand there. */
export function DurationField({ value, label, onChange, invalid, suffix, calendar }) {
  const parts = parseDuration(value);
  if (!parts && value !== undefined && value !== '' && !UNFINISHED.test(value)) {
    // A text that is no duration is shown as it is, to be corrected.
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
  const unit = parts?.unit ?? UNFINISHED.exec(value ?? '')?.[1] ?? 'd';
  const all = { ...UNITS, ...CALENDAR_UNITS };
  const units = Object.keys(all).filter((key) => calendar || key in UNITS || key === unit);
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
        ${units.map((key) => html`<option value=${key}>${all[key]}</option>`)}
      </select>
    </span>
    ${suffix && html`<span class="word">${suffix}</span>`}
  `;
}
