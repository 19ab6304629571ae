// Lists in the order that a column asks for.
import { locale } from './settings.js';

/** The column and direction of `size`, `-size`; the direction is 1 or -1. */
export const parseSort = (text) =>
  text?.startsWith('-') ? { column: text.slice(1), direction: -1 } : { column: text ?? '', direction: 1 };

/** The order that a click on a column's head asks for next: first its own direction, then the other one, then none. */
export function nextSort(text, column, first) {
  const other = first.startsWith('-') ? column : `-${column}`;
  if (parseSort(text).column !== column) return first;
  return text === first ? other : '';
}

/**
 * The items ordered by a column; what has no value comes last in either direction.
 * @param {any[]} items
 * @param {string | null | undefined} text
 * @param {Record<string, (item: any) => any>} columns the value of each column
 */
export function sorted(items, text, columns) {
  const { column, direction } = parseSort(text);
  const valueOf = columns[column];
  if (!valueOf) return items;
  const words = new Intl.Collator(locale.get(), { numeric: true, sensitivity: 'base' });
  const compare = (a, b) => (typeof a === 'number' ? a - b : words.compare(a, b));
  const isMissing = (value) => value === undefined || value === null || value === '';
  return items
    .map((item) => ({ item, value: valueOf(item) }))
    .sort((a, b) => {
      if (isMissing(a.value) || isMissing(b.value))
        return Number(isMissing(a.value)) - Number(isMissing(b.value));
      return direction * compare(a.value, b.value);
    })
    .map(({ item }) => item);
}
