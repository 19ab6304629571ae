// Why a user is in a segment, or not: each condition with what was found, and when it will change by itself.
import { html, useState } from '../lib/html.js';
import { path, query, read } from '../lib/api.js';
import { count, dateTime, plain, relative, span, zoneName } from '../lib/format.js';
import { useLoad } from '../lib/load.js';
import { zone } from '../lib/settings.js';
import { useStore } from '../lib/store.js';
import { fieldOf, instantOf } from '../lib/zones.js';
import { isAmount, isAmountMeasure, money, nameOf } from '../lib/vocabulary.js';
import { describe } from '../rules/describe.js';
import { isNumber } from '../rules/exact.js';
import { valueAt } from '../rules/pointers.js';
import { Loading, NotOffered, ProblemBanner, stateText } from '../parts/feedback.js';
import { Icon } from '../parts/icon.js';
import { InstantField } from '../parts/instant-field.js';
import { Properties } from './properties.js';
import { reasonOf } from './reasons.js';
import { many, t } from '../texts/texts.js';

const WORDS = {
  all: t('explanation.allOfThese'),
  any: t('explanation.anyOfThese'),
  not: t('explanation.noneOfThese'),
};
const EVERY = 5000;

export function Explanation({ user, segment }) {
  const [instant, setInstant] = useState(undefined);
  const { data, problem } = useLoad(
    (signal) => read(path`/api/users/${user}/segments/${segment}/explain` + query({ at: instant }), signal),
    [user, segment, instant],
    { every: instant ? undefined : EVERY },
  );
  const ruleOf = useRules(data);
  if (problem?.isMissingPath) return html`<${NotOffered} what=${t('explanation.anExplanation')} />`;
  return html`
    <div class="stack tight explanation">
      ${data && html`<${Headline} data=${data} instant=${instant} />`}
      ${data?.status && data.status !== 'ACTIVE' && html`<${NotActive} status=${data.status} />`}
      ${data?.inForce === false &&
      html`<p class="small soft">${t('explanation.thisVersionWasNotThereYet')}</p>`}
      <${ProblemBanner} problem=${problem} />
      ${!data && !problem && html`<${Loading} lines=${2} />`}
      ${data?.node &&
      html`
        <ul class="explain">
          <${Verdict} node=${data.node} at=${instant && data.at} segment=${segment} ruleOf=${ruleOf} />
        </ul>
      `}
      <${AsOf} instant=${instant} onChange=${setInstant} />
      ${instant && html`<p class="small soft">${t('explanation.theTraitsOnThisPageAre')}</p>`}
    </div>
  `;
}

/** The answer, of which version and instant it is, and when time alone changes it. */
function Headline({ data, instant }) {
  return html`
    <p>
      <${Answer} member=${data.member} />${' '}
      <span class="soft small">
        ${t('explanation.versionVersionAsOfInstant', {
          version: data.version,
          instant: instant ? dateTime(data.at) : t('explanation.now'),
        })}
      </span>
      ${data.nextChangeAt &&
      html`<span class="small warn-text">${' '}· ${nextChange(data, instant && data.at)}</span>`}
    </p>
  `;
}

function NotActive({ status }) {
  return html`
    <p class="small soft">${t('explanation.theSegmentHasTheStateStatus', { status: stateText(status) })}</p>
  `;
}

/** The instant that is asked about, in the zone of the console. */
function AsOf({ instant, onChange }) {
  const place = useStore(zone);
  return html`
    <div class="row small muted">
      ${t('explanation.asOf')}
      <${InstantField}
        value=${instant ? fieldOf(instant, place) : ''}
        label=${t('explanation.asOfInstant', { instant: zoneName(instant) })}
        onChange=${(text) => onChange(instantOf(text, place))}
      />
      <span>${zoneName(instant)}</span>
      ${instant &&
      html`
        <button type="button" class="button quiet small" onClick=${() => onChange(undefined)}>
          ${t('explanation.now2')}
        </button>
      `}
    </div>
  `;
}

/** The next change of an answer by time alone; as of an instant, told from there and as it was to be seen then. */
function nextChange({ nextChangeAt, mayChange }, at) {
  if (at === undefined) {
    return mayChange
      ? t('explanation.timeAloneMayChangeItFrom', { nextChangeAt: dateTime(nextChangeAt) })
      : t('explanation.timeAloneChangesItNextchangeatOn', {
          nextChangeAt: relative(nextChangeAt),
          nextChangeAt2: dateTime(nextChangeAt),
        });
  }
  const later = span((new Date(nextChangeAt).getTime() - new Date(at).getTime()) / 1000);
  const verb = mayChange ? t('explanation.couldHaveChanged') : t('explanation.wouldHaveChanged');
  return t('explanation.withoutFurtherEventsTimeAloneVerb', {
    verb,
    later,
    nextChangeAt: dateTime(nextChangeAt),
  });
}

function Answer({ member }) {
  if (member === undefined) return html`<span class="badge warn">${t('explanation.notKnown')}</span>`;
  return html`
    <span class="badge ${member ? 'good' : ''}">
      ${member ? t('explanation.member') : t('explanation.notAMember')}
    </span>
  `;
}

/** The text of a tested value: an amount, if it is one. */
function amountOr(say, rule) {
  const of = rule?.rank?.by ?? rule;
  const isMoney = typeof of === 'string' ? isAmount('trait', of) : isAmountOf(of);
  return (value) => (isMoney && isNumber(value) ? money(value) : say(value));
}

const isAmountOf = (rule) => (rule?.field ? isAmount('trait', rule.field) : isAmountMeasure(rule?.measure));

/** A side of a comparison in words. */
const sideText = (value) => (value === undefined || value === null ? t('explanation.nothing') : plain(value));

