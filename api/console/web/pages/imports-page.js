// Members of a static list from a file: read and shown, tried, then imported, with what became of each row.
import { html, useMemo, useState } from '../lib/html.js';
import { read } from '../lib/api.js';
import { allSegments } from '../lib/effects.js';
import { count } from '../lib/format.js';
import { useLoad } from '../lib/load.js';
import { setQuery } from '../lib/router.js';
import { toast } from '../lib/toast.js';
import { usersOf } from '../rules/references.js';
import { FileField, FilePreview } from '../imports/file-card.js';
import { Rejected, Result } from '../imports/result.js';
import { sendIds } from '../imports/send.js';
import { idsOf, readTable } from '../imports/table.js';
import { confirm } from '../parts/dialog.js';
import { Empty, Loading, ProblemBanner } from '../parts/feedback.js';
import { useTitle } from '../parts/shell.js';
import { many, t } from '../texts/texts.js';

const MODES = {
  add: [t('imports.add'), t('imports.membersStayThoseOfTheFile')],
  replace: [t('imports.replace'), t('imports.whoeverIsNotInTheFile')],
  remove: [t('imports.remove'), t('imports.thoseOfTheFileLeave')],
};
const NONE = { ids: [], lines: [], trimmed: 0 };

export function ImportsPage({ query }) {
  useTitle(t('common.imports'));
  const { data, problem } = useLoad((signal) => read('/api/segments?type=STATIC&limit=1000', signal), [], {
    every: 5000,
  });
  if (problem && !data) return html`<div class="page"><${ProblemBanner} problem=${problem} /></div>`;
  if (!data) return html`<div class="page"><${Loading} /></div>`;
  return html`
    <div class="page">
      <header class="page-head">
        <div><h1>${t('common.imports')}</h1><p class="lead">${t('imports.aFileOfUserIdsInto')}</p></div>
      </header>
      ${data.items.length === 0
        ? html`<${NoList} />`
        : html`<${Import} lists=${data.items} segment=${query.get('segment') ?? ''} />`}
    </div>
  `;
}

function NoList() {
  const action = html`<a class="button primary" href="/segments/new?blank=1">${t('common.newSegment')}</a>`;
  return html`
    <div class="card">
      <${Empty} icon="import" title=${t('imports.thereIsNoStaticListYet')} action=${action}>
        ${t('imports.createASegmentOfTheKind')}
      <//>
    </div>
  `;
}

/** Asks before members leave by an import, with what else they leave by it. */
async function askRemoval(list, { added, removed, entered = added, left = removed }) {
  const users = usersOf(await allSegments(), { segment: list.id });
  const used =
    users.length > 0
      ? ` ${t('imports.itIsUsedByValueWhich', { value: users.map((one) => `“${one.name}”`).join(', ') })}`
      : '';
  return confirm({
    title: t('imports.changeTheMembersOfName', { name: list.name }),
    text: t('imports.membersWhoLeave', { left: count(left), entered: count(entered) }) + used,
    confirm: t('imports.import'),
    danger: true,
  });
}

/** The file as a table, and the ids in it by the layout that was found or chosen. */
function useFile() {
  const [chosen, setChosen] = useState(undefined);
  const choose = async (file) => {
    const table = readTable(file.name, new Uint8Array(await file.arrayBuffer()));
    setChosen({ file, table, layout: { column: table.column, hasHeading: table.hasHeading } });
  };
  const found = useMemo(() => {
    if (!chosen || chosen.table.fault || chosen.layout.column === undefined) return NONE;
    return idsOf(chosen.table, chosen.layout.column, chosen.layout.hasHeading);
  }, [chosen]);
  const setLayout = (layout) => setChosen((before) => ({ ...before, layout }));
  return { ...chosen, ...found, choose, setLayout };
}

