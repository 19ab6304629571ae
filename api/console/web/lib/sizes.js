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

/** From when on sizes say something: before that there is nothing to draw. */
function known({ knownSince, points, growth }) {
  return { growth, points: points.filter((point) => point.at >= knownSince) };
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
    const found = {};
    for (let at = 0; at < ids.length; at += AT_ONCE) {
      const url = `/api/sizes${query({ segment: ids.slice(at, at + AT_ONCE), from })}`;
      const { items } = await read(url, signal);
      for (const one of items) found[one.segmentId] = known(one);
    }
    return found;
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
