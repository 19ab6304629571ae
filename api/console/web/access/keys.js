// API keys: made, rotated, revoked. A key is shown once.
import { html, useState } from '../lib/html.js';
import { ask, path, read } from '../lib/api.js';
import { relative } from '../lib/format.js';
import { useLoad } from '../lib/load.js';
import { caller, may } from '../lib/session.js';
import { toastProblem } from '../lib/toast.js';
import { confirm } from '../parts/dialog.js';
import { Empty, Loading, ProblemBanner } from '../parts/feedback.js';
import { t } from '../texts/texts.js';
import { Once } from './once.js';

/** What no key may. */
const NEVER = ['key:write', 'member:write', 'tenant:write'];

export function Keys() {
  const { data, problem, reload } = useLoad((signal) => read('/api/keys', signal), [], { every: 5000 });
  const [key, setKey] = useState('');
  const act = async (method, url, body) => {
    try {
      const answer = await ask(method, url, { body });
      if (answer.data?.key) setKey(answer.data.key);
      reload();
    } catch (fault) {
      toastProblem(fault);
    }
  };
  return html`
    <div class="stack">
      <${ProblemBanner} problem=${problem} retry=${reload} />
      ${!data && !problem && html`<${Loading} />`}
      ${may('key:write') && html`<${NewKey} act=${act} />`}
      ${data?.items.length === 0 &&
      html`<${Empty} icon="key" title=${t('access.noKeyYet')}>${t('access.whatKeysAreFor')}<//>`}
      ${data?.items.length > 0 && html`<${KeyTable} items=${data.items} act=${act} />`}
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

function KeyTable({ items, act }) {
  const revoke = async (key) => {
    const question = {
      title: t('access.revokeName', { name: key.name }),
      text: t('access.whateverUsesItIsRefused'),
      confirm: t('access.revoke'),
      danger: true,
    };
    if (await confirm(question)) act('DELETE', path`/api/keys/${key.id}`);
  };
  return html`
    <div class="table-wrap">
      <table>
        <thead>
          <tr>
            <th scope="col">${t('common.name')}</th>
            <th scope="col">${t('access.kind')}</th>
            <th scope="col" class="narrow-hide">${t('access.lastUsed')}</th>
            <th scope="col">${t('access.what')}</th>
          </tr>
        </thead>
        <tbody>
          ${items.map(
            (key) => html`
              <tr key=${key.id}>
                <td title=${key.permissions.join(', ')}>${key.name}</td>
                <td>${key.kind === 'write' ? t('access.writeKey') : t('access.serverKey')}</td>
                <td class="narrow-hide">${key.usedAt ? relative(key.usedAt) : t('access.never')}</td>
                <td class="row">
                  ${may('key:write') &&
                  html`
                    <button
                      class="button small"
                      type="button"
                      onClick=${() => act('POST', path`/api/keys/${key.id}/rotate`)}
                    >
                      ${t('access.rotate')}
                    </button>
                    <button class="button small" type="button" onClick=${() => revoke(key)}>
                      ${t('access.revoke')}
                    </button>
                  `}
                </td>
              </tr>
            `,
          )}
        </tbody>
      </table>
    </div>
  `;
}
