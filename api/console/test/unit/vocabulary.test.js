// Names for people and the currency of amounts: in sentences, in values, and found by them.
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';

import { locale } from '../../web/lib/settings.js';
import { isAmount, money, nameOf, shown, takeWords, titleOf } from '../../web/lib/vocabulary.js';
import { describe, measureSubject } from '../../web/rules/describe.js';

const label = (kind, name, displayName, description = '') => ({ kind, name, displayName, description });
const CURRENCY = { code: 'EUR', amounts: ['amount', 'total.net'], traits: ['totalSpent'] };

afterEach(() => {
  takeWords({ labels: [] });
  locale.set('en-US');
});

test('sentences have the names for people, each of its own kind', () => {
  takeWords({
    labels: [
      label('event', 'purchase', 'Bought'),
      label('property', 'amount', 'Order value'),
      label('trait', 'amount', 'Balance'),
    ],
  });
  const where = [{ field: 'amount', operator: 'gte', value: 5 }];
  assert.equal(
    describe({ event: ['purchase', 'visit'], where, operator: 'gte', value: 2 }),
    'did Bought or visit (where Order value is at least 5) at least 2 times',
  );
  assert.equal(describe({ field: 'amount', operator: 'gt', value: 5 }), 'Balance is more than 5');
  assert.equal(
    measureSubject({ event: 'purchase', measure: { fn: 'sum', of: 'properties.amount' } }),
    'sum of Order value of Bought',
  );
});

test('without a currency amounts are numbers, with one they show it', () => {
  const spent = { event: 'purchase', measure: { fn: 'sum', of: 'amount' }, operator: 'gte', value: 499.9 };
  assert.equal(describe(spent), 'sum of amount of purchase is at least 499.9');
  takeWords({ labels: [], currency: CURRENCY });
  assert.equal(describe(spent), 'sum of amount of purchase is at least €499.90');
  const counted = { ...spent, measure: { fn: 'distinct', of: 'amount' }, value: 3 };
  assert.equal(describe(counted), 'number of different amount of purchase is at least 3');
  assert.equal(
    describe({ field: 'totalSpent', operator: 'between', value: [1, 2.5] }),
    'totalSpent is between €1.00 and €2.50',
  );
  assert.equal(shown('trait', 'totalSpent', 1234.5), '€1,234.50');
  assert.equal(shown('trait', 'plan', 3), '3');
  assert.equal(shown('property', 'total.net', 'none'), 'none');
  locale.set('de-DE');
  assert.equal(money(1234.5), '1.234,50\u00a0€');
});

test('a name without a label is as it is', () => {
  takeWords({ labels: [label('trait', 'plan', '', 'What they pay for')], currency: CURRENCY });
  assert.equal(nameOf('trait', 'plan'), 'plan');
  assert.equal(titleOf('trait', 'plan'), 'What they pay for');
  assert.equal(titleOf('trait', 'other'), undefined);
  assert.equal(isAmount('trait', 'amount'), false);
});
