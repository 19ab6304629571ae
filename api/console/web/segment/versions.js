// Every version with who, when and why; what differs between two; and the way back to one.
import { html, useState } from '../lib/html.js';
import { ask, path, read } from '../lib/api.js';
import { dateTime, relative } from '../lib/format.js';
import { useLoad } from '../lib/load.js';
import { toast, toastProblem } from '../lib/toast.js';
import { describe } from '../rules/describe.js';
import { confirm } from '../parts/dialog.js';
import { Diff } from '../parts/diff.js';
import { confirmEffect } from '../parts/effect-dialog.js';
import { Loading, NotOffered, ProblemBanner } from '../parts/feedback.js';

export function Versions({ segment, etag, reload }) {
  const { data, problem } = useLoad(
    (signal) => read(path`/api/segments/${segment.id}/versions`, signal),
    [segment.id, segment.version],
  );
  const [pair, setPair] = useState(undefined);
  if (problem?.isMissingPath)
    return html`<section class="card"><${NotOffered} what="The history of versions" /></section>`;
  if (problem) return html`<${ProblemBanner} problem=${problem} />`;
  if (!data) return html`<${Loading} />`;
  const versions = [...data.items].reverse();
  const [from, to] = pair ?? (versions.length > 1 ? [versions[1].version, versions[0].version] : []);
  const rollback = async (one) => {
    const answer = await askRollback(segment, one);
    if (!answer) return;
    try {
      const { data: saved } = await ask('POST', path`/api/segments/${segment.id}/rollback`, {
        etag,
        body: { version: one.version, ...(answer.note ? { note: answer.note } : {}) },
      });
      toast(`Version ${saved.version} has the content of version ${one.version}.`);
      setPair(undefined);
      reload();
    } catch (failed) {
      toastProblem(failed);
    }
  };
  return html`
    <div class="split even">
      <section class="card" aria-label="Versions">
        <div class="card-head"><h2>Versions</h2></div>
        <ol class="list versions">
          ${versions.map(
            (one, index) => html`
              <${Version}
                key=${one.version}
                version=${one}
                isInForce=${index === 0}
                isShown=${to === one.version}
                onChanges=${versions[index + 1] &&
                (() => setPair([versions[index + 1].version, one.version]))}
                onRollback=${index > 0 && (() => rollback(one))}
              />
            `,
          )}
        </ol>
      </section>
      ${from !== undefined &&
      html`
        <section class="card" aria-label="Differences">
          <div class="card-head">
            <h2>What changed</h2>
            <div class="row">
              <${VersionChoice}
                label="From version"
                value=${from}
                versions=${versions}
                onChange=${(next) => setPair([next, to])}
              />
              <span class="muted">to</span>
              <${VersionChoice}
                label="To version"
                value=${to}
                versions=${versions}
                onChange=${(next) => setPair([from, next])}
              />
            </div>
          </div>
          <div class="card-body"><${Diff} id=${segment.id} from=${from} to=${to} /></div>
        </section>
      `}
    </div>
  `;
}

/** Asks before a version comes back, with who enters and leaves by it. */
function askRollback(segment, one) {
  const question = {
    title: `Back to version ${one.version}?`,
    text: `A new version with the content of version ${one.version} is saved and takes effect at once. The history stays whole.`,
    confirm: 'Roll back',
    note: true,
  };
  if (!one.rules || segment.status !== 'ACTIVE') return confirm(question);
  return confirmEffect({ ...question, change: { segments: [{ segment, rules: one.rules }] } });
}

function VersionChoice({ label, value, versions, onChange }) {
  return html`
    <select
      class="select narrow"
      aria-label=${label}
      value=${value}
      onChange=${(event) => onChange(Number(event.target.value))}
    >
      ${versions.map((one) => html`<option value=${one.version}>v${one.version}</option>`)}
    </select>
  `;
}

/** One version; `onChanges` and `onRollback` are there where that can be done. */
function Version({ version: one, isInForce, isShown, onChanges, onRollback }) {
  return html`
    <li>
      <div class="spread">
        <div>
          <strong>Version ${one.version}</strong>${' '}
          ${isInForce && html`<span class="badge good">In force</span>`}
          <div class="small muted">
            <time datetime=${one.updatedAt} title=${dateTime(one.updatedAt)}>${relative(one.updatedAt)}</time>
            ${one.updatedBy ? ` by ${one.updatedBy}` : ''} · ${one.status?.toLowerCase()}
          </div>
        </div>
        <div class="row">
          ${onChanges &&
          html`
            <button
              type="button"
              class="button quiet small"
              aria-pressed=${String(isShown)}
              onClick=${onChanges}
            >
              Changes
            </button>
          `}
          ${onRollback &&
          html`<button type="button" class="button small" onClick=${onRollback}>Roll back</button>`}
        </div>
      </div>
      ${one.note && html`<p class="note">“${one.note}”</p>`}
      ${one.rules && html`<p class="small soft clamp">${describe(one.rules)}</p>`}
    </li>
  `;
}
