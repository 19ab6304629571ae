// Rules as a tree that can be edited by hand, and back. What the tree does not know stays in each node's `json` as it
// was, so that nothing is lost on the way.

/**
 * @typedef {object} FormNode
 * @property {string} key what stays the same while the node is moved and edited
 * @property {'group'|'trait'|'event'|'sequence'|'compare'|'segment'|'rank'|'sample'|'unknown'} kind
 * @property {any} json the node's own members; what is below stands apart
 * @property {FormNode[]} [children] of a group
 * @property {'conditions'|'criteria'} [list] the member in which a group's children stand
 * @property {boolean} [implicit] a group that was not written, around a single condition or none
 * @property {FormNode} [where] filters, as a group of traits, with `shape` as it was written
 * @property {'one'|'list'|'group'} [shape]
 * @property {FormNode[]} [steps] of a sequence, each {key, kind: 'step', json, where}
 * @property {any} [absent] of a step that must not come: what stands beside its `not`
 * @property {FormNode} [unless] of an event: the other kind that undoes it, as {key, kind: 'unless', json, where}
 * @property {FormNode} [left] of a comparison, a trait or an event
 * @property {FormNode} [right] of a comparison
 * @property {FormNode} [among] of a rank
 * @property {FormNode} [by] of a rank by a measure of events
 */

import { hasForm } from './has-form.js';

let next = 1;

/** A key that no other node has. */
export function freshKey() {
  next += 1;
  return `n${next}`;
}

const isObject = (value) => value !== null && typeof value === 'object' && !Array.isArray(value);

/** The form of rules; a lone condition is put into a group that is not written. */
export function toForm(rules) {
  if (rules === undefined || rules === null) return implicitGroup([]);
  const node = toNode(rules);
  return node.kind === 'group' ? node : implicitGroup([node]);
}

function implicitGroup(children) {
  return { key: freshKey(), kind: 'group', json: {}, list: 'conditions', implicit: true, children };
}

/** The form of one node. */
export function toNode(json) {
  const key = freshKey();
  if (!hasForm(json)) return { key, kind: 'unknown', json };
  for (const list of ['conditions', 'criteria']) {
    if (Array.isArray(json[list])) {
      const { [list]: children, ...rest } = json;
      return { key, kind: 'group', json: rest, list, children: children.map(toNode) };
    }
  }
  if ('left' in json) {
    const { left, right, ...rest } = json;
    return { key, kind: 'compare', json: rest, left: toNode(left), right: toNode(right) };
  }
  if ('field' in json) return { key, kind: 'trait', json };
  if ('event' in json) return { key, kind: 'event', ...eventParts(json) };
  if (Array.isArray(json.sequence)) {
    const { sequence, ...rest } = json;
    return { key, kind: 'sequence', json: rest, steps: sequence.map(toStep) };
  }
  if ('segment' in json) return { key, kind: 'segment', json };
  if (isObject(json.rank)) return rankNode(key, json);
  return { key, kind: 'sample', json };
}

/** The form of a step of a sequence. */
export function toStep(json) {
  const key = freshKey();
  if (!('not' in json)) return { key, kind: 'step', ...withWhere(json) };
  const { not, ...absent } = json;
  return { key, kind: 'step', ...withWhere(not), absent };
}

/** The form of what undoes events. */
export const toUnless = (json) => ({ key: freshKey(), kind: 'unless', ...withWhere(json) });

function eventParts(json) {
  if (!('unless' in json)) return withWhere(json);
  const { unless, ...rest } = json;
  return { ...withWhere(rest), unless: toUnless(unless) };
}

function rankNode(key, json) {
  const { among, rank, ...rest } = json;
  const node = { key, kind: 'rank', json: { ...rest, rank } };
  if (isObject(rank.by)) {
    const { by, ...others } = rank;
    node.json.rank = others;
    node.by = { key: freshKey(), kind: 'event', ...eventParts(by) };
  }
  if (among !== undefined) node.among = toForm(among);
  return node;
}

function withWhere(json) {
  const { where, ...rest } = json;
  if (Array.isArray(where)) {
    return { json: rest, where: { ...implicitGroup(where.map(toNode)), implicit: false, shape: 'list' } };
  }
  if (isObject(where)) {
    const node = toNode(where);
    if (node.kind === 'group') return { json: rest, where: { ...node, shape: 'group' } };
    return { json: rest, where: { ...implicitGroup([node]), implicit: false, shape: 'one' } };
  }
  return { json };
}

/** The rules of a form; undefined where there is no condition yet. */
export function fromForm(node) {
  if (node.kind === 'group' && node.implicit && node.children.length === 0) return undefined;
  return fromNode(node);
}

export function fromNode(node) {
  switch (node.kind) {
    case 'group': {
      if (node.implicit && node.children.length === 1) return fromNode(node.children[0]);
      return { ...node.json, [node.list]: node.children.map(fromNode) };
    }
    case 'event':
      return eventJson(node);
    case 'sequence':
      return { sequence: node.steps.map(stepJson), ...node.json };
    case 'compare': {
      const { operator, ...rest } = node.json;
      const between = 'operator' in node.json ? { operator } : {};
      return { left: fromNode(node.left), ...between, right: fromNode(node.right), ...rest };
    }
    case 'rank': {
      const { rank, ...rest } = node.json;
      const by = node.by ? { by: eventJson(node.by) } : {};
      const among = node.among ? fromForm(node.among) : undefined;
      return { rank: { ...by, ...rank }, ...rest, ...(among === undefined ? {} : { among }) };
    }
    default:
      return node.json;
  }
}

function eventJson(node) {
  const { event, ...rest } = node.json;
  const where = node.where && whereJson(node.where);
  return {
    ...('event' in node.json ? { event } : {}),
    ...(where === undefined ? {} : { where }),
    ...rest,
    ...(node.unless ? { unless: eventJson(node.unless) } : {}),
  };
}

const stepJson = (step) => (step.absent ? { not: eventJson(step), ...step.absent } : eventJson(step));

/** Filters as they were written, as long as that says the same. */
function whereJson(where) {
  if (where.shape === 'group') return fromNode(where);
  const isAnd = logicOf(where) === 'AND';
  if (where.children.length === 0 && where.shape === 'one') return undefined;
  if (!isAnd) return { logic: logicOf(where), conditions: where.children.map(fromNode) };
  if (where.shape === 'one' && where.children.length === 1 && where.children[0].kind !== 'group') {
    return fromNode(where.children[0]);
  }
  return where.children.map(fromNode);
}

/** AND, OR or NOT, in whatever case it is written. */
export function logicOf(group) {
  const logic = group.json.logic;
  return typeof logic === 'string' ? logic.toUpperCase() : 'AND';
}

/** A new group of filters with one trait in it. */
export function newFilters(child) {
  return { ...implicitGroup([child]), implicit: false, shape: 'one' };
}
