// Sizes of segments: over time, shared by all who draw them, and as they are now, told by the server.
import { useRef, useState } from './html.js';
import { path, query, read } from './api.js';
import { useStream } from './live.js';

const FRESH = 60_000;
const AT_ONCE = 4;
const kept = new Map();
const waiting = [];
let running = 0;

function next() {
  while (running < AT_ONCE && waiting.length > 0) {
    running += 1;
    waiting
      .shift()()
      .finally(() => {
        running -= 1;
        next();
      });
  }
}

/** The sizes of a segment over so many milliseconds, from when they are known on: before that there is nothing to draw. */
export async function sizesOver(span, segment, signal) {
  const ask = (known) => {
    const from = new Date(Math.max(Date.now() - span, new Date(known).getTime() || 0)).toISOString();
    return read(path`/api/segments/${segment.id}/size` + query({ from }), signal);
  };
  const sizes = await ask(segment.createdAt);
  // Few are known from before the segment was there.
  return sizes.knownSince < segment.createdAt ? ask(sizes.knownSince) : sizes;
}

/** The sizes of the last day of a segment; undefined where the server keeps none. */
export function sizesOfDay(segment) {
  const known = kept.get(segment.id);
  if (known && known.version === segment.version && Date.now() - known.at < FRESH) return known.sizes;
  const sizes = new Promise((resolve) => {
    waiting.push(() =>
      sizesOver(86_400_000, segment)
        .catch(() => undefined)
        .then(resolve),
    );
  });
  kept.set(segment.id, { at: Date.now(), version: segment.version, sizes });
  next();
  return sizes;
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