/** The finding of a condition in words; `at` is the instant that was asked about, unless it is now. */
function found(node, at, rule) {
  const parts = [];
  if (node.kind === 'compare')
    parts.push(t('explanation.foundBoth', { left: sideText(node.value), right: sideText(node.expected) }));
  else if (node.missing) parts.push(t('explanation.nothingIsKnown'));
  else if (node.value !== undefined && node.value !== null)
    parts.push(t('explanation.foundValue', { value: amountOr(plain, rule)(node.value) }));
  if (node.place !== undefined) {
    const ranked = t('explanation.placePlaceOfRanked', {
      place: count(node.place),
      ranked: count(node.ranked),
    });
    parts.push(t('explanation.rankedTheFirstLimitAreIn', { ranked, limit: count(node.limit) }));
  }
  if (node.events) parts.push(many('count.event', node.events.total));
  if (node.unknown) parts.push(t('explanation.historyDoesNotGoBackThat'));
  const reason = node.nextChangeAt && !node.mayChange ? reasonOf(rule, node.held) : undefined;
  if (node.nextChangeAt) parts.push([nextChange(node, at), reason].filter(Boolean).join(', '));
  return parts.join(' · ');
}

/** The segments whose rules an explanation goes through, besides its own. */
const namedIn = (node) => [
  ...(node.segmentId ? [node.segmentId] : []),
  ...(node.children ?? []).flatMap((child) => namedIn(child)),
];

/** The rule of each node, once the rules are there. */
function useRules(data) {
  const own = data?.segmentId;
  const others = data?.node ? [...new Set(namedIn(data.node))] : [];
  const load = async (signal) => {
    if (!own) return {};
    const quiet = (url) => read(url, signal).catch(() => undefined);
    const versions = await quiet(path`/api/segments/${own}/versions`);
    const rules = { [own]: versions?.items?.find((one) => one.version === data.version)?.rules };
    for (const id of others) rules[id] = (await quiet(path`/api/segments/${id}`))?.rules;
    return rules;
  };
  const { data: rules = {} } = useLoad(load, [own, data?.version, others]);
  return (node, segment) => {
    const json = rules[segment] && valueAt(rules[segment], node.pointer);
    return json !== null && typeof json === 'object' ? json : undefined;
  };
}

/** An event that does not count, and the one that undid it. */
function Undone({ event, by }) {
  const text = t('explanation.undoneBy', {
    event: nameOf('event', by.eventType),
    at: dateTime(by.timestamp),
  });
  return html`
    <li class="muted">
      <time class="small number" datetime=${event.timestamp}>${dateTime(event.timestamp)}</time>${' '}
      <strong class="small">${nameOf('event', event.eventType)}</strong>${' '}
      <span class="small">${text}</span>${' '}
      <${Properties} values=${event.properties} />
    </li>
  `;
}

/** True if the event of a step is told already, with the event that undid it. */
const isAlsoUndone = (event, { kind, events }) =>
  kind === 'sequence' && events.undone?.some((one) => JSON.stringify(one.event) === JSON.stringify(event));

function Verdict({ node, at, segment, ruleOf }) {
  const [open, setOpen] = useState(false);
  const undone = node.events?.undone ?? [];
  const events = (node.events?.items ?? []).filter((event) => !isAlsoUndone(event, node));
  // The words of the server stand until the rule is there.
  const rule = ruleOf(node, segment);
  return html`
    <li>
      <div class="verdict">
        <span class="mark ${node.held ? 'yes' : 'no'}">
          <${Icon} name=${node.held === undefined ? 'info' : node.held ? 'check' : 'close'} />
        </span>
        <div>
          <div>
            <span class="visually-hidden">
              ${node.held === undefined
                ? `${t('explanation.notKnown2')} `
                : node.held
                  ? `${t('explanation.holds')} `
                  : `${t('explanation.doesNotHold')} `}
            </span>
            ${WORDS[node.kind] ??
            (rule ? describe(rule) : node.kind === 'list' ? t('explanation.onTheList') : node.text)}${' '}
            ${node.segmentId &&
            html`
              <a class="small" href="/segments/${encodeURIComponent(node.segmentId)}">
                ${t('explanation.openIt')}
              </a>
            `}
          </div>
          ${found(node, at, rule) &&
          html`
            <div class="found">
              ${found(node, at, rule)}${' '}
              ${events.length + undone.length > 0 &&
              html`
                <button
                  type="button"
                  class="button quiet small"
                  aria-expanded=${String(open)}
                  onClick=${() => setOpen(!open)}
                >
                  ${t('explanation.openEvents', {
                    open: open ? t('explanation.hide') : t('explanation.show'),
                  })}
                </button>
              `}
            </div>
          `}
          ${open &&
          html`
            <ul class="evidence">
              ${events.map(
                (event) =>
                  html`
                    <li>
                      <time class="small muted number" datetime=${event.timestamp}>
                        ${dateTime(event.timestamp)}
                      </time>${' '}
                      <strong class="small">${nameOf('event', event.eventType)}</strong>${' '}
                      <${Properties} values=${event.properties} />
                    </li>
                  `,
              )}
              ${undone.map((one) => html`<${Undone} ...${one} />`)}
              ${node.events.total > node.events.items.length &&
              html`
                <li class="small muted">
                  ${t('explanation.andTotalMore', {
                    total: count(node.events.total - node.events.items.length),
                  })}
                </li>
              `}
            </ul>
          `}
        </div>
      </div>
      ${node.children?.length > 0 &&
      html`
        <ul class="explain">
          ${node.children.map(
            (child) => html`
              <${Verdict} node=${child} at=${at} segment=${node.segmentId ?? segment} ruleOf=${ruleOf} />
            `,
          )}
        </ul>
      `}
    </li>
  `;
}
