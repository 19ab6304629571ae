// The words of the rule language: what goes with what, and how people read it.

import { many, t } from '../texts/texts.js';
import { isNumber, textOf } from './exact.js';
import { isMoment } from './moments.js';

/** Operators with what they say, the shape of their value, and what they mean. */
export const OPERATORS = {
  eq: { text: t('grammar.is'), value: 'scalar', help: t('operatorHelp.eq') },
  ne: { text: t('grammar.isNot'), value: 'scalar', negative: true, help: t('operatorHelp.ne') },
  gt: { text: t('grammar.isMoreThan'), value: 'ordered', help: t('operatorHelp.gt') },
  gte: { text: t('grammar.isAtLeast'), value: 'ordered', help: t('operatorHelp.gte') },
  lt: { text: t('grammar.isLessThan'), value: 'ordered', help: t('operatorHelp.lt') },
  lte: { text: t('grammar.isAtMost'), value: 'ordered', help: t('operatorHelp.lte') },
  between: { text: t('grammar.isBetween'), value: 'pair', help: t('operatorHelp.between') },
  not_between: {
    text: t('grammar.isNotBetween'),
    value: 'pair',
    negative: true,
    help: t('operatorHelp.notBetween'),
  },
  in: { text: t('grammar.isOneOf'), value: 'list', help: t('operatorHelp.in') },
  not_in: { text: t('grammar.isNoneOf'), value: 'list', negative: true, help: t('operatorHelp.notIn') },
  contains: { text: t('grammar.contains'), value: 'scalars', help: t('operatorHelp.contains') },
  not_contains: {
    text: t('grammar.doesNotContain'),
    value: 'scalars',
    negative: true,
    help: t('operatorHelp.notContains'),
  },
  starts_with: { text: t('grammar.startsWith'), value: 'texts', help: t('operatorHelp.startsWith') },
  ends_with: { text: t('grammar.endsWith'), value: 'texts', help: t('operatorHelp.endsWith') },
  matches: { text: t('grammar.matchesRegex'), value: 'text', help: t('operatorHelp.matches') },
  exists: { text: t('grammar.isKnown'), value: 'none', help: t('operatorHelp.exists') },
  not_exists: {
    text: t('grammar.isNotKnown'),
    value: 'none',
    negative: true,
    help: t('operatorHelp.notExists'),
  },
  before: { text: t('grammar.isBefore'), value: 'time', help: t('operatorHelp.before') },
  after: { text: t('grammar.isAfter'), value: 'time', help: t('operatorHelp.after') },
  anniversary: {
    text: t('grammar.hasItsAnniversary'),
    value: 'anniversary',
    help: t('operatorHelp.anniversary'),
  },
};

/** The operators of a comparison of two values. */
export const COMPARISONS = ['gt', 'gte', 'lt', 'lte', 'eq', 'ne'];
const TIMES = ['before', 'after', 'anniversary'];
/** The operators on texts: capitals may be passed over. */
const TEXTS = ['eq', 'ne', 'in', 'not_in', 'contains', 'not_contains', 'starts_with', 'ends_with', 'matches'];

/** True if a zone may stand beside an operator. */
export const takesZone = (operator) => operator === 'before' || operator === 'after';
/** True if an operator may ignore capitals. */
export const takesAnyCase = (operator) => TEXTS.includes(operator);

const ALIASES = {
  equals: 'eq',
  '=': 'eq',
  '==': 'eq',
  not_equals: 'ne',
  '!=': 'ne',
  '>': 'gt',
  '>=': 'gte',
  '<': 'lt',
  '<=': 'lte',
  greaterthan: 'gt',
  greaterthanorequal: 'gte',
  lessthan: 'lt',
  lessthanorequal: 'lte',
  nin: 'not_in',
  regex: 'matches',
};

const NUMBERS = [
  'gte',
  'gt',
  'lte',
  'lt',
  'eq',
  'ne',
  'between',
  'not_between',
  'in',
  'not_in',
  'exists',
  'not_exists',
];
const DURATIONS = ['gte', 'gt', 'lte', 'lt', 'eq', 'ne', 'between', 'not_between', 'exists', 'not_exists'];

