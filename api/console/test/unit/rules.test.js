// The pure parts of the console: rules to form and back, edits of the tree, pointers, words.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { test } from 'node:test';

import { describe } from '../../web/rules/describe.js';
import { dropChoice, isChoice, withChoice, withMeasure } from '../../web/rules/edits.js';
import { numberOf, parseJson, textOf } from '../../web/rules/exact.js';
import { fromForm, toForm, toNode } from '../../web/rules/form.js';
import { fitValue, operatorName, parseDuration } from '../../web/rules/grammar.js';
import { childPointer, faultsAt, filterPointers, rulesFaults } from '../../web/rules/pointers.js';
import * as tree from '../../web/rules/tree.js';
import { windowKind } from '../../web/rules/windows.js';

const conformance = new URL('../../../../tests/conformance/', import.meta.url);

/** Every rule of the conformance timelines, those that are refused as well. */
function everyRule() {
  const found = [];
  for (const name of readdirSync(conformance).filter((one) => one.endsWith('.ndjson'))) {
    for (const line of readFileSync(new URL(name, conformance), 'utf8').split('\n').filter(Boolean)) {
      const { segment, refused } = JSON.parse(line);
      if (segment?.rules !== undefined) found.push({ name, rules: segment.rules });
      if (refused?.rules !== undefined) found.push({ name, rules: refused.rules, isRefused: true });
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

test('filters stand at their places in a condition', () => {
  const where = { field: 'a', operator: 'exists' };
  const found = (rules) => filterPointers(toNode(rules), '/conditions/0');
  assert.deepEqual(found({ event: 'p', where, unless: { event: 'q', where, same: 'id' } }), [
    '/conditions/0/where',
    '/conditions/0/unless/where',
  ]);
  assert.deepEqual(
    found({ sequence: [{ event: 'p', where }, { event: 'q' }, { not: { event: 'r', where } }] }),
    ['/conditions/0/sequence/0/where', '/conditions/0/sequence/2/not/where'],
  );
  assert.deepEqual(found({ rank: { by: { event: 'p', where } }, top: 1 }), ['/conditions/0/rank/by/where']);
  assert.deepEqual(found({ left: { field: 'a' }, operator: 'gt', right: { event: 'p', where } }), [
    '/conditions/0/right/where',
  ]);
  assert.deepEqual(found({ field: 'a', operator: 'exists' }), []);
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
  assert.equal(fitValue('starts_with', []), '');
  assert.deepEqual(fitValue('ends_with', ['1', '2']), ['1', '2']);
  assert.equal(fitValue('before', {}), '30d');
  assert.equal(fitValue('before', '+7d'), '+7d');
  assert.equal(fitValue('eq', { to: 7 }), '');
  assert.equal(
    describe({ event: 'purchase', operator: 'eq', value: 0, within: '30d' }),
    'did not do purchase in the last 30 days',
  );
  assert.equal(describe({ event: 'purchase', within: { last: '1m' } }), 'did purchase in the last minute');
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

test('what the second page added is said in words', () => {
  const said = {
    'sum of item.price × item.quantity of products in order, unless return has the same sku as item.sku is at least 5':
      {
        event: 'order',
        each: 'products',
        measure: { fn: 'sum', of: ['item.price', 'item.quantity'] },
        operator: 'gte',
        value: 5,
        unless: { event: 'return', same: ['item.sku', 'sku'] },
      },
    'sum of revenue or else total (negative for refund) of order or refund is at least 5': {
      event: ['order', 'refund'],
      measure: { fn: 'sum', of: { firstOf: ['revenue', 'total'], minus: 'refund' } },
      operator: 'gte',
      value: 5,
    },
    'code or else coupon of the last order is “A”': {
      event: 'order',
      measure: { fn: 'last', of: { firstOf: ['code', 'coupon'] } },
      operator: 'eq',
      value: 'A',
    },
    'did order from 3 months before this one to last month in their own time zone': {
      event: 'order',
      within: { calendar: 'month', from: -3, to: -1, zone: 'user' },
    },
    'has at least 2 of products in order this week (weeks from Sunday)': {
      event: 'order',
      each: 'products',
      operator: 'gte',
      value: 2,
      within: { calendar: 'week', from: 0, weekStart: 'sunday' },
    },
    'did cart, and then no buy for at least 2 hours with the same sku and size': {
      sequence: [{ event: 'cart' }, { not: { event: 'buy' }, for: '2h' }],
      same: ['sku', 'size'],
    },
    'did cart, then no remove, then buy within 1 day': {
      sequence: [{ event: 'cart' }, { not: { event: 'remove' } }, { event: 'buy', maxGap: '1d' }],
    },
    'did cart, and then no buy since, and then no remove since': {
      sequence: [{ event: 'cart' }, { not: { event: 'buy' } }, { not: { event: 'remove' } }],
    },
    'ends is before 7 days from now': { field: 'ends', operator: 'before', value: '+7d' },
    'born has its anniversary today or within the next 7 days in their own time zone': {
      field: 'born',
      operator: 'anniversary',
      value: { to: 7, zone: 'user' },
    },
    'born has its anniversary between -3 and -1 days from today': {
      field: 'born',
      operator: 'Anniversary',
      value: { from: -3, to: -1 },
    },
    'zip starts with “1” or “2”': { field: 'zip', operator: 'starts_with', value: ['1', '2'] },
    'time since the last event is at least 7 days': {
      event: '*',
      measure: { fn: 'since_last' },
      operator: 'gte',
      value: '7d',
    },
    'days with any events in the last 30 days is at least 4': {
      event: '*',
      measure: { fn: 'days' },
      within: '30d',
      operator: 'gte',
      value: 4,
    },
    'number of refund is more than number of purchase': {
      left: { event: 'refund' },
      operator: '>',
      right: { event: 'purchase' },
    },
  };
  for (const [words, rules] of Object.entries(said)) assert.equal(describe(rules), words);
});

test('a choice of properties begins with one, and ends with one unless events are negative in it', () => {
  const choice = withChoice('revenue');
  assert.deepEqual(choice, { firstOf: ['revenue', ''] });
  assert.ok(isChoice(choice));
  for (const of of ['revenue', ['price', 'quantity'], undefined]) assert.ok(!isChoice(of));
  assert.equal(dropChoice({ firstOf: ['revenue', 'total'] }, 0), 'total');
  assert.deepEqual(dropChoice({ firstOf: ['a', 'b', 'c'] }, 1), { firstOf: ['a', 'c'] });
  assert.deepEqual(dropChoice({ firstOf: ['a', 'b'], minus: 'refund' }, 1), {
    firstOf: ['a'],
    minus: 'refund',
  });
  const of = { firstOf: ['a', 'b'], minus: ['refund', 'return'] };
  const rules = { event: '*', measure: { fn: 'sum', of }, operator: 'gt', value: 0 };
  assert.equal(toForm(rules).children[0].kind, 'event');
  assert.deepEqual(fromForm(toForm(rules)), rules);
  assert.deepEqual(withMeasure(rules, 'avg').measure, { fn: 'avg', of });
});

test('every rule of the second page that is accepted has a form', () => {
  const kinds = (node) => [node.kind, ...(node.children ?? []).flatMap(kinds)];
  for (const { name, rules, isRefused } of everyRule())
    if (!isRefused) assert.ok(!kinds(toForm(rules)).includes('unknown'), `${name}: ${JSON.stringify(rules)}`);
});

test('what has no shape of a form is edited as JSON', () => {
  for (const rules of [
    'text',
    { event: 7 },
    { event: 'p', measure: 7 },
    { event: 'p', measure: { fn: 'sum', of: { firstOf: 'a' } } },
    { event: 'p', measure: { fn: 'sum', of: { firstOf: ['a', 1] } } },
    { event: 'p', measure: { fn: 'sum', of: { firstOf: ['a', 'b'], minus: 7 } } },
    { event: 'p', each: ['a'] },
    { event: 'p', unless: 'q' },
    { event: 'p', unless: { event: 'q', same: 7 } },
    { sequence: [{ event: 'p' }, { not: 'q' }] },
    { sequence: [{ event: 'p' }], same: { a: 1 } },
    { left: { field: 'a' }, operator: 'eq' },
    { left: { field: 'a' }, operator: 'eq', right: { segment: 'b' } },
    { rank: 'a' },
    { strange: true },
  ])
    assert.equal(toForm(rules).children[0].kind, 'unknown', JSON.stringify(rules));
});
