// Finding by words: every word that is typed has to stand somewhere, in any order and in any of the texts.

/** The words of a text, as they are compared. */
export const wordsOf = (text) => text.toLocaleLowerCase().split(/\s+/).filter(Boolean);

/**
 * True if each word stands in one of the texts.
 * @param {string[]} words
 * @param {(string | undefined)[]} texts
 */
export function hasWords(words, texts) {
  const all = texts.filter(Boolean).join('\n').toLocaleLowerCase();
  return words.every((word) => all.includes(word));
}
