// The list of segments as a table: each column orders it, each line can be chosen.
import { html } from '../lib/html.js';
import { count, relative, signed } from '../lib/format.js';
import { navigate, setQuery } from '../lib/router.js';
import { Sparkline } from '../parts/chart.js';
import { StateBadge } from '../parts/feedback.js';
import { SortHead } from '../parts/sort-head.js';
import { t } from '../texts/texts.js';

/** The value that each column orders by. */
export const COLUMNS = {
  name: (one) => one.name,
  size: (one) => one.size,
  day: (one) => one.growth,
  status: (one) => one.status,
  owner: (one) => one.owner,
  changed: (one) => one.updatedAt,
};

/** The table; `chosen` are ids, `sizes` those of the last day. */
export function SegmentTable({ segments, sort, sizes, chosen, onChoose }) {
  const areAll = segments.every((one) => chosen.has(one.id));
  const chooseAll = () => onChoose(areAll ? [] : segments.map((one) => one.id));
  const choose = (id) => onChoose(chosen.has(id) ? [...chosen].filter((one) => one !== id) : [...chosen, id]);
  return html`
    <div class="table-wrap">
      <table>
        <thead>
          <tr>
            <th scope="col" class="choose">
              <input
                type="checkbox"
                aria-label=${t('table.chooseAll')}
                checked=${areAll}
                onChange=${chooseAll}
              />
            </th>
            <${SortHead} sort=${sort} column="name">${t('common.segment')}<//>
            <${SortHead} sort=${sort} column="size" first="-size" className="end">${t('table.size')}<//>
            <${SortHead} sort=${sort} column="day" first="-day" className="narrow-hide">
              ${t('table.lastDay')}
            <//>
            <${SortHead} sort=${sort} column="status" className="narrow-hide">${t('common.state')}<//>
            <${SortHead} sort=${sort} column="owner" className="narrow-hide">${t('common.owner')}<//>
            <${SortHead} sort=${sort} column="changed" first="-changed" className="narrow-hide">
              ${t('common.changed')}
            <//>
          </tr>
        </thead>
        <tbody>
          ${segments.map(
            (segment) => html`
              <${Line}
                key=${segment.id}
                segment=${segment}
                points=${sizes[segment.id]?.points ?? []}
                isChosen=${chosen.has(segment.id)}
                onChoose=${() => choose(segment.id)}
              />
            `,
          )}
        </tbody>
      </table>
    </div>
  `;
}

function Line({ segment, points, isChosen, onChoose }) {
  const to = `/segments/${encodeURIComponent(segment.id)}`;
  const change = segment.growth;
  const open = (event) =>
    !event.target.closest('a, button, input, .choose') && window.getSelection()?.isCollapsed && navigate(to);
  return html`
    <tr class="link" onClick=${open}>
      <td class="choose">
        <input
          type="checkbox"
          aria-label=${t('table.chooseName', { name: segment.name })}
          checked=${isChosen}
          onChange=${onChoose}
        />
      </td>
      <td><a class="title" href=${to}>${segment.name}</a><${Under} segment=${segment} /></td>
      <td class="end number">
        <strong>${count(segment.size)}</strong>
        ${change !== undefined &&
        html`<div class="small ${change > 0 ? 'up' : change < 0 ? 'down' : 'muted'}">${signed(change)}</div>`}
      </td>
      <td class="narrow-hide"><${Sparkline} points=${points} /></td>
      <td class="narrow-hide"><${StateBadge} state=${segment.status} /></td>
      <td class="narrow-hide soft">${segment.owner ?? ''}</td>
      <td class="narrow-hide muted nowrap">
        <time datetime=${segment.updatedAt} title=${segment.updatedAt}>${relative(segment.updatedAt)}</time>
        ${segment.updatedBy && html`<div class="small">${segment.updatedBy}</div>`}
      </td>
    </tr>
  `;
}

/** The line below a name: id, kind, tags, and faults. */
function Under({ segment }) {
  return html`
    <div class="under">
      <span>${segment.id}</span>
      ${segment.type === 'STATIC' && html`<span class="tag">${t('table.staticList')}</span>`}
      ${segment.status !== 'ACTIVE' &&
      html`<span class="narrow-only"><${StateBadge} state=${segment.status} /></span>`}
      ${(segment.tags ?? []).map(
        (tag) => html`
          <button
            key=${tag}
            type="button"
            class="tag tag-button"
            aria-label=${t('table.onlyWithTheTagTag', { tag })}
            onClick=${() => setQuery({ tag })}
          >
            ${tag}
          </button>
        `,
      )}
      ${segment.faults?.length > 0 && html`<span class="badge bad">${t('table.newerVersionIsFaulty')}</span>`}
      ${segment.effective === false &&
      segment.status === 'ACTIVE' &&
      html`<span class="badge accent">${t('table.computing')}</span>`}
    </div>
  `;
}
