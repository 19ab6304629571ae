// Every change that was made, by whom, and why.
import { html, useState } from '../lib/html.js';
import { query as toQuery, read } from '../lib/api.js';
import { useLoad } from '../lib/load.js';
import { saveText, today } from '../lib/save.js';
import { zone } from '../lib/settings.js';
import { csvOf, ndjsonOf } from '../lib/table-file.js';
import { toast, toastProblem } from '../lib/toast.js';
import { instantOf } from '../lib/zones.js';
import { Entry } from '../audit/entry.js';
import { Filters } from '../audit/filters.js';
import { Empty, Loading, ProblemBanner } from '../parts/feedback.js';
import { Menu } from '../parts/menu.js';
import { useTitle } from '../parts/shell.js';
import { t } from '../texts/texts.js';

const PAGE = 50;
const FILTERS = ['kind', 'action', 'author', 'id', 'from', 'to'];
/** As many changes as one file takes. */
const MOST = 20_000;
const COLUMNS = ['at', 'author', 'action', 'kind', 'id', 'version', 'note', 'before', 'after'];

/** The filter as the server takes it: days become instants of the zone that times are shown in. */
function asked(filter) {
  const start = (day) => (day ? instantOf(`${day}T00:00:00`, zone.get()) : undefined);
  const next = (day) => new Date(Date.parse(`${day}T00:00:00Z`) + 86_400_000).toISOString().slice(0, 10);
  return { ...filter, from: start(filter.from), to: filter.to ? start(next(filter.to)) : undefined };
}

/** So many changes that fit, newest first. */
async function load(filter, most, limit, signal) {
  const items = [];
  let cursor;
  do {
    const answer = await read(`/api/audit${toQuery({ ...asked(filter), cursor, limit })}`, signal);
    items.push(...answer.items);
    cursor = answer.nextCursor;
  } while (cursor && items.length < most);
  return { items, more: Boolean(cursor) };
}

/** Saves every change that fits. */
async function exportAll(filter, format) {
  const { items, more } = await load(filter, MOST, 1000);
  const plain = (value) => (value !== null && typeof value === 'object' ? JSON.stringify(value) : value);
  const rows = items.map((one) => COLUMNS.map((column) => plain(one[column])));
  const text = format === 'csv' ? csvOf(COLUMNS, rows) : ndjsonOf(items);
  saveText(text, format === 'csv' ? 'text/csv' : 'application/x-ndjson', `audit-${today()}.${format}`);
  if (more) toast(t('audit.theFileHasTheNewestChanges'));
}

export function AuditPage({ query }) {
  useTitle(t('common.audit'));
  const filter = Object.fromEntries(FILTERS.map((name) => [name, query.get(name)]));
  const [pages, setPages] = useState(1);
  const { data, problem, reload } = useLoad(
    (signal) => load(filter, pages * PAGE, PAGE, signal),
    [filter, pages],
    { every: 4000, keep: true },
  );
  const save = (format) => () => exportAll(filter, format).catch(toastProblem);
  return html`
    <div class="page">
      <header class="page-head">
        <div>
          <h1>${t('common.audit')}</h1>
          <p class="lead">${t('audit.everyChangeOfSegmentsComputedTraits')}</p>
        </div>
        <div class="actions">
          <${Menu}
            label=${t('common.export')}
            text=${t('common.export')}
            icon="import"
            items=${[
              { text: 'CSV', run: save('csv') },
              { text: 'NDJSON', run: save('ndjson') },
            ]}
            quiet=${false}
          />
        </div>
      </header>
      <${Filters} filter=${filter} />
      ${problem?.isMissingPath
        ? html`
            <${Empty} icon="audit" title=${t('audit.noAuditLogHere')}>${t('audit.thisServerKeepsNone')}<//>
          `
        : html`<${ProblemBanner} problem=${problem} retry=${reload} />`}
      ${!data && !problem && html`<${Loading} lines=${6} />`}
      ${data && html`<${Entries} items=${data.items} isFiltered=${Object.values(filter).some(Boolean)} />`}
      ${data?.more &&
      html`
        <div class="row">
          <button type="button" class="button" onClick=${() => setPages(pages + 1)}>
            ${t('common.showMore')}
          </button>
        </div>
      `}
    </div>
  `;
}

function Entries({ items, isFiltered }) {
  if (items.length === 0)
    return isFiltered
      ? html`<${Empty} icon="search" title=${t('audit.noChangeFits')}>${t('audit.otherDaysOrWordsMay')}<//>`
      : html`
          <${Empty} icon="audit" title=${t('audit.nothingWasChangedYet')}>
            ${t('audit.changesShowHereTheMomentThey')}
          <//>
        `;
  return html`
    <div class="table-wrap">
      <table>
        <thead>
          <tr>
            <th scope="col">${t('audit.when')}</th>
            <th scope="col">${t('audit.who')}</th>
            <th scope="col">${t('audit.what')}</th>
            <th scope="col" class="narrow-hide">${t('audit.note')}</th>
          </tr>
        </thead>
        <tbody>${items.map((one) => html`<${Entry} key=${one.sequence} entry=${one} />`)}</tbody>
      </table>
    </div>
  `;
}
