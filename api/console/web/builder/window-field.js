// The window of a behaviour: ever, the last days, days of the calendar, a span some time ago, between two dates.
import { html } from '../lib/html.js';
import { NumberField } from '../parts/number-field.js';
import { unitText } from '../rules/describe.js';
import { momentAs } from '../rules/moments.js';
import { CALENDAR, inZone, isWindowOfZone, newWindow, unitsBack, windowKind } from '../rules/windows.js';
import { DurationField } from './duration-field.js';
import { DateField } from './time-field.js';
import { ZoneField } from './zone-field.js';
import { isFaulty } from './faults.js';
import { t } from '../texts/texts.js';

const KINDS = {
  ever: t('windowField.ever'),
  last: t('windowField.inTheLast'),
  ...Object.fromEntries(
    CALENDAR.flatMap((unit) => [0, 1].map((back) => [`${unit}.${back}`, t(`calendar.${unit}.${back}`)])),
  ),
  calendar: t('windowField.calendarUnits'),
  ago: t('windowField.betweenAgo'),
  fixed: t('windowField.betweenDates'),
};
/** The reach of the calendar's units. */
const MOST = { day: 3650, week: 520, month: 120, quarter: 40, year: 10 };

/** `pointer` is that of the node that has the window. */
export function WindowField({ within, onChange, faults, pointer }) {
  const kind = windowKind(within);
  const at = `${pointer}/within`;
  const isWhole = faults.some((fault) => fault.pointer === at);
  const invalid = (member) => isWhole || isFaulty(faults, at, member);
  const given = { within, onChange, invalid };
  return html`
    <select
      class="pill"
      aria-label=${t('windowField.window')}
      aria-invalid=${isWhole || (kind === 'other' && isFaulty(faults, pointer, 'within'))
        ? 'true'
        : undefined}
      value=${kind}
      onChange=${(event) => onChange(newWindow(event.target.value, within))}
    >
      ${Object.entries(KINDS).map(([key, text]) => html`<option value=${key}>${text}</option>`)}
      ${kind === 'other' && html`<option value="other">${t('windowField.asInTheJson')}</option>`}
    </select>
    ${kind === 'last' &&
    html`
      <${DurationField}
        value=${within.last ?? within}
        label=${t('windowField.window')}
        invalid=${invalid('last')}
        calendar
        onChange=${(value) => onChange(typeof within === 'string' ? value : { ...within, last: value })}
      />
    `}
    ${kind === 'ago' && html`<${Ago} ...${given} />`}
    ${kind === 'calendar' && html`<${Units} ...${given} />`}
    ${within?.calendar === 'week' && kind !== 'other' && html`<${WeekStart} ...${given} />`}
    ${kind === 'fixed' && html`<${Bound} ...${given} side="from" /><${Bound} ...${given} side="to" />`}
    ${(isWindowOfZone(within) || within?.zone !== undefined) &&
    kind !== 'other' &&
    html`
      <${ZoneField}
        value=${within.zone}
        invalid=${isFaulty(faults, at, 'zone')}
        onChange=${(zone) => onChange(inZone(within, zone))}
      />
    `}
  `;
}

/** A span between two times ago. */
function Ago({ within, onChange, invalid }) {
  const [begin, end] = within.ago;
  return html`
    <${DurationField}
      value=${begin}
      label=${t('windowField.windowBegin')}
      invalid=${invalid('ago')}
      calendar
      onChange=${(value) => onChange({ ...within, ago: [value, end] })}
    />
    <span class="word">${t('common.and')}</span>
    <${DurationField}
      value=${end}
      label=${t('windowField.windowEnd')}
      invalid=${invalid('ago')}
      suffix=${t('windowField.ago')}
      calendar
      onChange=${(value) => onChange({ ...within, ago: [begin, value] })}
    />
  `;
}

/** Several units of the calendar: from so many back to so many back, where 0 is the current one. */
function Units({ within, onChange, invalid }) {
  const { from = 0, to = 0 } = unitsBack(within) ?? {};
  const { calendar } = within;
  const most = MOST[calendar];
  const words = (back) => unitText(calendar, back);
  const setUnit = ({ target: { value } }) => {
    const { weekStart, ...rest } = within;
    const bound = (back) => -Math.min(back, MOST[value]);
    const week = value === 'week' && weekStart !== undefined ? { weekStart } : {};
    onChange({ ...rest, calendar: value, from: bound(from), to: bound(to), ...week });
  };
  const bound = (side, label, minimum, maximum) => html`
    <${NumberField}
      value=${side === 'from' ? from : to}
      label=${label}
      invalid=${invalid(side)}
      minimum=${minimum}
      maximum=${maximum}
      isWhole
      size="3"
      onChange=${(back) => onChange({ ...within, from: -from, to: -to, [side]: -back || 0 })}
    />
  `;
  return html`
    <span class="word">${t('windowField.from')}</span>
    ${bound('from', t('windowField.unitsBackToTheFirst'), to, most)}
    <span class="word">${t('common.to')}</span>
    ${bound('to', t('windowField.unitsBackToTheLast'), 0, from)}
    <select
      class="pill"
      aria-label=${t('windowField.unit')}
      aria-invalid=${invalid('calendar') ? 'true' : undefined}
      value=${calendar}
      onChange=${setUnit}
    >
      ${CALENDAR.map((unit) => html`<option value=${unit}>${t(`windowField.unit.${unit}`)}</option>`)}
    </select>
    <span class="word">${t('windowField.ago')}</span>
    <span class="small muted">${t('windowField.thatIs', { from: words(from), to: words(to) })}</span>
  `;
}

/** On which day weeks begin. */
export function WeekStart({ within, onChange, invalid }) {
  const set = ({ target: { value } }) => {
    const { weekStart: _, ...rest } = within;
    onChange(value === 'sunday' ? { ...rest, weekStart: value } : rest);
  };
  return html`
    <select
      class="pill"
      aria-label=${t('windowField.weeksBegin')}
      aria-invalid=${invalid('weekStart') ? 'true' : undefined}
      value=${within.weekStart ?? 'monday'}
      onChange=${set}
    >
      <option value="monday">${t('windowField.fromMonday')}</option>
      <option value="sunday">${t('windowField.fromSunday')}</option>
    </select>
  `;
}

const SIDES = {
  from: {
    word: t('windowField.from'),
    label: t('windowField.windowFrom'),
    add: t('windowField.from2'),
    drop: t('windowField.noBegin'),
  },
  to: {
    word: t('common.to'),
    label: t('windowField.windowTo'),
    add: t('windowField.to'),
    drop: t('windowField.noEnd'),
  },
};

/** One end of a window between dates; the other may be left out. */
function Bound({ within, side, onChange, invalid }) {
  const other = side === 'from' ? 'to' : 'from';
  const { [side]: value, ...rest } = within;
  if (value === undefined)
    return html`
      <button
        type="button"
        class="pill add"
        onClick=${() => onChange({ ...within, [side]: momentAs('day', within[other]) })}
      >
        ${SIDES[side].add}
      </button>
    `;
  return html`
    <span class="word">${SIDES[side].word}</span>
    <${DateField}
      value=${value}
      label=${SIDES[side].label}
      invalid=${invalid(side)}
      onChange=${(next) => onChange({ ...within, [side]: next })}
    />
    ${within[other] !== undefined &&
    html`
      <button type="button" class="pill clear" aria-label=${SIDES[side].drop} onClick=${() => onChange(rest)}>
        ×
      </button>
    `}
  `;
}
