// Every change that was made, by whom, and why.
import { html, useState } from '../lib/html.js';
import { query as toQuery, read } from '../lib/api.js';
import { dateTime, relative } from '../lib/format.js';
import { useLoad } from '../lib/load.js';
import { setQuery } from '../lib/router.js';
import { useTyped } from '../lib/typed.js';
import { Empty, Loading, ProblemBanner } from '../parts/feedback.js';
import { useTitle } from '../parts/shell.js';

const ACTIONS = {
  created: ['created', 'good'],
  updated: ['edited', 'accent'],
  activated: ['activated', 'good'],
  deactivated: ['deactivated', 'warn'],
  archived: ['archived', ''],
  rolledBack: ['rolled back', 'warn'],
  deleted: ['deleted', 'bad'],
  membersReplaced: ['replaced the members of', 'accent'],
  membersAdded: ['added members to', 'good'],
  membersRemoved: ['removed members from', 'warn'],
  erased: ['erased', 'bad'],
  paused: ['paused', 'warn'],
  resumed: ['resumed', 'good'],
  secretRotated: ['gave a new secret to', 'accent'],
};
const KINDS = {
  segment: 'Segments',
  trait: 'Computed traits',
  members: 'Members',
  user: 'Users',
  webhook: 'Webhooks',
};
const PLACES = { segment: '/segments/', members: '/segments/', trait: '/traits/', user: '/users/' };
const PAGE = 50;

export function AuditPage({ query }) {
  useTitle('Audit');
  const filter = {
    kind: query.get('kind'),
    id: query.get('id'),
    author: query.get('author'),
    action: query.get('action'),
  };
  const [pages, setPages] = useState(1);
  const load = async (signal) => {
    const items = [];
    let cursor;
    for (let page = 0; page < pages; page += 1) {
      const answer = await read(`/api/audit${toQuery({ ...filter, cursor, limit: PAGE })}`, signal);
      items.push(...answer.items);
      cursor = answer.nextCursor;
      if (!cursor) break;
    }
    return { items, more: Boolean(cursor) };
  };
  const { data, problem, reload } = useLoad(load, [filter, pages], { every: 4000, keep: true });
  const pick = (member, label, options) =>
    html`
      <select
        class="select"
        aria-label=${label}
        value=${filter[member] ?? ''}
        onChange=${(event) => setQuery({ [member]: event.target.value })}
      >
        <option value="">${label}</option>
        ${options.map(([value, text]) => html`<option value=${value}>${text}</option>`)}
      </select>
    `;
  const text = (member, label) => html`
    <${FilterText}
      label=${label}
      value=${filter[member] ?? ''}
      onChange=${(value) => setQuery({ [member]: value })}
    />
  `;
  return html`
    <div class="page">
      <header class="page-head">
        <div>
          <h1>Audit</h1>
          <p class="lead">
            Every change of segments, computed traits, members and webhooks: who, when, and what they noted.
            Nothing is ever taken out.
          </p>
        </div>
      </header>
      <div class="toolbar">
        ${pick('kind', 'Everything', Object.entries(KINDS))}
        ${pick(
          'action',
          'Every action',
          Object.entries(ACTIONS).map(([value, [name]]) => [value, name]),
        )}
        ${text('author', 'Author')}
        ${text('id', 'Id')}
        ${Object.values(filter).some(Boolean) &&
        html`
          <button
            type="button"
            class="button quiet small"
            onClick=${() => setQuery({ kind: '', id: '', author: '', action: '' })}
          >
            Clear
          </button>
        `}
      </div>
      ${problem?.isMissingPath
        ? html`<${Empty} icon="audit" title="No audit log here">This server keeps none.<//>`
        : html`<${ProblemBanner} problem=${problem} retry=${reload} />`}
      ${!data && !problem && html`<${Loading} lines=${6} />`}
      ${data?.items.length === 0 &&
      html`
        <${Empty} icon="audit" title="Nothing was changed yet">Changes show here the moment they are made.<//>
      `}
      ${data?.items.length > 0 &&
      html`
        <div class="table-wrap">
          <table>
            <thead>
              <tr>
                <th scope="col">When</th>
                <th scope="col">Who</th>
                <th scope="col">What</th>
                <th scope="col" class="narrow-hide">Note</th>
              </tr>
            </thead>
            <tbody>
              ${data.items.map(
                (one) => html`
                  <tr key=${one.sequence}>
                    <td class="nowrap muted">
                      <time datetime=${one.at} title=${dateTime(one.at)}>${relative(one.at)}</time>
                    </td>
                    <td>${one.author}</td>
                    <td>
                      <span class="badge plain ${ACTIONS[one.action]?.[1] ?? ''}">
                        ${ACTIONS[one.action]?.[0] ?? one.action}
                      </span>${' '}
                      <span class="muted">${one.kind === 'members' ? 'list' : one.kind}</span>${' '}
                      <${Subject} entry=${one} />
                      ${one.version ? html`${' '}<span class="muted small">v${one.version}</span>` : ''}
                      ${changedMembers(one)}
                      ${one.note && html`<div class="narrow-only small soft">${one.note}</div>`}
                    </td>
                    <td class="narrow-hide soft">${one.note ?? ''}</td>
                  </tr>
                `,
              )}
            </tbody>
          </table>
        </div>
      `}
      ${data?.more &&
      html`
        <div class="row">
          <button type="button" class="button" onClick=${() => setPages(pages + 1)}>Show more</button>
        </div>
      `}
    </div>
  `;
}

/** A text that is looked for: spaces around it say nothing, but stay while it is typed. */
function FilterText({ label, value, onChange }) {
  const field = useTyped({
    value,
    write: (text) => text,
    read: (text) => ({ value: text.trim() }),
    onChange,
  });
  return html`
    <input
      class="input filter-text"
      aria-label=${label}
      placeholder=${label}
      value=${field.text}
      onInput=${(event) => field.type(event.target.value)}
      onBlur=${field.leave}
    />
  `;
}

/** What it was done to, with a way there where it still is. */
function Subject({ entry: { action, kind, id, before, after } }) {
  const hook = after ?? before;
  if (kind === 'webhook') {
    const [segment] = hook?.segments ?? [];
    const name = hook?.url ?? id;
    return segment && segment !== '*' && after
      ? html`<a class="mono" href="/segments/${encodeURIComponent(segment)}/webhooks">${name}</a>`
      : html`<strong class="mono">${name}</strong>`;
  }
  if (action === 'deleted' || action === 'erased')
    return html`<strong title=${id}>${id.length > 40 ? `${id.slice(0, 20)}…` : id}</strong>`;
  return html`<a href="${PLACES[kind]}${encodeURIComponent(id)}">${id}</a>`;
}

const OF_EVERY_CHANGE = ['version', 'updatedAt'];

/** Which members of it are other than before, where the log says what it was and is. */
function changedMembers({ before, after }) {
  if (!before || !after) return '';
  const members = [...new Set([...Object.keys(before), ...Object.keys(after)])].filter(
    (name) => !OF_EVERY_CHANGE.includes(name) && JSON.stringify(before[name]) !== JSON.stringify(after[name]),
  );
  const say = (value) =>
    value === undefined ? 'nothing' : Array.isArray(value) ? value.join(', ') : String(value);
  return members.map(
    (name) => html`<div class="small soft">${name}: ${say(before[name])} → ${say(after[name])}</div>`,
  );
}
