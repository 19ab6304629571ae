// The shapes of events and traits: how many, when last, which properties, and where types are mixed.
import { html, useState } from '../lib/html.js';
import { read } from '../lib/api.js';
import { count, percent, plain, relative } from '../lib/format.js';
import { useLoad } from '../lib/load.js';
import { typesText } from '../lib/vocabulary.js';
import { Sparkline } from '../parts/chart.js';
import { Empty, Loading, ProblemBanner } from '../parts/feedback.js';
import { Icon } from '../parts/icon.js';
import { Named } from '../parts/label-dialog.js';
import { mixedTypes } from './mixed.js';
import { many, t } from '../texts/texts.js';

const EVERY = 5000;
const HOUR = 3_600_000;

/** `asked` is the event whose properties are open at first. */
export function Data({ asked }) {
  const [open, setOpen] = useState(asked);
  const { data, problem, reload } = useLoad((signal) => read('/api/schema', signal), [], { every: EVERY });
  if (problem && !data) return html`<${ProblemBanner} problem=${problem} retry=${reload} />`;
  if (!data) return html`<${Loading} />`;
  if (data.events.length === 0) {
    return html`
      <${Empty}
        icon="event"
        title=${t('events.noEventYet')}
        action=${html`<a class="button" href="/events/connect">${t('events.sendTheFirst')}</a>`}
      >
        ${t('events.theirShapeShowsHere')}
      <//>
    `;
  }
  return html`
    <div class="stack">
      <section class="card" aria-label=${t('common.events')}>
        <div class="card-head"><h2>${many('events.kinds', data.events.length)}</h2></div>
        <div class="table-wrap">
          <table>
            <thead>
              <tr>
                <th scope="col">${t('events.event')}</th>
                <th scope="col" class="end">${t('events.seen')}</th>
                <th scope="col" class="end">${t('events.lastDay')}</th>
                <th scope="col" class="narrow-hide">${t('events.byHour')}</th>
                <th scope="col" class="narrow-hide">${t('events.last')}</th>
              </tr>
            </thead>
            <tbody>
              ${data.events.map(
                (event) => html`
                  <${Event}
                    key=${event.name}
                    event=${event}
                    isOpen=${open === event.name}
                    onToggle=${() => setOpen(open === event.name ? undefined : event.name)}
                  />
                `,
              )}
            </tbody>
          </table>
        </div>
        <p class="card-foot small muted">${t('events.countedFrom')}</p>
      </section>
      ${data.traits.length > 0 &&
      html`
        <section class="card" aria-label=${t('shell.traits')}>
          <div class="card-head"><h2>${many('events.traitsOfUsers', data.traits.length)}</h2></div>
          ${data.hiddenTraits.length > 0 &&
          html`
            <div class="banner warn small" role="note">
              <${Icon} name="warn" />
              <div class="body">${t('events.hiddenTraits', { names: data.hiddenTraits.join(', ') })}</div>
            </div>
          `}
          <${Fields} fields=${data.traits} kind="trait" />
        </section>
      `}
    </div>
  `;
}

/** The hours of the last day as a line; those without an event are there with none. */
function hourly(hours) {
  const last = Math.floor(Date.now() / HOUR) * HOUR;
  const byHour = new Map(hours.map((hour) => [new Date(hour.at).getTime(), hour.count]));
  return Array.from({ length: 24 }, (_, index) => last - (23 - index) * HOUR).map((at) => ({
    at,
    size: byHour.get(at) ?? 0,
  }));
}

function Event({ event, isOpen, onToggle }) {
  const ofDay = event.hours.reduce((sum, hour) => sum + hour.count, 0);
  const mixed = event.properties.filter(mixedTypes).length;
  return html`
    <tr>
      <td>
        <div class="opener">
          <button
            type="button"
            class="button quiet small icon-only"
            aria-expanded=${String(isOpen)}
            aria-label=${t('events.propertiesOf', { name: event.name })}
            onClick=${onToggle}
          >
            <span class="turn ${isOpen ? 'open' : ''}"><${Icon} name="chevron" /></span>
          </button>
          <${Named} kind="event" name=${event.name} isStrong />
        </div>
        ${mixed > 0 && html`<span class="badge warn">${many('events.mixedProperties', mixed)}</span>`}
      </td>
      <td class="end number">${count(event.count)}</td>
      <td class="end number">${count(ofDay)}</td>
      <td class="narrow-hide">
        <${Sparkline}
          points=${hourly(event.hours)}
          label=${t('events.byHourOfTheLastDay', { count: count(ofDay) })}
        />
      </td>
      <td class="narrow-hide muted nowrap">${event.lastSeenAt && relative(event.lastSeenAt)}</td>
    </tr>
    ${isOpen &&
    html`
      <tr>
        <td colspan="5">
          ${event.properties.length === 0
            ? html`<p class="muted">${t('events.itHasNoProperties')}</p>`
            : html`<${Fields} fields=${event.properties} of=${event.sampled} kind="property" />`}
        </td>
      </tr>
    `}
  `;
}

/** Properties or traits; `of` is the number of events in which they were looked for. */
function Fields({ fields, of, kind }) {
  return html`
    <div class="table-wrap">
      <table>
        <thead>
          <tr>
            <th scope="col">${t('events.name')}</th>
            <th scope="col">${t('events.type')}</th>
            <th scope="col" class="end">${t('events.seen')}</th>
            <th scope="col" class="narrow-hide">${t('events.last')}</th>
            <th scope="col" class="narrow-hide">${t('events.forExample')}</th>
          </tr>
        </thead>
        <tbody>
          ${fields.map((field) => html`<${Field} key=${field.name} field=${field} of=${of} kind=${kind} />`)}
        </tbody>
      </table>
    </div>
  `;
}

function Field({ field, of, kind }) {
  const seen = field.counts.reduce((sum, one) => sum + one, 0);
  const mixed = mixedTypes(field);
  // An event may have several objects in a list: they are no part of the events.
  const isOfLines = field.name.includes('[].');
  return html`
    <tr>
      <td><${Named} kind=${kind} name=${field.name} /></td>
      <td>${typesText(field.types)} ${mixed && html`<div><span class="badge warn">${mixed}</span></div>`}</td>
      <td class="end number">${of && !isOfLines ? percent(seen, of) : count(seen)}</td>
      <td class="narrow-hide muted nowrap">${field.lastSeenAt && relative(field.lastSeenAt)}</td>
      <td class="narrow-hide small soft">
        <span class="clamp">${field.examples.map(plain).join(', ')}</span>
      </td>
    </tr>
  `;
}
