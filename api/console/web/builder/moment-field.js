// The instant that a time is compared with: so long before or after now, now itself, or a date.
import { html } from '../lib/html.js';
import { isOfCalendar } from '../rules/grammar.js';
import { isOfZone, momentAs, momentKind } from '../rules/moments.js';
import { DurationField } from './duration-field.js';
import { DATES, TimeField } from './time-field.js';
import { t } from '../texts/texts.js';

const KINDS = {
  ago: t('momentField.soLongAgo'),
  ahead: t('momentField.soLongFromNow'),
  now: t('momentField.now'),
  ...DATES,
};

/** True if the zone beside a time makes a difference. */
export const isMomentOfZone = (value) =>
  isOfZone(value) || (typeof value === 'string' && isOfCalendar(value.replace(/^[+-]/, '')));

export function MomentField({ value, onChange, label, invalid }) {
  const kind = momentKind(value);
  const isMoved = kind === 'ago' || kind === 'ahead';
  const sign = isMoved && value !== undefined ? value.replace(/[^+-].*/, '') : '';
  return html`
    <select
      class="pill"
      aria-label=${t('valueField.labelKind', { label })}
      value=${kind}
      onChange=${(event) => onChange(momentAs(event.target.value, value))}
    >
      ${Object.entries(KINDS).map(([key, text]) => html`<option value=${key}>${text}</option>`)}
    </select>
    ${isMoved &&
    html`
      <${DurationField}
        value=${value === undefined ? '30d' : value.slice(sign.length)}
        label=${label}
        invalid=${invalid}
        calendar
        onChange=${(next) => onChange(`${sign}${next}`)}
      />
    `}
    ${kind in DATES &&
    html`<${TimeField} value=${value} label=${label} onChange=${onChange} invalid=${invalid} />`}
  `;
}
