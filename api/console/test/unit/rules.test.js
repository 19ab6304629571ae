// The pure parts of the console: rules to form and back, edits of the tree, pointers, words.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { test } from 'node:test';

import { describe } from '../../web/rules/describe.js';
import { numberOf, parseJson, textOf } from '../../web/rules/exact.js';
import { fromForm, toForm, toNode } from '../../web/rules/form.js';
import { fitValue, operatorName, parseDuration, windowKind } from '../../web/rules/grammar.js';
import { childPointer, faultsAt, rulesFaults } from '../../web/rules/pointers.js';
import * as tree from '../../web/rules/tree.js';

const conformance = new URL('../../../../tests/conformance/', import.meta.url);

/** Every rule of the conformance timelines, those that are refused as well. */
function everyRule() {
  const found = [];
  for (const name of readdirSync(conformance).filter((one) => one.endsWith('.ndjson'))) {
    for (const line of readFileSync(new URL(name, conformance), 'utf8').split('\n').filter(Boolean)) {
      const { segment, refused } = JSON.parse(line);
      for (const rules of [segment?.rules, refused?.rules])
        if (rules !== undefined) found.push({ name, rules });
    }
  }
  return found;
}

test('every rule of the conformance timelines comes back from the form as it was', () => {
  const rules = everyRule();
  assert.ok(rules.length > 150, `only ${rules.length} rules were found`);
  for (const { name, rules: given } of rules) assert.deepEqual(fromForm(toForm(given)), given, name);
});

