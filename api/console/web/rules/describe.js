// Rules in short lines.
import {
  OPERATORS,
  durationText,
  measureName,
  operatorName,
  operatorText,
  parseDuration,
} from './grammar.js';
import { isChoice } from './edits.js';
import { unitsBack, windowKind } from './windows.js';
import { segmentName } from '../lib/segment-names.js';
import { isAmount, isAmountMeasure, money, nameOf } from '../lib/vocabulary.js';
import { many, t } from '../texts/texts.js';
import { isNumber, textOf } from './exact.js';

const word = (value) =>
  typeof value === 'string' ? t('describe.quoted', { text: value }) : JSON.stringify(value);

/** A group as its logic and children, anything else as one line. */
export function outline(json) {
  const children = json?.conditions ?? json?.criteria;
  if (!Array.isArray(children)) return { text: describe(json) };
  const logic = String(json.logic ?? 'AND').toUpperCase();
  return { logic, children: children.map(outline) };
}

/** One node in one line; a test is one of a trait or, within an event, of a property. */
export function describe(json, kind = 'trait') {
  if (json === null || typeof json !== 'object') return String(json);
  const children = json.conditions ?? json.criteria;
  if (Array.isArray(children)) {
    const texts = children.map((child) => describe(child, kind));
    const logic = String(json.logic ?? 'AND').toUpperCase();
    if (logic === 'NOT') return t('describe.noneOfValue', { value: texts.join('; ') });
    return texts.length === 1
      ? texts[0]
      : `(${texts.join(logic === 'OR' ? ` ${t('common.or')} ` : ` ${t('common.and')} `)})`;
  }
  if ('left' in json && 'right' in json) return comparison(json);
  if ('field' in json) return test(nameOf(kind, json.field), json, isAmount(kind, json.field));
  if ('event' in json) return behaviour(json);
  if (Array.isArray(json.sequence))
    return json.sequence.map(step).join('') + sameText(json.same) + windowText(json.within);
  if ('segment' in json) return t('describe.inTheSegmentSegment', { segment: segmentName(json.segment) });
  if (json.rank) return rank(json);
  if (json.sample)
    return t('describe.aRandomValueSalt', {
      value: ((json.sample.to - json.sample.from + 1) / 100).toFixed(2).replace(/\.?0+$/, ''),
      salt: json.sample.salt,
    });
  return JSON.stringify(json);
}

function test(name, json, isMoney) {
  const operator = operatorName(json.operator);
  if (operator === 'anniversary') return `${name} ${anniversaryText(json.value)}`;
  if (!operator) return `${name} ${json.operator ?? ''}`.trim();
  const anyCase = json.ignoreCase === true ? ` ${t('describe.inAnyCase')}` : '';
  const value = valueText(operator, json.value, isMoney);
  return `${name} ${operatorText(operator)}${value}${anyCase}${zoneText(json.zone)}`;
}

/** On which days an anniversary falls, in words. */
export function anniversaryText(value) {
  const { from = 0, to = 0, zone } = value ?? {};
  const [first, last] = [from, to].map((days) => Number(textOf(days)));
  const say = () => {
    if (first === 0 && last === 0) return t('describe.anniversaryToday');
    if (first === 0) return many('describe.anniversaryNext', last);
    if (last === 0) return many('describe.anniversaryPast', -first);
    return t('describe.anniversaryBetween', { from: textOf(from), to: textOf(to) });
  };
  return say() + zoneText(zone);
}

/** A zone in words, with a space before. */
export function zoneText(zone) {
  if (zone === undefined) return '';
  return ` ${zone === 'user' ? t('describe.inTheirZone') : t('describe.inZone', { zone: String(zone) })}`;
}

function comparison(json) {
  const side = (one) => {
    if (one === null || typeof one !== 'object') return String(one);
    return 'event' in one ? measureSubject(one) : String(nameOf('trait', one.field ?? '…'));
  };
  const operator = operatorName(json.operator);
  return `${side(json.left)} ${operator ? operatorText(operator) : (json.operator ?? '…')} ${side(json.right)}`;
}

