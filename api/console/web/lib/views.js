// Views of the list of segments that somebody gave a name: kept in this browser.
import { createStore } from './store.js';

const STORED = 'audience.views';

function stored() {
  try {
    const all = JSON.parse(localStorage.getItem(STORED) ?? '[]');
    return Array.isArray(all)
      ? all.filter((one) => typeof one?.name === 'string' && typeof one.query === 'string')
      : [];
  } catch {
    return [];
  }
}

/** The views, each a name and the query of its address, by name. */
export const views = createStore(/** @type {{ name: string, query: string }[]} */ (stored()));

function keep(all) {
  try {
    localStorage.setItem(STORED, JSON.stringify(all));
  } catch {
    // They then last until the next load.
  }
  views.set(all);
}

/** Keeps a view; one of the same name is replaced. */
export function saveView(name, query) {
  const others = views.get().filter((one) => one.name !== name);
  keep([...others, { name, query }].sort((a, b) => a.name.localeCompare(b.name)));
}

export const removeView = (name) => keep(views.get().filter((one) => one.name !== name));
