// The state of the platform: throughput, lag, checkpoints, health.
import { html, useEffect, useRef, useState } from '../lib/html.js';
import { read } from '../lib/api.js';
import { bytes, compact, count, dateTime, span } from '../lib/format.js';
import { useLoad } from '../lib/load.js';
import { Trend } from '../parts/chart.js';
import { CurrencyCard } from '../parts/currency-card.js';
import { Loading, ProblemBanner } from '../parts/feedback.js';
import { useTitle } from '../parts/shell.js';
import { TimezoneCard } from '../parts/timezone-card.js';
import { t } from '../texts/texts.js';

const EVERY = 2000;
const HOUR = 3_600_000;

/** Health as any version of the server tells it. */
async function load(signal) {
  const [system, health] = await Promise.all([
    read('/api/system', signal).catch((problem) => {
      if (!problem.isMissingPath) throw problem;
      return undefined;
    }),
    read('/actuator/health', signal).catch((problem) => {
      if (problem.status === 503 && problem.body?.status) return problem.body;
      throw problem;
    }),
  ]);
  return { system, health };
}

/** The age and the size of the last checkpoint. */
function checkpointTexts(checkpoint) {
  const { ageSeconds, sizeBytes, durationSeconds } = checkpoint ?? {};
  const took =
    durationSeconds === undefined
      ? ''
      : t('system.tookDurationseconds', { durationSeconds: span(durationSeconds) });
  return [
    ageSeconds === undefined
      ? t('system.noneYet')
      : t('system.agesecondsAgo', { ageSeconds: span(ageSeconds) }),
    sizeBytes === undefined ? '' : `${bytes(sizeBytes)}${took}`,
  ];
}

function Tile({ title, value, under }) {
  return html`
    <div class="tile">
      <dt>${title}</dt>
      <dd>${value}</dd>
      ${under && html`<dd class="under">${under}</dd>`}
    </div>
  `;
}

const perSecond = (value) => `${compact(Math.round(value))}/s`;

function Tiles({ system }) {
  const { events, changes } = system;
  const [age, size] = checkpointTexts(system.checkpoint);
  return html`
    <dl class="tiles">
      <${Tile}
        title=${t('system.events')}
        value=${perSecond(events.perSecond)}
        under=${t('system.acceptedAcceptedRejectedRefused', {
          accepted: count(events.accepted),
          rejected: count(events.rejected),
        })}
      />
      <${Tile}
        title=${t('system.membershipChanges')}
        value=${perSecond(changes.perSecond)}
        under=${t('system.totalGivenOut', { total: count(changes.total) })}
      />
      <${Tile}
        title=${t('system.lag')}
        value=${span(Math.max(0, system.frontierLagSeconds ?? 0))}
        under=${t('system.fromNowToWhatIsServed')}
      />
      <${Tile}
        title=${t('common.users')}
        value=${count(system.users)}
        under=${t('system.segmentsSegments', { segments: count(system.segments) })}
      />
      <${Tile} title=${t('system.checkpoint')} value=${age} under=${size} />
      <${Tile}
        title=${t('system.memory')}
        value=${bytes(system.memoryBytes)}
        under=${t('system.workersWorkers', { workers: count(system.workers) })}
      />
    </dl>
  `;
}

/** A point of the last hour as the system tells itself now. */
const figuresOf = (point) => ({
  events: { perSecond: point.eventsPerSecond },
  changes: { perSecond: point.changesPerSecond },
  frontierLagSeconds: point.frontierLagSeconds,
  memoryBytes: point.memoryBytes,
});

/** The last hour, as far as the server has run. */
function Trends({ past }) {
  const line = (pick) => past.map((one) => ({ at: one.at, size: pick(one.system) ?? 0 }));
  return html`
    <div class="halves">
      <${Trend}
        title=${t('system.eventsPerSecond')}
        points=${line((one) => one.events.perSecond)}
        say=${perSecond}
      />
      <${Trend}
        title=${t('system.membershipChangesPerSecond')}
        points=${line((one) => one.changes.perSecond)}
        say=${perSecond}
      />
      <${Trend} title=${t('system.lag')} points=${line((one) => one.frontierLagSeconds)} say=${span} />
      <${Trend} title=${t('system.memory')} points=${line((one) => one.memoryBytes)} say=${bytes} />
    </div>
  `;
}