/**
 * Measures with what they say, as people choose them; `of` where they need a property, `nth`, `gap`, `zone` and `week` where
 * they take one. `fn` is their name in rules where it is another.
 */
export const MEASURES = {
  count: { text: t('grammar.count'), result: 'number' },
  sum: { text: t('grammar.sumOf'), of: true, result: 'number' },
  avg: { text: t('grammar.averageOf'), of: true, result: 'number' },
  median: { text: t('grammar.middle'), of: true, result: 'number' },
  min: { text: t('grammar.smallest'), of: true, result: 'number' },
  max: { text: t('grammar.largest'), of: true, result: 'number' },
  distinct: { text: t('grammar.differentValuesOf'), of: true, result: 'number' },
  mode: { text: t('grammar.mostFrequent'), of: true, result: 'any' },
  first: { text: t('grammar.first'), of: true, result: 'any' },
  firstNth: { text: t('grammar.nth'), fn: 'first', of: true, nth: true, result: 'any' },
  last: { text: t('grammar.last'), of: true, result: 'any' },
  lastNth: { text: t('grammar.nthFromTheEnd'), fn: 'last', of: true, nth: true, result: 'any' },
  days: { text: t('grammar.daysWithIt'), zone: true, result: 'number' },
  weeks: { text: t('grammar.weeksWithIt'), zone: true, week: true, result: 'number' },
  months: { text: t('grammar.monthsWithIt'), zone: true, result: 'number' },
  sessions: { text: t('grammar.visits'), gap: true, result: 'number' },
  since_first: { text: t('grammar.timeSinceTheFirst'), result: 'duration' },
  since_last: { text: t('grammar.timeSinceTheLast'), result: 'duration' },
};

const NTH = { first: 'firstNth', last: 'lastNth' };

/** The measure that people choose, of one that rules write: `"count"` or `{fn, of}`; undefined where it is none. */
export function measureName(measure) {
  if (measure === undefined) return 'count';
  const fn = typeof measure === 'string' ? measure : measure?.fn;
  const isNth = (fn === 'first' || fn === 'last') && measure?.nth !== undefined;
  const name = isNth ? NTH[fn] : fn;
  return typeof name === 'string' && Object.hasOwn(MEASURES, name) ? name : undefined;
}

/** A measure as rules write it, with what the one before had of the same; a count is not written. */
export function newMeasure(name, before) {
  if (name === 'count') return undefined;
  const { fn = name, of, nth, gap, zone, week } = MEASURES[name];
  return {
    fn,
    ...(of ? { of: before?.of ?? '' } : {}),
    ...(nth ? { nth: before?.nth ?? 2 } : {}),
    ...(gap ? { gap: before?.gap ?? '30m' } : {}),
    ...(zone && before?.zone !== undefined ? { zone: before.zone } : {}),
    ...(week && before?.weekStart !== undefined ? { weekStart: before.weekStart } : {}),
  };
}

/** The operator that a text means, in its first spelling. */
export function operatorName(text) {
  if (typeof text !== 'string') return undefined;
  const name = text.toLowerCase();
  if (Object.hasOwn(OPERATORS, name)) return name;
  return Object.hasOwn(ALIASES, name) ? ALIASES[name] : undefined;
}

const KNOWN = ['exists', 'not_exists'];
const BY_TYPE = { number: NUMBERS, text: [...TEXTS, ...KNOWN], boolean: ['eq', 'ne', ...KNOWN] };
const DATE = /^\d{4}-\d{2}-\d{2}/;

/**
 * The operators that go with what a measure gives or, for a trait or property, with the types that were seen of it. Where
 * nothing was seen, or what has operators of its own, all go.
 * @param {string | undefined} result of a measure
 * @param {{ types?: string[], examples?: any[] }} [seen] of a field
 */
