// Labels of events, properties and traits, and the currency of amounts: the same for everybody on this platform.
import { isNumber, textOf } from '../rules/exact.js';
import { ask, path, read } from './api.js';
import { plain } from './format.js';
import { locale } from './settings.js';
import { createStore } from './store.js';
import { t } from '../texts/texts.js';

const STORED = 'audience.vocabulary';
/** Measures of an amount that are amounts themselves. */
const OF_AMOUNTS = ['sum', 'avg', 'median', 'min', 'max', 'mode', 'first', 'last'];

/**
 * @typedef {{ kind: 'event' | 'property' | 'trait', name: string, displayName: string, description: string }} Label
 * @typedef {{ labels: Label[], currency?: { code: string, amounts: string[], traits: string[] } }} Vocabulary
 */

/** The words of the last visit, so that the first drawing has them. */
function kept() {
  try {
    const words = JSON.parse(localStorage.getItem(STORED) ?? 'null');
    return Array.isArray(words?.labels) ? words : undefined;
  } catch {
    return undefined;
  }
}

export const vocabulary = createStore(/** @type {Vocabulary} */ (kept() ?? { labels: [] }));

/** Takes words in; the same ones draw nothing again. */
export function takeWords(words) {
  if (JSON.stringify(words) === JSON.stringify(vocabulary.get())) return;
  try {
    localStorage.setItem(STORED, JSON.stringify(words));
  } catch {
    // They are asked for at each visit.
  }
  vocabulary.set(words);
}

/** Asks for the words; a server without any shows names as they are. */
export async function loadWords() {
  takeWords(await read('/api/vocabulary').catch(() => vocabulary.get()));
}

/**
 * Names a subject, or takes its name away where both are empty.
 * @param {{ kind: string, name: string }} subject
 * @param {{ displayName: string, description: string }} label
 */
export async function putLabel({ kind, name }, label) {
  const url = path`/api/vocabulary/labels/${kind}/${name}`;
  const isEmpty = !label.displayName.trim() && !label.description.trim();
  await (isEmpty ? ask('DELETE', url) : ask('PUT', url, { body: label }));
  await loadWords();
}

/** Sets the currency, or takes it away. */
export async function setCurrency(code) {
  await (code
    ? ask('PUT', '/api/vocabulary/currency', { body: { code } })
    : ask('DELETE', '/api/vocabulary/currency'));
  await loadWords();
}

const bare = (name) => String(name).replace(/^properties\./, '');

/**
 * The label of an event, a property or a trait, if it has one.
 * @returns {Label | undefined}
 */
export const labelOf = (kind, name) =>
  vocabulary.get().labels.find((label) => label.kind === kind && label.name === bare(name));

/** The label of a subject. */
export const nameOf = (kind, name) => labelOf(kind, name)?.displayName || name;

/** The note beside a name: its meaning, and the name that rules use if people see another. */
export function titleOf(kind, name) {
  const label = labelOf(kind, name);
  return label && [label.displayName && name, label.description].filter(Boolean).join(': ');
}

/** True if the values of a property or a trait are amounts. */
export function isAmount(kind, name) {
  const { currency } = vocabulary.get();
  return Boolean(currency && currency[kind === 'trait' ? 'traits' : 'amounts'].includes(bare(name)));
}

/** True if a measure gives an amount. */
export const isAmountMeasure = (measure) =>
  OF_AMOUNTS.includes(measure?.fn) && isAmount('property', measure.of?.firstOf?.[0] ?? measure.of ?? '');

/** A number as an amount in the currency of the platform. */
export function money(value) {
  const currency = vocabulary.get().currency?.code;
  if (!currency) return textOf(value);
  const text = /** @type {any} */ (textOf(value));
  return new Intl.NumberFormat(locale.get(), { style: 'currency', currency }).format(text);
}

/** The sign of a currency, without a number: “€”; that of the platform, or none. */
export const currencySign = (code = vocabulary.get().currency?.code) =>
  code &&
  (new Intl.NumberFormat(locale.get(), { style: 'currency', currency: code, currencyDisplay: 'narrowSymbol' })
    .formatToParts(0)
    .find((part) => part.type === 'currency')?.value ??
    code);

/** A value of a property or a trait in one line. */
export const shown = (kind, name, value) =>
  isNumber(value) && isAmount(kind, name) ? money(value) : plain(value);

/** The types that values had, in words. */
export const typesText = (types) => types.map((type) => t(`type.${type}`)).join(', ');
