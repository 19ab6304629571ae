// Who enters and leaves, as it happens.
import { html, useEffect, useRef, useState } from '../lib/html.js';
import { query, read } from '../lib/api.js';
import { causeText } from '../lib/changes.js';
import { dateTime, onlyClock } from '../lib/format.js';
import { useStream } from '../lib/live.js';
import { Icon } from '../parts/icon.js';
import { t } from '../texts/texts.js';

const SHOWN = 100;
/** Changes of before the page was opened. */
const PAST = 20;
const TONES = { connecting: '', live: 'good', lost: 'warn', absent: '', paused: 'warn' };

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
  // Earlier changes stand below later ones; those that come while the earlier are read arrive twice, and are shown once.
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
  const shown = isPaused ? 'paused' : state;
  return html`
    <section class="card" aria-label=${t('live.liveChanges')}>
      <div class="card-head">
        <h2>${t('live.title')}</h2>
        <span class="row small muted">
          <span class="dot ${TONES[shown]}"></span>
          ${t(`live.${shown}`)}
          <button
            type="button"
            class="button quiet small icon-only"
            aria-label=${isPaused ? t('live.goOn') : t('live.pause')}
            onClick=${() => setPaused(!isPaused)}
          >
            <${Icon} name=${isPaused ? 'play' : 'pause'} />
          </button>
        </span>
      </div>
      ${changes.length === 0
        ? html`
            <p class="card-body muted">
              ${state === 'absent' ? t('live.thisServerDoesNotStream') : t('live.nobodyHasEnteredOrLeft')}
            </p>
          `
        : html`
            <ul class="list feed" aria-label=${t('live.changesNewestFirst')} tabindex="0">
              ${changes.map((change) =>
                change.change === 'reset'
                  ? html`
                      <li key=${change.id}>
                        <span></span>
                        <span class="muted">${t('live.someChangesAreNotHeld')}</span>
                        <span></span>
                      </li>
                    `
                  : html`
                      <li key=${change.id}>
                        <span class="change ${change.change}">
                          <${Icon} name=${change.change === 'entered' ? 'plus' : 'minus'} />
                        </span>
                        <span>
                          <a href="/users/${encodeURIComponent(change.userId)}">${change.userId}</a>${' '}
                          <span class="muted">
                            ${t(`change.${change.change}`)}${' '}
                            ${change.cause === 'rule' ? t('live.byAnEdit') : causeText(change.cause)}
                          </span>
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
