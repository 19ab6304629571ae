// Edits of a condition by its fields: each gives new JSON, in which the parts fit together again.
import { MEASURES, fitValue, measureName, newMeasure, takesAnyCase, takesZone } from './grammar.js';

/** A member with another value, or without it. */
export function put(json, member, value) {
  const { [member]: _, ...rest } = json;
  return value === undefined ? rest : { ...rest, [member]: value };
}

/** Another operator, with a value that fits it; what does not go with it goes. */
export function withOperator(json, operator, result) {
  const { value: before, zone, ignoreCase, ...rest } = json;
  const value = fitValue(operator, before, result);
  return {
    ...rest,
    operator,
    ...(value === undefined ? {} : { value }),
    ...(zone !== undefined && takesZone(operator) ? { zone } : {}),
    ...(ignoreCase !== undefined && takesAnyCase(operator) ? { ignoreCase } : {}),
  };
}

/** Another measure, and a comparison that fits what it gives; `isAmount` says that nothing is compared with it. */
export function withMeasure(json, name, isAmount) {
  const next = put(json, 'measure', newMeasure(name, json.measure));
  const { result } = MEASURES[name];
  if (isAmount || MEASURES[measureName(json.measure)]?.result === result) return next;
  // Comparison and value were made for another kind of result.
  const { ignoreCase: _, zone: __, ...plain } = next;
  if (result === 'duration') return { ...plain, operator: 'lte', value: '7d' };
  return { ...plain, operator: result === 'any' ? 'eq' : 'gte', value: result === 'any' ? '' : 1 };
}

/** Done or not done at all; either way it is counted and compared afresh. */
export function withDone(json, isDone) {
  const { measure: _, operator: __, value: ___, ignoreCase: ____, zone: _____, ...rest } = json;
  return isDone ? { ...rest, operator: 'gte', value: 1 } : { ...rest, operator: 'eq', value: 0 };
}

/** A step that was done, or that was not. */
export function stepDone(step, isDone) {
  const { absent: _, ...rest } = step;
  return isDone ? rest : { ...rest, json: put(step.json, 'maxGap', undefined), absent: {} };
}

/** The paths of `same`, of which one alone stands without a list. */
export const samePaths = (paths) => (paths.length > 1 ? paths : paths[0]);

const DAYS = { today: {}, next: { from: 0, to: 7 }, span: { from: -7, to: 7 } };

/** The days of an anniversary, in the zone of those before. */
export const anniversaryDays = (kind, before) => put(DAYS[kind], 'zone', before?.zone);

/** True if a measure takes the first of several paths that has a value. */
export const isChoice = (of) => Array.isArray(of?.firstOf);

/** A choice that begins with a path. */
export const withChoice = (path) => ({ firstOf: [path, ''] });

/** A choice without one of its paths; the last one stands alone, unless events count as negative in it. */
export function dropChoice(of, index) {
  const firstOf = of.firstOf.filter((_, at) => at !== index);
  return firstOf.length === 1 && of.minus === undefined ? firstOf[0] : { ...of, firstOf };
}
