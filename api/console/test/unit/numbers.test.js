// Numbers as they are typed: understood as a person of that language means them, or refused in words.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { looksNumeric, readNumber, splitNumbers, writeNumber } from '../../web/lib/numbers.js';
import { textOf } from '../../web/rules/exact.js';

const UNDERSTOOD = {
  'en-US': {
    499.99: 499.99,
    '9.50': 9.5,
    '3,000': 3000,
    '1,234,567.8': 1234567.8,
    '-5': -5,
    '−5': -5,
    '+5': 5,
    '.5': 0.5,
    '-.5': -0.5,
    '5.': 5,
    '1e3': 1000,
    '1.5e-3': 0.0015,
    ' 7 ': 7,
    '3 000': 3000,
    "1'000": 1000,
    '007': 7,
    0: 0,
  },
  'de-DE': {
    '499,99': 499.99,
    499.99: 499.99,
    '9,50': 9.5,
    '9.50': 9.5,
    '3.000': 3000,
    '1.234.567,8': 1234567.8,
    '-5': -5,
    ',5': 0.5,
    '1e3': 1000,
    '3 000': 3000,
    '0,125': 0.125,
  },
  'fr-FR': { '3 000,5': 3000.5, '3\u202f000': 3000, '1,5': 1.5 },
  'de-CH': { '1’234.5': 1234.5 },
};

const REFUSED = {
  'en-US': [
    '',
    '300,50',
    '1,23,456',
    '300 €',
    '$5',
    '10%',
    'abc',
    '1.2.3',
    '1..2',
    '--5',
    '5-',
    '1e',
    '1 2',
    '12 34',
    '1e999',
    ',',
  ],
  'de-DE': ['1,2,3', '300 €', 'zehn', '1.23.456', '1,5,5'],
};

test('numbers are understood in the language of the browser', () => {
  for (const [language, texts] of Object.entries(UNDERSTOOD)) {
    for (const [text, value] of Object.entries(texts)) {
      assert.deepEqual(readNumber(text, language), { value }, `${text} in ${language}`);
    }
  }
});

test('what is no number is refused in words, with what was typed', () => {
  for (const [language, texts] of Object.entries(REFUSED)) {
    for (const text of texts) {
      const { value, refused } = readNumber(text, language);
      assert.equal(value, undefined, `${text} in ${language}`);
      assert.ok(refused?.includes(text), `${text} in ${language}: ${refused}`);
    }
  }
  assert.match(readNumber('300,50', 'en-US').refused ?? '', /write decimals as in 300\.50/);
  assert.match(readNumber('300 €', 'en-US').refused ?? '', /without it/);
});

test('every prefix of a number is a number or refused, and never another number later', () => {
  for (const [language, texts] of Object.entries(UNDERSTOOD)) {
    for (const text of Object.keys(texts)) {
      for (let end = 1; end < text.length; end += 1) {
        const { value, refused } = readNumber(text.slice(0, end), language);
        assert.ok((value === undefined) !== (refused === undefined), `${text.slice(0, end)} in ${language}`);
      }
    }
  }
});

test('what is shown after a number was read is read as the same number', () => {
  for (const language of ['en-US', 'de-DE', 'fr-FR']) {
    for (const value of [0, -5, 499.99, 1e21, 1.5e-7, 1234567, 0.125]) {
      assert.deepEqual(
        readNumber(writeNumber(value, language), language),
        { value },
        `${value} in ${language}`,
      );
    }
  }
  assert.equal(writeNumber(499.99, 'de-DE'), '499,99');
  assert.equal(writeNumber('', 'de-DE'), '');
});

test(
  'digits that a double does not hold are kept',
  { skip: typeof JSON.rawJSON !== 'function' && 'this Node has no JSON.rawJSON' },
  () => {
    assert.equal(textOf(readNumber('12.345.678.901.234.567,5', 'de-DE').value), '12345678901234567.5');
    assert.equal(textOf(readNumber('.12345678901234567891', 'en-US').value), '0.12345678901234567891');
  },
);

test('a text that is meant as a number is told from one that is not', () => {
  for (const text of ['300 €', '-', '3,000', '.5', '$5', '1e3', '12 34', '+49 170'])
    assert.ok(looksNumeric(text), text);
  for (const text of ['Oslo', '2024-01-05', 'a1', '12a', 'SKU-9']) assert.ok(!looksNumeric(text), text);
});

test('several numbers in one text are told apart', () => {
  assert.deepEqual(splitNumbers('1, 2,3', 'en-US'), ['1', '2', '3']);
  assert.deepEqual(splitNumbers('3,000', 'en-US'), ['3,000']);
  assert.deepEqual(splitNumbers('1,5; 2,5', 'de-DE'), ['1,5', '2,5']);
  assert.deepEqual(splitNumbers('1, 2', 'de-DE'), ['1', '2']);
});
