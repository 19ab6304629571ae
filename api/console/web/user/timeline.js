// What a user did, newest first.
import { html, useState } from '../lib/html.js';
import { path, query, read } from '../lib/api.js';
import { dateTime, relative } from '../lib/format.js';
import { useLoad } from '../lib/load.js';
import { Empty, Loading, ProblemBanner } from '../parts/feedback.js';
import { Properties } from './properties.js';

const PAGE = 50;
const byTime = (a, b) => new Date(b.timestamp).getTime() - new Date(a.timestamp).getTime();

export function Timeline({ id }) {
  const [type, setType] = useState('');
  const [pages, setPages] = useState(1);
  const load = async (signal) => {
    const items = [];
    let cursor;
    try {
      for (let page = 0; page < pages; page += 1) {
        const answer = await read(
          path`/api/users/${id}/events` + query({ eventType: type, cursor, limit: PAGE }),
          signal,
        );
        items.push(...answer.items);
        cursor = answer.nextCursor;
        if (!cursor) break;
      }
      return { items, more: Boolean(cursor) };
    } catch (problem) {
      if (!problem.isMissingPath) throw problem;
      const { events } = await read(path`/api/users/${id}/export`, signal);
      const wanted = events.filter((event) => !type || event.eventType === type).sort(byTime);
      return { items: wanted.slice(0, pages * PAGE), more: wanted.length > pages * PAGE };
    }
  };
  const { data, problem } = useLoad(load, [id, type, pages], { every: 4000, keep: true });
  const names = [...new Set((data?.items ?? []).map((event) => event.eventType))];
  if (problem && !data) return html`<${ProblemBanner} problem=${problem} />`;
  if (!data) return html`<${Loading} />`;
  return html`
    <section class="card" aria-label="Timeline">
      <div class="card-head">
        <h2>What happened, newest first</h2>
        <select
          class="select narrow"
          aria-label="Only events of a type"
          value=${type}
          onChange=${(event) => {
            setPages(1);
            setType(event.target.value);
          }}
        >
          <option value="">Every event</option>
          ${[...new Set([type, ...names])]
            .filter(Boolean)
            .map((name) => html`<option value=${name}>${name}</option>`)}
        </select>
      </div>
      ${data.items.length === 0
        ? html`<${Empty} icon="event" title="No such event">Events show here as they are accepted.<//>`
        : html`
            <ol class="list timeline">
              ${data.items.map(
                (event, index) => html`
                  <li key=${event.messageId ?? `${event.timestamp}-${index}`}>
                    <time class="small muted" datetime=${event.timestamp} title=${relative(event.timestamp)}>
                      ${dateTime(event.timestamp)}
                    </time>
                    <div class="event-line">
                      <strong>${event.eventType}</strong>
                      <${Properties} values=${event.traits ?? event.properties} />
                    </div>
                  </li>
                `,
              )}
            </ol>
          `}
      ${data.more &&
      html`
        <div class="card-foot">
          <button type="button" class="button small" onClick=${() => setPages(pages + 1)}>Show more</button>
        </div>
      `}
    </section>
  `;
}
