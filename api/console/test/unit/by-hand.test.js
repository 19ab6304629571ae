// Every rule of the conformance timelines can be built in the builder from nothing, and is then the same.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { test } from 'node:test';

import { plain, ruleByHand, traitByHand } from './by-hand.js';

const conformance = new URL('../../../../tests/conformance/', import.meta.url);

/** The values of a kind in the timelines whose name begins so. */
function everyOne(kind, begin) {
  const files = readdirSync(conformance).filter((name) => name.startsWith(begin) && name.endsWith('.ndjson'));
  const lines = files.flatMap((name) =>
    readFileSync(new URL(name, conformance), 'utf8')
      .split('\n')
      .filter(Boolean)
      .map((line) => ({ name, found: JSON.parse(line)[kind] })),
  );
  return lines.filter(({ found }) => found !== undefined);
}

test('every rule of the second page is built from nothing', () => {
  const rules = everyOne('segment', '2-').filter(({ found }) => found.rules);
  assert.ok(rules.length > 100, `only ${rules.length} rules were found`);
  for (const { name, found } of rules)
    assert.deepEqual(
      plain(ruleByHand(found.rules)),
      plain(found.rules),
      `${name}: ${JSON.stringify(found.rules)}`,
    );
});

test('and so is every one of the first', () => {
  const rules = everyOne('segment', '').filter(({ name, found }) => found.rules && !name.startsWith('2-'));
  assert.ok(rules.length > 80, `only ${rules.length} rules were found`);
  for (const { name, found } of rules)
    assert.deepEqual(
      plain(ruleByHand(found.rules)),
      plain(found.rules),
      `${name}: ${JSON.stringify(found.rules)}`,
    );
});

test('every computed trait is built from nothing', () => {
  const traits = everyOne('trait', '').filter(({ found }) => found.event);
  assert.ok(traits.length > 5, `only ${traits.length} traits were found`);
  for (const { name, found } of traits) {
    const { name: _, ...definition } = found;
    const amount = ({ operator: __, value: ___, ...rest }) => rest;
    assert.deepEqual(amount(plain(traitByHand(definition))), amount(plain(definition)), name);
  }
});
