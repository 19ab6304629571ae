// What a rule becomes: events feed measures, conditions ask them, and the plan joins the conditions.
import { html } from '../lib/html.js';
import { path, read } from '../lib/api.js';
import { count } from '../lib/format.js';
import { nameOf } from '../lib/vocabulary.js';
import { useLoad } from '../lib/load.js';
import { Loading, ProblemBanner } from '../parts/feedback.js';
import { describe, eventText, measureSubject, windowText } from '../rules/describe.js';
import { many, t } from '../texts/texts.js';
import { picture } from './pipeline-picture.js';

const LOGIC = { all: t('common.allOf'), any: t('common.anyOf'), none: t('common.noneOf') };

export function Pipeline({ segment }) {
  const { data, problem, reload } = useLoad(
    (signal) => read(path`/api/segments/${segment.id}/pipeline`, signal),
    [segment.id, segment.version],
    { keep: true },
  );
  if (problem) return html`<${ProblemBanner} problem=${problem} retry=${reload} />`;
  if (!data) return html`<${Loading} />`;
  if (!data.plan) return html`<p class="muted">${t('pipeline.aListHasNone')}</p>`;
  return html`
    <section class="card" aria-label=${t('pipeline.pipeline')}>
      <div class="card-head"><h2>${t('pipeline.whatTheRuleBecomes')}</h2></div>
      <div class="card-body">
        <p class="small muted">${costText(data.cost)}</p>
        <div class="pipeline-scroll" tabindex="0" role="group" aria-label=${t('pipeline.picture')}>
          <${Picture} pipeline=${data} segment=${segment} />
        </div>
        <p class="small muted">${sourcesText(data)}</p>
      </div>
    </section>
  `;
}

function Picture({ pipeline, segment }) {
  const { columns, edges, height } = picture(pipeline);
  const heads = [t('pipeline.events'), t('pipeline.measures'), t('pipeline.conditions'), t('pipeline.plan')];
  return html`
    <div class="pipeline">
      ${heads.map((head) => html`<div class="pipeline-title small muted">${head}</div>`)}
      <svg viewBox=${`0 0 100 ${height}`} preserveAspectRatio="none" style=${{ height }} aria-hidden="true">
        ${edges.map((edge) => html`<path key=${edge} d=${edge} />`)}
      </svg>
      ${columns.map(
        (boxes, column) => html`
          <ul aria-label=${heads[column]} style=${{ gridColumn: column + 1 }}>
            ${boxes.map((box) => html`<li key=${box.key}><${Box} ...${box} segment=${segment} /></li>`)}
          </ul>
        `,
      )}
    </div>
  `;
}

/** A box: its name, and a second line of smaller text. */
function Box({ event, measure, predicate, plan, segment }) {
  const [first, second] = event
    ? [eventText(event.eventType), many('pipeline.feeds', event.measures.length)]
    : measure
      ? [measureText(measure), measureCost(measure)]
      : predicate
        ? [`${predicate.id.slice(1)}. ${describe(predicate.condition)}`, sharedText(predicate.sharedBy)]
        : [planText(plan), segment.name];
  return html`
    <div class=${plan ? 'pipeline-box pipeline-plan' : 'pipeline-box'} title=${first}>
      <div>${first}</div>
      <div class="small muted">${second}</div>
    </div>
  `;
}

function measureText({ kind, definition, traits }) {
  if (traits.length > 0) return nameOf('trait', traits[0]);
  if (kind === 'trait') return nameOf('trait', definition.field);
  return 'event' in definition && !('operator' in definition)
    ? measureSubject(definition)
    : describe(definition);
}

function measureCost({ bytesPerUser, growsWith, sharedBy }) {
  const bytes = t('pipeline.bytesAUser', { bytes: count(bytesPerUser) });
  const more = growsWith ? ` ${t(`pipeline.grows.${growsWith}`)}` : '';
  return `${bytes}${more} · ${sharedText(sharedBy)}`;
}

const sharedText = (rules) => (rules > 1 ? many('pipeline.shared', rules) : t('pipeline.own'));

/** The plan in one line, its conditions by their numbers in the picture. */
function planText(plan) {
  if (plan.predicate) return plan.predicate.slice(1);
  const [[logic, parts]] = Object.entries(plan);
  return `${LOGIC[logic]} ${parts.map((part) => (part.predicate ? planText(part) : `(${planText(part)})`)).join(', ')}`;
}

function costText(cost) {
  return t('pipeline.cost', {
    bytes: count(cost.bytesPerUser),
    own: count(cost.ownBytesPerUser),
    measures: count(cost.measuresPerEvent),
    conditions: count(cost.predicatesPerEvent),
  });
}

function sourcesText({ sources, windows, historyFrom }) {
  const from = t('pipeline.sources', {
    sources: sources.map((source) => source.topic ?? source.name).join(', '),
  });
  const looks = windows.map((window) => windowText(window).trim()).join('; ');
  const history = historyFrom ? t('pipeline.historyFrom', { from: historyFrom }) : t('pipeline.allHistory');
  return [from, looks && t('pipeline.windows', { windows: looks }), history].filter(Boolean).join(' ');
}
