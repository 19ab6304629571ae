// The events of a user, newest first.
import { html, useState } from '../lib/html.js';
import { path, query, read } from '../lib/api.js';
import { causeText } from '../lib/changes.js';
import { dateTime, relative } from '../lib/format.js';
import { nameOf, titleOf } from '../lib/vocabulary.js';
import { useLoad } from '../lib/load.js';
import { Empty, Loading, ProblemBanner } from '../parts/feedback.js';
import { Icon } from '../parts/icon.js';
import { Properties } from './properties.js';
import { t } from '../texts/texts.js';

const PAGE = 50;
/** The filter of those who look for memberships only; no event is named so. */
const MEMBERSHIPS = ' memberships';

/** The pages of a list up to a number of items, or its end. */
async function upTo(wanted, ask) {
  const items = [];
  let cursor;
  do {
    const page = await ask(cursor);
    items.push(...page.items);
    cursor = page.nextCursor;
  } while (cursor && items.length < wanted);
  return { items: items.slice(0, wanted), more: Boolean(cursor) || items.length > wanted };
}

/** Events and changes of memberships as one list, the newest first: as far back as both are known. */
function together(events, changes) {
  const all = [
    ...events.items.map((event) => ({ at: event.timestamp, event })),
    ...changes.items.map((change) => ({ at: change.at, change })),
  ];
  const time = (one) => new Date(one.at).getTime();
  const oldest = (list, at) =>
    list.more && list.items.length > 0 ? new Date(at(list.items.at(-1))).getTime() : 0;
  const from = Math.max(
    oldest(events, (event) => event.timestamp),
    oldest(changes, (change) => change.at),
  );
  return {
    // Sorting is stable: of one instant, the event stands below what it brought about.
    items: all
      .filter((one) => time(one) >= from)
      .reverse()
      .sort((a, b) => time(b) - time(a)),
    more: events.more || changes.more,
  };
}

const NOTHING = { items: [], more: false };

export function Timeline({ id }) {
  const [type, setType] = useState('');
  const [pages, setPages] = useState(1);
  const load = async (signal) => {
    const wanted = pages * PAGE;
    const events = (cursor) =>
      read(path`/api/users/${id}/events` + query({ eventType: type, cursor, limit: PAGE }), signal);
    const changes = (cursor) => read(`/api/changes${query({ user: id, cursor, limit: PAGE })}`, signal);
    return together(
      type === MEMBERSHIPS ? NOTHING : await upTo(wanted, events),
      type && type !== MEMBERSHIPS ? NOTHING : await upTo(wanted, changes),
    );
  };
  const { data, problem } = useLoad(load, [id, type, pages], { every: 4000, keep: true });
  const names = [...new Set((data?.items ?? []).flatMap(({ event }) => event?.eventType ?? []))];
  const { data: segments } = useLoad((signal) => read('/api/segments?limit=1000', signal), []);
  const segmentName = (segment) => segments?.items.find((one) => one.id === segment)?.name ?? segment;
  if (problem && !data) return html`<${ProblemBanner} problem=${problem} />`;
  if (!data) return html`<${Loading} />`;
  return html`
    <section class="card" aria-label=${t('user.timeline')}>
      <div class="card-head">
        <h2>${t('timeline.whatHappened')}</h2>
        <select
          class="select narrow"
          aria-label=${t('timeline.whatIsShown')}
          value=${type}
          onChange=${(event) => {
            setPages(1);
            setType(event.target.value);
          }}
        >
          <option value="">${t('timeline.everything')}</option>
          <option value=${MEMBERSHIPS}>${t('timeline.enteredAndLeft')}</option>
          ${[...new Set([type, ...names])]
            .filter((name) => name && name !== MEMBERSHIPS)
            .map((name) => html`<option value=${name}>${nameOf('event', name)}</option>`)}
        </select>
      </div>
      ${data.items.length === 0
        ? html`
            <${Empty} icon="event" title=${t('timeline.nothingOfTheKind')}>${t('timeline.eventsShowHere')}<//>
          `
        : html`
            <ol class="list timeline">
              ${data.items.map(
                (one, index) => html`
                  <li key=${one.change?.id ?? one.event.messageId ?? `${one.at}-${index}`}>
                    <time class="small muted" datetime=${one.at} title=${relative(one.at)}>
                      ${dateTime(one.at)}
                    </time>
                    ${one.event
                      ? html`<${Event} event=${one.event} />`
                      : html`
                          <${Membership} change=${one.change} name=${segmentName(one.change.segmentId)} />
                        `}
                  </li>
                `,
              )}
            </ol>
          `}
      ${data.more &&
      html`
        <div class="card-foot">
          <button type="button" class="button small" onClick=${() => setPages(pages + 1)}>
            ${t('common.showMore')}
          </button>
        </div>
      `}
    </section>
  `;
}

function Event({ event }) {
  return html`
    <div class="event-line">
      <strong title=${titleOf('event', event.eventType)}>${nameOf('event', event.eventType)}</strong>
      <${Properties} values=${event.traits ?? event.properties} kind=${event.traits ? 'trait' : 'property'} />
    </div>
  `;
}

function Membership({ change, name }) {
  const isEntered = change.change === 'entered';
  return html`
    <div class="event-line whole">
      <span class="change ${change.change}"><${Icon} name=${isEntered ? 'plus' : 'minus'} /></span>
      <span>
        ${isEntered ? t('timeline.entered') : t('timeline.left')}${' '}
        <a href="/segments/${encodeURIComponent(change.segmentId)}">${name}</a>
        <span class="muted">${' '}${causeText(change.cause)}</span>
      </span>
    </div>
  `;
}
