// Data from the server in a component: loaded, kept while it is loaded anew, repeated, aborted.
import { useCallback, useEffect, useRef, useState } from './html.js';

/**
 * @param {(signal: AbortSignal) => Promise<any>} load what to do; it is done anew when `key` changes
 * @param {unknown[]} key
 * @param {{every?: number, keep?: boolean}} [options] milliseconds after which it is done again while the page is seen;
 *   whether what was there before stays until there is what the new key asks for
 * @returns {{ data: any, problem: any, loading: boolean, reload: () => void }}
 */
export function useLoad(load, key, options = {}) {
  const [state, setState] = useState(
    /** @returns {{ data: any, problem: any, loading: boolean, key: string }} */ () => ({
      data: undefined,
      problem: undefined,
      loading: true,
      key: '',
    }),
  );
  const [round, setRound] = useState(0);
  const latest = useRef(load);
  latest.current = load;
  const name = JSON.stringify(key);
  useEffect(() => {
    const controller = new AbortController();
    let timer;
    const run = async () => {
      let wait = options.every;
      try {
        if (document.visibilityState === 'visible' || !options.every) {
          const data = await latest.current(controller.signal);
          if (controller.signal.aborted) return;
          setState({ data, problem: undefined, loading: false, key: name });
        }
      } catch (problem) {
        if (controller.signal.aborted || problem.name === 'AbortError') return;
        setState((before) => ({
          data: before.key === name ? before.data : undefined,
          problem,
          loading: false,
          key: name,
        }));
        if (problem.isMissingPath) return;
        // An unreachable server is asked again, whether or not the answer is followed.
        if (problem.status === 0 || problem.status === 503) wait ??= 3000;
      }
      if (wait) timer = setTimeout(run, wait);
    };
    setState((before) =>
      before.key === name
        ? { ...before, loading: true }
        : { problem: undefined, loading: true, key: name, data: options.keep ? before.data : undefined },
    );
    run();
    return () => {
      controller.abort();
      clearTimeout(timer);
    };
  }, [name, round, options.every]);
  const reload = useCallback(() => setRound((count) => count + 1), []);
  return { ...state, data: state.key === name || options.keep ? state.data : undefined, reload };
}
