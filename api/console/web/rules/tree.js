// Edits of a form, each giving a new tree: groups of groups, and the `among` of ranks.
import { freshKey, logicOf } from './form.js';

/** The node of a key with the group it is in and the keys on the way from the root. */
export function find(root, key, group, path = []) {
  const here = [...path, root.key];
  if (root.key === key) return { node: root, group, path: here };
  for (const child of root.children ?? []) {
    const found = find(child, key, root, here);
    if (found) return found;
  }
  return root.among && find(root.among, key, root, here);
}

/** The members of a node that are nodes themselves. */
const BELOW = ['where', 'among', 'by', 'unless', 'left', 'right'];

/** The tree with one node replaced by what `change` gives for it. */
export function update(node, key, change) {
  if (node.key === key) return change(node);
  let next = node;
  if (node.children) {
    const children = node.children.map((child) => update(child, key, change));
    if (children.some((child, index) => child !== node.children[index])) next = { ...next, children };
  }
  if (node.among) {
    const among = update(node.among, key, change);
    if (among !== node.among) next = { ...next, among };
  }
  return next;
}

/** A group that has to be written to hold what it now does. */
function written(group, children) {
  return { ...group, children, implicit: group.implicit && children.length < 2 };
}

/** A list with `count` members from `index` on replaced. */
const spliced = (list, index, count, ...members) => [
  ...list.slice(0, index),
  ...members,
  ...list.slice(index + count),
];

export function insert(root, groupKey, index, node) {
  return update(root, groupKey, (group) => written(group, spliced(group.children, index, 0, node)));
}

export function remove(root, key) {
  const found = find(root, key);
  if (!found?.group?.children) return root;
  return update(root, found.group.key, (group) =>
    written(
      group,
      group.children.filter((child) => child.key !== key),
    ),
  );
}

/** Takes a node out and puts it before what is at `index` of a group now; into itself it does not go. */
export function move(root, key, groupKey, index) {
  const found = find(root, key);
  const target = find(root, groupKey);
  if (!found?.group?.children || !target?.node.children || target.path.includes(key)) return root;
  const from = found.group.children.findIndex((child) => child.key === key);
  const shift = found.group.key === groupKey && from < index ? 1 : 0;
  return insert(remove(root, key), groupKey, index - shift, found.node);
}

/** One place up or down; at the end of a nested group, out of it. */
export function nudge(root, key, step) {
  const found = find(root, key);
  if (!found?.group?.children) return root;
  const { group } = found;
  const at = group.children.findIndex((child) => child.key === key);
  const to = at + step;
  if (to >= 0 && to < group.children.length) return move(root, key, group.key, step > 0 ? to + 1 : to);
  return outdent(root, key, step);
}

/** Out of its group, before or behind it. */
export function outdent(root, key, step = 1) {
  const found = find(root, key);
  const outer = found?.group && find(root, found.group.key).group;
  if (!outer?.children) return root;
  const at = outer.children.findIndex((child) => child.key === found.group.key);
  const moved = move(root, key, outer.key, step > 0 ? at + 1 : at);
  const left = find(moved, found.group.key);
  return left && left.node.children.length === 0 ? remove(moved, found.group.key) : moved;
}

/** Puts a node into a group of its own. */
export function wrap(root, key, logic = 'OR') {
  const found = find(root, key);
  if (!found?.group?.children) return root;
  const group = (node) => ({
    key: freshKey(),
    kind: 'group',
    json: { logic },
    list: 'conditions',
    implicit: false,
    children: [node],
  });
  return update(root, key, group);
}

/** Puts the children of a group in its place. */
export function unwrap(root, key) {
  const found = find(root, key);
  if (!found?.group?.children || found.node.kind !== 'group') return root;
  const at = found.group.children.indexOf(found.node);
  const spread = (group) => written(group, spliced(group.children, at, 1, ...found.node.children));
  return update(root, found.group.key, spread);
}

export function setLogic(root, key, logic) {
  return update(root, key, (group) => {
    if (logicOf(group) === logic) return group;
    const json = { ...group.json, logic };
    if (logic === 'AND') delete json.logic;
    // NOT says something of a single condition too, so the group has to be written.
    return { ...group, json, implicit: logic === 'NOT' ? false : group.implicit };
  });
}

/** The same node with keys of its own. */
export function copy(node) {
  const fresh = { ...node, key: freshKey() };
  for (const list of ['children', 'steps']) if (node[list]) fresh[list] = node[list].map(copy);
  for (const one of BELOW) if (node[one]) fresh[one] = copy(node[one]);
  return fresh;
}

/** The number of nodes, filters and steps, as the limit of 256 counts them. */
export function countNodes(node) {
  const below = [
    ...(node.children ?? []),
    ...(node.steps ?? []),
    ...BELOW.map((one) => node[one]).filter(Boolean),
  ];
  const isNone = node.implicit || node.kind === 'unless' || node.shape === 'one' || node.shape === 'list';
  const own = isNone ? 0 : 1;
  return below.reduce((sum, child) => sum + countNodes(child), own);
}
