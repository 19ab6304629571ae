// The words of the rule language: what goes with what, and how people read it.

import { isNumber, textOf } from './exact.js';

/** Operators with what they say and the shape of their value. */
export const OPERATORS = {
  eq: { text: 'is', value: 'scalar' },
  ne: { text: 'is not', value: 'scalar', negative: true },
  gt: { text: 'is more than', value: 'ordered' },
  gte: { text: 'is at least', value: 'ordered' },
  lt: { text: 'is less than', value: 'ordered' },
  lte: { text: 'is at most', value: 'ordered' },
  between: { text: 'is between', value: 'pair' },
  not_between: { text: 'is not between', value: 'pair', negative: true },
  in: { text: 'is one of', value: 'list' },
  not_in: { text: 'is none of', value: 'list', negative: true },
  contains: { text: 'contains', value: 'scalar' },
  not_contains: { text: 'does not contain', value: 'scalar', negative: true },
  starts_with: { text: 'starts with', value: 'text' },
  ends_with: { text: 'ends with', value: 'text' },
  matches: { text: 'matches (regex)', value: 'text' },
  exists: { text: 'is known', value: 'none' },
  not_exists: { text: 'is not known', value: 'none', negative: true },
  before: { text: 'is before', value: 'time' },
  after: { text: 'is after', value: 'time' },
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
  count: { text: 'count', result: 'number' },
  sum: { text: 'sum of', of: true, result: 'number' },
  avg: { text: 'average of', of: true, result: 'number' },
  min: { text: 'smallest', of: true, result: 'number' },
  max: { text: 'largest', of: true, result: 'number' },
  distinct: { text: 'different values of', of: true, result: 'number' },
  first: { text: 'first', of: true, result: 'any' },
  last: { text: 'last', of: true, result: 'any' },
  days: { text: 'days with it', result: 'number' },
  since_first: { text: 'time since the first', result: 'duration' },
  since_last: { text: 'time since the last', result: 'duration' },
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
  gte: 'at least',
  gt: 'more than',
  lte: 'at most',
  lt: 'less than',
  eq: 'exactly',
  ne: 'not exactly',
};

/** An operator's words, short where it stands behind a count. */
export function operatorText(name, result) {
  if (result === 'number' || result === 'duration')
    return COMPARES[name] ?? OPERATORS[name].text.replace(/^is /, '');
  return OPERATORS[name].text;
}

export const UNITS = { s: 'seconds', m: 'minutes', h: 'hours', d: 'days', w: 'weeks' };

/** `"30d"` as its parts. */
export function parseDuration(text) {
  const found = /^([1-9]\d{0,11})([smhdw])$/.exec(typeof text === 'string' ? text : '');
  return found ? { amount: Number(found[1]), unit: found[2] } : undefined;
}

/** `"30d"` → "30 days". */
export function durationText(text) {
  const parts = parseDuration(text);
  if (!parts) return String(text);
  return `${parts.amount} ${parts.amount === 1 ? UNITS[parts.unit].slice(0, -1) : UNITS[parts.unit]}`;
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
