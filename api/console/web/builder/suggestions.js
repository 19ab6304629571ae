// Suggestions for the builder's fields: names and values that the data has, or the names that are shipped.
import { read } from '../lib/api.js';
import { count } from '../lib/format.js';
import { typesText } from '../lib/vocabulary.js';
import { platformZone } from '../lib/zones.js';
import { MEASURES, measureName } from '../rules/grammar.js';
import { t } from '../texts/texts.js';

/** An option of a kind, which people may call otherwise. */
const called = (kind) => (option) => ({ ...option, kind });
const unique = (options) => [...new Map(options.map((option) => [option.value, option])).values()];
const typed = (one) => ({
  value: one.name,
  hint: typesText(one.types ?? []),
  types: one.types ?? [],
  examples: one.examples ?? [],
});

/** Loads what is known; where the server has no schema, traits and segments are asked for alone. */
export async function loadSuggestions(signal) {
  const optional = (url) =>
    read(url, signal).catch((problem) => {
      if (problem.name === 'AbortError') throw problem;
      return undefined;
    });
  const [schema, traits, segments, zone] = await Promise.all([
    optional('/api/schema'),
    optional('/api/traits'),
    optional('/api/segments?limit=1000'),
    optional('/api/timezone'),
  ]);
  platformZone.set(zone?.timezone);
  const computed = (traits?.items ?? []).map((one) => ({ ...one.definition, name: one.name }));
  return suggestions({
    events: schema?.events ?? [],
    traits: schema?.traits ?? [],
    computedTraits: computed.length > 0 ? computed : (schema?.computedTraits ?? []),
    segments: segments?.items ?? schema?.segments ?? [],
  });
}

/** The same in the form in which fields ask for it. */
export function suggestions(schema) {
  const events = schema.events.map((one) => ({
    value: one.name,
    hint: one.count === undefined ? '' : t('suggestions.countSeen', { count: count(one.count) }),
  }));
  const computed = schema.computedTraits.map((one) => ({
    value: one.name,
    hint: t('suggestions.computed'),
    types: MEASURES[measureName(one.measure) ?? '']?.result === 'number' ? ['number'] : [],
    examples: [],
  }));
  const traits = unique([...computed, ...schema.traits.map(typed)]).map(called('trait'));
  const propertiesOf = (event) => {
    const names = event === '*' || event === undefined ? undefined : [event].flat();
    const known = schema.events.filter((one) => !names || names.includes(one.name));
    const told = names?.includes('identify') ? schema.traits.map(typed).map(below('traits')) : [];
    return unique([
      ...known.flatMap((one) => (one.properties ?? []).map(typed)),
      ...told,
      { value: 'timestamp', hint: t('suggestions.time'), types: [t('suggestions.time')], examples: [] },
    ]).map(called('property'));
  };
  return forProperties(propertiesOf, {
    events: unique([...events, { value: 'purchase', hint: '' }, { value: 'page_view', hint: '' }]).map(
      called('event'),
    ),
    traits,
    segments: schema.segments.map((one) => ({ value: one.id, hint: one.name === one.id ? '' : one.name })),
    seenEvents: schema.events.map((one) => one.name),
    seenTraits: schema.traits.length > 0 ? traits.map((one) => one.value) : [],
  });
}

const below = (prefix) => (option) => ({ ...option, value: `${prefix}.${option.value}` });
/** The separator between the path of a list and the paths of its objects. */
const LINES = '[].';
const isOfLines = (option) => option.value.includes(LINES);

/** The suggestions with these properties of events. */
function forProperties(everyProperty, { seenEvents, seenTraits, ...common }) {
  const propertiesOf = (event) => everyProperty(event).filter((one) => !isOfLines(one));
  const all = {
    ...common,
    propertiesOf,
    /** The names that the data has, to tell those that it never had. */
    seen: {
      events: seenEvents,
      traits: seenTraits,
      properties: (event) => {
        const options = propertiesOf(event).map((one) => one.value);
        return options.length > 1 ? options : [];
      },
    },
    /** The known facts of a trait, or of a property if an event is given. */
    field: (name, event) =>
      (event === undefined ? common.traits : propertiesOf(event)).find((one) => one.value === name),
    /** A property of an event in which lists of objects were seen, or nothing. */
    listOf: (event) => everyProperty(event).find(isOfLines)?.value.split(LINES)[0] ?? '',
    /** The same where each object of a list counts: its members come first, as `item.…`. */
    inLines: (each) => {
      if (each === undefined) return all;
      const path = each.replace(/^properties\./, '') + LINES;
      const inItems = (event) => {
        const options = everyProperty(event);
        const lines = options.filter((one) => one.value.startsWith(path));
        return [
          ...lines.map((one) => ({ ...one, value: `item.${one.value.slice(path.length)}` })),
          ...options,
        ];
      };
      return forProperties(inItems, { seenEvents, seenTraits, ...common });
    },
  };
  return all;
}

export const NO_SUGGESTIONS = suggestions({ events: [], traits: [], computedTraits: [], segments: [] });
