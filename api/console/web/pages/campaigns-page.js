// The campaigns: what was sent to whom, a new one, and the mails that the sandbox kept.
import { html } from '../lib/html.js';
import { read } from '../lib/api.js';
import { relative } from '../lib/format.js';
import { useLoad } from '../lib/load.js';
import { may } from '../lib/session.js';
import { Inbox } from '../campaigns/inbox.js';
import { NewCampaign } from '../campaigns/new-campaign.js';
import { StatusBadge } from '../campaigns/status.js';
import { Empty, Loading, ProblemBanner } from '../parts/feedback.js';
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

function List() {
  const { data, problem, reload } = useLoad((signal) => read('/api/campaigns', signal), [], { every: 3000 });
  return html`
    <${ProblemBanner} problem=${problem} retry=${reload} />
    ${!data && !problem && html`<${Loading} />`}
    ${data?.items.length === 0 &&
    html`
      <${Empty}
        icon="mail"
        title=${t('campaigns.noCampaign')}
        action=${html`<a class="button primary" href="/campaigns/new">${t('campaigns.newCampaign')}</a>`}
      >
        ${t('campaigns.aCampaignSends')}
      <//>
    `}
    ${data?.items.length > 0 &&
    html`
      <div class="table-wrap">
        <table>
          <thead>
            <tr>
              <th scope="col">${t('common.name')}</th>
              <th scope="col">${t('campaigns.status')}</th>
              <th scope="col" class="end">${t('campaigns.accepted')}</th>
              <th scope="col" class="narrow-hide">${t('common.changed')}</th>
            </tr>
          </thead>
          <tbody>
            ${data.items.map(
              (one) => html`
                <tr key=${one.id}>
                  <td><a class="title" href=${`/campaign/${encodeURIComponent(one.id)}`}>${one.name}</a></td>
                  <td><${StatusBadge} status=${one.status} /></td>
                  <td class="end number">${one.stats.accepted ?? 0}</td>
                  <td class="narrow-hide muted nowrap">${relative(one.updatedAt)}</td>
                </tr>
              `,
            )}
          </tbody>
        </table>
      </div>
    `}
  `;
}
