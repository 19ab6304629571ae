// The versions of a segment that edit its rule.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { edits } from '../../web/segment/edits.js';

test('marks are versions with another rule or state', () => {
  const version = (number, event, status = 'ACTIVE') => ({ version: number, rules: { event }, status });
  const versions = [
    version(1, 'a'),
    version(2, 'a'),
    version(3, 'b'),
    version(4, 'b', 'INACTIVE'),
    version(5, 'b'),
  ];
  assert.deepEqual(
    edits(versions).map((one) => one.version),
    [3, 4, 5],
  );
  assert.deepEqual(edits([version(1, 'a')]), []);
  assert.deepEqual(edits([]), []);
});
