// Who may come in: members and invitations, API keys, tenants, sessions.
import { html } from '../lib/html.js';
import { caller, may } from '../lib/session.js';
import { useStore } from '../lib/store.js';
import { Keys } from '../access/keys.js';
import { Members } from '../access/members.js';
import { Sessions } from '../access/sessions.js';
import { Tenants } from '../access/tenants.js';
import { useTitle } from '../parts/shell.js';
import { t } from '../texts/texts.js';

const TABS = [
  ['members', t('access.members'), Members, 'member:read'],
  ['keys', t('access.keys'), Keys, 'key:read'],
  ['tenants', t('access.tenants'), Tenants, 'tenant:write'],
  ['sessions', t('access.sessions'), Sessions],
];

export function AccessPage({ tab }) {
  useTitle(t('access.access'));
  useStore(caller);
  const shown = TABS.filter(([, , , permission]) => !permission || may(permission));
  const [name, , Tab] = shown.find(([known]) => known === tab) ?? shown[0];
  return html`
    <div class="page">
      <header class="page-head">
        <div><h1>${t('access.access')}</h1><p class="lead">${t('access.whoMayComeIn')}</p></div>
      </header>
      <nav class="tabs" aria-label=${t('access.access')}>
        ${shown.map(
          ([known, text]) =>
            html`<a href="/access/${known}" aria-current=${known === name ? 'page' : undefined}>${text}</a>`,
        )}
      </nav>
      <${Tab} />
    </div>
  `;
}