test('every rule can be said in words, and no word of them is undefined', () => {
  for (const { name, rules } of everyRule())
    assert.doesNotMatch(describe(rules), /undefined|\[object/, `${name}: ${describe(rules)}`);
});

test('what the form does not know is kept through an edit', () => {
  const given = {
    logic: 'OR',
    note: 'mine',
    conditions: [{ field: 'a', operator: 'eq', value: 1, extra: [1] }, { strange: true }],
  };
  const root = toForm(given);
  const edited = tree.update(root, root.children[0].key, (node) => ({
    ...node,
    json: { ...node.json, value: 2 },
  }));
  assert.deepEqual(fromForm(edited), {
    ...given,
    conditions: [{ field: 'a', operator: 'eq', value: 2, extra: [1] }, { strange: true }],
  });
});

test('a lone condition becomes a group when a second is added, and NOT of one is written', () => {
  const root = toForm({ segment: 'a' });
  const two = tree.insert(root, root.key, 1, toNode({ segment: 'b' }));
  assert.deepEqual(fromForm(two), { conditions: [{ segment: 'a' }, { segment: 'b' }] });
  assert.deepEqual(fromForm(tree.setLogic(root, root.key, 'NOT')), {
    logic: 'NOT',
    conditions: [{ segment: 'a' }],
  });
  assert.equal(fromForm(tree.remove(root, root.children[0].key)), undefined);
});

test('conditions move within their group, out of it and into one of their own', () => {
  const given = {
    conditions: [{ segment: 'a' }, { logic: 'OR', conditions: [{ segment: 'b' }, { segment: 'c' }] }],
  };
  const root = toForm(given);
  const [a, group] = root.children;
  const [b, c] = group.children;
  const order = (form) =>
    JSON.stringify(fromForm(form))
      .replace(/[^abcNORD\][]/g, '')
      .replaceAll('AND', '');
  assert.deepEqual(fromForm(tree.nudge(root, b.key, 1)).conditions[1].conditions, [
    { segment: 'c' },
    { segment: 'b' },
  ]);
  assert.deepEqual(fromForm(tree.outdent(root, c.key)).conditions.at(-1), { segment: 'c' });
  assert.deepEqual(fromForm(tree.nudge(root, b.key, -1)).conditions[1], { segment: 'b' });
  assert.deepEqual(fromForm(tree.wrap(root, a.key)).conditions[0], {
    logic: 'OR',
    conditions: [{ segment: 'a' }],
  });
  assert.deepEqual(fromForm(tree.unwrap(root, group.key)), {
    conditions: [{ segment: 'a' }, { segment: 'b' }, { segment: 'c' }],
  });
  assert.equal(
    order(tree.move(root, group.key, group.key, 0)),
    order(root),
    'a group does not go into itself',
  );
  const emptied = tree.outdent(tree.outdent(root, b.key), c.key);
  assert.deepEqual(
    new Set(fromForm(emptied).conditions.map((one) => one.segment)),
    new Set(['a', 'b', 'c']),
    'an empty group goes',
  );
});

test('filters keep the form in which they were written until that no longer fits', () => {
  const one = toForm({ event: 'p', where: { field: 'a', operator: 'exists' } });
  const node = one.children[0];
  const added = {
    ...node,
    where: { ...node.where, children: [...node.where.children, toNode({ field: 'b', operator: 'exists' })] },
  };
  assert.deepEqual(fromForm({ ...one, children: [added] }).where, [
    { field: 'a', operator: 'exists' },
    { field: 'b', operator: 'exists' },
  ]);
  const any = { ...added, where: { ...added.where, json: { logic: 'OR' } } };
  assert.equal(fromForm({ ...one, children: [any] }).where.logic, 'OR');
});

test('faults stand at the node that they are of', () => {
  const root = toForm({ conditions: [{ field: 'a', operator: 'eq' }, { conditions: [{ segment: 'x' }] }] });
  assert.equal(childPointer(root, '', 1), '/conditions/1');
  assert.equal(childPointer(toForm({ segment: 'x' }), '', 0), '');
  const faults = [
    { pointer: '/conditions/1/conditions/0/segment' },
    { pointer: '/conditions/10' },
    { pointer: '' },
  ];
  assert.deepEqual(faultsAt(faults, '/conditions/1', ['/conditions/1/conditions/0']), []);
  assert.deepEqual(
    faultsAt(faults, '/conditions/1').map((fault) => fault.pointer),
    ['/conditions/1/conditions/0/segment'],
  );
  assert.deepEqual(
    rulesFaults([{ pointer: '/rules/value' }, { pointer: '/name' }]).map((fault) => fault.pointer),
    ['/value'],
  );
});

test(
  'numbers that a double does not hold are kept as they are written',
  { skip: typeof JSON.rawJSON !== 'function' && 'this Node has no JSON.rawJSON' },
  () => {
    const text =
      '{"field":"a","operator":"in","value":[12345678901234567.5,0.10,1e3,-0.000000001,999999999999999999]}';
    assert.equal(
      JSON.stringify(fromForm(toForm(parseJson(text)))),
      text.replace('0.10', '0.1').replace('1e3', '1000').replace('-0.000000001', '-1e-9'),
    );
    assert.equal(typeof numberOf('1.50'), 'number');
    assert.equal(textOf(numberOf('12345678901234567.5')), '12345678901234567.5');
  },
);

test('words of the language', () => {
  assert.equal(operatorName('greaterThanOrEqual'), 'gte');
  assert.equal(operatorName('constructor'), undefined);
  assert.deepEqual(parseDuration('30d'), { amount: 30, unit: 'd' });
  assert.equal(parseDuration('0d'), undefined);
  assert.equal(windowKind({ ago: ['3d', '1d'] }), 'ago');
  assert.deepEqual(fitValue('between', 5, 'number'), [5, 10]);
  assert.deepEqual(fitValue('in', 'Oslo'), ['Oslo']);
  assert.equal(
    describe({ event: 'purchase', operator: 'eq', value: 0, within: '30d' }),
    'did not do purchase in the last 30 days',
  );
  assert.equal(
    describe({ event: 'purchase', operator: 'gt', value: 5, within: '30d' }),
    'did purchase more than 5 times in the last 30 days',
  );
  assert.equal(
    describe({
      event: 'refund',
      measure: { fn: 'sum', of: 'amount' },
      operator: 'lt',
      value: 100,
      within: '30d',
    }),
    'sum of amount of refund in the last 30 days is less than 100',
  );
});

test('what the forms cannot show is kept as JSON, and said in words', () => {
  assert.equal(
    describe({
      event: 'order',
      each: 'products',
      measure: { fn: 'sum', of: ['item.price', 'item.quantity'] },
      operator: 'gte',
      value: 5,
      within: { calendar: 'month', from: -3, to: -1, zone: 'user' },
      unless: { event: 'return', same: ['item.sku', 'sku'] },
    }),
    'sum of item.price × item.quantity of each of products in order from 3 months before this one to last month ' +
      'in their own time zone, unless return has the same sku is at least 5',
  );
  assert.equal(
    describe({ sequence: [{ event: 'cart' }, { not: { event: 'buy' }, for: '2h' }], same: 'sku' }),
    'did cart, then but no buy for 2 hours with the same sku',
  );
  assert.equal(
    describe({ field: 'ends', operator: 'before', value: '+7d' }),
    'ends is before 7 days from now',
  );
  for (const rules of [
    { event: 'p', within: { calendar: 'day', from: -1, zone: 'user' } },
    { event: 'p', each: 'products', where: { field: 'item.kind', operator: 'eq', value: 'toys' } },
    { event: 'p', unless: { event: 'q', same: 'id' } },
    { event: 'p', within: '3mo' },
    { event: 'p', measure: { fn: 'sum', of: ['a', 'b'] } },
    { event: 'p', where: [{ field: 'a', operator: 'eq', value: 'x', ignoreCase: true }] },
    { field: 'born', operator: 'anniversary', value: { to: 7 } },
    { field: 'ends', operator: 'before', value: '+7d' },
    { field: 'zip', operator: 'starts_with', value: ['1', '2'] },
    { sequence: [{ event: 'a' }, { not: { event: 'b' }, for: '2h' }] },
    { left: { event: 'a' }, operator: 'gt', right: { event: 'b' } },
  ]) {
    const [child] = toForm(rules).children;
    assert.equal(child.kind, 'unknown', JSON.stringify(rules));
  }
  for (const rules of [
    {
      event: 'p',
      within: { from: '2026-01-01T00:00:00Z' },
      measure: { fn: 'days' },
      operator: 'gt',
      value: 1,
    },
    { field: 'a', operator: 'before', value: '30d' },
    { rank: { by: { event: 'p' } }, top: 3 },
  ])
    assert.notEqual(toForm(rules).children[0].kind, 'unknown', JSON.stringify(rules));
});
