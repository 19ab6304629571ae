// The words below a chart: as many as fit, each once.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { instants } from '../../web/parts/chart.js';

const DAY = 24 * 3_600_000;
const start = Date.UTC(2026, 8, 2);

test('a wide chart has more instants than a narrow one, from its start to its end', () => {
  for (const [room, steps] of [
    [320, 2],
    [600, 3],
    [1200, 4],
  ]) {
    const found = instants(start, 90 * DAY, room);
    assert.equal(found.length, steps + 1);
    assert.deepEqual([found.at(0)?.part, found.at(-1)?.part], [0, 1]);
  }
});

test('instants that read alike stand once', () => {
  assert.equal(instants(start, 200, 1200).length, 1);
  assert.equal(instants(start, 4 * 3_600_000, 1200).length, 5);
});
