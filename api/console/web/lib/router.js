// Addresses of the console: history routing, and a question before unsaved work is left.
import { createStore } from './store.js';
import { t } from '../texts/texts.js';

const here = () => ({ path: window.location.pathname, query: new URLSearchParams(window.location.search) });

/** The current place. */
export const location = createStore(here());

let guard;
let current = window.location.href;

/** Asks before the page is left while there is unsaved work; returns the way to ask no more. */
export function guardLeaving(isUnsaved) {
  guard = isUnsaved;
  const onUnload = (event) => {
    if (isUnsaved()) event.preventDefault();
  };
  window.addEventListener('beforeunload', onUnload);
  return () => {
    if (guard === isUnsaved) guard = undefined;
    window.removeEventListener('beforeunload', onUnload);
  };
}

function mayLeave() {
  return !guard?.() || window.confirm(t('router.leaveWithoutSavingWhatYouChanged'));
}

/** Goes to an address of the console. */
export function navigate(to, { replace = false, force = false } = {}) {
  const url = new URL(to, window.location.href);
  const isSamePage = url.pathname === window.location.pathname;
  if (!force && !isSamePage && !mayLeave()) return;
  window.history[replace ? 'replaceState' : 'pushState'](null, '', url);
  current = window.location.href;
  location.set(here());
  if (isSamePage) return;
  window.scrollTo(0, 0);
  // A reader of the screen goes on at the new page, not at a link that is gone.
  document.getElementById('main')?.focus({ preventScroll: true });
}

/** Changes members of the query without a new entry in the history. */
export function setQuery(members) {
  const url = new URL(window.location.href);
  for (const [name, value] of Object.entries(members)) {
    if (value) url.searchParams.set(name, value);
    else url.searchParams.delete(name);
  }
  navigate(url, { replace: true });
}

window.addEventListener('popstate', () => {
  if (new URL(current).pathname !== window.location.pathname && !mayLeave()) {
    window.history.pushState(null, '', current);
    return;
  }
  current = window.location.href;
  location.set(here());
});

const OUTSIDE = /^\/(api|v1|docs|openapi\.json|metrics|health|actuator)(\/|$)/;

document.addEventListener('click', (event) => {
  const link = event.target instanceof Element ? event.target.closest('a') : null;
  if (!link?.href || event.defaultPrevented || event.button !== 0) return;
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const url = new URL(link.href, window.location.href);
  if (url.origin !== window.location.origin || link.target || link.hasAttribute('download')) return;
  if (OUTSIDE.test(url.pathname) || url.hash) return;
  event.preventDefault();
  navigate(url);
});

/** The parameters of a path by a pattern such as `/segments/:id`, or nothing. */
export function match(pattern, path) {
  const wanted = pattern.split('/');
  const found = path.replace(/(.)\/$/, '$1').split('/');
  if (wanted.length !== found.length) return undefined;
  const parameters = {};
  for (const [index, part] of wanted.entries()) {
    if (part.startsWith(':')) {
      if (!found[index]) return undefined;
      try {
        parameters[part.slice(1)] = decodeURIComponent(found[index]);
      } catch {
        return undefined;
      }
    } else if (part !== found[index]) return undefined;
  }
  return parameters;
}
