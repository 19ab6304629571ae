// Differences between two versions of a segment or a trait, in the words in which rules are told everywhere.
import { describe, measureSubject } from './describe.js';
import { nodeAround } from './pointers.js';

/**
 * The differences as sentences before and after, one for each condition, however many places in it differ.
 * @param {{ change: string, pointer: string, before?: any, after?: any }[]} changes of the server
 * @param {{ rules?: any, definition?: any }} [from]
 * @param {{ rules?: any, definition?: any }} [to]
 * @returns {{ change: string, field: string, before?: string, after?: string }[]} `field` is the member of the document
 */
export function differences(changes, from, to) {
  const told = new Map();
  for (const { change, pointer, before, after } of changes) {
    const field = pointer.split('/')[1] ?? '';
    const one = { change, field, before: plain(before), after: plain(after) };
    if (field === 'rules') {
      const at = pointer.slice('/rules'.length);
      // An added part has no place before, and a removed one none after.
      if (change !== 'added' || !isWhole(after)) one.before = sentence(from?.rules, at);
      if (change !== 'removed' || !isWhole(before)) one.after = sentence(to?.rules, at);
      if (change === 'added' && isWhole(after)) one.after = describe(after);
      if (change === 'removed' && isWhole(before)) one.before = describe(before);
      if (one.before !== undefined && one.after !== undefined) one.change = 'changed';
    }
    if (field === 'definition' && from?.definition && to?.definition) {
      one.change = 'changed';
      one.before = measureSubject(from.definition);
      one.after = measureSubject(to.definition);
    }
    told.set(JSON.stringify([one.field, one.before, one.after]), one);
  }
  return [...told.values()];
}

/** True if a value is a condition by itself, and not a part of one. */
const isWhole = (value) => nodeAround(value, '') !== undefined;

function sentence(rules, pointer) {
  const node = nodeAround(rules, pointer);
  return node === undefined ? undefined : describe(node);
}

function plain(value) {
  if (value === undefined) return undefined;
  if (Array.isArray(value)) return value.map(plain).join(', ');
  return typeof value === 'string' ? value : JSON.stringify(value);
}
