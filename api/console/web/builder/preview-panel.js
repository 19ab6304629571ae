// What the preview says: how many, who comes, who goes, and who is in it only because something is not known.
import { html } from '../lib/html.js';
import { count, percent, plural, signed } from '../lib/format.js';
import { connection } from '../lib/api.js';
import { useStore } from '../lib/store.js';
import { Icon } from '../parts/icon.js';

function Sample({ title, users, total }) {
  if (!users?.length) return null;
  return html`
    <div>
      <h3>${title}</h3>
      <ul class="sample-users">
        ${users
          .slice(0, 8)
          .map(
            (user) =>
              html`
                <li>
                  <a href="/users/${encodeURIComponent(user)}" target="_blank" rel="noopener">${user}</a>
                </li>
              `,
          )}
        ${total > Math.min(8, users.length) &&
        html`<li class="muted">and ${count(total - Math.min(8, users.length))} more</li>`}
      </ul>
    </div>
  `;
}

function Result({ result, isEdit }) {
  const { size, entered, left, users, missingOnly } = result;
  const stayed = Math.max(0, size - entered);
  const all = Math.max(1, stayed + entered + left);
  return html`
    <div class="preview-size">
      <span class="number">${count(size)}</span>
      <span class="muted">
        ${users === undefined ? 'users' : `of ${plural(users, 'user')} · ${percent(size, users)}`}
      </span>
    </div>
    ${users > 0 &&
    html`
      <div class="bar" role="img" aria-label="${percent(size, users)} of all users">
        <span style=${{ width: `${(100 * size) / users}%` }}></span>
      </div>
    `}
    ${isEdit &&
    html`
      <dl class="preview-change">
        <div><dt>enter</dt><dd class="number ${entered > 0 ? 'up' : 'muted'}">${signed(entered)}</dd></div>
        <div><dt>leave</dt><dd class="number ${left > 0 ? 'down' : 'muted'}">${signed(-left)}</dd></div>
        <div><dt>stay</dt><dd class="number">${count(stayed)}</dd></div>
      </dl>
      <div class="bar" aria-hidden="true">
        <span style=${{ width: `${(100 * stayed) / all}%` }}></span>
        <span class="in" style=${{ width: `${(100 * entered) / all}%` }}></span>
        <span class="out" style=${{ width: `${(100 * left) / all}%` }}></span>
      </div>
    `}
    ${missingOnly?.size > 0 &&
    html`
      <div class="banner warn small">
        <${Icon} name="info" />
        <div class="body">
          <strong>${count(missingOnly.size)}</strong> match only because a value is missing
          ${missingOnly.sample?.length
            ? html`
                , such as${' '}
                ${missingOnly.sample
                  .slice(0, 3)
                  .map(
                    (user, index) =>
                      html`
                        ${index > 0 && ', '}
                        <a href="/users/${encodeURIComponent(user)}" target="_blank" rel="noopener">
                          ${user}
                        </a>
                      `,
                  )}
              `
            : ''}
          .
        </div>
      </div>
    `}
    <div class="preview-samples">
      <${Sample}
        title=${isEdit ? 'Would enter' : 'For example'}
        users=${result.sampleEntered}
        total=${entered}
      />
      <${Sample} title="Would leave" users=${result.sampleLeft} total=${left} />
    </div>
    ${result.tookMilliseconds !== undefined &&
    html`
      <p class="small muted">
        Exact, computed in ${result.tookMilliseconds < 1 ? '<1' : count(Math.round(result.tookMilliseconds))}${' '}
        ms${result.historyScanned ? ' over all history' : ''}
      </p>
    `}
  `;
}

/** What keeps the rules from being counted; the last count stays below, as an old one. */
function Incomplete({ text, view, isEdit }) {
  return html`
    <div class="stack tight">
      <div class="banner warn"><${Icon} name="warn" /><div class="body">Not complete yet: ${text}</div></div>
      ${view.result && html`<div class="old"><${Result} result=${view.result} isEdit=${isEdit} /></div>`}
    </div>
  `;
}

function Progress({ done, total, phase }) {
  return html`
    <p class="soft">Reading history${phase ? ` (${phase})` : ''}…</p>
    <progress max=${total || 1} value=${done} aria-label="History read"></progress>
    <p class="small muted">${count(done)} of ${count(total)}</p>
  `;
}

function PanelBody({ view, isEdit, isReady, unread }) {
  if (!isReady) return html`<p class="muted">Add a condition to see who is meant.</p>`;
  if (unread !== undefined) return html`<${Incomplete} text=${unread} view=${view} isEdit=${isEdit} />`;
  if (view.state === 'absent') return html`<p class="muted">This server has no preview.</p>`;
  if (view.progress && view.isOld) return html`<${Progress} ...${view.progress} />`;
  if (view.problem && view.faults.length > 0) {
    const [first, ...others] = view.faults;
    const text = others.length === 0 ? `${first.message}.` : `${plural(view.faults.length, 'fault')}.`;
    return html`<${Incomplete} text=${text} view=${view} isEdit=${isEdit} />`;
  }
  if (view.problem) {
    return html`
      <div class="banner bad"><${Icon} name="warn" /><div class="body">${view.problem.message}</div></div>
    `;
  }
  if (!view.result) {
    return html`
      <div class="stack" role="status" aria-label="Asking">
        <div class="skeleton preview-skeleton"></div>
        <div class="skeleton"></div>
      </div>
    `;
  }
  return html`
    <div class=${view.isOld ? 'old' : ''}>
      <div class="stack tight"><${Result} result=${view.result} isEdit=${isEdit} /></div>
    </div>
  `;
}

/** Whether the count follows every event now. */
function Light({ view, unread }) {
  const { up } = useStore(connection);
  if (!up) return html`<span class="dot bad"></span> no connection`;
  if (view.state !== 'done' || view.isOld || unread !== undefined) return null;
  return html`<span class="dot good"></span> live`;
}

export function PreviewPanel({ view, isEdit, isReady, unread }) {
  return html`
    <section class="card preview" aria-label="Preview">
      <div class="card-head">
        <h2>Preview</h2>
        <span class="small muted"><${Light} view=${view} unread=${unread} /></span>
      </div>
      <div class="card-body" aria-live="polite" aria-busy=${String(view.isOld)}>
        <${PanelBody} view=${view} isEdit=${isEdit} isReady=${isReady} unread=${unread} />
      </div>
    </section>
  `;
}
