// What a change does to the members of every segment that it reaches: exact, asked of the server before it is done.
import { NOBODY, inline, referencesOf, usersOf } from '../rules/references.js';
import { ask, read, query } from './api.js';

/** More are named, but not counted: each costs a look at all users. */
const COUNTED = 20;

/** All segments, with their rules. */
export async function allSegments(signal) {
  const items = [];
  let cursor;
  do {
    const page = await read(`/api/segments${query({ cursor, limit: 1000 })}`, signal);
    items.push(...page.items);
    cursor = page.nextCursor;
  } while (cursor);
  return items;
}

/**
 * @typedef {object} Change
 * @property {any} [segment] whose members change by it
 * @property {any} [rules] what the segment has then; nothing where it has no members then
 * @property {string} [trait] or the computed trait that changes
 * @property {any} [definition] what it measures then
 */

/**
 * The rules of each user as they would say after a change, by id. Users that use others see what those become.
 * @param {Change} change
 * @param {any[]} users
 */
function rulesAfter({ segment, rules, trait, definition }, users) {
  const traits = trait === undefined ? {} : { [trait]: definition };
  const byId = Object.fromEntries(users.map((user) => [user.id, user]));
  const after = {};
  const become = (user) => {
    after[user.id] ??= inline(user.rules, { segments: meanings(user), traits });
    return after[user.id];
  };
  const meanings = (user) => {
    const segments = segment ? { [segment.id]: rules ?? NOBODY } : {};
    for (const id of referencesOf(user.rules).segments) {
      // Those that are not active have nobody, before and after.
      if (byId[id]?.status === 'ACTIVE') segments[id] = become(byId[id]);
    }
    return segments;
  };
  users.forEach(become);
  return after;
}

/**
 * @typedef {object} Effect
 * @property {{ id: string, name: string }} segment
 * @property {any} [result] of the preview
 * @property {string} [reason] why it could not be counted
 */

/**
 * The exact effect of a change, of the segment itself first, then of the segments that use it.
 * @param {Change} change
 * @param {any[]} segments all of them
 * @param {AbortSignal} [signal]
 * @returns {Promise<Effect[]>}
 */
export async function effectsOf(change, segments, signal) {
  const users = usersOf(segments, { segment: change.segment?.id, trait: change.trait });
  const after = rulesAfter(change, users);
  const counted = users.filter((one) => one.status === 'ACTIVE');
  const effects = ownEffect(change);
  const own =
    change.segment && effects.length === 0
      ? [{ segment: change.segment, rules: change.rules ?? NOBODY }]
      : [];
  const asked = [...own, ...counted.map((segment) => ({ segment, rules: after[segment.id] }))];
  for (const [index, { segment, rules }] of asked.entries()) {
    if (index >= COUNTED) effects.push({ segment, reason: 'not counted' });
    else effects.push(await effectOn(segment, rules, signal));
  }
  return effects;
}

/**
 * What happens to a list by itself: it has no rules to ask about.
 * @param {Change} change
 * @returns {Effect[]}
 */
function ownEffect({ segment, rules }) {
  if (segment?.type !== 'STATIC' || rules !== undefined) return [];
  const left = segment.status === 'ACTIVE' ? (segment.size ?? 0) : 0;
  return [{ segment, result: { size: (segment.size ?? 0) - left, entered: 0, left } }];
}

async function effectOn(segment, rules, signal) {
  try {
    const body = { id: segment.id, rules };
    const { data } = await ask('POST', '/api/segments/preview', { body, signal });
    return { segment, result: data };
  } catch (problem) {
    if (problem.name === 'AbortError') throw problem;
    return { segment, reason: problem.message };
  }
}
