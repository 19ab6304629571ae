// On which days an anniversary falls: today, within the next days, or between two days counted from today.
import { html } from '../lib/html.js';
import { NumberField } from '../parts/number-field.js';
import { anniversaryDays, put } from '../rules/edits.js';
import { isNumber, textOf } from '../rules/exact.js';
import { isFaulty } from './faults.js';
import { ZoneField } from './zone-field.js';
import { t } from '../texts/texts.js';

const MOST = 366;
const KINDS = {
  today: t('anniversaryField.today'),
  next: t('anniversaryField.withinTheNext'),
  span: t('anniversaryField.between'),
};
const daysOf = (value) => (isNumber(value) ? Number(textOf(value)) : value === undefined ? 0 : Number.NaN);

function kindOf({ from, to }) {
  const [first, last] = [daysOf(from), daysOf(to)];
  if (first === 0 && last === 0) return 'today';
  return first === 0 && last > 0 ? 'next' : 'span';
}

/** `value` is `{ from, to, zone }`, each of which may be missing; `pointer` is that of the value. */
export function AnniversaryField({ value, onChange, label, faults, pointer }) {
  const days = value !== null && typeof value === 'object' && !Array.isArray(value) ? value : {};
  const kind = kindOf(days);
  const bound = (side, minimum, maximum) => html`
    <${NumberField}
      value=${days[side] ?? 0}
      label=${side === 'from'
        ? t('anniversaryField.labelFirstDay', { label })
        : t('anniversaryField.labelLastDay', { label })}
      invalid=${isFaulty(faults, pointer, side)}
      minimum=${minimum}
      maximum=${maximum}
      isWhole
      onChange=${(next) => onChange({ ...days, [side]: next })}
    />
  `;
  return html`
    <select
      class="pill"
      aria-label=${t('anniversaryField.labelWhen', { label })}
      aria-invalid=${faults.some((fault) => fault.pointer === pointer) ? 'true' : undefined}
      value=${kind}
      onChange=${(event) => onChange(anniversaryDays(event.target.value, days))}
    >
      ${Object.entries(KINDS).map(([key, text]) => html`<option value=${key}>${text}</option>`)}
    </select>
    ${kind === 'next' && html`${bound('to', 1, MOST)}<span class="word">${t('anniversaryField.days')}</span>`}
    ${kind === 'span' &&
    html`
      ${bound('from', -MOST, MOST)}
      <span class="word">${t('common.and')}</span>
      ${bound('to', -MOST, MOST)}
      <span class="word">${t('anniversaryField.daysFromToday')}</span>
    `}
    <${ZoneField}
      value=${days.zone}
      invalid=${isFaulty(faults, pointer, 'zone')}
      onChange=${(zone) => onChange(put(days, 'zone', zone))}
    />
  `;
}
