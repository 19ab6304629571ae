// Numbers and times as people read them, in the language of the browser; times with their zone.
import { locale, zone } from './settings.js';
import { many, t } from '../texts/texts.js';

/** A formatter of each kind, made again when the language or the zone changes. */
function kept(make) {
  let language;
  let place;
  let formatter;
  return () => {
    if (language !== locale.get() || place !== zone.get()) {
      language = locale.get();
      place = zone.get();
      formatter = make(language, place);
    }
    return formatter;
  };
}

const numbers = (options) => kept((language) => new Intl.NumberFormat(language, options));
const times = (options) =>
  kept((language, timeZone) => new Intl.DateTimeFormat(language, { ...options, timeZone }));

const whole = numbers({});
const short = numbers({ notation: 'compact', maximumFractionDigits: 1 });
const tenths = numbers({ maximumFractionDigits: 1 });
const oneDecimal = numbers({ minimumFractionDigits: 1, maximumFractionDigits: 1 });
const day = { day: 'numeric', month: 'short' };
const toMinute = { hour: '2-digit', minute: '2-digit' };
const toSecond = { ...toMinute, second: '2-digit' };
const date = times({ ...day, year: 'numeric', timeZoneName: 'short' });
const dayAndTime = times({ ...day, ...toMinute });
const full = times({ ...day, year: 'numeric', ...toSecond, timeZoneName: 'short' });
const fullMinutes = times({ ...day, year: 'numeric', ...toMinute, timeZoneName: 'short' });
const clock = times({ ...toSecond, timeZoneName: 'short' });
const bareClock = times(toSecond);

/** 12345 → "12,345"; nothing → "–". */
export const count = (value) => (typeof value === 'number' ? whole().format(value) : '–');

/** 12345 → "12.3K". */
export const compact = (value) => (typeof value === 'number' ? short().format(value) : '–');

/** With its sign: "+12", "−3", "0". */
export function signed(value) {
  if (typeof value !== 'number') return '–';
  return value > 0 ? `+${whole().format(value)}` : value < 0 ? `−${whole().format(-value)}` : '0';
}

/** A part of a whole: "12.5%". */
export function percent(part, all) {
  if (!all) return '–';
  const value = (100 * part) / all;
  if (value > 0 && value < 0.1) return `<${tenths().format(0.1)}%`;
  return `${value >= 10 ? Math.round(value) : tenths().format(value)}%`;
}

export const plural = (number, one, several = `${one}s`) =>
  `${count(number)} ${number === 1 ? one : several}`;

const parts = (at) => new Date(at);
export const dateTime = (at) => (at === undefined ? '–' : full().format(parts(at)));
/** To the minute, with its zone. */
export const dateMinute = (at) => fullMinutes().format(parts(at));
/** For places that say the zone once, such as the axis of a chart. */
export const shortTime = (at) => dayAndTime().format(parts(at));
export const onlyDate = (at) => date().format(parts(at));
export const onlyClock = (at) => clock().format(parts(at));
/** For places that say the zone once. */
export const shortClock = (at) => bareClock().format(parts(at));

/**
 * The zone as times carry it: "GMT+1", "UTC".
 * @param {number | string} [at]
 */
export function zoneName(at = Date.now()) {
  return (
    full()
      .formatToParts(parts(at))
      .find((part) => part.type === 'timeZoneName')?.value ?? zone.get()
  );
}

/** The distance of an instant from now: "3 min ago", "in 2 days". */
export function relative(at, now = Date.now()) {
  const seconds = Math.round((parts(at).getTime() - now) / 1000);
  const size = Math.abs(seconds);
  if (size < 5) return t('format.justNow');
  const text = span(size);
  return seconds < 0 ? t('format.textAgo', { text }) : t('format.inText', { text });
}

/** Seconds in the largest unit that fits: "3 min". */
export function span(seconds) {
  if (seconds < 1) return t('format.secondsMs', { seconds: Math.round(seconds * 1000) });
  if (seconds < 60) return `${Math.round(seconds)} s`;
  if (seconds < 3600) return t('format.secondsMin', { seconds: Math.round(seconds / 60) });
  if (seconds < 86400) return `${Math.round(seconds / 3600)} h`;
  const days = Math.round(seconds / 86400);
  return days < 60 ? many('count.day', days) : many('count.month', Math.round(days / 30.44));
}

/** Bytes: "12.3 MB". */
export function bytes(value) {
  if (typeof value !== 'number') return '–';
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let unit = 0;
  let left = value;
  while (left >= 1000 && unit < units.length - 1) {
    left /= 1000;
    unit += 1;
  }
  return `${unit === 0 || left >= 100 ? Math.round(left) : oneDecimal().format(left)} ${units[unit]}`;
}

/** Any JSON value in one line. */
export const plain = (value) => (typeof value === 'string' ? value : JSON.stringify(value));
