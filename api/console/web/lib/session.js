// Who uses the console, and what they may do.
import { ask, read, signedOut } from './api.js';
import { createStore } from './store.js';

/**
 * The caller as the server tells it; nothing before it was asked, `null` where somebody must sign in.
 * @type {{get: () => any, set: (caller: any) => void, listen: (listener: () => void) => () => void}}
 */
export const caller = createStore(/** @type {any} */ (undefined));

/** The permissions at a server without access control: an older one, or one of its parts. */
const UNASKED = { open: true, author: '', permissions: [], isUnknown: true };

/** Asks who one is. */
export async function loadCaller() {
  try {
    caller.set(await read('/api/session'));
  } catch (problem) {
    if (problem.status === 401) caller.set(null);
    else if (problem.isMissingPath) caller.set(UNASKED);
    else throw problem;
  }
}

signedOut.listen(() => caller.set(null));

/** True if the caller may do something, such as `segment:write`. */
export function may(permission) {
  const known = caller.get();
  return !known || Boolean(known.isUnknown) || known.permissions.includes(permission);
}

export async function signIn(email, password) {
  caller.set((await ask('POST', '/api/session', { body: { email, password } })).data);
}

export async function join(joining) {
  caller.set((await ask('POST', '/api/join', { body: joining })).data);
}

/** Signs out; whoever came by a provider of identities goes on there. */
export async function signOut() {
  const { data } = await ask('DELETE', '/api/session');
  if (data?.continueAt) window.location.assign(data.continueAt);
  else caller.set(null);
}
