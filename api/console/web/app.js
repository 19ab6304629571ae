// The console: which page stands at which address.
import { html, render } from './lib/html.js';
import { location, match } from './lib/router.js';
import { LANGUAGE, zone } from './lib/settings.js';
import { useStore } from './lib/store.js';
import { segmentNames } from './lib/segment-names.js';
import { loadWords, vocabulary } from './lib/vocabulary.js';
import { Shell, useTitle } from './parts/shell.js';
import { Empty } from './parts/feedback.js';
import { AuditPage } from './pages/audit-page.js';
import { CampaignPage } from './pages/campaign-page.js';
import { CampaignsPage } from './pages/campaigns-page.js';
import { EditPage } from './pages/builder-page.js';
import { EventsPage } from './pages/events-page.js';
import { ImportsPage } from './pages/imports-page.js';
import { NewSegmentPage } from './pages/new-segment-page.js';
import { SegmentPage } from './pages/segment-page.js';
import { SegmentsPage } from './pages/segments-page.js';
import { SystemPage } from './pages/system-page.js';
import { TraitPage } from './pages/trait-page.js';
import { TraitsPage } from './pages/traits-page.js';
import { UserPage } from './pages/user-page.js';
import { UsersPage } from './pages/users-page.js';
import { AccessPage } from './pages/access-page.js';
import { JoinPage, SignInPage } from './pages/sign-in-page.js';
import { caller, loadCaller } from './lib/session.js';
import { t } from './texts/texts.js';

/** @type {[string, (given: any) => any][]} */
const PAGES = [
  ['/', SegmentsPage],
  ['/segments', SegmentsPage],
  ['/segments/new', NewSegmentPage],
  ['/segments/:id/edit', EditPage],
  ['/segments/:id', SegmentPage],
  ['/segments/:id/:tab', SegmentPage],
  ['/users', UsersPage],
  ['/users/:id', UserPage],
  ['/users/:id/:tab', UserPage],
  ['/traits', TraitsPage],
  ['/traits/new', TraitPage],
  ['/traits/:name', TraitPage],
  ['/campaigns', CampaignsPage],
  ['/campaigns/:tab', CampaignsPage],
  ['/campaign/:id', CampaignPage],
  ['/events', EventsPage],
  ['/events/:tab', EventsPage],
  ['/imports', ImportsPage],
  ['/audit', AuditPage],
  ['/system', SystemPage],
  ['/access', AccessPage],
  ['/access/:tab', AccessPage],
];

function NoPage() {
  useTitle(t('app.notFound'));
  return html`
    <div class="page">
      <${Empty}
        icon="search"
        title=${t('app.thereIsNoSuchPage')}
        action=${html`<a class="button" href="/segments">${t('app.toTheSegments')}</a>`}
      >
        ${t('app.theAddressMayBeMistypedOr')}
      <//>
    </div>
  `;
}

function App() {
  const { path, query } = useStore(location);
  // Every time on the page is drawn again in another zone.
  useStore(zone);
  // And so is every name, once people call it otherwise.
  useStore(vocabulary);
  useStore(segmentNames);
  const known = useStore(caller);
  if (path === '/join') return html`<${JoinPage} />`;
  if (known === null) return html`<${SignInPage} />`;
  for (const [pattern, Page] of PAGES) {
    const parameters = match(pattern, path);
    if (parameters) {
      // A page of another thing begins anew; a tab of the same does not.
      const { tab: _, ...thing } = parameters;
      const key = `${Page.name}${JSON.stringify(thing)}`;
      return html`<${Shell} path=${path}><${Page} key=${key} ...${parameters} query=${query} /><//>`;
    }
  }
  return html`<${Shell} path=${path}><${NoPage} /><//>`;
}

document.documentElement.lang = LANGUAGE;
const host = /** @type {HTMLElement} */ (document.getElementById('app'));
host.replaceChildren();
// A server that cannot be reached is told by the pages.
loadCaller().catch(() => undefined);
render(html`<${App} />`, host);
loadWords();
