// Times as rules write them: so long before or after now, now, a day, a time of day in a zone, an instant.

const AGO = /^-?\d+([smhdwy]|mo)$/;
const AHEAD = /^\+\d+([smhdwy]|mo)$/;
const DAY = /^\d{4}-\d\d-\d\d$/;
const LOCAL = /^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?$/;

/**
 * The form of a time; that of an instant is of whatever is none of the others.
 * @returns {'ago' | 'ahead' | 'now' | 'day' | 'local' | 'instant'}
 */
export function momentKind(value) {
  if (value === undefined || AGO.test(value)) return 'ago';
  if (AHEAD.test(value)) return 'ahead';
  if (value === 'now') return 'now';
  if (DAY.test(value)) return 'day';
  return LOCAL.test(value) ? 'local' : 'instant';
}

/** True if a text is a time in one of its forms. */
export const isMoment = (text) => momentKind(text) !== 'instant' || DAY.test(text.slice(0, 10));

/** True if a time is another instant in another zone. */
export const isOfZone = (value) => ['day', 'local'].includes(momentKind(value));

/** The text of a time in a field: its day, or its date and time; that of an instant in UTC. */
export function fieldText(value) {
  const kind = momentKind(value);
  if (kind === 'day') return value;
  if (kind === 'local') return value.slice(0, 19).replace(/[t ]/, 'T');
  const at = new Date(typeof value === 'string' ? value.replace(' ', 'T') : value);
  return Number.isNaN(at.getTime()) ? '' : at.toISOString().slice(0, 19);
}

const today = () => new Date().toISOString().slice(0, 10);

/** A time in another form; of what has no date, today. */
export function momentAs(kind, value) {
  if (kind === 'now') return 'now';
  if (kind === 'ago') return '30d';
  if (kind === 'ahead') return '+7d';
  const text = ['day', 'local', 'instant'].includes(momentKind(value)) ? fieldText(value) : '';
  const day = text.slice(0, 10) || today();
  const time = text.slice(11) || '00:00:00';
  return kind === 'day' ? day : `${day}T${time}${kind === 'instant' ? 'Z' : ''}`;
}
