// Every version with who, when and why; what differs between two; and the way back to one.
import { html, useState } from '../lib/html.js';
import { ask, path, read } from '../lib/api.js';
import { dateTime, plain, relative } from '../lib/format.js';
import { useLoad } from '../lib/load.js';
import { toast, toastProblem } from '../lib/toast.js';
import { describe } from '../rules/describe.js';
import { confirm } from '../parts/dialog.js';
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
  const rollback = async (version) => {
    const answer = await confirm({
      title: `Back to version ${version}?`,
      text: `A new version with the content of version ${version} is saved and takes effect at once. Nothing of the history is lost.`,
      confirm: 'Roll back',
      note: true,
    });
    if (!answer) return;
    try {
      const { data: saved } = await ask('POST', path`/api/segments/${segment.id}/rollback`, {
        etag,
        body: { version, ...(answer.note ? { note: answer.note } : {}) },
      });
      toast(`Version ${saved.version} has the content of version ${version}.`);
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
              <li key=${one.version}>
                <div class="spread">
                  <div>
                    <strong>Version ${one.version}</strong>${' '}
                    ${index === 0 && html`<span class="badge good">In force</span>`}
                    <div class="small muted">
                      <time datetime=${one.updatedAt} title=${dateTime(one.updatedAt)}>
                        ${relative(one.updatedAt)}
                      </time>
                      ${one.updatedBy ? ` by ${one.updatedBy}` : ''} · ${one.status?.toLowerCase()}
                    </div>
                  </div>
                  <div class="row">
                    ${index < versions.length - 1 &&
                    html`
                      <button
                        type="button"
                        class="button quiet small"
                        aria-pressed=${String(to === one.version)}
                        onClick=${() => setPair([versions[index + 1].version, one.version])}
                      >
                        Changes
                      </button>
                    `}
                    ${index > 0 &&
                    html`
                      <button type="button" class="button small" onClick=${() => rollback(one.version)}>
                        Roll back
                      </button>
                    `}
                  </div>
                </div>
                ${one.note && html`<p class="note">“${one.note}”</p>`}
                ${one.rules && html`<p class="small soft clamp">${describe(one.rules)}</p>`}
              </li>
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
              <select
                class="select narrow"
                aria-label="From version"
                value=${from}
                onChange=${(event) => setPair([Number(event.target.value), to])}
              >
                ${versions.map((one) => html`<option value=${one.version}>v${one.version}</option>`)}
              </select>
              <span class="muted">to</span>
              <select
                class="select narrow"
                aria-label="To version"
                value=${to}
                onChange=${(event) => setPair([from, Number(event.target.value)])}
              >
                ${versions.map((one) => html`<option value=${one.version}>v${one.version}</option>`)}
              </select>
            </div>
          </div>
          <div class="card-body"><${Diff} id=${segment.id} from=${from} to=${to} /></div>
        </section>
      `}
    </div>
  `;
}

const WORDS = { added: 'Added', removed: 'Removed', changed: 'Changed' };

/** A value of a difference: a node in words with its JSON, anything else as it is. */
function Value({ value, tone }) {
  const isNode = value !== null && typeof value === 'object' && !Array.isArray(value);
  const words = isNode ? describe(value) : undefined;
  return html`<div class=${tone}>${tone === 'before' ? '− ' : '+ '}${words ?? plain(value)}</div>`;
}

function Diff({ id, from, to }) {
  const { data, problem } = useLoad(
    (signal) => read(path`/api/segments/${id}/versions/${from}/diff/${to}`, signal),
    [id, from, to],
  );
  if (problem?.isMissingPath) return html`<${NotOffered} what="A comparison" />`;
  if (problem) return html`<${ProblemBanner} problem=${problem} />`;
  if (!data) return html`<${Loading} lines=${2} />`;
  if (data.changes.length === 0) return html`<p class="muted">These two say the same.</p>`;
  return html`
    <ul class="diff">
      ${data.changes.map(
        (change) => html`
          <li>
            <div class="spread">
              <strong>${WORDS[change.change] ?? change.change}</strong>
              <code class="muted">${change.pointer || '/'}</code>
            </div>
            ${change.before !== undefined && html`<${Value} value=${change.before} tone="before" />`}
            ${change.after !== undefined && html`<${Value} value=${change.after} tone="after" />`}
          </li>
        `,
      )}
    </ul>
  `;
}
