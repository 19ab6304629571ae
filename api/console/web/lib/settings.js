// Settings of this browser: the language of texts, of numbers and of dates, and the zone of times.
import { createStore } from './store.js';

const STORED = { zone: 'audience.zone', language: 'audience.language' };

/** The languages that the console speaks, by what each calls itself. */
export const LANGUAGES = { en: 'English', de: 'Deutsch' };

const wanted = globalThis.navigator?.language || 'en-US';

function stored(name) {
  try {
    return localStorage.getItem(STORED[name]);
  } catch {
    return null;
  }
}

function store(name, value) {
  try {
    localStorage.setItem(STORED[name], value);
  } catch {
    // The choice then lasts until the next load.
  }
}

/** The language of texts: the one that was chosen, or that the browser asks for, or English. */
export const LANGUAGE =
  [stored('language'), wanted.slice(0, 2)].find((name) => name && Object.hasOwn(LANGUAGES, name)) ?? 'en';

/** The language of numbers and dates is that of the browser, in its region; tests set their own. */
export const locale = createStore(wanted);

/** Chooses the language of texts: the page is loaded again in it. */
export function chooseLanguage(name) {
  store('language', name);
  window.location.reload();
}

const own = Intl.DateTimeFormat().resolvedOptions().timeZone || 'UTC';

/** The zone in which times are shown and asked for. */
export const zone = createStore(stored('zone') === 'UTC' ? 'UTC' : own);

/** The zones to choose from: this browser's own, and UTC. */
export const ZONES = [...new Set([own, 'UTC'])];

export function chooseZone(name) {
  store('zone', name);
  zone.set(name);
}
