// Sizes of segments: over time, shared by all who draw them, and as they are now, told by the server.
import { useRef, useState } from './html.js';
import { path, query, read } from './api.js';
import { useStream } from './live.js';
import { useLoad } from './load.js';

const DAY = 86_400_000;
const FRESH = 60_000;
/** As many as the server answers for at a time. */
const AT_ONCE = 100;

/** The sizes of a segment over so many milliseconds, from when they are known on: before that there is nothing to draw. */
export async function sizesOver(span, segment, signal) {
  const ask = (since) => {
    const from = new Date(Math.max(Date.now() - span, new Date(since).getTime() || 0)).toISOString();
    return read(path`/api/segments/${segment.id}/size` + query({ from }), signal);
  };
  const sizes = await ask(segment.createdAt);
  // Few are known from before the segment was there.
  return sizes.knownSince < segment.createdAt ? ask(sizes.knownSince) : sizes;
}

/** The sizes of some segments from an instant on, by id, without those that say nothing yet. */
async function readSizes(ids, from, step, signal) {
  const found = {};
  for (let at = 0; at < ids.length; at += AT_ONCE) {
    const asked = query({ segment: ids.slice(at, at + AT_ONCE), from, step });
    const { items } = await read(`/api/sizes${asked}`, signal);
    for (const { segmentId, knownSince, points, growth } of items)
      found[segmentId] = { knownSince, growth, points: points.filter((point) => point.at >= knownSince) };
  }
  return found;
}

/**
 * The sizes of the last day of some segments, by id, asked for together and again each minute; none where the server keeps
 * none. `key` changes with the rules of the segments.
 * @param {string[]} ids
 * @param {string} key
 */
export function useSizesOfDay(ids, key) {
  const load = async (signal) => {
    const from = new Date(Date.now() - DAY).toISOString();
    const found = await readSizes(ids, from, '30m', signal);
    // Young segments get finer steps, from their first known size on.
    const young = Object.keys(found).filter((id) => found[id].points.length < 3);
    if (young.length === 0) return found;
    const known = young.map((id) => found[id].knownSince).sort();
    return { ...found, ...(await readSizes(young, known[0], undefined, signal)) };
  };
  return useLoad(load, [ids, key], { every: FRESH, keep: true }).data ?? {};
}

/**
 * Sizes as they are now, of one segment or of all, followed while the page is seen.
 * @param {string | undefined} segment
 * @param {() => void} onEdit called when segments were edited, by anybody
 * @returns {{sizes: Record<string, number>, isLive: boolean, isAbsent: boolean}}
 */
export function useSizes(segment, onEdit) {
  const [sizes, setSizes] = useState({});
  const edited = useRef(undefined);
  const state = useStream(`/api/stream/sizes${query({ segment })}`, {
    sizes: (told) => {
      const edition = `${told.catalogueVersion} ${told.inForceVersion}`;
      if (edited.current !== undefined && edited.current !== edition) onEdit();
      edited.current = edition;
      setSizes((before) => ({ ...before, ...told.sizes }));
    },
  });
  return { sizes, isLive: state === 'live', isAbsent: state === 'absent' };
}
