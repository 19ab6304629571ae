// Why time alone changes an answer, in words.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { reasonOf } from '../../web/user/reasons.js';

const cart = { sequence: [{ event: 'cart' }, { not: { event: 'buy' }, for: '1h' }], within: '7d' };
const thisMonth = { event: 'p', within: { calendar: 'month', from: 0 } };

/** @type {[string, any, boolean?][]} */
const REASONS = [
  [
    'when the day ends in their own time zone',
    { event: 'p', within: { calendar: 'day', from: -1, zone: 'user' } },
  ],
  ['when an event is older than 30 days', { event: 'p', within: '30d' }],
  ['when an event is older than 1 month', { event: 'p', within: { last: '1mo', zone: 'UTC' } }],
  ['when it has lasted for 1 hour', cart, false],
  ['when an event is older than 7 days', cart, true],
  [
    'when the days around the anniversary are over',
    { field: 'born', operator: 'anniversary', value: {} },
    true,
  ],
  [
    'when the days around the anniversary begin',
    { field: 'born', operator: 'anniversary', value: {} },
    false,
  ],
  ['when that time comes', { field: 'ends', operator: 'before', value: '+7d' }, false],
  ['when the month ends', { left: thisMonth, operator: 'gt', right: thisMonth }, true],
];

test('a condition says why it changes by itself', () => {
  for (const [words, rule, isHeld] of REASONS) assert.equal(reasonOf(rule, isHeld), words);
});

test('a condition without one reason alone says none', () => {
  for (const rule of [
    undefined,
    { field: 'plan', operator: 'eq', value: 'pro' },
    { event: 'p' },
    { event: 'p', within: { ago: ['2d', '1d'] } },
    { left: thisMonth, operator: 'gt', right: { event: 'p', within: '7d' } },
  ])
    assert.equal(reasonOf(rule, true), undefined);
});
