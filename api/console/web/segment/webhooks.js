// Webhooks of a segment: targets, the state of their deliveries, and what to do if they fail.
import { html, useState } from '../lib/html.js';
import { ask, path, read } from '../lib/api.js';
import { count, relative } from '../lib/format.js';
import { useLoad } from '../lib/load.js';
import { toast, toastProblem } from '../lib/toast.js';
import { Dialog, confirm } from '../parts/dialog.js';
import { Empty, Loading, NotOffered, ProblemBanner, StateBadge } from '../parts/feedback.js';
import { Listing } from '../parts/listing.js';
import { Menu } from '../parts/menu.js';
import { t } from '../texts/texts.js';

const CHANGES = { entered: t('webhooks.entered'), left: t('webhooks.left') };

const DONE = {
  delete: t('webhooks.theWebhookIsDeleted'),
  pause: t('webhooks.theWebhookIsPaused'),
  resume: t('webhooks.theWebhookGoesOn'),
  test: t('webhooks.aTestWasSent'),
};

export function Webhooks({ segment }) {
  const { data, problem, reload } = useLoad((signal) => read('/api/webhooks', signal), [], { every: 5000 });
  const [form, setForm] = useState(undefined);
  const [secret, setSecret] = useState(undefined);
  if (problem?.isMissingPath)
    return html`<section class="card"><${NotOffered} what=${t('common.webhooks')} /></section>`;
  if (problem && !data) return html`<${ProblemBanner} problem=${problem} />`;
  if (!data) return html`<${Loading} />`;
  const own = data.items.filter((hook) => hook.segments.includes('*') || hook.segments.includes(segment.id));
  const act = async (hook, action) => {
    try {
      const url = path`/api/webhooks/${hook.id}`;
      const { data: answer } =
        action === 'delete' ? await ask('DELETE', url) : await ask('POST', `${url}/${action}`);
      if (action === 'rotate-secret') setSecret(answer.secret);
      else toast(DONE[action]);
      reload();
    } catch (failed) {
      toastProblem(failed);
    }
  };
  const done = (made) => {
    setForm(undefined);
    if (made.secret) setSecret(made.secret);
    reload();
  };
  return html`
    <section class="card" aria-label=${t('common.webhooks')}>
      <div class="card-head">
        <h2>${t('common.webhooks')}</h2>
        <button type="button" class="button small" onClick=${() => setForm({})}>
          ${t('webhooks.addWebhook')}
        </button>
      </div>
      <${Hooks} hooks=${own} act=${act} onForm=${setForm} />
      ${form &&
      html`
        <${HookForm}
          segment=${segment}
          hook=${form.hook}
          onClose=${() => setForm(undefined)}
          onDone=${done}
        />
      `}
      ${secret && html`<${Secret} secret=${secret} onClose=${() => setSecret(undefined)} />`}
    </section>
  `;
}

function Hooks({ hooks, act, onForm }) {
  const [shown, setShown] = useState(undefined);
  if (hooks.length === 0)
    return html`
      <${Empty}
        icon="hook"
        title=${t('webhooks.noWebhookHearsOfThisSegment')}
        action=${html`
          <button type="button" class="button primary" onClick=${() => onForm({})}>
            ${t('webhooks.addWebhook')}
          </button>
        `}
      >
        ${t('webhooks.aWebhookTellsAnotherSystemWho')}
      <//>
    `;
  return html`
    <ul class="list">
      ${hooks.map(
        (hook) => html`
          <${Hook}
            key=${hook.id}
            hook=${hook}
            act=${act}
            onEdit=${() => onForm({ hook })}
            isShown=${shown === hook.id}
            onShow=${() => setShown(shown === hook.id ? undefined : hook.id)}
          />
        `,
      )}
    </ul>
  `;
}

