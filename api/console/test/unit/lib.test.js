// The parts of the console below its pages: texts of numbers and times, addresses, stores.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Problem, path, query } from '../../web/lib/api.js';
import {
  bytes,
  compact,
  count,
  percent,
  plain,
  plural,
  relative,
  signed,
  span,
} from '../../web/lib/format.js';
import { createStore } from '../../web/lib/store.js';

test('counts are grouped, and what is not known is a dash', () => {
  assert.equal(count(12345), '12,345');
  assert.equal(count(undefined), '–');
  assert.equal(compact(12345), '12.3K');
  assert.equal(signed(12), '+12');
  assert.equal(signed(-3), '−3');
  assert.equal(signed(0), '0');
  assert.equal(plural(1, 'user'), '1 user');
  assert.equal(plural(2, 'user'), '2 users');
  assert.equal(plural(2, 'entry', 'entries'), '2 entries');
});

test('a share is rounded, but never to nothing', () => {
  assert.equal(percent(1, 8), '13%');
  assert.equal(percent(1, 40), '2.5%');
  assert.equal(percent(1, 100_000), '<0.1%');
  assert.equal(percent(0, 10), '0%');
  assert.equal(percent(1, 0), '–');
});

test('spans and distances use the largest unit that fits', () => {
  assert.equal(span(0.25), '250 ms');
  assert.equal(span(59), '59 s');
  assert.equal(span(3600), '1 h');
  assert.equal(span(86_400), '1 day');
  const now = Date.UTC(2026, 0, 10);
  assert.equal(relative(now - 2000, now), 'just now');
  assert.equal(relative(now - 180_000, now), '3 min ago');
  assert.equal(relative(now + 2 * 86_400_000, now), 'in 2 days');
  assert.equal(bytes(12_345_678), '12.3 MB');
  assert.equal(plain({ a: 1 }), '{"a":1}');
});

test('addresses are encoded, and members without a value are left out', () => {
  assert.equal(path`/api/users/${'a/b c'}/events`, '/api/users/a%2Fb%20c/events');
  assert.equal(query({ a: 1, b: '', c: undefined, d: ['x', 'y'] }), '?a=1&d=x&d=y');
  assert.equal(query({}), '');
});

test('a problem has a sentence by its code, the words of the server, or says what it can', () => {
  const told = new Problem(404, { code: 'unknown_path', detail: 'there is no such path' });
  assert.equal(told.message, 'This server does not offer that.');
  assert.equal(told.detail, 'there is no such path');
  assert.equal(told.isMissingPath, true);
  assert.equal(new Problem(404, { code: 'unknown_segment' }).isMissingPath, false);
  assert.match(new Problem(500).message, /500/);
  assert.deepEqual(new Problem(400, { errors: 'none' }).errors, []);
});

test('a store tells those who listen, once for each change', () => {
  const store = createStore(1);
  const heard = [];
  const stop = store.listen(() => heard.push(store.get()));
  store.set(2);
  store.set(2);
  stop();
  store.set(3);
  assert.deepEqual(heard, [2]);
});
