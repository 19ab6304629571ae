// All segments: what they are, how large, how they move.
import { html, useEffect, useState } from '../lib/html.js';
import { query as toQuery, read } from '../lib/api.js';
import { count, relative, signed } from '../lib/format.js';
import { useLoad } from '../lib/load.js';
import { navigate, setQuery } from '../lib/router.js';
import { sizesOfDay, useSizes } from '../lib/sizes.js';
import { Sparkline } from '../parts/chart.js';
import { Empty, Loading, ProblemBanner, StateBadge } from '../parts/feedback.js';
import { Icon } from '../parts/icon.js';
import { useTitle } from '../parts/shell.js';

const STATES = { '': 'All', ACTIVE: 'Active', DRAFT: 'Drafts', INACTIVE: 'Inactive', ARCHIVED: 'Archived' };
const EVERY = 5000; // milliseconds, where sizes are not told

export function SegmentsPage({ query }) {
  useTitle('Segments');
  const [text, setText] = useState(query.get('q') ?? '');
  const filter = {
    q: query.get('q'),
    status: query.get('status'),
    type: query.get('type'),
    tag: query.get('tag'),
  };
  const [pages, setPages] = useState(1);
  const load = async (signal) => {
    const items = [];
    let cursor;
    for (let page = 0; page < pages; page += 1) {
      const answer = await read(`/api/segments${toQuery({ ...filter, cursor, limit: 100 })}`, signal);
      items.push(...answer.items);
      cursor = answer.nextCursor;
      if (!cursor) break;
    }
    return { items, more: Boolean(cursor) };
  };
  const [isAbsent, setAbsent] = useState(false);
  const { data, problem, reload } = useLoad(load, [filter, pages], {
    every: isAbsent ? EVERY : undefined,
    keep: true,
  });
  const live = useSizes(undefined, reload);
  useEffect(() => setAbsent(live.isAbsent), [live.isAbsent]);
  useEffect(() => {
    const timer = setTimeout(() => setQuery({ q: text.trim() }), 200);
    return () => clearTimeout(timer);
  }, [text]);
  const isFiltered = Object.values(filter).some(Boolean);

  return html`
    <div class="page">
      <header class="page-head">
        <div><h1>Segments</h1><p class="lead">Who is in them follows every event at once.</p></div>
        <div class="actions">
          <a class="button primary" href="/segments/new"><${Icon} name="plus" />New segment</a>
        </div>
      </header>
      <div class="toolbar">
        <div class="search">
          <${Icon} name="search" />
          <input
            class="input"
            type="search"
            aria-label="Search segments"
            placeholder="Search name, id, tag, owner"
            value=${text}
            onInput=${(event) => setText(event.target.value)}
          />
        </div>
        <div class="segmented" role="group" aria-label="State">
          ${Object.entries(STATES).map(
            ([state, name]) =>
              html`
                <button
                  type="button"
                  aria-pressed=${String((filter.status ?? '') === state)}
                  onClick=${() => setQuery({ status: state })}
                >
                  ${name}
                </button>
              `,
          )}
        </div>
        <select
          class="select"
          aria-label="Kind"
          value=${filter.type ?? ''}
          onChange=${(event) => setQuery({ type: event.target.value })}
        >
          <option value="">Every kind</option>
          <option value="DYNAMIC">By rules</option>
          <option value="STATIC">Static lists</option>
        </select>
        ${filter.tag &&
        html`
          <button type="button" class="button small" onClick=${() => setQuery({ tag: '' })}>
            Tag: ${filter.tag} <${Icon} name="close" />
          </button>
        `}
      </div>
      <${ProblemBanner} problem=${problem} retry=${reload} />
      ${!data && !problem && html`<${Loading} lines=${6} />`}
      ${data &&
      data.items.length === 0 &&
      (isFiltered
        ? html`
            <${Empty}
              icon="search"
              title="No segment fits"
              action=${html`
                <button
                  type="button"
                  class="button"
                  onClick=${() => {
                    setText('');
                    navigate('/segments');
                  }}
                >
                  Show all
                </button>
              `}
            >
              Another word or state may.
            <//>
          `
        : html`
            <${Empty}
              icon="segments"
              title="The first segment is a minute away"
              action=${html`
                <a class="button primary" href="/segments/new">New segment</a>
                <a class="button" href="/docs">Send events over the API</a>
              `}
            >
              Describe who you mean by what they did or who they are; you see at once how many that is, before
              anything is saved.
            <//>
          `)}
      ${data?.items.length > 0 &&
      html`
        <div class="table-wrap">
          <table>
            <thead>
              <tr>
                <th scope="col">Segment</th>
                <th scope="col" class="end">Size</th>
                <th scope="col" class="narrow-hide">Last day</th>
                <th scope="col" class="narrow-hide">State</th>
                <th scope="col" class="narrow-hide">Changed</th>
              </tr>
            </thead>
            <tbody>
              ${data.items.map(
                (segment) =>
                  html`
                    <${Line}
                      key=${segment.id}
                      segment=${{ ...segment, size: live.sizes[segment.id] ?? segment.size }}
                    />
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

function Line({ segment }) {
  const [sizes, setSizes] = useState(undefined);
  const to = `/segments/${encodeURIComponent(segment.id)}`;
  useEffect(() => {
    let isGone = false;
    const ask = () => sizesOfDay(segment).then((found) => isGone || setSizes(found));
    ask();
    const timer = setInterval(ask, 60_000);
    return () => {
      isGone = true;
      clearInterval(timer);
    };
  }, [segment.id, segment.version]);
  const points = sizes?.points ?? [];
  // The growth of the server leaves out what edits did; sizes of now do not.
  const change = sizes?.growth?.day?.net;
  const open = (event) =>
    !event.target.closest('a, button') && window.getSelection()?.isCollapsed && navigate(to);
  return html`
    <tr class="link" onClick=${open}>
      <td>
        <a class="title" href=${to}>${segment.name}</a>
        <div class="under">
          <span>${segment.id}</span>
          ${segment.type === 'STATIC' && html`<span class="tag">static list</span>`}
          ${segment.status !== 'ACTIVE' &&
          html`<span class="narrow-only"><${StateBadge} state=${segment.status} /></span>`}
          ${(segment.tags ?? []).map(
            (tag) =>
              html`
                <button
                  type="button"
                  class="tag tag-button"
                  aria-label="Only with the tag ${tag}"
                  onClick=${() => setQuery({ tag })}
                >
                  ${tag}
                </button>
              `,
          )}
          ${segment.faults?.length > 0 && html`<span class="badge bad">Newer version is faulty</span>`}
          ${segment.effective === false &&
          segment.status === 'ACTIVE' &&
          html`<span class="badge accent">Computing</span>`}
        </div>
      </td>
      <td class="end number">
        <strong>${count(segment.size)}</strong>
        ${change !== undefined &&
        html`<div class="small ${change > 0 ? 'up' : change < 0 ? 'down' : 'muted'}">${signed(change)}</div>`}
      </td>
      <td class="narrow-hide"><${Sparkline} points=${points} /></td>
      <td class="narrow-hide"><${StateBadge} state=${segment.status} /></td>
      <td class="narrow-hide muted nowrap">
        <time datetime=${segment.updatedAt} title=${segment.updatedAt}>${relative(segment.updatedAt)}</time>
        ${segment.updatedBy && html`<div class="small">${segment.updatedBy}</div>`}
      </td>
    </tr>
  `;
}