function Hook({ hook, act, onEdit, isShown, onShow }) {
  const remove = async () => {
    const answer = await confirm({
      title: t('webhooks.deleteThisWebhook'),
      text: t('webhooks.nothingIsSentToUrlAny', { url: hook.url }),
      confirm: t('common.delete'),
      danger: true,
    });
    if (answer) act(hook, 'delete');
  };
  const items = [
    { text: t('common.edit'), icon: 'edit', run: onEdit },
    hook.status === 'PAUSED'
      ? { text: t('webhooks.resume'), icon: 'play', run: () => act(hook, 'resume') }
      : { text: t('webhooks.pause'), icon: 'pause', run: () => act(hook, 'pause') },
    { text: t('webhooks.sendATest'), icon: 'arrow', run: () => act(hook, 'test') },
    { text: t('webhooks.newSecret'), icon: 'redo', run: () => act(hook, 'rotate-secret') },
    null,
    { text: t('common.deleteEllipsis'), icon: 'trash', danger: true, run: remove },
  ];
  return html`
    <li>
      <div class="spread">
        <div class="hook">
          <strong class="mono">${hook.url}</strong>${' '}
          <${StateBadge} state=${hook.status} />
          <${HookState} hook=${hook} />
        </div>
        <div class="row">
          <button type="button" class="button quiet small" aria-expanded=${String(isShown)} onClick=${onShow}>
            ${t('webhooks.deliveries')}
          </button>
          <${Menu} label=${t('webhooks.webhook')} small items=${items} />
        </div>
      </div>
      ${isShown && html`<${Deliveries} id=${hook.id} />`}
    </li>
  `;
}

/** The segments of a webhook, and the state of its deliveries. */
function HookState({ hook }) {
  const { delivered = 0, failed = 0, pending = 0, lastDeliveredAt, lastError } = hook.deliveries ?? {};
  return html`
    <div class="small muted">
      ${t('webhooks.descriptionValueValue2DeliveredDeliveredFailed', {
        description: hook.description ? `${hook.description} · ` : '',
        value: hook.segments.includes('*') ? t('webhooks.allSegments') : t('webhooks.thisSegment'),
        value2: hook.changes.map((one) => t(`webhooks.${one}Lower`)).join(` ${t('webhooks.and')} `),
        delivered: count(delivered),
        failed: count(failed),
        pending: count(pending),
        lastDeliveredAt: lastDeliveredAt
          ? ` ${t('webhooks.lastLastdeliveredat', { lastDeliveredAt: relative(lastDeliveredAt) })}`
          : '',
      })}
    </div>
    ${hook.pausedBecause &&
    html`
      <div class="small bad-text">
        ${t('webhooks.pausedPausedbecause', { pausedBecause: hook.pausedBecause })}
      </div>
    `}
    ${lastError && html`<div class="small bad-text">${lastError}</div>`}
  `;
}

function Secret({ secret, onClose }) {
  return html`
    <${Dialog}
      title=${t('webhooks.theSecretOfThisWebhook')}
      onClose=${onClose}
      foot=${html`
        <button type="button" class="button primary" onClick=${onClose}>${t('webhooks.iHaveKeptIt')}</button>
      `}
    >
      <p class="soft">${t('webhooks.everyMessageIsSignedWithIt')}</p>
      <code class="secret">${secret}</code>
    <//>
  `;
}

const outcome = (one) => html`
  <span class="badge ${one.delivered ? 'good' : 'bad'}">
    ${one.delivered ? t('webhooks.delivered') : t('webhooks.failed')}
  </span>${' '}
  ${one.status ?? ''}${' '}
  ${one.error ?? ''}
`;

const DELIVERY = [
  { head: t('webhooks.when'), tone: ['small', 'nowrap'], cell: (one) => relative(one.at) },
  { head: t('webhooks.outcome'), tone: ['small'], cell: outcome },
  {
    head: t('webhooks.changes'),
    name: ['end'],
    tone: ['number', 'small'],
    cell: (one) => count(one.changes),
  },
  {
    head: t('webhooks.attempt'),
    name: ['end'],
    tone: ['number', 'small'],
    cell: (one) => count(one.attempt),
  },
];

