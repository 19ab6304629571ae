// API keys: made, rotated, revoked. A key is shown once.
import { html, useState } from '../lib/html.js';
import { acting } from '../lib/acting.js';
import { path, read } from '../lib/api.js';
import { relative } from '../lib/format.js';
import { useLoad } from '../lib/load.js';
import { caller, may } from '../lib/session.js';
import { confirm } from '../parts/dialog.js';
import { Empty } from '../parts/feedback.js';
import { Found, Listing } from '../parts/listing.js';
import { t } from '../texts/texts.js';
import { Once } from './once.js';

/** The permissions that no key may have. */
const NEVER = ['key:write', 'member:write', 'tenant:write'];

export function Keys() {
  const found = useLoad((signal) => read('/api/keys', signal), [], { every: 5000 });
  const [key, setKey] = useState('');
  const act = acting(found.reload, (data) => data?.key && setKey(data.key));
  const empty = html`<${Empty} icon="key" title=${t('access.noKeyYet')}>${t('access.whatKeysAreFor')}<//>`;
  return html`
    <div class="stack">
      ${may('key:write') && html`<${NewKey} act=${act} />`}
      <${Found} ...${found} empty=${empty}>
        ${(items) => html`<${Listing} items=${items} columns=${columnsFor(act)} keyOf=${(one) => one.id} />`}
      <//>
      ${key && html`<${Once} title=${t('access.theKey')} value=${key} onClose=${() => setKey('')} />`}
    </div>
  `;
}

function NewKey({ act }) {
  const [name, setName] = useState('');
  const [kind, setKind] = useState('write');
  const [chosen, setChosen] = useState(/** @type {string[]} */ ([]));
  const submit = (event) => {
    event.preventDefault();
    act('POST', '/api/keys', { name, kind, permissions: kind === 'server' ? chosen : [] });
    setName('');
  };
  const toggle = (permission) =>
    setChosen(
      chosen.includes(permission) ? chosen.filter((one) => one !== permission) : [...chosen, permission],
    );
  const offered = (caller.get()?.permissions ?? []).filter((permission) => !NEVER.includes(permission));
  return html`
    <form class="stack" onSubmit=${submit}>
      <div class="row">
        <input
          class="input"
          required
          maxlength="100"
          placeholder=${t('common.name')}
          aria-label=${t('access.nameOfTheKey')}
          value=${name}
          onInput=${(event) => setName(event.target.value)}
        />
        <select
          class="select"
          aria-label=${t('access.kind')}
          value=${kind}
          onChange=${(event) => setKind(event.target.value)}
        >
          <option value="write">${t('access.writeKey')}</option>
          <option value="server">${t('access.serverKey')}</option>
        </select>
        <button class="button primary" type="submit">${t('access.makeAKey')}</button>
      </div>
      ${kind === 'server' &&
      html`
        <fieldset class="row">
          <legend class="small">${t('access.permissions')}</legend>
          ${offered.map(
            (permission) => html`
              <label class="small nowrap" key=${permission}>
                <input
                  type="checkbox"
                  checked=${chosen.includes(permission)}
                  onChange=${() => toggle(permission)}
                />${' '}
                ${permission}
              </label>
            `,
          )}
        </fieldset>
      `}
    </form>
  `;
}

async function revoke(key, act) {
  const question = {
    title: t('access.revokeName', { name: key.name }),
    text: t('access.whateverUsesItIsRefused'),
    confirm: t('access.revoke'),
    danger: true,
  };
  if (await confirm(question)) act('DELETE', path`/api/keys/${key.id}`);
}

const acts = (key, act) => html`
  <button class="button small" type="button" onClick=${() => act('POST', path`/api/keys/${key.id}/rotate`)}>
    ${t('access.rotate')}
  </button>
  <button class="button small" type="button" onClick=${() => revoke(key, act)}>${t('access.revoke')}</button>
`;

const columnsFor = (act) => [
  {
    head: t('common.name'),
    cell: (key) => html`<span title=${key.permissions.join(', ')}>${key.name}</span>`,
  },
  {
    head: t('access.kind'),
    cell: (key) => (key.kind === 'write' ? t('access.writeKey') : t('access.serverKey')),
  },
  {
    head: t('access.lastUsed'),
    name: ['narrow-hide'],
    cell: (key) => (key.usedAt ? relative(key.usedAt) : t('access.never')),
  },
  { head: t('access.what'), tone: ['row'], cell: (key) => may('key:write') && acts(key, act) },
];