export function operatorsFor(result, seen) {
  if (result === 'number') return NUMBERS;
  if (result === 'duration') return DURATIONS;
  const all = Object.keys(OPERATORS);
  const types = seen?.types ?? [];
  if (types.length === 0 || !types.every((type) => Object.hasOwn(BY_TYPE, type))) return all;
  const fitting = new Set(types.flatMap((type) => BY_TYPE[type]));
  if (seen?.examples?.some((one) => DATE.test(one))) TIMES.forEach((name) => fitting.add(name));
  return all.filter((name) => fitting.has(name));
}

const COMPARES = {
  gte: t('grammar.atLeast'),
  gt: t('grammar.moreThan'),
  lte: t('grammar.atMost'),
  lt: t('grammar.lessThan'),
  eq: t('grammar.exactly'),
  ne: t('grammar.notExactly'),
  between: t('grammar.between'),
  not_between: t('grammar.notBetween'),
  in: t('grammar.oneOf'),
  not_in: t('grammar.noneOf'),
  exists: t('grammar.known'),
  not_exists: t('grammar.notKnown'),
};

/** An operator's words, short where it stands behind a count. */
export function operatorText(name, result) {
  if (result === 'number' || result === 'duration') return COMPARES[name] ?? OPERATORS[name].text;
  return OPERATORS[name].text;
}

/** The units of durations, by their letters. */
export const UNITS = {
  s: t('unit.seconds'),
  m: t('unit.minutes'),
  h: t('unit.hours'),
  d: t('unit.days'),
  w: t('unit.weeks'),
};

/** The units that a calendar counts; they stand in windows, and in `before` and `after`. */
export const CALENDAR_UNITS = { mo: t('unit.months'), y: t('unit.years') };

/** `"30d"` as its parts. */
export function parseDuration(text) {
  const found = /^([1-9]\d{0,11})([smhdwy]|mo)$/.exec(typeof text === 'string' ? text : '');
  return found ? { amount: Number(found[1]), unit: found[2] } : undefined;
}

/** True if a duration is one of the calendar, so that it depends on a zone. */
export const isOfCalendar = (text) => Object.hasOwn(CALENDAR_UNITS, parseDuration(text)?.unit ?? '');

/** `"30d"` → "30 days". */
export function durationText(text) {
  const parts = parseDuration(text);
  return parts ? many(`duration.${parts.unit}`, parts.amount) : String(text);
}

const isTexts = (value) =>
  Array.isArray(value) && value.length > 0 && value.every((one) => typeof one === 'string');
const isPlainObject = (value) =>
  value !== null && typeof value === 'object' && !Array.isArray(value) && !isNumber(value);

/** A value that fits an operator, made of the one before as well as can be. */
export function fitValue(operator, value, result) {
  const shape = OPERATORS[operator]?.value;
  const unit = result === 'duration' ? '7d' : 1;
  const first = Array.isArray(value) ? value[0] : value;
  switch (shape) {
    case 'none':
      return undefined;
    case 'pair': {
      if (Array.isArray(value) && value.length === 2) return value;
      const low = isNumber(first) || typeof first === 'string' ? first : unit;
      return typeof low === 'number' ? [low, Math.max(low, 10)] : [low, low];
    }
    case 'list':
      if (Array.isArray(value)) return value;
      return first === undefined || first === '' || isPlainObject(first) ? [] : [first];
    case 'text':
      return first === undefined || isPlainObject(first) ? '' : textOf(first);
    case 'texts':
    case 'scalars':
      if (isTexts(value)) return value;
      return first === undefined || isPlainObject(first) ? '' : shape === 'texts' ? textOf(first) : first;
    case 'time':
      return typeof first === 'string' && isMoment(first) ? first : '30d';
    case 'anniversary':
      return isPlainObject(value) ? value : {};
    case 'ordered':
      return isNumber(first) || (typeof first === 'string' && first !== '') ? first : unit;
    default:
      if (isPlainObject(first)) return '';
      return first ?? (result === 'number' ? 1 : result === 'duration' ? '7d' : '');
  }
}
