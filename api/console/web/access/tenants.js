// Tenants, for operators of the platform: made, given a quota, ended.
import { html, useState } from '../lib/html.js';
import { acting } from '../lib/acting.js';
import { path, read } from '../lib/api.js';
import { relative } from '../lib/format.js';
import { useLoad } from '../lib/load.js';
import { confirm } from '../parts/dialog.js';
import { Found, Listing } from '../parts/listing.js';
import { t } from '../texts/texts.js';
import { Once, wholeLink } from './once.js';

const STATUSES = {
  starting: t('access.starting'),
  ready: t('access.ready'),
  ending: t('access.ending'),
  elsewhere: t('access.elsewhere'),
};

export function Tenants() {
  const found = useLoad((signal) => read('/api/tenants', signal), [], { every: 2000 });
  const [link, setLink] = useState('');
  const act = acting(found.reload, (made) => made?.link && setLink(wholeLink(made.link)));
  return html`
    <div class="stack">
      <${NewTenant} act=${act} />
      <${Found} ...${found}>
        ${(items) => html`<${Listing} items=${items} columns=${columnsFor(act)} keyOf=${(one) => one.id} />`}
      <//>
      ${link &&
      html`<${Once} title=${t('access.linkOfTheInvitation')} value=${link} onClose=${() => setLink('')} />`}
    </div>
  `;
}

function NewTenant({ act }) {
  const [id, setId] = useState('');
  const [name, setName] = useState('');
  const [admin, setAdmin] = useState('');
  const submit = (event) => {
    event.preventDefault();
    act('POST', '/api/tenants', { id, name, admin });
    setId('');
    setName('');
    setAdmin('');
  };
  const input = (label, value, set, more) => html`
    <input
      class="input"
      required
      placeholder=${label}
      aria-label=${label}
      value=${value}
      onInput=${(event) => set(event.target.value)}
      ...${more}
    />
  `;
  return html`
    <form class="row" onSubmit=${submit}>
      ${input(t('access.idOfTheTenant'), id, setId, { pattern: '[a-z][a-z0-9\\-]{0,23}' })}
      ${input(t('common.name'), name, setName, { maxlength: '100' })}
      ${input(t('access.emailOfItsAdmin'), admin, setAdmin, { type: 'email' })}
      <button class="button primary" type="submit">${t('access.makeATenant')}</button>
    </form>
  `;
}

async function end(tenant, act) {
  const question = {
    title: t('access.endName', { name: tenant.name }),
    text: t('access.allItsDataAreRemoved'),
    confirm: t('access.end'),
    danger: true,
  };
  if (await confirm(question)) act('DELETE', path`/api/tenants/${tenant.id}`);
}

/** The tenant of the platform itself has no date, and stays. */
const isOfPlatform = (tenant) => !tenant.createdAt;

const columnsFor = (act) => [
  { head: t('access.idOfTheTenant'), cell: (tenant) => html`<code>${tenant.id}</code>` },
  { head: t('common.name'), name: ['narrow-hide'], cell: (tenant) => tenant.name },
  { head: t('access.status'), cell: (tenant) => STATUSES[tenant.status] ?? tenant.status },
  { head: t('access.members'), name: ['narrow-hide'], cell: (tenant) => tenant.members },
  { head: t('access.keys'), name: ['narrow-hide'], cell: (tenant) => tenant.keys },
  {
    head: t('access.requestsPerMinute'),
    name: ['narrow-hide'],
    cell: (tenant) => tenant.requestsPerMinute ?? t('access.asThePlatform'),
  },
  {
    head: t('access.eventsPerMinute'),
    name: ['narrow-hide'],
    cell: (tenant) => tenant.eventsPerMinute ?? t('access.asThePlatform'),
  },
  {
    head: t('access.since'),
    name: ['narrow-hide'],
    cell: (tenant) => (isOfPlatform(tenant) ? '' : relative(tenant.createdAt)),
  },
  {
    head: t('access.what'),
    cell: (tenant) =>
      !isOfPlatform(tenant) &&
      tenant.status !== 'ending' &&
      html`
        <button class="button small" type="button" onClick=${() => end(tenant, act)}>
          ${t('access.end')}
        </button>
      `,
  },
];
