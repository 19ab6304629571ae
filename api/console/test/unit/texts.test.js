// The texts of the console: every language has them all, with the same members, and the pages have no others.
import assert from 'node:assert/strict';
import { readFile, readdir } from 'node:fs/promises';
import { test } from 'node:test';

import { texts as de } from '../../web/texts/de.js';
import { texts as en } from '../../web/texts/en.js';
import { many, t } from '../../web/texts/texts.js';

const web = new URL('../../web/', import.meta.url);
const formsOf = (text) => (typeof text === 'string' ? { other: text } : text);
const membersOf = (text) => [...new Set(formsOf(text).other.match(/\{\w+\}/g))].sort();

test('both languages have the same texts with the same members and forms', () => {
  assert.deepEqual(Object.keys(de).sort(), Object.keys(en).sort());
  for (const [key, text] of Object.entries(en)) {
    assert.deepEqual(membersOf(de[key]), membersOf(text), key);
    assert.deepEqual(Object.keys(formsOf(de[key])).sort(), Object.keys(formsOf(text)).sort(), key);
    assert.ok(
      Object.values(formsOf(de[key])).every((form) => form.trim() !== ''),
      key,
    );
  }
});

test('every text that the pages ask for is there, and every one is asked for', async () => {
  const files = (await readdir(web, { recursive: true })).filter(
    (file) => file.endsWith('.js') && !/^(vendor|texts)\//.test(file),
  );
  const source = (await Promise.all(files.map((file) => readFile(new URL(file, web), 'utf8')))).join('\n');
  const asked = new Set([...source.matchAll(/\b(?:t|many)\(\s*'([^']+)'/g)].map(([, key]) => key));
  for (const key of asked) assert.ok(Object.hasOwn(en, key), `${key} is asked for and is not there`);
  // Some are asked for by a name that is put together: `bulk.${action}`.
  const begins = [...source.matchAll(/\b(?:t|many)\(\s*`([^$`]+)\$\{/g)].map(([, begin]) => begin);
  const unused = Object.keys(en).filter(
    (key) => !asked.has(key) && !begins.some((begin) => key.startsWith(begin)),
  );
  assert.deepEqual(unused, []);
});

test('a text has its members, and the form that goes with its number', () => {
  assert.equal(t('viewsMenu.removeName', { name: 'a {b}' }), 'Remove “a {b}”');
  assert.equal(t('common.cancel'), 'Cancel');
  assert.equal(many('count.segment', 1), '1 segment');
  assert.equal(many('count.segment', 1234), '1,234 segments');
});

test('every role of the server has its name, in English that of the server', async () => {
  const source = await readFile(new URL('../../../auth/src/role.rs', import.meta.url), 'utf8');
  const [ids, names] = ['name', 'title'].map((what) => {
    const [, body] = new RegExp(`pub const fn ${what}\\(self\\)[^{]*\\{([^]*?)\\n    \\}`).exec(source) ?? [];
    return [...(body ?? '').matchAll(/=> "([^"]+)"/g)].map(([, text]) => text);
  });
  assert.ok(ids.length >= 6 && ids.length === names.length);
  const expected = Object.fromEntries(ids.map((id, index) => [`role.${id}`, names[index]]));
  assert.deepEqual(
    Object.fromEntries(Object.entries(en).filter(([key]) => key.startsWith('role.'))),
    expected,
  );
});
