// How the platform fares: throughput, lag, checkpoints, health.
import { html, useEffect, useRef, useState } from '../lib/html.js';
import { read } from '../lib/api.js';
import { bytes, compact, count, dateTime, span } from '../lib/format.js';
import { useLoad } from '../lib/load.js';
import { Trend } from '../parts/chart.js';
import { Loading, ProblemBanner } from '../parts/feedback.js';
import { useTitle } from '../parts/shell.js';

const EVERY = 2000;
const KEPT = 90;

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

/** How old the last checkpoint is, and how large. */
function checkpointTexts(checkpoint) {
  const { ageSeconds, sizeBytes, durationSeconds } = checkpoint ?? {};
  const took = durationSeconds === undefined ? '' : `, took ${span(durationSeconds)}`;
  return [
    ageSeconds === undefined ? 'none yet' : `${span(ageSeconds)} ago`,
    sizeBytes === undefined ? '' : `${bytes(sizeBytes)}${took}`,
  ];
}

export function SystemPage() {
  useTitle('System');
  const { data, problem, reload } = useLoad(load, [], { every: EVERY });
  const [past, setPast] = useState([]);
  const last = useRef(undefined);
  const system = data?.system;
  useEffect(() => {
    if (!system || last.current === system) return;
    last.current = system;
    setPast((before) => [...before.slice(1 - KEPT), { at: Date.now(), system }]);
  }, [system]);
  const line = (pick) => past.map((one) => ({ at: one.at, size: pick(one.system) ?? 0 }));
  if (!data)
    return html`
      <div class="page">
        <header class="page-head"><h1>System</h1></header>
        ${problem
          ? html`<${ProblemBanner} problem=${problem} retry=${reload} />`
          : html`<${Loading} lines=${6} />`}
      </div>
    `;
  const { health } = data;
  const { status, components = {}, ...more } = health;
  const parts = Object.entries({ ...more, ...components }).filter(
    ([, value]) => typeof value === 'object' && value !== null,
  );
  const tile = (title, value, under = '') =>
    html`
      <div class="tile">
        <dt>${title}</dt>
        <dd>${value}</dd>
        ${under && html`<dd class="under">${under}</dd>`}
      </div>
    `;
  return html`
    <div class="page">
      <header class="page-head">
        <div>
          <h1>System</h1>
          ${system &&
          html`
            <p class="lead">
              Version ${system.version}, up for ${span(system.uptimeSeconds)} since${' '}
              ${dateTime(system.startedAt)}
            </p>
          `}
        </div>
        <span class="badge ${status === 'UP' ? 'good' : 'bad'}">${status === 'UP' ? 'Healthy' : status}</span>
      </header>
      <${ProblemBanner} problem=${problem} />
      ${system &&
      html`
        <dl class="tiles">
          ${tile(
            'Events',
            `${compact(Math.round(system.events.perSecond))}/s`,
            `${count(system.events.accepted)} accepted, ${count(system.events.rejected)} refused`,
          )}
          ${tile(
            'Membership changes',
            `${compact(Math.round(system.changes.perSecond))}/s`,
            `${count(system.changes.total)} given out`,
          )}
          ${tile('Lag', span(Math.max(0, system.frontierLagSeconds ?? 0)), 'from now to what is served')}
          ${tile('Users', count(system.users), `${count(system.segments)} segments`)}
          ${tile('Checkpoint', ...checkpointTexts(system.checkpoint))}
          ${tile('Memory', bytes(system.memoryBytes), `${count(system.workers)} workers`)}
        </dl>
        <div class="halves">
          <${Trend}
            title="Events per second"
            points=${line((one) => one.events.perSecond)}
            say=${(value) => `${compact(Math.round(value))}/s`}
          />
          <${Trend}
            title="Membership changes per second"
            points=${line((one) => one.changes.perSecond)}
            say=${(value) => `${compact(Math.round(value))}/s`}
          />
          <${Trend} title="Lag" points=${line((one) => one.frontierLagSeconds)} say=${span} />
          <${Trend} title="Memory" points=${line((one) => one.memoryBytes)} say=${bytes} />
        </div>
      `}
      <section class="card" aria-label="Health">
        <div class="card-head">
          <h2>Parts</h2>
          <span class="row small"><a href="/metrics">Metrics</a><a href="/docs">API reference</a></span>
        </div>
        ${parts.length === 0
          ? html`<p class="card-body muted">No part is named.</p>`
          : html`
              <ul class="list">
                ${parts.map(
                  ([name, part]) =>
                    html`
                      <li class="spread">
                        <span>
                          <strong>${name}</strong>${' '}
                          <span class="small muted">
                            ${Object.entries(part.details ?? part)
                              .filter(([key]) => key !== 'status')
                              .map(
                                ([key, value]) =>
                                  `${key}: ${typeof value === 'object' ? JSON.stringify(value) : value}`,
                              )
                              .join(' · ')}
                          </span>
                        </span>
                        <span
                          class="badge ${part.status === 'UP' || part.status === undefined ? 'good' : 'bad'}"
                        >
                          ${part.status === 'UP' ? 'Up' : (part.status ?? '')}
                        </span>
                      </li>
                    `,
                )}
              </ul>
            `}
      </section>
    </div>
  `;
}
