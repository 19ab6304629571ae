// The names that rules refer to, and rules with such names replaced by their definitions.

const isObject = (value) => value !== null && typeof value === 'object' && !Array.isArray(value);
const childrenOf = (json) => json.conditions ?? json.criteria ?? [];

/** A rule that holds for nobody, as the members of a segment that is not active. */
export const NOBODY = {
  conditions: [
    { field: 'nobody', operator: 'exists' },
    { field: 'nobody', operator: 'not_exists' },
  ],
};

/**
 * The segments and traits that rules name, each once.
 * @returns {{ segments: string[], traits: string[] }}
 */
export function referencesOf(rules) {
  const segments = new Set();
  const traits = new Set();
  const walk = (json) => {
    if (!isObject(json)) return;
    if (typeof json.segment === 'string') segments.add(json.segment);
    if (typeof json.field === 'string') traits.add(json.field);
    if (typeof json.rank?.by === 'string') traits.add(json.rank.by);
    for (const below of [json.among, json.left, json.right]) walk(below);
    if (Array.isArray(childrenOf(json))) childrenOf(json).forEach(walk);
  };
  walk(rules);
  return { segments: [...segments], traits: [...traits] };
}

/**
 * Rules that say what they would if the named segments had these rules.
 * @param {any} rules
 * @param {Record<string, any>} segments
 */
export function inline(rules, segments) {
  const walk = (json) => {
    if (!isObject(json)) return json;
    if (Object.hasOwn(segments, json.segment)) return segments[json.segment];
    const next = { ...json };
    if (json.among !== undefined) next.among = walk(json.among);
    for (const list of ['conditions', 'criteria']) {
      if (Array.isArray(json[list])) next[list] = json[list].map(walk);
    }
    return next;
  };
  return walk(rules);
}

/**
 * The segments whose rules use one of a segment or trait, directly or through others, nearest first.
 * @param {any[]} segments all of them
 * @param {{ segment?: string, trait?: string }} what
 */
export function usersOf(segments, { segment, trait }) {
  const found = [];
  const names = (one) => referencesOf(one.rules);
  let wave = segments.filter((one) =>
    trait === undefined ? names(one).segments.includes(segment ?? '') : names(one).traits.includes(trait),
  );
  while (wave.length > 0) {
    found.push(...wave);
    const ids = wave.map((one) => one.id);
    wave = segments.filter(
      (one) => !found.includes(one) && names(one).segments.some((id) => ids.includes(id)),
    );
  }
  return found;
}
