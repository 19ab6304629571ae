// Builds a rule from nothing by the edits that the builder's fields make, one key after the other.
import assert from 'node:assert/strict';
import { KINDS } from '../../web/builder/kinds.js';
import { describe } from '../../web/rules/describe.js';
import * as edits from '../../web/rules/edits.js';
import { fromForm, fromNode, newFilters, toForm, toNode, toStep, toUnless } from '../../web/rules/form.js';
import { MEASURES, OPERATORS, measureName, operatorName } from '../../web/rules/grammar.js';
import { momentAs, momentKind } from '../../web/rules/moments.js';
import * as tree from '../../web/rules/tree.js';
import { inZone, newWindow, windowKind } from '../../web/rules/windows.js';

const { put } = edits;
/** A condition as the menu adds it, found by what it begins with. */
const begun = (member) => KINDS.map((kind) => kind.make()).find((json) => member in json) ?? {};
const isObject = (value) => value !== null && typeof value === 'object' && !Array.isArray(value);

/** A text that comes letter by letter: at each, the condition can be said in words. */
function typed(json, member, text) {
  for (let end = 1; end <= text.length; end += 1) {
    const half = { ...json, [member]: text.slice(0, end) };
    if ('event' in half || 'field' in half) assert.doesNotMatch(describe(half), /undefined|\[object/);
  }
  return { ...json, [member]: text };
}

/** One name or several, of events or of paths. */
const named = (json, member, wanted) =>
  Array.isArray(wanted)
    ? { ...typed(json, member, wanted[0]), [member]: wanted }
    : typed(json, member, wanted);

function withValue(json, wanted) {
  const operator = operatorName(json.operator);
  switch (OPERATORS[operator].value) {
    case 'none':
      return json;
    case 'time': {
      const kind = momentKind(wanted);
      const value = kind === momentKind(json.value) ? json.value : momentAs(kind, json.value);
      assert.equal(momentKind(value), kind);
      return { ...json, value: wanted };
    }
    case 'anniversary': {
      const { from = 0, to = 0, zone } = wanted;
      const kind = from === 0 && to === 0 ? 'today' : from === 0 && to > 0 ? 'next' : 'span';
      const days = edits.anniversaryDays(kind, json.value);
      const bounds = kind === 'today' ? days : { ...days, ...(kind === 'span' ? { from } : {}), to };
      return { ...json, value: put(bounds, 'zone', zone) };
    }
    default:
      return typeof wanted === 'string' ? typed(json, 'value', wanted) : { ...json, value: wanted };
  }
}

/** The operator, its value, and what stands beside it. */
function tested(json, target, result) {
  let next = json;
  if (target.operator !== undefined) {
    const operator = operatorName(target.operator);
    if (operator !== next.operator) next = edits.withOperator(next, operator, result);
    next = withValue(next, target.value);
  }
  if (target.ignoreCase) next = put(next, 'ignoreCase', true);
  return target.zone === undefined ? next : put(next, 'zone', target.zone);
}

function trait(target) {
  return toNode(tested(named(begun('field'), 'field', target.field), target));
}

/** The filters of an event, an absent step or what undoes events. */
function filtered(node, where) {
  if (where === undefined) return node;
  const list = Array.isArray(where) ? where : (where.conditions ?? where.criteria ?? [where]);
  const logic = isObject(where) ? (where.logic ?? 'AND').toUpperCase() : 'AND';
  const child = (one) => {
    const children = one.conditions ?? one.criteria;
    if (!children)
      return toNode(tested(named({ field: '', operator: 'eq', value: '' }, 'field', one.field), one));
    const inner = { logic: (one.logic ?? 'AND').toUpperCase(), conditions: [] };
    return { ...toNode(inner), shape: 'group', children: children.map(child) };
  };
  const [first, ...others] = list.map(child);
  const filters = newFilters(first);
  const json = logic === 'AND' ? filters.json : { ...filters.json, logic };
  return { ...node, where: { ...filters, json, children: [first, ...others] } };
}

function windowed(json, wanted) {
  if (wanted === undefined) return put(json, 'within', newWindow('ever', json.within));
  const kind = windowKind(wanted);
  const fresh = newWindow(kind, json.within);
  assert.equal(windowKind(fresh), kind);
  const { zone, last, ...rest } = isObject(wanted) ? wanted : { last: wanted };
  const within = kind === 'last' ? last : { ...fresh, ...rest };
  // A bound that was there from the start is taken away.
  if (kind === 'fixed' && rest.from === undefined) delete within.from;
  return { ...json, within: inZone(within, zone) };
}

function measured(json, target, isAmount) {
  const name = measureName(target.measure);
  if (name === measureName(json.measure)) return json;
  const next = edits.withMeasure(json, name, isAmount);
  return isObject(target.measure) ? { ...next, measure: { ...next.measure, ...target.measure } } : next;
}

/** A behaviour, with a comparison or, as an amount, without. */
function event(target, isAmount) {
  let json = isAmount ? { event: '' } : begun('event');
  if (!isAmount && operatorName(target.operator) === 'eq' && target.value === 0 && !target.measure)
    json = edits.withDone(json, false);
  json = measured(named(json, 'event', target.event), target, isAmount);
  if (!isAmount) json = tested(json, target, MEASURES[measureName(target.measure)].result);
  if (target.each !== undefined) json = typed({ ...json, each: '' }, 'each', target.each);
  const node = filtered(toNode(windowed(json, target.within)), target.where);
  if (!target.unless) return node;
  const { where, ...unless } = target.unless;
  const undone = filtered({ ...toUnless({ event: '', same: '' }), json: unless }, where);
  return { ...node, unless: undone };
}

function step(target) {
  const { where, ...json } = target.not ?? target;
  const done = filtered(
    { ...toStep({ event: '' }), json: named({ ...json, event: '' }, 'event', json.event) },
    where,
  );
  if (!target.not) return done;
  const absent = edits.stepDone(done, false);
  return { ...absent, absent: put(absent.absent, 'for', target.for) };
}

function sequence(target) {
  const node = toNode(begun('sequence'));
  const json = windowed(node.json, target.within);
  const same = target.same === undefined ? json : { ...json, same: edits.samePaths([target.same].flat()) };
  return { ...node, json: same, steps: target.sequence.map(step) };
}

function group(target) {
  const children = target.conditions ?? target.criteria;
  const empty = toNode({ logic: 'OR', conditions: [] });
  const filled = children.reduce((all, child, at) => tree.insert(all, all.key, at, byHand(child)), empty);
  return tree.setLogic(filled, filled.key, (target.logic ?? 'AND').toUpperCase());
}

function rank(target) {
  const { by, order } = target.rank;
  const node = toNode(begun('rank'));
  const [cut] = Object.keys(target).filter((key) => key === 'top' || key === 'percent');
  const rest = order === undefined ? {} : { order: order.toLowerCase() };
  const json = { rank: typeof by === 'string' ? { by, ...rest } : rest, [cut]: target[cut] };
  const among = target.among === undefined ? {} : { among: toForm(fromNode(byHand(target.among))) };
  return { ...node, json, ...(typeof by === 'string' ? {} : { by: event(by, true) }), ...among };
}

/** The node of a rule, made by hand. */
export function byHand(target) {
  if (target.conditions ?? target.criteria) return group(target);
  if ('left' in target) {
    const side = (one) =>
      'event' in one ? event(one, true) : toNode(named({ field: '' }, 'field', one.field));
    const node = toNode(begun('left'));
    const json = { ...node.json, operator: operatorName(target.operator) };
    return { ...node, json, left: side(target.left), right: side(target.right) };
  }
  if ('field' in target) return trait(target);
  if ('event' in target) return event(target);
  if ('sequence' in target) return sequence(target);
  if ('rank' in target) return rank(target);
  const [member] = Object.keys(target);
  return toNode({ ...begun(member), ...target });
}

/** A rule, made from nothing. */
export function ruleByHand(target) {
  const empty = toForm(undefined);
  return fromForm(tree.insert(empty, empty.key, 0, byHand(target)));
}

/** A computed trait, made by hand. */
export const traitByHand = (target) => fromNode(event(target, true));

const oneOrList = (list) => (list.length === 1 ? list[0] : list);
const isNumberMeasure = (json) => MEASURES[measureName(json.measure)]?.result === 'number';

/** Filters without what says nothing: a lone one without its list, those that all hold as a list. */
function plainWhere(where) {
  if (where === undefined) return undefined;
  if (Array.isArray(where)) return oneOrList(where.map((one) => plain(one)));
  const all = plain(where);
  return all.conditions && all.logic === undefined ? oneOrList(all.conditions) : all;
}

function plainWindow(within) {
  if (!isObject(within)) return within;
  const { last, zone, weekStart, to, ...rest } = within;
  if (last !== undefined) return zone === undefined ? last : { last, zone };
  const isSpan = to !== undefined && !('calendar' in within && to === within.from);
  return {
    ...rest,
    ...(isSpan ? { to } : {}),
    ...(zone === undefined ? {} : { zone }),
    ...(weekStart === 'sunday' ? { weekStart } : {}),
  };
}

/** A rule in one of its spellings, so that two that say the same are the same. */
export function plain(json) {
  const { criteria, ...rest } = json;
  const next = criteria ? { ...rest, conditions: criteria } : { ...rest };
  if (next.conditions) next.conditions = next.conditions.map(plain);
  if (typeof next.logic === 'string') next.logic = next.logic.toUpperCase();
  if (next.logic === 'AND') delete next.logic;
  if (next.operator !== undefined) next.operator = operatorName(next.operator);
  else if ('event' in next && isNumberMeasure(next) && next.value === undefined)
    Object.assign(next, { operator: 'gte', value: 1 });
  if (next.operator === 'anniversary') next.value = { from: 0, to: 0, ...next.value };
  if (typeof next.value === 'string') next.value = next.value.replace(/^-(?=\d+([smhdwy]|mo)$)/, '');
  if (next.measure === 'count') delete next.measure;
  if (next.measure?.weekStart === 'monday') next.measure = put(next.measure, 'weekStart', undefined);
  if (next.ignoreCase === false) delete next.ignoreCase;
  if (next.where !== undefined) next.where = plainWhere(next.where);
  if ('within' in next) next.within = plainWindow(next.within);
  if (next.sequence) next.sequence = next.sequence.map(plainStep);
  if (next.unless) next.unless = plainStep(next.unless);
  if (Array.isArray(next.same)) next.same = oneOrList(next.same);
  for (const side of ['left', 'right', 'among']) if (next[side]) next[side] = plain(next[side]);
  if (isObject(next.rank?.by)) next.rank = { ...next.rank, by: plain(next.rank.by) };
  return next;
}

function plainStep(one) {
  if (one.not) return { ...one, not: plainStep(one.not) };
  return 'where' in one ? { ...one, where: plainWhere(one.where) } : one;
}
