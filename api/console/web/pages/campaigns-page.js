// The campaigns: what was sent to whom, a new one, and the mails that the sandbox kept.
import { html } from '../lib/html.js';
import { read } from '../lib/api.js';
import { relative } from '../lib/format.js';
import { useLoad } from '../lib/load.js';
import { may } from '../lib/session.js';
import { Inbox } from '../campaigns/inbox.js';
import { NewCampaign } from '../campaigns/new-campaign.js';
import { StatusBadge } from '../campaigns/status.js';
import { Empty } from '../parts/feedback.js';
import { Found, Listing } from '../parts/listing.js';
import { useTitle } from '../parts/shell.js';
import { t } from '../texts/texts.js';

const TABS = {
  all: [t('campaigns.campaigns'), List],
  new: [t('campaigns.newCampaign'), NewCampaign],
  inbox: [t('campaigns.sandbox'), Inbox],
};

export function CampaignsPage({ tab = 'all' }) {
  const [title, Tab] = TABS[tab] ?? TABS.all;
  useTitle(title);
  const shown = Object.entries(TABS).filter(
    ([name]) => (name !== 'new' || may('campaign:write')) && (name !== 'inbox' || may('pii:read')),
  );
  return html`
    <div class="page">
      <header class="page-head">
        <div><h1>${t('campaigns.campaigns')}</h1><p class="lead">${t('campaigns.mailsToTheMembers')}</p></div>
      </header>
      <nav class="tabs" aria-label=${t('campaigns.partsOfCampaigns')}>
        ${shown.map(
          ([name, [text]]) => html`
            <a
              href=${name === 'all' ? '/campaigns' : `/campaigns/${name}`}
              aria-current=${title === text ? 'page' : undefined}
            >
              ${text}
            </a>
          `,
        )}
      </nav>
      <${Tab} />
    </div>
  `;
}

const linkTo = (one) => `/campaign/${encodeURIComponent(one.id)}`;

const COLUMNS = [
  { head: t('common.name'), cell: (one) => html`<a class="title" href=${linkTo(one)}>${one.name}</a>` },
  { head: t('campaigns.status'), cell: (one) => html`<${StatusBadge} status=${one.status} />` },
  { head: t('campaigns.accepted'), name: ['end'], tone: ['number'], cell: (one) => one.stats.accepted ?? 0 },
  {
    head: t('common.changed'),
    name: ['narrow-hide'],
    tone: ['muted', 'nowrap'],
    cell: (one) => relative(one.updatedAt),
  },
];

function List() {
  const found = useLoad((signal) => read('/api/campaigns', signal), [], { every: 3000 });
  const empty = html`
    <${Empty}
      icon="mail"
      title=${t('campaigns.noCampaign')}
      action=${html`<a class="button primary" href="/campaigns/new">${t('campaigns.newCampaign')}</a>`}
    >
      ${t('campaigns.aCampaignSends')}
    <//>
  `;
  return html`
    <${Found} ...${found} empty=${empty}>
      ${(items) =>
        html`<${Listing} items=${items} columns=${COLUMNS} keyOf=${(one) => one.id} to=${linkTo} />`}
    <//>
  `;
}