function Import({ lists, segment }) {
  const [mode, setMode] = useState('add');
  const [run, setRun] = useState(
    /** @returns {{ state: string, part?: number, result?: any, problem?: any }} */ () => ({ state: 'none' }),
  );
  const source = useFile();
  const list = lists.find((one) => one.id === segment);
  const restart = (change) => {
    setRun({ state: 'none' });
    change();
  };
  const go = async (isTrial) => {
    if (!isTrial && run.result.removed > 0 && !(await askRemoval(list, run.result))) return;
    setRun({ state: isTrial ? 'trying' : 'importing', part: 0, result: run.result });
    try {
      const { ids, lines } = source;
      const onProgress = (part) => setRun((before) => ({ ...before, part }));
      const result = await sendIds({ segment, mode, ids, lines, isTrial, onProgress });
      setRun({ state: isTrial ? 'tried' : 'done', result });
      if (!isTrial) {
        toast(
          t('imports.importedIntoNameAddedAddedRemoved', {
            name: list.name,
            added: count(result.added),
            removed: count(result.removed),
          }),
        );
      }
    } catch (failed) {
      setRun({ state: 'failed', problem: failed, result: failed.body?.rejected ? failed.body : undefined });
    }
  };
  return html`
    <div class="split">
      <section class="card" aria-label=${t('imports.import')}>
        <div class="card-body stack">
          <${ListChoice}
            lists=${lists}
            segment=${segment}
            onChange=${(id) => restart(() => setQuery({ segment: id }))}
          />
          <${ModeChoice} mode=${mode} onChange=${(next) => restart(() => setMode(next))} />
          <${FileField} file=${source.file} onChange=${(file) => restart(() => source.choose(file))} />
          ${source.table &&
          html`
            <${FilePreview}
              table=${source.table}
              layout=${source.layout}
              onLayout=${(layout) => restart(() => source.setLayout(layout))}
            />
          `}
          <${Buttons} run=${run} isReady=${list !== undefined && source.ids.length > 0} onGo=${go} />
        </div>
      </section>
      <section class="card" aria-label=${t('imports.result')}>
        <div class="card-head">
          <h2>${run.state === 'done' ? t('imports.whatWasDone') : t('imports.whatItWouldDo')}</h2>
        </div>
        <div class="card-body stack"><${Result} run=${run} trimmed=${source.trimmed} /></div>
      </section>
    </div>
    ${run.result?.rejected?.length > 0 && html`<${Rejected} result=${run.result} />`}
    ${run.state === 'done' &&
    html`
      <p>
        <a href="/segments/${encodeURIComponent(segment)}/members">
          ${t('imports.showTheMembersOfName', { name: list?.name })}
        </a>
      </p>
    `}
  `;
}

function ListChoice({ lists, segment, onChange }) {
  return html`
    <div class="field">
      <label for="import-segment">${t('imports.intoTheList')}</label>
      <select
        class="select"
        id="import-segment"
        value=${segment}
        onChange=${(event) => onChange(event.target.value)}
      >
        <option value="">${t('imports.choose')}</option>
        ${lists.map(
          (one) =>
            html`<option value=${one.id}>${one.name} (${many('count.member', one.size ?? 0)})</option>`,
        )}
      </select>
    </div>
  `;
}

function ModeChoice({ mode, onChange }) {
  return html`
    <div class="field">
      <span class="label">${t('imports.whatToDo')}</span>
      <div class="row">
        <div class="segmented" role="group" aria-label=${t('imports.whatToDo')}>
          ${Object.entries(MODES).map(
            ([name, [text]]) => html`
              <button type="button" aria-pressed=${String(mode === name)} onClick=${() => onChange(name)}>
                ${text}
              </button>
            `,
          )}
        </div>
        <span class="small muted">${MODES[mode][1]}</span>
      </div>
    </div>
  `;
}

/** Trying and importing, in this order. */
function Buttons({ run, isReady, onGo }) {
  const isTried = run.state === 'tried';
  const isBusy = run.state === 'trying' || run.state === 'importing';
  const part = run.part ?? 0;
  const doing = run.state === 'trying' ? t('imports.lookingAtEachRow') : t('imports.importing');
  return html`
    ${isBusy &&
    html`
      <div>
        <progress max="1" value=${part} aria-label=${t('imports.sent')}></progress>
        <p class="small muted">
          ${part < 1 ? t('imports.partSent', { part: Math.round(part * 100) }) : doing}
        </p>
      </div>
    `}
    <div class="row">
      <button
        type="button"
        class="button ${isTried ? '' : 'primary'}"
        disabled=${!isReady || isBusy}
        onClick=${() => onGo(true)}
      >
        ${t('imports.tryIt')}
      </button>
      <button
        type="button"
        class="button ${isTried ? 'primary' : ''}"
        disabled=${!isTried || run.result.accepted === 0}
        onClick=${() => onGo(false)}
      >
        ${isTried
          ? t('imports.importRows', { rows: many('count.row', run.result.accepted) })
          : t('imports.import')}
      </button>
    </div>
  `;
}
