// Whether a node says only what the forms can show. Calendars, zones, lines of orders, what undoes, absent steps and
// comparisons are shown and edited as JSON, so that no form leaves a part of them out.

const MEASURES = [
  'sum',
  'avg',
  'min',
  'max',
  'distinct',
  'first',
  'last',
  'days',
  'since_first',
  'since_last',
];
const FIXED = /^\d+[smhdw]$/;
const INSTANT = /^\d{4}-\d\d-\d\d[Tt].*([Zz]|[+-]\d\d:\d\d)$/;

const isObject = (value) => value !== null && typeof value === 'object' && !Array.isArray(value);
const every = (values, holds) => !Array.isArray(values) || values.every(holds);

/** Whether a node itself, without the conditions of a group and what a rank is among, can be shown as a form. */
export function isPlain(json) {
  if (!isObject(json) || Array.isArray(json.conditions) || Array.isArray(json.criteria)) return true;
  if ('left' in json || 'right' in json) return false;
  if ('field' in json) return isPlainTest(json);
  if ('event' in json) return isPlainMeasure(json) && isPlainTest(json);
  if (Array.isArray(json.sequence)) {
    return !('same' in json) && isPlainWindow(json.within) && json.sequence.every(isPlainStep);
  }
  if (isObject(json.rank)) return !isObject(json.rank.by) || isPlainMeasure(json.rank.by);
  return true;
}

function isPlainTest(json) {
  if ('zone' in json || 'ignoreCase' in json) return false;
  const operator = String(json.operator ?? '').toLowerCase();
  if (operator === 'anniversary') return false;
  if (['contains', 'not_contains', 'starts_with', 'ends_with'].includes(operator))
    return !Array.isArray(json.value);
  if (operator !== 'before' && operator !== 'after') return true;
  return typeof json.value !== 'string' || FIXED.test(json.value) || INSTANT.test(json.value);
}

function isPlainMeasure(json) {
  if ('each' in json || 'unless' in json || !isPlainWindow(json.within) || !isPlainWhere(json.where))
    return false;
  const measure = json.measure;
  if (!isObject(measure)) return true;
  const extra = ['nth', 'zone', 'weekStart', 'gap'].some((key) => key in measure);
  return !extra && !Array.isArray(measure.of) && (measure.fn === undefined || MEASURES.includes(measure.fn));
}

function isPlainStep(step) {
  return (
    isObject(step) && 'event' in step && !('not' in step) && !('for' in step) && isPlainWhere(step.where)
  );
}

function isPlainWhere(where) {
  if (Array.isArray(where)) return where.every(isPlainWhere);
  if (!isObject(where)) return true;
  const conditions = where.conditions ?? where.criteria;
  return Array.isArray(conditions) ? conditions.every(isPlainWhere) : isPlainTest(where);
}

function isPlainWindow(within) {
  if (typeof within === 'string') return FIXED.test(within);
  if (!isObject(within)) return true;
  if ('calendar' in within || 'zone' in within) return false;
  const isFixed = (duration) => typeof duration !== 'string' || FIXED.test(duration);
  const isInstant = (time) => typeof time !== 'string' || INSTANT.test(time);
  return isFixed(within.last) && every(within.ago, isFixed) && isInstant(within.from) && isInstant(within.to);
}
