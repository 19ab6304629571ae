// Where a fault belongs: JSON pointers of nodes, and the faults at them.

/** The pointer of a child by its place. */
export const below = (pointer, ...parts) => [pointer, ...parts].join('/');

/** Where the children of a group stand: those of a group that is not written stand where the group does. */
export function childPointer(group, pointer, index) {
  if (group.implicit && group.children.length < 2) return pointer;
  if (group.shape === 'one' && group.children.length === 1) return pointer;
  if (group.shape === 'list' && (group.json.logic ?? 'AND') === 'AND') return below(pointer, index);
  return below(pointer, group.list, index);
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
