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

/** The sizes of the last day of a segment; undefined where the server keeps none. */
export function sizesOfDay(id) {
  const known = kept.get(id);
  if (known && Date.now() - known.at < FRESH) return known.sizes;
  const sizes = new Promise((resolve) => {
    waiting.push(() => {
      const from = new Date(Date.now() - 86_400_000).toISOString();
      return read(path`/api/segments/${id}/size` + query({ from, step: '30m' })).catch(() => undefined).then(resolve);
    });
  });
  kept.set(id, { at: Date.now(), sizes });
  next();
  return sizes;
}
