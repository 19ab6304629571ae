// A value that components share.
import { useEffect, useState } from './html.js';

/**
 * @template T
 * @param {T} value what it holds at first
 */
export function createStore(value) {
  const listeners = new Set();
  return {
    get: () => value,
    set(next) {
      if (Object.is(next, value)) return;
      value = next;
      for (const listener of [...listeners]) listener();
    },
    listen(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

/** The value of a store, followed. */
export function useStore(store) {
  const [, draw] = useState(0);
  useEffect(() => {
    const before = store.get();
    const stop = store.listen(() => draw((count) => count + 1));
    // Catches a change between drawing and listening.
    if (store.get() !== before) draw((count) => count + 1);
    return stop;
  }, [store]);
  return store.get();
}