function valueText(operator, value, isMoney) {
  const say = (one) => (isMoney && isNumber(one) ? money(one) : plainValue(one));
  const shape = OPERATORS[operator].value;
  if (shape === 'none' || value === undefined) return '';
  if (shape === 'pair' && Array.isArray(value))
    return ` ${t('describe.valueAndValue2', { value: say(value[0]), value2: say(value[1]) })}`;
  if (Array.isArray(value)) {
    const joint = shape === 'list' ? ', ' : ` ${t('common.or')} `;
    return ` ${value.map((one) => (isNumber(one) ? say(one) : word(one))).join(joint)}`;
  }
  if (shape === 'time' && typeof value === 'string') {
    const moved = /^([+-]?)(\d+(?:[smhdwy]|mo))$/.exec(value);
    if (value === 'now') return ` ${t('describe.now')}`;
    if (moved) {
      const distance = { value: durationText(moved[2]) };
      return ` ${moved[1] === '+' ? t('describe.valueAhead', distance) : t('describe.valueAgo', distance)}`;
    }
  }
  return ` ${say(value)}`;
}

const plainValue = (value) =>
  typeof value === 'string' && /^\d+[smhdw]$/.test(value) ? durationText(value) : word(value);

export const eventText = (event) => {
  if (event === undefined) return '…';
  if (event === '*') return t('describe.anyEvent');
  return Array.isArray(event)
    ? event.map((one) => nameOf('event', one)).join(` ${t('common.or')} `)
    : String(nameOf('event', event));
};

function behaviour(json) {
  if (json.measure === undefined || json.measure === 'count') return countText(json);
  const operator = json.operator ?? 'gte';
  const value = json.operator === undefined ? 1 : json.value;
  return test(measureSubject(json), { operator, value }, isAmountMeasure(json.measure));
}

/** The count of events, or of objects in their lists. */
function countText(json) {
  const isEach = json.each !== undefined;
  const members = {
    event: eventText(json.event),
    list: isEach ? nameOf('property', json.each) : '',
    filters: whereText(json.where),
    within: windowText(json.within) + unlessText(json.unless),
  };
  const operator = operatorName(json.operator) ?? 'gte';
  if ((operator === 'eq' && json.value === 0) || (operator === 'lt' && json.value === 1))
    return isEach ? t('describe.hasNone', members) : t('describe.didNotDoEventFiltersWithin', members);
  if (json.operator === undefined || (operator === 'gte' && json.value === 1))
    return isEach ? t('describe.hasOne', members) : t('describe.didEventFiltersWithin', members);
  const compared = operatorText(operator, 'number') + valueText(operator, json.value);
  return isEach
    ? t('describe.hasSome', { ...members, compared })
    : many('describe.times', timesOf(json.value), { ...members, compared });
}

/** The number after which “times” stands: of several, the last. */
function timesOf(value) {
  const last = Array.isArray(value) ? value.at(-1) : value;
  return isNumber(last) ? Number(textOf(last)) : 2;
}

function whereText(where) {
  if (where === undefined) return '';
  const texts = [where]
    .flat()
    .map((one) => describe(one, 'property'))
    .join(` ${t('common.and')} `);
  return ` ${t('describe.whereTexts', { texts })}`;
}

/** A step with what joins it to those before. */
function step(json, index, all) {
  if (json.not !== null && typeof json.not === 'object') {
    const event = `${eventText(json.not.event)}${whereText(json.not.where)}`;
    if (all.slice(index + 1).some((later) => !('not' in later))) return t('describe.thenNo', { event });
    const { for: lasting } = json;
    return lasting === undefined
      ? t('describe.noneSince', { event })
      : t('describe.noneSinceFor', { event, duration: durationText(lasting) });
  }
  const gap =
    json.maxGap === undefined ? '' : ` ${t('describe.withinMaxgap', { maxGap: durationText(json.maxGap) })}`;
  const joint = index === 0 ? t('describe.did') : t('describe.then');
  return `${joint} ${eventText(json.event)}${whereText(json.where)}${gap}`;
}

const pathsText = (paths, joint = '×') =>
  [paths]
    .flat()
    .map((path) => nameOf('property', path))
    .join(` ${joint} `);

/** The values that are measured: of a property, a product, or the first of several that has one. */
function ofText(of) {
  if (!isChoice(of)) return pathsText(of);
  const paths = pathsText(of.firstOf, t('measureField.orElse'));
  return of.minus === undefined ? paths : t('describe.negativeFor', { paths, event: eventText(of.minus) });
}

