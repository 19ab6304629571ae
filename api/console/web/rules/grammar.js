// The words of the rule language: what goes with what, and how people read it.

import { many, t } from '../texts/texts.js';
import { isNumber, textOf } from './exact.js';

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
  contains: { text: t('grammar.contains'), value: 'scalar', help: t('operatorHelp.contains') },
  not_contains: {
    text: t('grammar.doesNotContain'),
    value: 'scalar',
    negative: true,
    help: t('operatorHelp.notContains'),
  },
  starts_with: { text: t('grammar.startsWith'), value: 'text', help: t('operatorHelp.startsWith') },
  ends_with: { text: t('grammar.endsWith'), value: 'text', help: t('operatorHelp.endsWith') },
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
};

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

/** Measures with what they say; `of` where they need a property. */
export const MEASURES = {
  count: { text: t('grammar.count'), result: 'number' },
  sum: { text: t('grammar.sumOf'), of: true, result: 'number' },
  avg: { text: t('grammar.averageOf'), of: true, result: 'number' },
  min: { text: t('grammar.smallest'), of: true, result: 'number' },
  max: { text: t('grammar.largest'), of: true, result: 'number' },
  distinct: { text: t('grammar.differentValuesOf'), of: true, result: 'number' },
  first: { text: t('grammar.first'), of: true, result: 'any' },
  last: { text: t('grammar.last'), of: true, result: 'any' },
  days: { text: t('grammar.daysWithIt'), result: 'number' },
  since_first: { text: t('grammar.timeSinceTheFirst'), result: 'duration' },
  since_last: { text: t('grammar.timeSinceTheLast'), result: 'duration' },
};

/** The name of a measure as rules write it: `"count"` or `{fn, of}`; undefined where it is neither. */
export function measureName(measure) {
  if (measure === undefined) return 'count';
  const name = typeof measure === 'string' ? measure : measure?.fn;
  return typeof name === 'string' && Object.hasOwn(MEASURES, name) ? name : undefined;
}

/** The operator that a text means, in its first spelling. */
export function operatorName(text) {
  if (typeof text !== 'string') return undefined;
  const name = text.toLowerCase();
  if (Object.hasOwn(OPERATORS, name)) return name;
  return Object.hasOwn(ALIASES, name) ? ALIASES[name] : undefined;
}

const TEXTS = ['eq', 'ne', 'in', 'not_in', 'contains', 'not_contains', 'starts_with', 'ends_with', 'matches'];
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
  if (seen?.examples?.some((one) => DATE.test(one))) ['before', 'after'].forEach((name) => fitting.add(name));
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

/** `"30d"` as its parts. */
export function parseDuration(text) {
  const found = /^([1-9]\d{0,11})([smhdw])$/.exec(typeof text === 'string' ? text : '');
  return found ? { amount: Number(found[1]), unit: found[2] } : undefined;
}

/** `"30d"` → "30 days". */
export function durationText(text) {
  const months = /^([1-9]\d{0,11})(mo|y)$/.exec(typeof text === 'string' ? text : '');
  if (months) return many(`duration.${months[2]}`, Number(months[1]));
  const parts = parseDuration(text);
  if (!parts) return String(text);
  return many(`duration.${parts.unit}`, parts.amount);
}

/** The forms of a window. */
export function windowKind(within) {
  if (within === undefined) return 'ever';
  if (typeof within === 'string' || within?.last !== undefined) return 'last';
  if (Array.isArray(within?.ago)) return 'ago';
  if (within !== null && typeof within === 'object' && ('from' in within || 'to' in within)) return 'fixed';
  return 'other';
}

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
      return Array.isArray(value) ? value : first === undefined || first === '' ? [] : [first];
    case 'text':
      return first === undefined ? '' : textOf(first);
    case 'time':
      return parseDuration(first) || (typeof first === 'string' && /^\d{4}-/.test(first)) ? first : '30d';
    case 'ordered':
      if (typeof first === 'boolean' || first === undefined || first === '') return unit;
      return first;
    default:
      return first ?? (result === 'number' ? 1 : result === 'duration' ? '7d' : '');
  }
}
