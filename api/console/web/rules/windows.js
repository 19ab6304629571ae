// The windows of behaviours: how each is told from the others, and what stands in one that is chosen.
import { isNumber, textOf } from './exact.js';
import { isOfCalendar } from './grammar.js';
import { isOfZone, momentAs } from './moments.js';

/** The units of the calendar that windows count, with what their words are called by. */
export const CALENDAR = ['day', 'week', 'month', 'quarter', 'year'];

/** Whole units counted from the current one, as `{ from, to }`, both 0 or more; undefined where a window has none. */
export function unitsBack(within) {
  if (!CALENDAR.includes(within?.calendar)) return undefined;
  const { from, to = from } = within;
  if (!isNumber(from) || !isNumber(to)) return undefined;
  const [first, last] = [-Number(textOf(from)), -Number(textOf(to))];
  return Number.isInteger(first) && Number.isInteger(last) && first >= last && last >= 0
    ? { from: first, to: last }
    : undefined;
}

/**
 * The form of a window: `ever`, `last`, `ago`, `fixed`; `month.0` for this month, `month.1` for the last one, and so for the
 * other units; `calendar` for more of them; `other` for what is none.
 */
export function windowKind(within) {
  if (within === undefined) return 'ever';
  if (typeof within === 'string') return 'last';
  if (within === null || typeof within !== 'object') return 'other';
  if ('calendar' in within) {
    const units = unitsBack(within);
    if (!units) return 'other';
    return units.from === units.to && units.from < 2 ? `${within.calendar}.${units.from}` : 'calendar';
  }
  if (within.last !== undefined) return 'last';
  if (Array.isArray(within.ago)) return within.ago.length === 2 ? 'ago' : 'other';
  return 'from' in within || 'to' in within ? 'fixed' : 'other';
}

/** True if a zone makes a difference in a window. */
export function isWindowOfZone(within) {
  const kind = windowKind(within);
  if (kind === 'last') return isOfCalendar(within.last ?? within);
  if (kind === 'ago') return within.ago.some(isOfCalendar);
  if (kind === 'fixed') return [within.from, within.to].some((time) => time !== undefined && isOfZone(time));
  return kind !== 'ever' && kind !== 'other';
}

/** A window in a zone, or in that of the platform. */
export function inZone(within, zone) {
  const { zone: _, ...rest } = typeof within === 'string' ? { last: within } : within;
  if (zone !== undefined) return { ...rest, zone };
  return typeof within === 'string' ? within : rest;
}

/** A window of a form, with the zone and the week of the one before where they say something. */
export function newWindow(kind, before) {
  const [calendar, back] = kind.split('.');
  const fresh = {
    ever: undefined,
    last: '30d',
    ago: { ago: ['60d', '30d'] },
    fixed: { from: momentAs('day') },
    calendar: { calendar: 'month', from: -3, to: -1 },
  };
  const isWeek = calendar === 'week' && before?.weekStart !== undefined;
  const week = isWeek ? { weekStart: before.weekStart } : {};
  const within = back === undefined ? fresh[kind] : { calendar, from: back === '0' ? 0 : -1, ...week };
  const zone = before?.zone;
  return zone !== undefined && isWindowOfZone(within) ? inZone(within, zone) : within;
}