function Deliveries({ id }) {
  const { data, problem } = useLoad((signal) => read(path`/api/webhooks/${id}/deliveries`, signal), [id], {
    every: 5000,
  });
  if (problem) return html`<p class="small muted">${problem.message}</p>`;
  if (!data) return html`<${Loading} lines=${2} />`;
  if (data.items.length === 0) return html`<p class="small muted">${t('webhooks.nothingWasSentYet')}</p>`;
  return html`
    <${Listing}
      items=${data.items.slice(0, 20)}
      columns=${DELIVERY}
      keyOf=${(one) => `${one.at} ${one.attempt}`}
    />
  `;
}

/** A new webhook, or one that there is: where it goes, which changes, and whether any are sent. */
function HookForm({ segment, hook, onClose, onDone }) {
  const [url, setUrl] = useState(hook?.url ?? '');
  const [description, setDescription] = useState(hook?.description ?? '');
  const [changes, setChanges] = useState(hook?.changes ?? ['entered', 'left']);
  const [segments, setSegments] = useState(hook?.segments ?? [segment.id]);
  const [isActive, setActive] = useState(hook?.status !== 'PAUSED');
  const [problem, setProblem] = useState(undefined);
  const isAll = segments.includes('*');
  // The other segments of a webhook stay.
  const named = hook && !hook.segments.includes('*') ? hook.segments : [segment.id];
  const save = async () => {
    const body = { url, description, segments, changes };
    if (!hook) return (await ask('POST', '/api/webhooks', { body })).data;
    const own = path`/api/webhooks/${hook.id}`;
    const changed = (await ask('PATCH', own, { body, etag: `"${hook.version}"` })).data;
    if (isActive === (changed.status !== 'PAUSED')) return changed;
    return (await ask('POST', `${own}/${isActive ? 'resume' : 'pause'}`)).data;
  };
  const submit = async (event) => {
    event.preventDefault();
    try {
      onDone(await save());
    } catch (failed) {
      setProblem(failed);
    }
  };
  const toggle = (change) =>
    setChanges(changes.includes(change) ? changes.filter((one) => one !== change) : [...changes, change]);
  const name = hook ? t('webhooks.saveWebhook') : t('webhooks.addWebhook');
  return html`
    <${Dialog}
      title=${hook ? t('webhooks.editWebhook') : t('webhooks.addWebhook')}
      onClose=${onClose}
      foot=${html`
        <button type="button" class="button" onClick=${onClose}>${t('common.cancel')}</button>
        <button type="submit" form="hook" class="button primary" disabled=${changes.length === 0}>
          ${name}
        </button>
      `}
    >
      <form id="hook" class="stack" onSubmit=${submit}>
        <${ProblemBanner} problem=${problem} />
        <div class="field">
          <label for="hook-url">URL</label>
          <input
            class="input"
            id="hook-url"
            type="url"
            required
            autofocus
            placeholder="https://example.com/hooks/audience"
            value=${url}
            onInput=${(event) => setUrl(event.target.value)}
          />
        </div>
        <div class="field">
          <label for="hook-description">${t('webhooks.whatItIsFor')}</label>
          <input
            class="input"
            id="hook-description"
            maxlength="1000"
            value=${description}
            onInput=${(event) => setDescription(event.target.value)}
          />
        </div>
        <div class="row" role="group" aria-label=${t('webhooks.changesThatAreSent')}>
          ${Object.entries(CHANGES).map(
            ([change, text]) =>
              html`
                <label class="checkbox">
                  <input
                    type="checkbox"
                    checked=${changes.includes(change)}
                    onChange=${() => toggle(change)}
                  />
                  ${text}
                </label>
              `,
          )}
        </div>
        <label class="checkbox">
          <input type="checkbox" checked=${isAll} onChange=${() => setSegments(isAll ? named : ['*'])} />
          ${t('webhooks.ofAllSegmentsNotOnlyCount', {
            count:
              named.length > 1 ? t('webhooks.theseCount', { count: named.length }) : t('webhooks.thisOne'),
          })}
        </label>
        ${hook &&
        html`
          <label class="checkbox">
            <input type="checkbox" checked=${isActive} onChange=${() => setActive(!isActive)} />
            ${t('webhooks.activeChangesAreSent')}
          </label>
        `}
      </form>
    <//>
  `;
}
