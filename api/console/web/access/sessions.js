// Who is signed in, and from where: one's own sessions, or everybody's for whoever sees members.
import { html } from '../lib/html.js';
import { acting } from '../lib/acting.js';
import { path, read } from '../lib/api.js';
import { relative } from '../lib/format.js';
import { useLoad } from '../lib/load.js';
import { caller } from '../lib/session.js';
import { useStore } from '../lib/store.js';
import { Empty } from '../parts/feedback.js';
import { Found, Listing } from '../parts/listing.js';
import { t } from '../texts/texts.js';

const thisOne = () => html`${' '}<span class="badge accent">${t('access.thisOne')}</span>`;

const byTokens = () => html`${' '}<span class="badge">${t('access.byTokens')}</span>`;

const columnsFor = (act) => [
  {
    head: t('access.email'),
    cell: (session) => [session.email, session.current && thisOne(), session.program && byTokens()],
  },
  { head: t('access.address'), cell: (session) => session.address },
  { head: t('access.program'), name: ['narrow-hide'], cell: (session) => session.agent },
  { head: t('access.lastUsed'), cell: (session) => relative(session.usedAt) },
  {
    head: t('access.what'),
    cell: (session) => html`
      <button
        class="button small"
        type="button"
        onClick=${() => act('DELETE', path`/api/sessions/${session.id}`)}
      >
        ${t('access.end')}
      </button>
    `,
  },
];

/** Lets a member with a password tie it to the provider of identities, by signing in there now. */
function Tie() {
  const { data } = useLoad((signal) => read('/api/auth/ways', signal), []);
  const { member } = useStore(caller) ?? {};
  if (!data?.provider || !member || member.provided) return null;
  return html`
    <div class="row">
      <button class="button" type="button" onClick=${() => window.location.assign(data.provider.start)}>
        ${t('access.tieToLabel', { label: data.provider.label })}
      </button>
    </div>
  `;
}

export function Sessions() {
  const found = useLoad((signal) => read('/api/sessions', signal), [], { every: 5000 });
  const columns = columnsFor(acting(found.reload));
  const empty = html`<${Empty} icon="user" title=${t('access.nobodyIsSignedIn')} />`;
  return html`
    <div class="stack">
      <${Tie} />
      <${Found} ...${found} empty=${empty}>
        ${(items) => html`<${Listing} items=${items} columns=${columns} keyOf=${(one) => one.id} />`}
      <//>
    </div>
  `;
}
