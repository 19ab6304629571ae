// Members of a static list from a file: tried first, then done, with what became of each row.
import { html, useState } from '../lib/html.js';
import { Problem, author, path, query as toQuery, read } from '../lib/api.js';
import { bytes, count, plural } from '../lib/format.js';
import { useLoad } from '../lib/load.js';
import { setQuery } from '../lib/router.js';
import { toast } from '../lib/toast.js';
import { Empty, Loading, ProblemBanner } from '../parts/feedback.js';
import { Icon } from '../parts/icon.js';
import { useTitle } from '../parts/shell.js';

const MODES = {
  add: ['Add', 'Members stay, those of the file join them.'],
  replace: ['Replace', 'Whoever is not in the file leaves.'],
  remove: ['Remove', 'Those of the file leave.'],
};

/** Sends a file, telling how much of it is sent. */
function upload(url, method, file, onProgress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open(method, url);
    request.setRequestHeader('content-type', /\.json$/i.test(file.name) ? 'application/json' : 'text/csv');
    request.setRequestHeader('x-author', String.fromCharCode(...new TextEncoder().encode(author.get())));
    request.upload.onprogress = (event) => event.lengthComputable && onProgress(event.loaded / event.total);
    request.onerror = () => reject(new Problem(0, { detail: 'The server cannot be reached.' }));
    request.onload = () => {
      let body = {};
      try {
        body = JSON.parse(request.responseText || '{}');
      } catch {
        // Then the status says what there is to say.
      }
      if (request.status < 300) resolve(body);
      else reject(new Problem(request.status, body));
    };
    request.send(file);
  });
}

function send(segment, mode, file, isTrial, onProgress) {
  const members = path`/api/segments/${segment}/members`;
  const [method, url] = {
    add: ['POST', members],
    replace: ['PUT', members],
    remove: ['POST', `${members}/remove`],
  }[mode];
  return upload(url + toQuery({ dryRun: isTrial ? 'true' : undefined }), method, file, onProgress);
}

export function ImportsPage({ query }) {
  useTitle('Imports');
  const { data, problem } = useLoad((signal) => read('/api/segments?type=STATIC&limit=1000', signal), [], {
    every: 5000,
  });
  const segment = query.get('segment') ?? '';
  const [mode, setMode] = useState('add');
  const [file, setFile] = useState(undefined);
  const [run, setRun] = useState(
    /** @returns {{ state: string, part?: number, result?: any, problem?: any }} */ () => ({ state: 'none' }),
  );
  const lists = data?.items ?? [];
  const chosen = lists.find((one) => one.id === segment);
  const restart = (change) => {
    setRun({ state: 'none' });
    change();
  };
  const go = async (isTrial) => {
    setRun({ state: isTrial ? 'trying' : 'importing', part: 0, result: run.result });
    try {
      const result = await send(segment, mode, file, isTrial, (part) =>
        setRun((before) => ({ ...before, part })),
      );
      setRun({ state: isTrial ? 'tried' : 'done', result });
      if (!isTrial)
        toast(
          `Imported into “${chosen.name}”: ${count(result.added)} added, ${count(result.removed)} removed.`,
        );
    } catch (failed) {
      setRun({ state: 'failed', problem: failed, result: failed.body?.rejected ? failed.body : undefined });
    }
  };
  const isBusy = run.state === 'trying' || run.state === 'importing';
  if (problem && !data) return html`<div class="page"><${ProblemBanner} problem=${problem} /></div>`;
  if (!data) return html`<div class="page"><${Loading} /></div>`;
  return html`
    <div class="page">
      <header class="page-head">
        <div>
          <h1>Imports</h1>
          <p class="lead">
            A file of user ids into a static list. It is tried first: you see what would become of each row
            before anything is changed.
          </p>
        </div>
      </header>
      ${lists.length === 0
        ? html`
            <div class="card">
              <${Empty}
                icon="import"
                title="There is no static list yet"
                action=${html`<a class="button primary" href="/segments/new?blank=1">New segment</a>`}
              >
                Create a segment of the kind “Static list” first.
              <//>
            </div>
          `
        : html`
            <div class="split">
              <section class="card" aria-label="Import">
                <div class="card-body stack">
                  <div class="field">
                    <label for="import-segment">Into the list</label>
                    <select
                      class="select"
                      id="import-segment"
                      value=${segment}
                      onChange=${(event) => restart(() => setQuery({ segment: event.target.value }))}
                    >
                      <option value="">Choose…</option>
                      ${lists.map(
                        (one) =>
                          html`
                            <option value=${one.id}>${one.name} (${plural(one.size ?? 0, 'member')})</option>
                          `,
                      )}
                    </select>
                  </div>
                  <div class="field">
                    <span class="label">What to do</span>
                    <div class="row">
                      <div class="segmented" role="group" aria-label="What to do">
                        ${Object.entries(MODES).map(
                          ([name, [text]]) =>
                            html`
                              <button
                                type="button"
                                aria-pressed=${String(mode === name)}
                                onClick=${() => restart(() => setMode(name))}
                              >
                                ${text}
                              </button>
                            `,
                        )}
                      </div>
                      <span class="small muted">${MODES[mode][1]}</span>
                    </div>
                  </div>
                  <${FileField} file=${file} onChange=${(next) => restart(() => setFile(next))} />
                  ${isBusy &&
                  html`
                    <div>
                      <progress max="1" value=${run.part} aria-label="Sent"></progress>
                      <p class="small muted">
                        ${(run.part ?? 0) < 1
                          ? `${Math.round((run.part ?? 0) * 100)}% sent`
                          : run.state === 'trying'
                            ? 'Looking at each row…'
                            : 'Importing…'}
                      </p>
                    </div>
                  `}
                  <div class="row">
                    <button
                      type="button"
                      class="button ${run.state === 'tried' ? '' : 'primary'}"
                      disabled=${!chosen || !file || isBusy}
                      onClick=${() => go(true)}
                    >
                      Try it
                    </button>
                    <button
                      type="button"
                      class="button ${run.state === 'tried' ? 'primary' : ''}"
                      disabled=${run.state !== 'tried' || run.result.accepted === 0}
                      onClick=${() => go(false)}
                    >
                      Import ${run.state === 'tried' ? plural(run.result.accepted, 'row') : ''}
                    </button>
                  </div>
                </div>
              </section>
              <section class="card" aria-label="Result">
                <div class="card-head">
                  <h2>${run.state === 'done' ? 'What was done' : 'What it would do'}</h2>
                </div>
                <div class="card-body stack"><${Result} run=${run} /></div>
              </section>
            </div>
            ${run.result?.rejected?.length > 0 && html`<${Rejected} result=${run.result} />`}
            ${run.state === 'done' &&
            html`
              <p>
                <a href="/segments/${encodeURIComponent(segment)}/members">
                  Show the members of ${chosen?.name}
                </a>
              </p>
            `}
          `}
    </div>
  `;
}

