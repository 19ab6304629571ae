// The texts of the console, by key, in the language that was chosen or that the browser asks for.
import { LANGUAGE, locale } from '../lib/settings.js';
import { texts as de } from './de.js';
import { texts as en } from './en.js';

const CATALOGUES = { de, en };
const chosen = CATALOGUES[LANGUAGE] ?? en;

/** True if a key has a text. */
export const has = (key) => Object.hasOwn(en, key);

const filled = (text, members) =>
  text.replace(/\{(\w+)\}/g, (whole, name) => (Object.hasOwn(members, name) ? String(members[name]) : whole));

/**
 * A text, with its members in it.
 * @param {string} key
 * @param {Record<string, any>} [members]
 */
export function t(key, members) {
  const text = chosen[key] ?? en[key] ?? key;
  return members ? filled(text, members) : text;
}

let rules;

/** A text that goes with a number: its form for one or for many, with the number as `{count}`. */
export function many(key, number, members = {}) {
  rules ??= new Intl.PluralRules(LANGUAGE);
  const forms = chosen[key] ?? en[key];
  const form = forms[rules.select(number)] ?? forms.other;
  return filled(form, { count: new Intl.NumberFormat(locale.get()).format(number), ...members });
}
