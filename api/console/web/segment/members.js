// Who is in a segment now, by page, while it changes.
import { html, useEffect, useRef, useState } from '../lib/html.js';
import { path, query, read } from '../lib/api.js';
import { count } from '../lib/format.js';
import { useStream } from '../lib/live.js';
import { useLoad } from '../lib/load.js';
import { navigate } from '../lib/router.js';
import { saveAs, today } from '../lib/save.js';
import { toastProblem } from '../lib/toast.js';
import { Empty, Loading, ProblemBanner } from '../parts/feedback.js';
import { Icon } from '../parts/icon.js';
import { Menu } from '../parts/menu.js';

const PAGE = 50;
/** Between two readings while people come and go, in milliseconds. */
const PACE = 1000;

/** The page of members that a cursor names, read again while people come and go. */
function useMembers(segment, cursor, url) {
  const [isAbsent, setAbsent] = useState(false);
  const { data, problem, reload } = useLoad(
    (signal) => read(url + query({ cursor, limit: PAGE }), signal),
    [segment.id, cursor],
    { every: isAbsent ? 5000 : undefined, keep: true },
  );
  const due = useRef(undefined);
  const changed = () => {
    due.current ??= setTimeout(() => {
      due.current = undefined;
      reload();
    }, PACE);
  };
  const state = useStream(`/api/stream${query({ segment: segment.id })}`, {
    entered: changed,
    left: changed,
    reset: changed,
  });
  useEffect(() => setAbsent(state === 'absent'), [state]);
  useEffect(() => () => clearTimeout(due.current), []);
  return { data, problem, reload };
}

function Nobody({ segment }) {
  const isStatic = segment.type === 'STATIC';
  return html`
    <div class="card">
      <${Empty}
        icon="user"
        title="Nobody is in it now"
        action=${isStatic &&
        html`
          <button
            type="button"
            class="button primary"
            onClick=${() => navigate(`/imports?segment=${encodeURIComponent(segment.id)}`)}
          >
            Import members
          </button>
        `}
      >
        ${isStatic
          ? 'A static list takes its members from a file or over the API.'
          : segment.status === 'ACTIVE'
            ? 'Whoever meets its rules shows here within a second, without a reload.'
            : 'Only an active segment has members.'}
      <//>
    </div>
  `;
}

function Pager({ cursors, onChange, next }) {
  return html`
    <div class="card-foot row">
      <button
        type="button"
        class="button small"
        disabled=${cursors.length === 1}
        onClick=${() => onChange(cursors.slice(0, -1))}
      >
        <${Icon} name="back" />Previous
      </button>
      <button
        type="button"
        class="button small"
        disabled=${!next}
        onClick=${() => onChange([...cursors, next])}
      >
        Next<${Icon} name="arrow" />
      </button>
    </div>
  `;
}

export function Members({ segment }) {
  const [cursors, setCursors] = useState([undefined]);
  const url = path`/api/segments/${segment.id}/members`;
  const { data, problem, reload } = useMembers(segment, cursors.at(-1), url);
  const download = (format) =>
    saveAs(`${url}?format=${format}`, `${segment.id}-${today()}.${format}`).catch(toastProblem);
  if (problem && !data) return html`<${ProblemBanner} problem=${problem} retry=${reload} />`;
  if (!data) return html`<${Loading} />`;
  const first = (cursors.length - 1) * PAGE + 1;
  if (data.items.length === 0 && cursors.length === 1) return html`<${Nobody} segment=${segment} />`;
  return html`
    <section class="card" aria-label="Members">
      <div class="card-head">
        <h2>
          ${data.items.length > 0
            ? `${count(first)} to ${count(first + data.items.length - 1)} of ${count(segment.size)}`
            : 'No more members'}
        </h2>
        <${Menu}
          label="Export"
          text="Export all"
          icon="import"
          small
          items=${[
            { text: 'CSV', run: () => download('csv') },
            { text: 'NDJSON', run: () => download('ndjson') },
          ]}
          quiet=${false}
        />
      </div>
      <ul class="list members">
        ${data.items.map(
          (user) =>
            html`
              <li key=${user}>
                <a href="/users/${encodeURIComponent(user)}">${user}</a>
                <a
                  class="small muted"
                  href="/users/${encodeURIComponent(user)}?why=${encodeURIComponent(segment.id)}"
                >
                  Why?
                </a>
              </li>
            `,
        )}
      </ul>
      <${Pager} cursors=${cursors} onChange=${setCursors} next=${data.nextCursor} />
    </section>
  `;
}
