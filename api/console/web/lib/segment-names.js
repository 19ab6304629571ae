// The names of the segments that rules refer to by id.
import { path, read } from './api.js';
import { createStore } from './store.js';

export const segmentNames = createStore(/** @type {Record<string, string>} */ ({}));

const asked = new Set();

/** The name of a segment; its id until the server has told the name, and where there is no such segment. */
export function segmentName(id) {
  if (typeof id === 'string' && !asked.has(id)) {
    asked.add(id);
    read(path`/api/segments/${id}`)
      .then(({ name }) => segmentNames.set({ ...segmentNames.get(), [id]: name }))
      .catch(() => {});
  }
  return segmentNames.get()[id] ?? id;
}