/** The details of a part in one line. That of the time zones ends with the version of their database. */
const detailText = (name, part) => {
  const details = part.details ?? part;
  if (name === 'timezones' && details.detail)
    return t('system.timeZones', { version: details.detail.split(' ').pop() });
  return Object.entries(details)
    .filter(([key]) => key !== 'status')
    .map(([key, value]) => `${key}: ${typeof value === 'object' ? JSON.stringify(value) : value}`)
    .join(' · ');
};

function Health({ parts }) {
  return html`
    <section class="card" aria-label=${t('system.health')}>
      <div class="card-head">
        <h2>${t('system.parts')}</h2>
        <span class="row small">
          <a href="/metrics">${t('system.metrics')}</a>
          <a href="/docs">${t('common.apiReference')}</a>
        </span>
      </div>
      ${parts.length === 0
        ? html`<p class="card-body muted">${t('system.noPartIsNamed')}</p>`
        : html`
            <ul class="list">
              ${parts.map(
                ([name, part]) => html`
                  <li class="spread" key=${name}>
                    <span>
                      <strong>${name}</strong>${' '}
                      <span class="small muted">${detailText(name, part)}</span>
                    </span>
                    <span class="badge ${part.status === 'UP' || part.status === undefined ? 'good' : 'bad'}">
                      ${part.status === 'UP' ? t('system.up') : (part.status ?? '')}
                    </span>
                  </li>
                `,
              )}
            </ul>
          `}
    </section>
  `;
}

/** The last hour as the server tells it, continued while the page is open. */
function usePast(system) {
  const [past, setPast] = useState([]);
  const last = useRef(undefined);
  useEffect(() => {
    const controller = new AbortController();
    read('/api/system/hour', controller.signal).then(
      ({ items }) =>
        setPast((now) => [
          ...items.map((one) => ({ at: new Date(one.at).getTime(), system: figuresOf(one) })),
          ...now,
        ]),
      () => undefined,
    );
    return () => controller.abort();
  }, []);
  useEffect(() => {
    if (!system || last.current === system) return;
    last.current = system;
    setPast((before) => [...before.filter((one) => one.at > Date.now() - HOUR), { at: Date.now(), system }]);
  }, [system]);
  return past;
}

export function SystemPage() {
  useTitle(t('common.system'));
  const { data, problem, reload } = useLoad(load, [], { every: EVERY });
  const system = data?.system;
  const past = usePast(system);
  if (!data)
    return html`
      <div class="page">
        <header class="page-head"><h1>${t('common.system')}</h1></header>
        ${problem
          ? html`<${ProblemBanner} problem=${problem} retry=${reload} />`
          : html`<${Loading} lines=${6} />`}
      </div>
    `;
  const { status, components = {}, ...more } = data.health;
  const parts = Object.entries({ ...more, ...components }).filter(
    ([, value]) => typeof value === 'object' && value !== null,
  );
  return html`
    <div class="page">
      <header class="page-head">
        <div>
          <h1>${t('common.system')}</h1>
          ${system &&
          html`
            <p class="lead">
              ${t('system.versionVersionUpForUptimesecondsSince', {
                version: system.version,
                uptimeSeconds: span(system.uptimeSeconds),
                startedAt: dateTime(system.startedAt),
              })}
            </p>
          `}
        </div>
        <span class="badge ${status === 'UP' ? 'good' : 'bad'}">
          ${status === 'UP' ? t('system.healthy') : status}
        </span>
      </header>
      <${ProblemBanner} problem=${problem} />
      ${system && html`<${Tiles} system=${system} /><${Trends} past=${past} />`}
      <${CurrencyCard} />
      <${TimezoneCard} />
      <${Health} parts=${parts} />
    </div>
  `;
}
