// The known name that a mistyped one may have meant.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { distance, nearest } from '../../web/rules/nearest.js';

test('the distance counts letters, and a swap of neighbours as one', () => {
  assert.equal(distance('purchase', 'purchase'), 0);
  assert.equal(distance('purchsae', 'purchase'), 1);
  assert.equal(distance('purchas', 'purchase'), 1);
  assert.equal(distance('abc', 'xyz'), 3);
  assert.equal(distance('a', 'abcdef', 2), Infinity);
});

test('only what is near is offered, whatever its case', () => {
  const known = ['purchase', 'page_view', 'refund'];
  assert.equal(nearest('Purchse', known), 'purchase');
  assert.equal(nearest('PAGE_VIEW', known), 'page_view');
  assert.equal(nearest('login', known), undefined);
  assert.equal(nearest('x', []), undefined);
});
