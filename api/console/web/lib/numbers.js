// Numbers as people type them, in the language of their browser. A text is either one number or refused in words: no
// character of it is ever dropped.
import { isNumber, numberOf, textOf } from '../rules/exact.js';
import { locale } from './settings.js';
import { t } from '../texts/texts.js';

const MACHINE = /^(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
const MINUS = /[−–—﹣－]/g;
const SPACES = /[\s\u00a0\u202f\u2009]/g;
const NUMERIC =
  /^[\s\u00a0\u202f+\-−–]*\p{Sc}?[\s\u00a0\u202f]*[\d.,'’٬\s\u00a0\u202f]*\d[\d.,'’\s\u00a0\u202f]*(e[+-]?\d*)?[\s\u00a0\u202f]*[\p{Sc}%]?$/iu;

/** The decimal mark of a language. */
export function decimalMark(language = locale.get()) {
  return (
    new Intl.NumberFormat(language).formatToParts(1.5).find((part) => part.type === 'decimal')?.value ?? '.'
  );
}

/** True if a text consists of the characters of numbers, so that it is meant as one. */
export const looksNumeric = (text) => NUMERIC.test(text) || /^\s*[+\-−–]?[.,]?\s*$/.test(text);

/** Groups of three between marks, the first of one to three digits: 1,234,567. */
function ungrouped(whole, mark) {
  const [first, ...rest] = whole.split(mark);
  if (rest.length === 0) return whole;
  const isGrouped = /^[1-9]\d{0,2}$/.test(first) && rest.every((part) => /^\d{3}$/.test(part));
  return isGrouped ? whole.replaceAll(mark, '') : undefined;
}

/** A text with the marks of a language as the digits that machines write; undefined where it is none. */
function machineText(text, decimal) {
  const other = decimal === ',' ? '.' : ',';
  const parts = text.split(decimal);
  if (parts.length > 2) {
    // More than one decimal mark: groups after all, where nothing else is there.
    return !text.includes(other) ? ungrouped(text, decimal) : undefined;
  }
  const [whole, fraction] = parts;
  if (fraction !== undefined && !/^\d*(e[+-]?\d+)?$/i.test(fraction)) return undefined;
  const digits = ungrouped(whole, other);
  if (digits !== undefined) return fraction === undefined ? digits : `${digits}.${fraction}`;
  // A point is what machines write: where it can be no thousands' mark, it is the decimal mark in any language.
  return decimal === ',' && MACHINE.test(text) ? text : undefined;
}

/**
 * Reads a text as one number.
 * @param {string} text
 * @param {string} [language]
 * @returns {{ value: any, refused?: undefined } | { refused: string, value?: undefined }}
 */
export function readNumber(text, language = locale.get()) {
  const decimal = decimalMark(language);
  const example = `1${decimal}5`;
  const typed = text.trim();
  if (typed === '') return { refused: t('numbers.aNumberIsNeeded') };
  const unit = /^(?:\p{Sc}|%)|(?:\p{Sc}|%)$/u.exec(typed);
  if (unit) return { refused: t('numbers.typedHasTheSignValueWrite', { typed, value: unit[0] }) };
  let bare = typed.replace(MINUS, '-').replace(/^\+/, '');
  const sign = bare.startsWith('-') ? '-' : '';
  bare = bare.slice(sign.length).trim();
  // Spaces and apostrophes group thousands in any language, and are never a decimal mark.
  const isSpaced = /['’]/.test(bare) || new RegExp(SPACES.source).test(bare);
  if (isSpaced) {
    const [whole, ...rest] = bare.split(decimal);
    const joined = ungrouped(whole.replace(SPACES, "'").replaceAll('’', "'"), "'");
    if (joined === undefined) return { refused: t('numbers.typedIsNotOneNumberWrite', { typed, example }) };
    bare = [joined, ...rest].join(decimal);
  }
  const digits = machineText(bare, decimal);
  if (digits === undefined || !MACHINE.test(digits) || !Number.isFinite(Number(digits))) {
    return { refused: refusal(typed, decimal, example) };
  }
  return { value: numberOf(jsonText(`${sign}${digits}`)) };
}

/** The same number in a spelling that JSON has: no bare point, no leading zeros. */
function jsonText(text) {
  return text
    .replace(/^(-?)\./, '$10.')
    .replace(/\.(?=e|$)/i, '')
    .replace(/^(-?)0+(?=\d)/, '$1');
}

function refusal(typed, decimal, example) {
  const other = decimal === ',' ? '.' : ',';
  if (/^[^.,]*[.,][^.,]*$/.test(typed) && typed.includes(other) && looksNumeric(typed)) {
    const meant = typed.replace(other, decimal);
    return t('numbers.typedCanBeReadInTwo', { typed, meant });
  }
  return t('numbers.typedIsNotANumberWrite', { typed, example });
}

/** A number as it is shown in a field: the decimal mark of the language, no groups. */
export function writeNumber(value, language = locale.get()) {
  if (!isNumber(value)) return value === undefined || value === null ? '' : String(value);
  return textOf(value).replace('.', decimalMark(language));
}

/** Several numbers in one text: separated by semicolons, or by commas where those are no decimal marks. */
export function splitNumbers(text, language = locale.get()) {
  if (readNumber(text, language).refused === undefined) return [text.trim()];
  const separator = decimalMark(language) === ',' ? /;|,\s+|\n/ : /;|,|\n/;
  return text
    .split(separator)
    .map((part) => part.trim())
    .filter(Boolean);
}
