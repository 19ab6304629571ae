// What this browser shows things in: the language of numbers and dates, and the zone of times.
import { createStore } from './store.js';

const STORED = 'audience.zone';

/** The language of the browser; tests set their own. */
export const locale = createStore(globalThis.navigator?.language || 'en-US');

const own = Intl.DateTimeFormat().resolvedOptions().timeZone || 'UTC';

function storedZone() {
  try {
    return localStorage.getItem(STORED) === 'UTC' ? 'UTC' : own;
  } catch {
    return own;
  }
}

/** The zone in which times are shown and asked for. */
export const zone = createStore(storedZone());

/** The zones to choose from: this browser's own, and UTC. */
export const ZONES = [...new Set([own, 'UTC'])];

export function chooseZone(name) {
  try {
    localStorage.setItem(STORED, name);
  } catch {
    // The choice then lasts until the next load.
  }
  zone.set(name);
}
