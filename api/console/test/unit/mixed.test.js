// Types that do not go together are told in words.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mixedTypes } from '../../web/events/mixed.js';

const said = (counts, numbersInText = 0) =>
  mixedTypes({ types: Object.keys(counts), counts: Object.values(counts), numbersInText });

test('text in a number is told, with how many values are lost', () => {
  assert.equal(said({ number: 10 }), undefined);
  assert.equal(said({ text: 10 }), undefined);
  assert.equal(said({ text: 10 }, 9), undefined, 'one text that is no number makes it text');
  assert.equal(said({ number: 10, text: 3 }, 1), 'text in a number: 2');
  assert.equal(said({ number: 10, text: 3 }, 3), 'number as text: 3');
  assert.equal(said({ text: 10 }, 10), 'number as text');
  assert.equal(said({ text: 10, boolean: 1 }), 'mixed types');
  assert.equal(said({ text: 10, list: 1 }), undefined, 'a list of texts is tested like a text');
  assert.equal(said({ text: 10, object: 1 }), 'mixed types');
});
