// The names that rules use, and rules with those names replaced.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { NOBODY, inline, referencesOf, usersOf } from '../../web/rules/references.js';

const RULES = {
  logic: 'OR',
  conditions: [
    { segment: 'a' },
    { logic: 'NOT', criteria: [{ segment: 'b' }, { field: 'totalSpent', operator: 'gt', value: 5 }] },
    { rank: { by: 'orders', order: 'asc' }, top: 3, among: { segment: 'a' } },
    { event: 'purchase', where: [{ field: 'category', operator: 'eq', value: 'x' }] },
  ],
};

test('rules name segments and traits, but the properties of events are no traits', () => {
  assert.deepEqual(referencesOf(RULES), { segments: ['a', 'b'], traits: ['totalSpent', 'orders'] });
  assert.deepEqual(referencesOf(undefined), { segments: [], traits: [] });
});

test('names of segments are replaced wherever they stand, and nothing else is', () => {
  const [, group, rank, behaviour] = RULES.conditions;
  assert.deepEqual(inline(RULES, { a: NOBODY }), {
    logic: 'OR',
    conditions: [NOBODY, group, { ...rank, among: NOBODY }, behaviour],
  });
});

test('what uses a segment or a trait is found through others, nearest first', () => {
  const segments = [
    { id: 'far', rules: { segment: 'near' } },
    { id: 'near', rules: { conditions: [{ segment: 'a' }] } },
    { id: 'other', rules: { event: 'purchase' } },
    { id: 'spends', rules: { field: 'totalSpent', operator: 'gt', value: 1 } },
    { id: 'list', type: 'STATIC' },
  ];
  const ids = (what) => usersOf(segments, what).map((one) => one.id);
  assert.deepEqual(ids({ segment: 'a' }), ['near', 'far']);
  assert.deepEqual(ids({ trait: 'totalSpent' }), ['spends']);
  assert.deepEqual(ids({ segment: 'other' }), []);
});