function FileField({ file, onChange }) {
  const [isOver, setOver] = useState(false);
  const onDrop = (event) => {
    event.preventDefault();
    setOver(false);
    if (event.dataTransfer.files[0]) onChange(event.dataTransfer.files[0]);
  };
  return html`
    <label
      class="drop-zone ${isOver ? 'over' : ''}"
      onDragOver=${(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave=${() => setOver(false)}
      onDrop=${onDrop}
    >
      <${Icon} name="import" />
      <input
        class="visually-hidden"
        type="file"
        accept=".csv,.txt,.json,text/csv,application/json"
        onChange=${(event) => onChange(event.target.files[0])}
      />
      ${file
        ? html`
            <strong>${file.name}</strong>
            <span class="small muted">${bytes(file.size)} · choose another</span>
          `
        : html`
            <strong>Choose a CSV file, or drop it here</strong>
            <span class="small muted">One user id a line, or a column userId; or a JSON list</span>
          `}
    </label>
  `;
}

function Result({ run }) {
  const { result, problem } = run;
  if (problem && !result) return html`<${ProblemBanner} problem=${problem} />`;
  if (!result) return html`<p class="muted">Choose a list and a file, then try it.</p>`;
  const rows = [
    ['Rows read', result.received],
    ['Fit', result.accepted],
    ['Would be added', result.added],
    ['Would be removed', result.removed],
    ['No change', result.unchanged],
    ['Twice in the file', result.duplicates],
    ['Faulty', result.rejectedCount ?? result.rejected?.length],
  ];
  const name = (text) =>
    run.state === 'done'
      ? text.replace('Would be added', 'Added').replace('Would be removed', 'Removed')
      : text;
  return html`
    ${problem && html`<${ProblemBanner} problem=${problem} />`}
    <dl class="facts">
      ${rows
        .filter(([, value]) => value !== undefined)
        .map(
          ([text, value]) =>
            html`
              <dt>${name(text)}</dt>
              <dd class="number ${text === 'Faulty' && value > 0 ? 'bad-text' : ''}">
                <strong>${count(value)}</strong>
              </dd>
            `,
        )}
    </dl>
  `;
}

function Rejected({ result }) {
  const total = result.rejectedCount ?? result.rejected.length;
  return html`
    <section class="card" aria-label="Faulty rows">
      <div class="card-head">
        <h2>${plural(total, 'faulty row')}</h2>
        ${total > result.rejected.length &&
        html`<span class="small muted">the first ${count(result.rejected.length)}</span>`}
      </div>
      <div class="table-wrap tall">
        <table>
          <thead>
            <tr>
              <th scope="col" class="end">Row</th>
              <th scope="col">Value</th>
              <th scope="col">What is wrong</th>
            </tr>
          </thead>
          <tbody>
            ${result.rejected
              .slice(0, 200)
              .map(
                (one) =>
                  html`
                    <tr>
                      <td class="end number">${count(one.row)}</td>
                      <td class="mono">
                        ${one.value === undefined
                          ? html`<span class="muted">none</span>`
                          : String(one.value).slice(0, 80)}
                      </td>
                      <td>${one.message}</td>
                    </tr>
                  `,
              )}
          </tbody>
        </table>
      </div>
    </section>
  `;
}
