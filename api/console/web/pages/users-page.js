// Finding a user.
import { html, takeFocus, useEffect, useState } from '../lib/html.js';
import { path, query as toQuery, read } from '../lib/api.js';
import { useLoad } from '../lib/load.js';
import { navigate, setQuery } from '../lib/router.js';
import { Empty, Loading, ProblemBanner } from '../parts/feedback.js';
import { Icon } from '../parts/icon.js';
import { useTitle } from '../parts/shell.js';

const PAGE = 60;

export function UsersPage({ query }) {
  useTitle('Users');
  const q = query.get('q') ?? '';
  const [text, setText] = useState(q);
  const [cursors, setCursors] = useState([undefined]);
  const cursor = cursors.at(-1);
  const load = async (signal) => {
    try {
      return await read(`/api/users${toQuery({ q, cursor, limit: PAGE })}`, signal);
    } catch (problem) {
      if (!problem.isMissingPath || !q) throw problem;
      // Without a search, the very id can still be asked for.
      const user = await read(path`/api/users/${q}`, signal).catch(() => undefined);
      return { items: user ? [{ userId: user.userId }] : [] };
    }
  };
  const { data, problem, reload } = useLoad(load, [q, cursor], { keep: true });
  useEffect(() => {
    const timer = setTimeout(() => {
      if (text.trim() !== q) setCursors([undefined]);
      setQuery({ q: text.trim() });
    }, 200);
    return () => clearTimeout(timer);
  }, [text]);
  const open = (event) => {
    event.preventDefault();
    if (text.trim()) navigate(`/users/${encodeURIComponent(text.trim())}`);
  };
  return html`
    <div class="page">
      <header class="page-head">
        <div>
          <h1>Users</h1>
          <p class="lead">Everything that is known of a person, and why they are in a segment.</p>
        </div>
      </header>
      <form class="toolbar" role="search" onSubmit=${open}>
        <div class="search">
          <${Icon} name="search" />
          <input
            class="input"
            type="search"
            ref=${takeFocus}
            aria-label="Search users by id"
            placeholder="User id, or how it begins"
            value=${text}
            onInput=${(event) => setText(event.target.value)}
          />
        </div>
        <button type="submit" class="button" disabled=${!text.trim()}>Open</button>
      </form>
      ${problem && !problem.isMissingPath && html`<${ProblemBanner} problem=${problem} retry=${reload} />`}
      ${!data && !problem && html`<${Loading} />`}
      ${problem?.isMissingPath &&
      html`<${Empty} icon="user" title="Open a user by id">This server has no search; type the whole id.<//>`}
      ${data?.items.length === 0 &&
      html`
        <${Empty} icon="user" title=${q ? 'No user id begins so' : 'Nobody is known yet'}>
          ${q
            ? 'Ids are case-sensitive. An id that was merged into another is found under the other.'
            : 'A user is known once any event of theirs has been accepted.'}
        <//>
      `}
      ${data?.items.length > 0 &&
      html`
        <section class="card" aria-label="Users found">
          <ul class="list members thirds">
            ${data.items.map(
              ({ userId }) =>
                html`<li key=${userId}><a href="/users/${encodeURIComponent(userId)}">${userId}</a></li>`,
            )}
          </ul>
          ${(data.nextCursor || cursors.length > 1) &&
          html`
            <div class="card-foot row">
              <button
                type="button"
                class="button small"
                disabled=${cursors.length === 1}
                onClick=${() => setCursors(cursors.slice(0, -1))}
              >
                <${Icon} name="back" />Previous
              </button>
              <button
                type="button"
                class="button small"
                disabled=${!data.nextCursor}
                onClick=${() => setCursors([...cursors, data.nextCursor])}
              >
                Next<${Icon} name="arrow" />
              </button>
            </div>
          `}
        </section>
      `}
    </div>
  `;
}
