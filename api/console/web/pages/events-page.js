// Events: as they come in, what they look like, and how to send them.
import { html } from '../lib/html.js';
import { useTitle } from '../parts/shell.js';
import { Connect } from '../events/connect.js';
import { Data } from '../events/data.js';
import { Debugger } from '../events/debugger.js';
import { RefusedMessages } from '../events/refused.js';
import { t } from '../texts/texts.js';

const TABS = {
  live: [t('events.live'), Debugger],
  refused: [t('events.refused'), RefusedMessages],
  data: [t('events.data'), Data],
  connect: [t('events.connectASender'), Connect],
};

export function EventsPage({ tab = 'live', query }) {
  const [title, Tab] = TABS[tab] ?? TABS.live;
  useTitle(tab === 'live' ? '' : title, t('common.events'));
  return html`
    <div class="page">
      <header class="page-head">
        <div><h1>${t('common.events')}</h1><p class="lead">${t('events.whatPeopleDo')}</p></div>
      </header>
      <nav class="tabs" aria-label=${t('events.partsOfEvents')}>
        ${Object.entries(TABS).map(
          ([name, [text]]) => html`
            <a
              href=${name === 'live' ? '/events' : `/events/${name}`}
              aria-current=${TABS[tab]?.[0] === text ? 'page' : undefined}
            >
              ${text}
            </a>
          `,
        )}
      </nav>
      <${Tab} asked=${query.get('show') ?? undefined} />
    </div>
  `;
}
