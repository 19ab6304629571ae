// Who enters and leaves, as it happens.
import { html, useEffect, useRef, useState } from '../lib/html.js';
import { query, read } from '../lib/api.js';
import { dateTime, onlyClock } from '../lib/format.js';
import { useStream } from '../lib/live.js';
import { Icon } from '../parts/icon.js';

const SHOWN = 100;
/** Changes of before the page was opened. */
const PAST = 20;
const CAUSES = { event: '', time: 'by time', rule: 'by an edit', merge: 'by a merge', erasure: 'erased' };
const STATES = {
  connecting: ['', 'connecting'],
  live: ['good', 'live'],
  lost: ['warn', 'reconnecting'],
  absent: ['', 'not offered here'],
};

/** Each change once, the newest first. */
const newestOf = (changes) =>
  [...new Map(changes.map((change) => [change.id, change])).values()].slice(0, SHOWN);

/** The time of a change, with its day where that is another. */
const told = (at) =>
  new Date(at).toDateString() === new Date().toDateString() ? onlyClock(at) : dateTime(at);

export function LiveFeed({ segment }) {
  const [changes, setChanges] = useState([]);
  const [isPaused, setPaused] = useState(false);
  const held = useRef([]);
  const frame = useRef(undefined);
  const flush = () => {
    frame.current = undefined;
    const fresh = held.current;
    held.current = [];
    setChanges((before) => newestOf([...fresh.reverse(), ...before]));
  };
  // What was before stands below what comes; what comes while it is read is there twice, and shown once.
  useEffect(() => {
    const controller = new AbortController();
    read(`/api/changes${query({ segment: segment.id, limit: PAST })}`, controller.signal).then(
      ({ items }) => setChanges((now) => newestOf([...now, ...items])),
      () => undefined,
    );
    return () => controller.abort();
  }, [segment.id]);
  // Many changes a second are drawn together.
  const take = (change, id) => {
    held.current = [...held.current.slice(-SHOWN), { ...change, id }];
    if (!frame.current) frame.current = setTimeout(flush, 150);
  };
  const state = useStream(isPaused ? undefined : `/api/stream${query({ segment: segment.id })}`, {
    entered: take,
    left: take,
    reset: () => take({ change: 'reset', at: new Date().toISOString() }, `reset-${Date.now()}`),
  });
  const [tone, text] = isPaused ? ['warn', 'paused'] : STATES[state];
  return html`
    <section class="card" aria-label="Live changes">
      <div class="card-head">
        <h2>Live</h2>
        <span class="row small muted">
          <span class="dot ${tone}"></span>
          ${text}
          <button
            type="button"
            class="button quiet small icon-only"
            aria-label=${isPaused ? 'Go on' : 'Pause'}
            onClick=${() => setPaused(!isPaused)}
          >
            <${Icon} name=${isPaused ? 'play' : 'pause'} />
          </button>
        </span>
      </div>
      ${changes.length === 0
        ? html`
            <p class="card-body muted">
              ${state === 'absent'
                ? 'This server does not stream changes.'
                : 'Nobody has entered or left yet. Changes show here as they happen.'}
            </p>
          `
        : html`
            <ul class="list feed" aria-label="Changes, newest first" tabindex="0">
              ${changes.map((change) =>
                change.change === 'reset'
                  ? html`
                      <li key=${change.id}>
                        <span></span>
                        <span class="muted">Some changes before this are no longer held.</span>
                        <span></span>
                      </li>
                    `
                  : html`
                      <li key=${change.id}>
                        <span class="change ${change.change}">
                          <${Icon} name=${change.change === 'entered' ? 'plus' : 'minus'} />
                        </span>
                        <span class="cut">
                          <a href="/users/${encodeURIComponent(change.userId)}">${change.userId}</a>${' '}
                          <span class="muted">${change.change} ${CAUSES[change.cause] ?? change.cause}</span>
                        </span>
                        <time class="small muted number" datetime=${change.at}>${told(change.at)}</time>
                      </li>
                    `,
              )}
            </ul>
          `}
    </section>
  `;
}
