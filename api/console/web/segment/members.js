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
import { Menu } from '../parts/menu.js';
import { ColumnChooser, useColumns } from '../people/columns.js';
import { Pager } from '../people/pager.js';
import { SearchFields, searchParameters } from '../people/search.js';
import { PeopleTable } from '../people/table.js';
import { many, t } from '../texts/texts.js';

const PAGE = 50;
/** Between two readings while people come and go, in milliseconds. */
const PACE = 1000;

/** The members that are asked for, read again while people come and go. */
function useMembers(segment, asked) {
  const [isAbsent, setAbsent] = useState(false);
  const load = async (signal) =>
    asked.column && read(`/api/users${query({ ...asked, segment: segment.id, limit: PAGE })}`, signal);
  const { data, problem, reload } = useLoad(load, [segment.id, asked], {
    every: isAbsent ? 5000 : undefined,
    keep: true,
  });
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
        title=${t('members.nobodyIsInItNow')}
        action=${isStatic &&
        html`
          <button
            type="button"
            class="button primary"
            onClick=${() => navigate(`/imports?segment=${encodeURIComponent(segment.id)}`)}
          >
            ${t('common.importMembers')}
          </button>
        `}
      >
        ${isStatic
          ? t('members.aStaticListTakes')
          : segment.status === 'ACTIVE'
            ? t('members.whoeverMeetsItsRules')
            : t('members.onlyAnActiveSegment')}
      <//>
    </div>
  `;
}

/** The line above the table: which members are shown, of how many. */
function heading({ items, total }, page, size) {
  if (total !== undefined) {
    const shown = total > items.length ? t('people.ofThemHere', { shown: count(items.length) }) : '';
    return many('members.found', total) + shown;
  }
  const first = (page - 1) * PAGE + 1;
  return items.length > 0
    ? t('members.range', {
        first: count(first),
        last: count(first + items.length - 1),
        size: count(size),
      })
    : t('members.noMoreMembers');
}

export function Members({ segment }) {
  const [cursors, setCursors] = useState([undefined]);
  const [search, setSearch] = useState({ by: '', match: 'startsWith', text: '' });
  const { columns, fields } = useColumns();
  const asked = { ...searchParameters(search), column: columns, cursor: cursors.at(-1) };
  const { data, problem, reload } = useMembers(segment, asked);
  const download = (format) => {
    const url = path`/api/segments/${segment.id}/members` + query({ format, column: columns });
    saveAs(url, `${segment.id}-${today()}.${format}`).catch(toastProblem);
  };
  const find = (next) => {
    setCursors([undefined]);
    setSearch(next);
  };
  if (problem && !data) return html`<${ProblemBanner} problem=${problem} retry=${reload} />`;
  if (!data) return html`<${Loading} />`;
  if (data.items.length === 0 && cursors.length === 1 && !search.text)
    return html`<${Nobody} segment=${segment} />`;
  return html`
    <section class="card" aria-label=${t('common.members')}>
      <div class="card-head">
        <h2>${heading(data, cursors.length, segment.size)}</h2>
        <div class="row">
          <${ColumnChooser} columns=${columns} fields=${fields} />
          <${Menu}
            label=${t('common.export')}
            text=${t('members.exportAll')}
            icon="import"
            small
            items=${[
              { text: 'CSV', run: () => download('csv') },
              { text: 'NDJSON', run: () => download('ndjson') },
            ]}
            quiet=${false}
          />
        </div>
      </div>
      ${fields.length > 0 &&
      html`
        <div class="card-body toolbar" role="search">
          <${SearchFields} search=${search} fields=${fields} onChange=${find} />
        </div>
      `}
      <${ProblemBanner} problem=${problem} />
      ${data.items.length === 0
        ? html`<p class="card-body muted">${t('members.noMemberHasSuchAValue')}</p>`
        : html`<${PeopleTable} users=${data.items} columns=${columns} why=${segment.id} />`}
      <${Pager} cursors=${cursors} onChange=${setCursors} next=${data.nextCursor} />
    </section>
  `;
}
