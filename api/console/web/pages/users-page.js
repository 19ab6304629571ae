// Finding a user, by id or by a trait, in a table with chosen columns.
import { html, useState } from '../lib/html.js';
import { query as toQuery, read } from '../lib/api.js';
import { count } from '../lib/format.js';
import { useLoad } from '../lib/load.js';
import { navigate, setQuery } from '../lib/router.js';
import { Empty, Loading, ProblemBanner } from '../parts/feedback.js';
import { useTitle } from '../parts/shell.js';
import { ColumnChooser, useColumns } from '../people/columns.js';
import { Pager } from '../people/pager.js';
import { SearchFields, searchParameters } from '../people/search.js';
import { PeopleTable } from '../people/table.js';
import { many, t } from '../texts/texts.js';

const PAGE = 60;

export function UsersPage({ query }) {
  useTitle(t('common.users'));
  const search = {
    by: query.get('by') ?? '',
    match: query.get('match') === 'equals' ? 'equals' : 'startsWith',
    text: query.get('q') ?? '',
  };
  const { columns, fields } = useColumns();
  const [cursors, setCursors] = useState([undefined]);
  const cursor = cursors.at(-1);
  const load = async (signal) => {
    if (!columns) return undefined;
    const asked = { ...searchParameters(search), column: columns, cursor, limit: PAGE };
    return read(`/api/users${toQuery(asked)}`, signal);
  };
  const { data, problem, loading, reload } = useLoad(load, [search, cursor, columns], { keep: true });
  const change = ({ by, match, text }) => {
    setCursors([undefined]);
    setQuery({ by, match: by ? match : '', q: text });
  };
  const open = (event) => {
    event.preventDefault();
    if (!search.by && search.text) navigate(`/users/${encodeURIComponent(search.text)}`);
  };
  return html`
    <div class="page">
      <header class="page-head">
        <div><h1>${t('common.users')}</h1><p class="lead">${t('users.everythingThatIsKnown')}</p></div>
      </header>
      <form class="toolbar" role="search" onSubmit=${open}>
        <${SearchFields}
          search=${search}
          fields=${fields}
          hasIds
          onChange=${change}
          label=${t('users.searchUsersById')}
        />
        ${!search.by &&
        html`<button type="submit" class="button" disabled=${!search.text}>${t('users.open')}</button>`}
        ${columns && html`<${ColumnChooser} columns=${columns} fields=${fields} />`}
      </form>
      ${problem && html`<${ProblemBanner} problem=${problem} retry=${reload} />`}
      ${!data && !problem && html`<${Loading} />`}
      ${data?.items.length === 0 && html`<${Nobody} search=${search} />`}
      ${data?.items.length > 0 &&
      html`
        <section class="card" aria-label=${t('users.usersFound')} aria-busy=${String(loading)}>
          ${data.total !== undefined && html`<div class="card-head"><h2>${found(data)}</h2></div>`}
          <${PeopleTable} users=${data.items} columns=${columns} />
          <${Pager} cursors=${cursors} onChange=${setCursors} next=${data.nextCursor} />
        </section>
      `}
    </div>
  `;
}

/** The number of people found, and whether all of them are shown. */
function found({ items, total }) {
  const shown = total > items.length ? t('people.ofThemHere', { shown: count(items.length) }) : '';
  return many('users.found', total) + shown;
}

function Nobody({ search }) {
  if (search.by && search.text) {
    return html`
      <${Empty} icon="user" title=${t('users.nobodyHasSuchAValue')}>${t('users.largeAndSmallLetters')}<//>
    `;
  }
  return html`
    <${Empty} icon="user" title=${search.text ? t('users.noUserIdBeginsSo') : t('users.nobodyIsKnownYet')}>
      ${search.text ? t('users.idsAreCaseSensitive') : t('user.aUserIsKnownOnceAny')}
    <//>
  `;
}
