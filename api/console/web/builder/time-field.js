// A date, with a time of day or without. An instant is written and shown in UTC, so that a rule says the same wherever it
// is read; a day and a local time are of the zone that stands beside them.
import { html } from '../lib/html.js';
import { InstantField } from '../parts/instant-field.js';
import { fieldText, momentAs, momentKind } from '../rules/moments.js';
import { t } from '../texts/texts.js';

/** The forms of dates, with what they are called. */
export const DATES = {
  day: t('timeField.theDay'),
  local: t('timeField.theTime'),
  instant: t('timeField.theTimeInUtc'),
};

export function TimeField({ value, label, onChange, invalid }) {
  const kind = momentKind(value);
  if (kind !== 'instant') {
    const isDay = kind === 'day';
    return html`
      <${InstantField}
        key=${kind}
        type=${isDay ? 'date' : 'datetime-local'}
        step=${isDay ? undefined : '1'}
        value=${fieldText(value)}
        label=${label}
        invalid=${invalid}
        onChange=${onChange}
      />
    `;
  }
  return html`
    <span class="joined">
      <${InstantField}
        value=${fieldText(value)}
        label=${t('timeField.labelUtc', { label })}
        invalid=${invalid}
        onChange=${(text) => onChange(`${text}Z`)}
      />
      <span class="pill type" aria-hidden="true">UTC</span>
    </span>
  `;
}

/** A date whose form is chosen, too. */
export function DateField({ value, label, onChange, invalid }) {
  return html`
    <select
      class="pill"
      aria-label=${t('valueField.labelKind', { label })}
      value=${momentKind(value)}
      onChange=${(event) => onChange(momentAs(event.target.value, value))}
    >
      ${Object.entries(DATES).map(([key, text]) => html`<option value=${key}>${text}</option>`)}
    </select>
    <${TimeField} value=${value} label=${label} onChange=${onChange} invalid=${invalid} />
  `;
}
