// Lists: found by words, ordered by columns, kept as files; differences in words.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { nextSort, sorted } from '../../web/lib/sort.js';
import { csvOf, ndjsonOf } from '../../web/lib/table-file.js';
import { hasWords, wordsOf } from '../../web/lib/words.js';
import { differences } from '../../web/rules/differences.js';
import { nodeAround, valueAt } from '../../web/rules/pointers.js';

test('every word has to be there, in any order and in any text', () => {
  const texts = ['Lapsing big spenders', 'lapsing-spenders', undefined, 'crm'];
  assert.ok(hasWords(wordsOf('  CRM spend big '), texts));
  assert.ok(!hasWords(wordsOf('spend small'), texts));
  assert.ok(hasWords(wordsOf(''), []));
});

test('a column orders up, down, and not at all; what has no value comes last', () => {
  const items = [
    { n: 'b10', s: 2 },
    { n: 'B9', s: undefined },
    { n: 'a', s: 30 },
  ];
  const columns = { name: (one) => one.n, size: (one) => one.s };
  const names = (sort) => sorted(items, sort, columns).map((one) => one.n);
  assert.deepEqual(names('name'), ['a', 'B9', 'b10']);
  assert.deepEqual(names('-name'), ['b10', 'B9', 'a']);
  assert.deepEqual(names('-size'), ['a', 'b10', 'B9']);
  assert.deepEqual(names('size'), ['b10', 'a', 'B9']);
  assert.deepEqual(names(''), names('unknown'));
  assert.deepEqual(
    ['', '-size', 'size'].map((now) => nextSort(now, 'size', '-size')),
    ['-size', 'size', ''],
  );
});

test('a file keeps every cell, and no cell is computed', () => {
  assert.equal(
    csvOf(
      ['a', 'b'],
      [
        ['x,"y"', '=SUM(A1)'],
        [undefined, 5],
      ],
    ),
    'a,b\r\n"x,""y""",\'=SUM(A1)\r\n,5\r\n',
  );
  assert.equal(ndjsonOf([{ a: 1 }, { b: '\n' }]), '{"a":1}\n{"b":"\\n"}\n');
});

const OLD = {
  name: 'A',
  rules: { conditions: [{ event: 'purchase', value: 2, operator: 'gte', within: '7d' }] },
};
const NEW = {
  name: 'B',
  rules: { conditions: [{ event: 'purchase', value: 9, operator: 'gte', within: '30d' }] },
};

test('a difference is told once for its condition, as the builder words it', () => {
  const changes = [
    { change: 'changed', pointer: '/name', before: 'A', after: 'B' },
    { change: 'changed', pointer: '/rules/conditions/0/value', before: 2, after: 9 },
    { change: 'changed', pointer: '/rules/conditions/0/within', before: '7d', after: '30d' },
    { change: 'added', pointer: '/rules/conditions/1', after: { field: 'plan', operator: 'exists' } },
  ];
  assert.deepEqual(differences(changes, OLD, NEW), [
    { change: 'changed', field: 'name', before: 'A', after: 'B' },
    {
      change: 'changed',
      field: 'rules',
      before: 'did purchase at least 2 times in the last 7 days',
      after: 'did purchase at least 9 times in the last 30 days',
    },
    { change: 'added', field: 'rules', before: undefined, after: 'plan is known' },
  ]);
});

test('pointers lead to values, and to the condition around them', () => {
  const rules = { conditions: [{ event: 'a', where: { field: 'x', operator: 'exists' } }] };
  assert.deepEqual(valueAt(rules, '/conditions/0/where/field'), 'x');
  assert.equal(valueAt(rules, '/conditions/7/where'), undefined);
  assert.equal(valueAt(rules, ''), rules);
  assert.equal(nodeAround(rules, '/conditions/0/where/field'), rules.conditions[0]);
  assert.equal(nodeAround(rules, '/logic'), rules);
  assert.equal(nodeAround({ a: 1 }, '/a'), undefined);
});
