// Events as they came in: what each says, and of a refused one the reason and the place.
import { html } from '../lib/html.js';
import { onlyClock, relative } from '../lib/format.js';
import { Icon } from '../parts/icon.js';
import { Properties } from '../user/properties.js';
import { t } from '../texts/texts.js';

/** A list of events as the server gives them. */
export function Intake({ items }) {
  return html`
    <ul class="list intake" aria-label=${t('events.newestFirst')}>
      ${items.map((item, index) => html`<${One} key=${`${item.at} ${index}`} item=${item} />`)}
    </ul>
  `;
}

function One({ item }) {
  const isAccepted = item.outcome === 'accepted';
  return html`
    <li>
      <span class="change ${isAccepted ? 'entered' : 'left'}">
        <${Icon} name=${isAccepted ? 'check' : 'close'} />
        <span class="visually-hidden">${isAccepted ? t('events.accepted') : t('events.refused')}</span>
      </span>
      <div>${isAccepted ? html`<${Accepted} event=${item.event} />` : html`<${Refused} item=${item} />`}</div>
      <time class="small muted number" datetime=${item.at} title=${relative(item.at)}>
        ${onlyClock(item.at)}
      </time>
    </li>
  `;
}

function Accepted({ event }) {
  const user = event.userId ?? event.anonymousId;
  return html`
    <div class="event-line">
      <strong>${event.eventType}</strong>
      ${user !== undefined && html`<a href="/users/${encodeURIComponent(user)}">${user}</a>`}
      <${Properties} values=${event.traits ?? event.properties} />
    </div>
  `;
}

/** The member that a pointer leads to, as people write it. */
export const memberOf = (pointer) =>
  pointer
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
    .join('.');

function Refused({ item }) {
  const member = memberOf(item.fault.pointer);
  return html`
    <div>
      <strong>${t('events.refusedWhy')}</strong>${' '}
      ${member && html`<code>${member}</code>`}${' '}
      ${item.fault.message}
    </div>
    <code class="small soft cut-text">${item.text}</code>
  `;
}
