// The form with its history: undo and redo; what is typed at one place is one step.
import { useCallback, useState } from '../lib/html.js';

const SAME_STEP = 900; // milliseconds
const KEPT = 100;

/** The tree of now with its edits; `undo` and `redo` are there where there is something to undo or redo. */
export function useHistory(first) {
  const [state, setState] = useState(
    /** @returns {{ past: any[], root: any, future: any[], what: string | undefined, at: number }} */ () => ({
      past: [],
      root: first(),
      future: [],
      what: undefined,
      at: 0,
    }),
  );
  const change = useCallback((root, what) => {
    setState((before) => {
      if (root === before.root) return before;
      const now = performance.now();
      const isSame = what !== undefined && what === before.what && now - before.at < SAME_STEP;
      const past = isSame ? before.past : [...before.past.slice(-KEPT), before.root];
      return { past, root, future: [], what, at: now };
    });
  }, []);
  const undo = useCallback(() => {
    setState((before) =>
      before.past.length === 0
        ? before
        : {
            past: before.past.slice(0, -1),
            root: before.past.at(-1),
            future: [before.root, ...before.future],
            what: undefined,
            at: 0,
          },
    );
  }, []);
  const redo = useCallback(() => {
    setState((before) =>
      before.future.length === 0
        ? before
        : {
            past: [...before.past, before.root],
            root: before.future[0],
            future: before.future.slice(1),
            what: undefined,
            at: 0,
          },
    );
  }, []);
  const reset = useCallback((root) => setState({ past: [], root, future: [], what: undefined, at: 0 }), []);
  return {
    root: state.root,
    change,
    undo: state.past.length > 0 ? undo : undefined,
    redo: state.future.length > 0 ? redo : undefined,
    reset,
  };
}
