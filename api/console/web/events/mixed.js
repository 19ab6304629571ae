// Types that do not go together at one place of events.
import { count } from '../lib/format.js';
import { t } from '../texts/texts.js';

/** The oddity of a field's types in words, or nothing. */
export function mixedTypes({ types, counts, numbersInText }) {
  const number = types.indexOf('number');
  const text = types.indexOf('text');
  if (number >= 0 && text >= 0) {
    const lost = counts[text] - numbersInText;
    return lost > 0
      ? t('events.textInANumber', { count: count(lost) })
      : t('events.numberAsTextCount', { count: count(counts[text]) });
  }
  if (text >= 0 && types.length === 1 && counts[text] > 0 && numbersInText === counts[text])
    return t('events.numberAsText');
  const scalars = types.filter((type) => type === 'number' || type === 'text' || type === 'boolean');
  return scalars.length > 1 || (types.includes('object') && types.length > 1)
    ? t('events.mixedTypes')
    : undefined;
}
