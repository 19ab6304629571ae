// Sentences for people by the server's codes: without pointers, names of settings or HTTP.
import { has, t } from '../texts/texts.js';

/** The name in the server's words: in backticks or quotation marks. */
const NAME = /`([^`]+)`|"([^"]+)"/;
const MEANT = /did you mean [`"]?(.+?)[`"]?\?$/;
/**
 * Things that were never seen, by the words of the server.
 * @type {[string, RegExp][]}
 */
const UNSEEN = [
  ['event', /^no event `(.+?)`/],
  ['trait', /^no trait `(.+?)`/],
  ['property', /with the property `(.+?)`/],
  ['value', /has not been seen with "?(.+?)"?(?:;|$)/],
];

/** The members that the texts may show. */
function membersOf(message) {
  const [, ticked, quoted] = NAME.exec(message) ?? [];
  return { name: ticked ?? quoted ?? '', list: /: ([^:]+)$/.exec(message)?.[1] ?? '' };
}

function unseen(message) {
  for (const [kind, form] of UNSEEN) {
    const name = form.exec(message)?.[1];
    if (name === undefined) continue;
    const meant = MEANT.exec(message)?.[1];
    const text = t(`said.notSeen.${kind}`, { name });
    return meant === undefined ? text : `${text} ${t('said.didYouMean', { meant })}`;
  }
  return undefined;
}

/**
 * A fault, a warning or a problem in words for people; the server's own where its code has none here.
 * @param {{ code?: string, message: string }} said
 */
export function sentenceOf({ code = '', message }) {
  const own = code === 'not_seen' ? unseen(message) : undefined;
  if (own !== undefined) return own;
  const key = `said.${code}`;
  if (!has(key)) return message;
  const members = membersOf(message);
  // A text that names something says nothing where there is no name.
  const isNamed = members.name !== '' || !has(`${key}.unnamed`);
  return isNamed ? t(`said.${code}`, members) : t(`said.${code}.unnamed`);
}
