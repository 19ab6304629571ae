// Faults of the server as people read them: a sentence for each code, with the names in it.
import assert from 'node:assert/strict';
import { readFile, readdir } from 'node:fs/promises';
import { test } from 'node:test';

import { sentenceOf } from '../../web/lib/sentences.js';
import { texts as en } from '../../web/texts/en.js';

test('a code has its sentence, with the name that the server names', () => {
  const said = (code, message) => sentenceOf({ code, message });
  assert.equal(
    said('unknown_segment', 'there is no segment `a b`; create it first'),
    'There is no segment “a b”.',
  );
  assert.equal(said('not_found', 'there is no segment "x"'), 'There is nothing called “x”.');
  assert.equal(said('not_found', 'gone'), 'It is not there any more.');
  const used = 'the rules of these segments refer to the segment `x`: a, b';
  assert.equal(said('referenced', used), 'It stays, since segments use it: a, b.');
});

test('what was never seen is named by its kind, with what may be meant', () => {
  const said = (message) => sentenceOf({ code: 'not_seen', message });
  assert.equal(
    said('no event `purchace` has been seen; did you mean `purchase`?'),
    'The event “purchace” was never seen. Did you mean “purchase”?',
  );
  assert.equal(
    said('no `purchase` with the property `amout` has been seen'),
    'The property “amout” was never seen with it.',
  );
  assert.equal(
    said('`country` has not been seen with "Norwey"; did you mean "Norway"?'),
    'The value “Norwey” was never seen. Did you mean “Norway”?',
  );
});

test('a code without a sentence keeps the words of the server', () => {
  assert.equal(sentenceOf({ code: 'quite_new', message: 'as it is' }), 'as it is');
  assert.equal(sentenceOf({ message: 'as it is' }), 'as it is');
});

test('every code of a fault in rules has a sentence', async () => {
  const source = await readFile(new URL('../../../../operators/rules/src/fault.rs', import.meta.url), 'utf8');
  const codes = [...source.matchAll(/pub const \w+: &str = "(\w+)"/g)].map(([, code]) => code);
  assert.ok(codes.length > 20);
  // Each kind of thing that was never seen has a sentence of its own.
  const without = codes.filter((code) => code !== 'not_seen' && !Object.hasOwn(en, `said.${code}`));
  assert.deepEqual(without, []);
});

test('no text has a pointer, the name of a setting or a verb of HTTP', async () => {
  const languages = await readdir(new URL('../../web/texts/', import.meta.url));
  for (const name of languages.filter((file) => /^\w\w\.js$/.test(file))) {
    const { texts } = await import(`../../web/texts/${name}`);
    for (const [key, text] of Object.entries(texts)) {
      for (const form of typeof text === 'string' ? [text] : Object.values(text))
        assert.doesNotMatch(
          form,
          /\b(GET|PUT|POST|PATCH|DELETE|If-Match|HTTP)\b|--\w|AUDIENCE_|(^| )\/\w+\/\w/,
          key,
        );
    }
  }
});
