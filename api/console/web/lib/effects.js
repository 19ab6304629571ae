// Effects of a change on the members of every segment that it reaches: exact, asked of the server beforehand.
import { NOBODY, inline, referencesOf, usersOf } from '../rules/references.js';
import { ask, path, read, query } from './api.js';
import { t } from '../texts/texts.js';

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
 * @property {{ segment: any, rules?: any }[]} [segments] whose members change by it, with what each has then; nothing where
 *   it has no members then
 * @property {string} [trait] or the computed trait that changes
 * @property {any} [definition] what it measures then
 */

/**
 * The rules of each segment as they would say after a change, by id. Segments that use others see what those become.
 * @param {Change} change
 * @param {any[]} users
 */
function rulesAfter({ segments = [] }, users) {
  const changed = Object.fromEntries(segments.map(({ segment, rules }) => [segment.id, rules ?? NOBODY]));
  const used = Object.fromEntries(users.map((user) => [user.id, user]));
  const after = {};
  const become = (id, rules) => {
    after[id] ??= inline(rules, meanings(rules));
    return after[id];
  };
  const meanings = (rules) => {
    const meant = {};
    for (const id of referencesOf(rules).segments) {
      if (Object.hasOwn(changed, id)) meant[id] = become(id, changed[id]);
      // Those that are not active have nobody, before and after.
      else if (used[id]?.status === 'ACTIVE') meant[id] = become(id, used[id].rules);
    }
    return meant;
  };
  for (const [id, rules] of Object.entries(changed)) become(id, rules);
  for (const user of users) become(user.id, user.rules);
  return after;
}

/**
 * The segments that a change reaches through others, besides those that it changes itself.
 * @param {Change} change
 * @param {any[]} all
 */
function reachedBy({ segments = [] }, all) {
  const own = segments.map(({ segment }) => segment.id);
  const found = own.flatMap((id) => usersOf(all, { segment: id }));
  return [...new Set(found)].filter((one) => !own.includes(one.id));
}

/**
 * @typedef {object} Effect
 * @property {{ id: string, name: string }} segment
 * @property {any} [result] of the preview
 * @property {string} [reason] why it could not be counted
 */

/**
 * The exact effect of a change, of the segments themselves first, then of those that use them.
 * @param {Change} change
 * @param {AbortSignal} [signal]
 * @returns {Promise<Effect[]>}
 */
export async function effectsOf(change, signal) {
  if (change.trait !== undefined) return effectsOfTrait(change.trait, change.definition, signal);
  const segments = await allSegments(signal);
  const users = reachedBy(change, segments);
  const after = rulesAfter(change, users);
  const effects = [];
  const asked = [];
  for (const { segment, rules } of change.segments ?? []) {
    if (segment.type === 'STATIC' && rules === undefined) effects.push(emptied(segment));
    else asked.push(segment);
  }
  asked.push(...users.filter((one) => one.status === 'ACTIVE'));
  for (const [index, segment] of asked.entries()) {
    if (index >= COUNTED) effects.push({ segment, reason: t('effects.notCounted') });
    else effects.push(await effectOn(segment, after[segment.id], signal));
  }
  return effects;
}

/** The effect of a computed trait's definition, which the server counts for all segments at once. */
async function effectsOfTrait(trait, definition, signal) {
  const url = path`/api/traits/${trait}/preview`;
  const { data } = await ask('POST', url, { body: definition, signal });
  return [
    ...data.segments.map((result) => ({ segment: result, result })),
    ...data.notCounted.map((segment) => ({ segment, reason: t('effects.notCounted') })),
  ];
}

/**
 * The effect on a list that is to have no members: it has no rules to ask about.
 * @returns {Effect}
 */
function emptied(segment) {
  const left = segment.status === 'ACTIVE' ? (segment.size ?? 0) : 0;
  return { segment, result: { size: (segment.size ?? 0) - left, entered: 0, left } };
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
