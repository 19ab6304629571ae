// Places in rules: JSON pointers of nodes, the faults at them, and the nodes at pointers.

/** The pointer of a child by its place. */
export const below = (pointer, ...parts) => [pointer, ...parts].join('/');

/** The pointers of a group's children; those of a group that is not written are at the group itself. */
export function childPointer(group, pointer, index) {
  if (group.implicit && group.children.length < 2) return pointer;
  if (group.shape === 'one' && group.children.length === 1) return pointer;
  if (group.shape === 'list' && (group.json.logic ?? 'AND') === 'AND') return below(pointer, index);
  return below(pointer, group.list, index);
}

/**
 * The pointers of a condition's filters, at any place in it: they show their faults on their own.
 * @param {any} node
 * @param {string} pointer
 * @returns {string[]}
 */
export function filterPointers(node, pointer) {
  const inner = [
    ['unless', node.unless],
    ['rank/by', node.by],
    ['left', node.left],
    ['right', node.right],
    ...(node.steps ?? []).map((step, index) => [`sequence/${index}${step.absent ? '/not' : ''}`, step]),
  ];
  return [
    ...(node.where ? [below(pointer, 'where')] : []),
    ...inner.flatMap(([place, one]) => (one ? filterPointers(one, below(pointer, place)) : [])),
  ];
}

/** The faults at a pointer or below it, but for those below the pointers that are shown on their own. */
export function faultsAt(faults, pointer, apart = []) {
  const isBelow = (fault, base) => fault.pointer === base || fault.pointer.startsWith(`${base}/`);
  return faults.filter((fault) => isBelow(fault, pointer) && !apart.some((one) => isBelow(fault, one)));
}

/** Faults of a whole document as those of its rules: without the leading `/rules`. */
export function rulesFaults(errors) {
  return errors
    .filter((fault) => fault.pointer === '/rules' || fault.pointer?.startsWith('/rules/'))
    .map((fault) => ({ ...fault, pointer: fault.pointer.slice('/rules'.length) }));
}

const unescaped = (part) => part.replaceAll('~1', '/').replaceAll('~0', '~');
const partsOf = (pointer) => pointer.split('/').slice(1).map(unescaped);

/** The value at a pointer, or nothing. */
export function valueAt(json, pointer) {
  return partsOf(pointer).reduce(
    (at, part) => (at !== null && typeof at === 'object' && Object.hasOwn(at, part) ? at[part] : undefined),
    json,
  );
}

const NODES = ['conditions', 'criteria', 'left', 'field', 'event', 'sequence', 'segment', 'rank', 'sample'];
const isNode = (value) =>
  value !== null && typeof value === 'object' && NODES.some((member) => Object.hasOwn(value, member));

/** The innermost condition around a pointer that reads as a sentence of its own: a filter or a step does not. */
export function nodeAround(rules, pointer) {
  let at = rules;
  let found = isNode(rules) ? rules : undefined;
  for (const part of partsOf(pointer)) {
    if (['where', 'unless', 'sequence', 'rank', 'left', 'right'].includes(part)) break;
    at = at?.[part];
    if (isNode(at)) found = at;
  }
  return found;
}
