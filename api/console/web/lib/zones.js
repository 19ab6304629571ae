// Zones by their names, and instants as people type them in a zone, and back.
import { createStore } from './store.js';

/** The names of all zones that this browser knows, UTC first; an old one knows none by name. */
export const ZONE_NAMES = [...new Set(['UTC', ...(Intl.supportedValuesOf?.('timeZone') ?? [])])];

/** The zone of the platform, once it is known. */
export const platformZone = createStore(/** @type {string | undefined} */ (undefined));

const formatters = new Map();

/** The date and time of an instant in a zone, as if it were UTC, in milliseconds. */
function localMillis(instant, timeZone) {
  if (!formatters.has(timeZone)) {
    /** @type {Intl.DateTimeFormatOptions} */
    const options = {
      year: 'numeric',
      month: '2-digit',
      day: '2-digit',
      hour: '2-digit',
      minute: '2-digit',
      second: '2-digit',
    };
    formatters.set(
      timeZone,
      new Intl.DateTimeFormat('en-US', { ...options, timeZone, hourCycle: 'h23', era: 'short' }),
    );
  }
  const parts = Object.fromEntries(
    formatters
      .get(timeZone)
      .formatToParts(instant)
      .map((part) => [part.type, part.value]),
  );
  return Date.UTC(
    Number(parts.year),
    Number(parts.month) - 1,
    Number(parts.day),
    Number(parts.hour),
    Number(parts.minute),
    Number(parts.second),
  );
}

/**
 * The instant that `2026-01-31T12:00:00` means in a zone. A time that a change of clocks leaves out is read as the time
 * after it; of a time that comes twice, the first is meant.
 * @returns {string | undefined} in UTC
 */
export function instantOf(text, timeZone) {
  const wanted = Date.parse(`${text.length === 16 ? `${text}:00` : text}Z`);
  if (Number.isNaN(wanted)) return undefined;
  const offsetAt = (instant) => localMillis(instant, timeZone) - instant;
  const before = wanted - offsetAt(wanted - 86_400_000);
  const after = wanted - offsetAt(wanted + 86_400_000);
  const fits = [before, after].filter((one) => localMillis(one, timeZone) === wanted);
  const instant = fits.length > 0 ? Math.min(...fits) : before;
  return new Date(instant).toISOString().replace(/\.000Z$/, 'Z');
}

/** An instant as a field shows it in a zone: `2026-01-31T12:00:00`. */
export function fieldOf(instant, timeZone) {
  const at = new Date(instant).getTime();
  return Number.isNaN(at)
    ? ''
    : new Date(localMillis(Math.floor(at / 1000) * 1000, timeZone)).toISOString().slice(0, 19);
}
