// The preview: how many, who comes, who goes, and who is in only because something is not known.
import { html } from '../lib/html.js';
import { count, percent, signed } from '../lib/format.js';
import { connection } from '../lib/api.js';
import { useStore } from '../lib/store.js';
import { Icon } from '../parts/icon.js';
import { sentenceOf } from '../lib/sentences.js';
import { many, t } from '../texts/texts.js';

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
        html`
          <li class="muted">
            ${t('previewPanel.andTotalMore', { total: count(total - Math.min(8, users.length)) })}
          </li>
        `}
      </ul>
    </div>
  `;
}

/** Some users by their links, after what is said of them. */
function Names({ users }) {
  return users.map(
    (user, index) => html`
      ${index === 0 ? ': ' : ', '}
      <a href="/users/${encodeURIComponent(user)}" target="_blank" rel="noopener">${user}</a>
    `,
  );
}

/** Names and values that never came, in the words of the server: most often mistakes. */
function Warnings({ warnings }) {
  return html`
    <div class="banner warn small">
      <${Icon} name="warn" />
      <div class="body">${warnings.map((one) => html`<div key=${one.pointer}>${sentenceOf(one)}</div>`)}</div>
    </div>
  `;
}

function Result({ result, isEdit }) {
  const { size, entered, left, users, missingOnly, warnings } = result;
  const stayed = Math.max(0, size - entered);
  const all = Math.max(1, stayed + entered + left);
  return html`
    <div class="preview-size">
      <span class="number">${count(size)}</span>
      <span class="muted">
        ${users === undefined
          ? t('previewPanel.users')
          : t('previewPanel.ofUsersSize', { users: many('count.user', users), size: percent(size, users) })}
      </span>
    </div>
    ${users > 0 &&
    html`
      <div
        class="bar"
        role="img"
        aria-label=${t('previewPanel.sizeOfAllUsers', { size: percent(size, users) })}
      >
        <span style=${{ width: `${(100 * size) / users}%` }}></span>
      </div>
    `}
    ${isEdit &&
    html`
      <dl class="preview-change">
        <div>
          <dt>${t('previewPanel.enter')}</dt>
          <dd class="number ${entered > 0 ? 'up' : 'muted'}">${signed(entered)}</dd>
        </div>
        <div>
          <dt>${t('previewPanel.leave')}</dt>
          <dd class="number ${left > 0 ? 'down' : 'muted'}">${signed(-left)}</dd>
        </div>
        <div><dt>${t('previewPanel.stay')}</dt><dd class="number">${count(stayed)}</dd></div>
      </dl>
      <div class="bar" aria-hidden="true">
        <span style=${{ width: `${(100 * stayed) / all}%` }}></span>
        <span class="in" style=${{ width: `${(100 * entered) / all}%` }}></span>
        <span class="out" style=${{ width: `${(100 * left) / all}%` }}></span>
      </div>
    `}
    ${warnings?.length > 0 && html`<${Warnings} warnings=${warnings} />`}
    ${missingOnly?.size > 0 &&
    html`
      <div class="banner warn small">
        <${Icon} name="info" />
        <div class="body">
          <strong>${count(missingOnly.size)}</strong>${' '}
          ${t('previewPanel.matchOnlyBecauseAValueIs')}
          <${Names} users=${missingOnly.sample?.slice(0, 3) ?? []} />
        </div>
      </div>
    `}
    <div class="preview-samples">
      <${Sample}
        title=${isEdit ? t('previewPanel.wouldEnter') : t('previewPanel.forExample')}
        users=${result.sampleEntered}
        total=${entered}
      />
      <${Sample} title=${t('previewPanel.wouldLeave')} users=${result.sampleLeft} total=${left} />
    </div>
    ${result.tookMilliseconds !== undefined &&
    html`
      <p class="small muted">
        ${t('previewPanel.exactComputedInTookmillisecondsMsHistoryscanned', {
          tookMilliseconds: result.tookMilliseconds < 1 ? '<1' : count(Math.round(result.tookMilliseconds)),
          historyScanned: result.historyScanned ? ` ${t('previewPanel.overAllHistory')}` : '',
        })}
      </p>
    `}
  `;
}

/** The fault that keeps the rules from being counted; the last count stays below, marked as old. */
function Incomplete({ text, view, isEdit }) {
  return html`
    <div class="stack tight">
      <div class="banner warn">
        <${Icon} name="warn" />
        <div class="body">${t('previewPanel.notCompleteYetText', { text })}</div>
      </div>
      ${view.result && html`<div class="old"><${Result} result=${view.result} isEdit=${isEdit} /></div>`}
    </div>
  `;
}

function Progress({ done, total, phase }) {
  return html`
    <p class="soft">${t('previewPanel.readingHistoryPhase', { phase: phase ? ` (${phase})` : '' })}</p>
    <progress max=${total || 1} value=${done} aria-label=${t('previewPanel.historyRead')}></progress>
    <p class="small muted">${t('previewPanel.doneOfTotal', { done: count(done), total: count(total) })}</p>
  `;
}

function PanelBody({ view, isEdit, isReady, unread }) {
  if (!isReady) return html`<p class="muted">${t('previewPanel.addAConditionToSeeWho')}</p>`;
  if (unread !== undefined) return html`<${Incomplete} text=${unread} view=${view} isEdit=${isEdit} />`;
  if (view.state === 'absent') return html`<p class="muted">${t('previewPanel.thisServerHasNoPreview')}</p>`;
  if (view.progress && view.isOld) return html`<${Progress} ...${view.progress} />`;
  if (view.problem && view.faults.length > 0) {
    const [first, ...others] = view.faults;
    const text = others.length === 0 ? sentenceOf(first) : `${many('count.fault', view.faults.length)}.`;
    return html`<${Incomplete} text=${text} view=${view} isEdit=${isEdit} />`;
  }
  if (view.problem) {
    return html`
      <div class="banner bad"><${Icon} name="warn" /><div class="body">${view.problem.message}</div></div>
    `;
  }
  if (!view.result) {
    return html`
      <div class="stack" role="status" aria-label=${t('previewPanel.asking')}>
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

/** True if the count follows every event now. */
function Light({ view, unread }) {
  const { up } = useStore(connection);
  if (!up) return html`<span class="dot bad"></span> ${t('previewPanel.noConnection')}`;
  if (view.state !== 'done' || view.isOld || unread !== undefined) return null;
  return html`<span class="dot good"></span> ${t('previewPanel.live')}`;
}

export function PreviewPanel({ view, isEdit, isReady, unread }) {
  return html`
    <section class="card preview" aria-label=${t('previewPanel.preview')}>
      <div class="card-head">
        <h2>${t('previewPanel.preview')}</h2>
        <span class="small muted"><${Light} view=${view} unread=${unread} /></span>
      </div>
      <div class="card-body" aria-live="polite" aria-busy=${String(view.isOld)}>
        <${PanelBody} view=${view} isEdit=${isEdit} isReady=${isReady} unread=${unread} />
      </div>
    </section>
  `;
}