function sameText(same) {
  return same === undefined
    ? ''
    : ` ${t('describe.withTheSame', { paths: pathsText(same, t('common.and')) })}`;
}

/** Measures of which one event is told: “time since the first event”. */
const OF_ONE = ['first', 'firstNth', 'last', 'lastNth', 'since_first', 'since_last'];

/** The events that are measured, or the objects of a list in each. */
function countedText(json, name) {
  const any = OF_ONE.includes(name) ? t('describe.event') : t('describe.anyEvents');
  const event = json.event === '*' ? any : eventText(json.event);
  return json.each === undefined
    ? event
    : t('describe.eachOf', { list: nameOf('property', json.each), event });
}

function unlessText(unless) {
  if (unless === null || typeof unless !== 'object') return '';
  const event = `${eventText(unless.event)}${whereText(unless.where)}`;
  const [own, other = own] = [unless.same].flat().map((path) => nameOf('property', path));
  return own === other
    ? t('describe.unless', { event, path: own ?? '…' })
    : t('describe.unlessOther', { event, own, other });
}

/** Units of a calendar in words: “last month”, “3 months before this one”. */
export function unitText(calendar, back) {
  return back < 2 ? t(`calendar.${calendar}.${back}`) : many(`calendar.${calendar}.before`, back);
}

function calendarText({ calendar, weekStart, zone }, { from, to }) {
  const back = (units) => unitText(calendar, units);
  const span = from === to ? back(from) : t('describe.calendarSpan', { from: back(from), to: back(to) });
  return ` ${span}${weekText(weekStart)}${zoneText(zone)}`;
}

/** On which day weeks begin, where it is not the usual one. */
const weekText = (weekStart) => (weekStart === 'sunday' ? ` ${t('describe.fromSunday')}` : '');

/** A window in words, with a space before. */
export function windowText(within) {
  const units = unitsBack(within);
  if (units) return calendarText(within, units);
  return fixedWindowText(within) + zoneText(within?.zone);
}

/** `"30d"` → "in the last 30 days", `"1m"` → "in the last minute". */
function lastText(duration) {
  const parts = parseDuration(duration);
  if (!parts) return t('describe.inTheLastLast', { last: String(duration) });
  return many(`describe.inTheLast.${parts.unit}`, parts.amount);
}

function fixedWindowText(within) {
  switch (windowKind(within)) {
    case 'ever':
      return '';
    case 'last':
      return ` ${lastText(within.last ?? within)}`;
    case 'ago': {
      const [from, to] = within.ago.map(durationText);
      return ` ${t('describe.betweenAgo', { from, to })}`;
    }
    case 'fixed': {
      const { from, to } = within;
      const start = from === undefined ? '' : ` ${t('describe.fromFrom', { from })}`;
      return to === undefined ? start : `${start} ${t('describe.toTo', { to })}`;
    }
    default:
      return ` ${t('describe.withinWithin', { within: JSON.stringify(within) })}`;
  }
}

function rank(json) {
  const part = json.top === undefined ? `${json.percent ?? '…'}%` : json.top;
  const side =
    String(json.rank.order ?? 'desc').toLowerCase() === 'asc' ? t('describe.bottom') : t('describe.top');
  const by = json.rank.by;
  const measure = typeof by === 'object' && by !== null ? measureSubject(by) : nameOf('trait', by);
  const among =
    json.among === undefined ? '' : ` ${t('describe.amongThoseWithAmong', { among: describe(json.among) })}`;
  return t('describe.sideManyByMeasureAmong', { side, many: part, measure, among });
}

/** The measure of a behaviour, without its test. */
export function measureSubject(json) {
  const name = measureName(json.measure) ?? 'count';
  const { of = '…', nth, gap, zone, weekStart } = json.measure ?? {};
  const subject = t(`measure.${name}`, {
    of: ofText(of),
    event: countedText(json, name),
    nth: String(nth),
    gap: durationText(gap ?? '…'),
  });
  const rest = whereText(json.where) + windowText(json.within) + unlessText(json.unless);
  return subject + weekText(weekStart) + zoneText(zone) + rest;
}
