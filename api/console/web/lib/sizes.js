// Sizes of segments over time, asked for once a minute and shared by all who draw them.
import { path, query, read } from './api.js';

const FRESH = 60_000;
const AT_ONCE = 4;
const kept = new Map();
const waiting = [];
let running = 0;

function next() {
  while (running < AT_ONCE && waiting.length > 0) {
    running += 1;
    waiting.shift()().finally(() => {
      running -= 1;
      next();
    });
  }
}

/** The instant so many milliseconds ago, or at which a segment began: before that there is nothing to draw. */
export const since = (span, createdAt) => new Date(Math.max(Date.now() - span, new Date(createdAt).getTime() || 0)).toISOString();

/** The sizes of the last day of a segment; undefined where the server keeps none. */
export function sizesOfDay(id, createdAt) {
  const known = kept.get(id);
  if (known && Date.now() - known.at < FRESH) return known.sizes;
  const sizes = new Promise((resolve) => {
    waiting.push(() => {
      const from = since(86_400_000, createdAt);
      return read(path`/api/segments/${id}/size` + query({ from })).catch(() => undefined).then(resolve);
    });
  });
  kept.set(id, { at: Date.now(), sizes });
  next();
  return sizes;
}
