// Numbers and times as people read them.

const whole = new Intl.NumberFormat('en-US');
const short = new Intl.NumberFormat('en-US', { notation: 'compact', maximumFractionDigits: 1 });
const date = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', year: 'numeric' });
const dayAndTime = new Intl.DateTimeFormat('en-GB', {
  day: 'numeric',
  month: 'short',
  hour: '2-digit',
  minute: '2-digit',
});
const full = new Intl.DateTimeFormat('en-GB', {
  day: 'numeric',
  month: 'short',
  year: 'numeric',
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
});
const clock = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });

/** 12345 → "12,345"; nothing → "–". */
export const count = (value) => (typeof value === 'number' ? whole.format(value) : '–');

/** 12345 → "12.3K". */
export const compact = (value) => (typeof value === 'number' ? short.format(value) : '–');

/** With its sign: "+12", "−3", "0". */
export function signed(value) {
  if (typeof value !== 'number') return '–';
  return value > 0 ? `+${whole.format(value)}` : value < 0 ? `−${whole.format(-value)}` : '0';
}

/** A part of a whole: "12.5%". */
export function percent(part, all) {
  if (!all) return '–';
  const value = (100 * part) / all;
  if (value > 0 && value < 0.1) return '<0.1%';
  return `${value >= 10 ? Math.round(value) : Math.round(value * 10) / 10}%`;
}

export const plural = (number, one, many = `${one}s`) => `${count(number)} ${number === 1 ? one : many}`;

const parts = (at) => new Date(at);
export const dateTime = (at) => (at === undefined ? '–' : full.format(parts(at)));
export const shortTime = (at) => dayAndTime.format(parts(at));
export const onlyDate = (at) => date.format(parts(at));
export const onlyClock = (at) => clock.format(parts(at));

/** How long ago, or in how long: "3 min ago", "in 2 days". */
export function relative(at, now = Date.now()) {
  const seconds = Math.round((parts(at).getTime() - now) / 1000);
  const size = Math.abs(seconds);
  if (size < 5) return 'just now';
  const text = span(size);
  return seconds < 0 ? `${text} ago` : `in ${text}`;
}

/** Seconds in the largest unit that fits: "3 min". */
export function span(seconds) {
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 60) return `${Math.round(seconds)} s`;
  if (seconds < 3600) return `${Math.round(seconds / 60)} min`;
  if (seconds < 86400) return `${Math.round(seconds / 3600)} h`;
  const days = Math.round(seconds / 86400);
  return days < 60 ? plural(days, 'day') : plural(Math.round(days / 30.44), 'month');
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
  return `${unit === 0 || left >= 100 ? Math.round(left) : left.toFixed(1)} ${units[unit]}`;
}

/** Any JSON value in one line. */
export const plain = (value) => (typeof value === 'string' ? value : JSON.stringify(value));
