// Files of ids as people have them: encodings, delimiters, quotes, headings, spaces.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { decode, delimiterOf, idsOf, readRows, readTable } from '../../web/imports/table.js';

const bytes = (text) => new TextEncoder().encode(text);

test('the encoding is found from the bytes', () => {
  assert.deepEqual(decode(bytes('Müller')), { text: 'Müller', encoding: 'UTF-8' });
  assert.deepEqual(decode(new Uint8Array([0xef, 0xbb, 0xbf, 0x61])), { text: 'a', encoding: 'UTF-8' });
  assert.deepEqual(decode(new Uint8Array([0x4d, 0xfc])), { text: 'Mü', encoding: 'Windows-1252' });
  assert.deepEqual(decode(new Uint8Array([0xff, 0xfe, 0x61, 0])), { text: 'a', encoding: 'UTF-16' });
});

test('the delimiter is the one of the first line', () => {
  assert.equal(delimiterOf('a;b;c\n1,5;2;3'), ';');
  assert.equal(delimiterOf('a\tb'), '\t');
  assert.equal(delimiterOf('"x;y;z",b'), ',');
  assert.equal(delimiterOf('only'), ',');
});

test('rows keep their lines, and quotes may hold anything', () => {
  const { rows, fault } = readRows('a,b\r\n"x, ""y""\nz",2\n\n3,4', ',');
  assert.equal(fault, undefined);
  assert.deepEqual(rows, [
    { line: 1, cells: ['a', 'b'] },
    { line: 2, cells: ['x, "y"\nz', '2'] },
    { line: 5, cells: ['3', '4'] },
  ]);
});

test('a quotation mark that is never closed is an error that names its line', () => {
  assert.match(readRows('id\na\n"b\nc\nd', ',').fault ?? '', /^Line 3: /);
  assert.match(readTable('x.csv', bytes('userId\n"open\nlost')).fault ?? '', /^Line 2: /);
});

test('the column of ids is the one that is named so, and asked for where none is', () => {
  const named = readTable('x.csv', bytes('email;Customer_ID\na@x.org; c1 \nb@x.org;c2'));
  assert.deepEqual([named.hasHeading, named.column, named.width], [true, 1, 2]);
  assert.deepEqual(idsOf(named, 1, true), { ids: ['c1', 'c2'], lines: [2, 3], trimmed: 1 });
  const unnamed = readTable('x.csv', bytes('email,name\na@x.org,Ada'));
  assert.deepEqual([unnamed.hasHeading, unnamed.column], [false, undefined]);
  const lone = readTable('x.csv', bytes('c1\nc2\n'));
  assert.deepEqual([lone.hasHeading, lone.column, idsOf(lone, 0, false).ids], [false, 0, ['c1', 'c2']]);
});

test('JSON may be a list, or one under members', () => {
  assert.deepEqual(idsOf(readTable('x.json', bytes('["a", 5]')), 0, false).ids, ['a', '5']);
  assert.deepEqual(readTable('x.json', bytes('{"members": ["a"]}')).rows.length, 1);
  assert.match(readTable('x.json', bytes('{}')).fault ?? '', /no list/);
  assert.match(readTable('x.json', bytes('[')).fault ?? '', /not JSON/);
});
