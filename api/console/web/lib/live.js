// Server-sent events in a component.
import { useEffect, useRef, useState } from './html.js';

/**
 * Follows a stream while the page is seen: hidden pages give their connection back.
 * @param {string | undefined} url
 * @param {Record<string, (data: any, id: string) => void>} handlers by the name of the event
 * @returns {'connecting' | 'live' | 'lost' | 'absent'}
 */
export function useStream(url, handlers) {
  const [state, setState] = useState(
    /** @returns {'connecting' | 'live' | 'lost' | 'absent'} */ () => 'connecting',
  );
  const latest = useRef(handlers);
  latest.current = handlers;
  useEffect(() => {
    if (!url) return undefined;
    let source;
    let last = '';
    let timer;
    let wasLive = false;
    const close = () => {
      source?.close();
      source = undefined;
      clearTimeout(timer);
    };
    const open = () => {
      close();
      const separator = url.includes('?') ? '&' : '?';
      source = new EventSource(last ? `${url}${separator}after=${encodeURIComponent(last)}` : url);
      source.onopen = () => {
        wasLive = true;
        setState('live');
      };
      source.onerror = () => {
        const isRefused = source.readyState === EventSource.CLOSED;
        // A server that was there and refuses is starting again, and the browser gives up once it is refused.
        setState(isRefused && !wasLive ? 'absent' : 'lost');
        if (isRefused) timer = setTimeout(open, wasLive ? 2_000 : 15_000);
      };
      for (const name of Object.keys(latest.current)) {
        source.addEventListener(name, (event) => {
          last = event.lastEventId || last;
          latest.current[name]?.(event.data ? JSON.parse(event.data) : undefined, event.lastEventId);
        });
      }
    };
    const onVisibility = () => (document.visibilityState === 'visible' ? open() : close());
    open();
    document.addEventListener('visibilitychange', onVisibility);
    return () => {
      document.removeEventListener('visibilitychange', onVisibility);
      close();
    };
  }, [url]);
  return state;
}
