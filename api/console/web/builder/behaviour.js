// Behaviour of users: event, measure, comparison, window, filters. Ranks use the same without the comparison.
import { html, useLayoutEffect, useRef } from '../lib/html.js';
import { Combobox } from '../parts/combobox.js';
import { MEASURES, OPERATORS, measureName, operatorName } from '../rules/grammar.js';
import { currencySign, isAmountMeasure } from '../lib/vocabulary.js';
import { isChoice, put, withDone } from '../rules/edits.js';
import { EventNames } from './event-names.js';
import { AddFilter, Filters } from './filters.js';
import { MeasureField } from './measure-field.js';
import { ComparedValue, OperatorField } from './tests.js';
import { AddUnless, Unless } from './unless.js';
import { WindowField } from './window-field.js';
import { isFaulty } from './faults.js';
import { t } from '../texts/texts.js';

/** The list in an event whose objects count, each as an event of its own. */
function Each({ node, onChange, suggest, faults, pointer }) {
  const { json } = node;
  const set = (each) => onChange({ ...node, json: put(json, 'each', each) });
  if (json.each === undefined) {
    return html`
      <button type="button" class="pill add" onClick=${() => set(suggest.listOf(json.event))}>
        ${t('behaviour.addLines')}
      </button>
    `;
  }
  return html`
    <span class="word">${t('behaviour.countingLinesOf')}</span>
    <span class="joined">
      <${Combobox}
        className="pill field"
        label=${t('behaviour.list')}
        value=${json.each}
        options=${suggest.propertiesOf(json.event)}
        placeholder=${t('behaviour.listLower')}
        invalid=${isFaulty(faults, pointer, 'each')}
        autofocus=${json.each === ''}
        onChange=${set}
      />
      <button
        type="button"
        class="pill clear"
        aria-label=${t('behaviour.notByLines')}
        onClick=${() => set(undefined)}
      >
        ×
      </button>
    </span>
  `;
}

/** The parts that can be added at the end of a behaviour's sentence. */
function Additions({ node, onChange, suggest }) {
  return html`
    <${AddFilter} node=${node} onChange=${onChange} />
    ${node.json.each === undefined && html`<${Each} node=${node} onChange=${onChange} suggest=${suggest} />`}
    <${AddUnless} node=${node} onChange=${onChange} />
  `;
}

/** The rows below the sentence of a behaviour: its filters, and the events that undo it. */
function Below({ suggest, all, ...given }) {
  return html`
    <${Filters} ...${given} suggest=${suggest} />
    <${Unless} ...${given} suggest=${suggest} all=${all} />
  `;
}

/** True if a behaviour says that something was not done. */
export function isAbsence(json) {
  const operator = operatorName(json.operator);
  return (
    measureName(json.measure) === 'count' &&
    ((operator === 'eq' && json.value === 0) || (operator === 'lt' && json.value === 1))
  );
}

/** A field that keeps the focus when the sentence puts it elsewhere. */
function useMoved(place) {
  const element = useRef(null);
  const before = useRef(place);
  useLayoutEffect(() => {
    if (before.current !== place) element.current?.focus();
    before.current = place;
  }, [place]);
  return element;
}

/** The choice between done and not done. */
function Verb({ json, isAbsent, onChange }) {
  return html`
    <select
      class="pill verb"
      aria-label=${t('behaviour.didOrDidNot')}
      value=${isAbsent ? 'not' : 'did'}
      onChange=${(event) => onChange(withDone(json, event.target.value === 'did'))}
    >
      <option value="did">${t('behaviour.did')}</option>
      <option value="not">${t('behaviour.didNotDo')}</option>
    </select>
  `;
}

/** The measure of a behaviour, and what it is compared with. */
function Test({ json, ...given }) {
  const name = measureName(json.measure);
  const result = MEASURES[name]?.result;
  const fallback = result === 'number' ? 'gte' : undefined;
  const operator = json.operator === undefined ? fallback : operatorName(json.operator);
  const isCount = name === 'count';
  const measure = useMoved(isCount);
  const measureField = html`<${MeasureField} json=${json} ...${given} element=${measure} />`;
  const { suggest, faults, pointer, onChange } = given;
  return html`
    ${!isCount && measureField}
    <${OperatorField}
      json=${json}
      result=${result}
      onChange=${onChange}
      faults=${faults}
      pointer=${pointer}
      fallback=${fallback}
    />
    <${ComparedValue}
      json=${json}
      operator=${operator}
      result=${result}
      value=${json.operator === undefined ? (json.value ?? 1) : json.value}
      known=${knownOf(json, suggest)}
      onChange=${onChange}
      faults=${faults}
      pointer=${pointer}
    />
    ${operator &&
    OPERATORS[operator].value !== 'none' &&
    isAmountMeasure(json.measure) &&
    html`<span class="word">${currencySign()}</span>`}
    ${isCount && measureField}
  `;
}

/** The known facts of the measured property; of the first of several, none of a product. */
function knownOf(json, suggest) {
  const of = json.measure?.of;
  const path = isChoice(of) ? of.firstOf[0] : of;
  return typeof path === 'string' ? suggest.field(path, json.event) : undefined;
}

/** A behaviour as a condition. */
export function Behaviour({ node, onChange, suggest: all, faults, pointer }) {
  const { json } = node;
  const set = (next) => onChange({ ...node, json: next });
  const suggest = all.inLines(json.each);
  const isAbsent = isAbsence(json);
  const given = { node, onChange, suggest, faults, pointer };
  return html`
    <span class="sentence">
      <${Verb} json=${json} isAbsent=${isAbsent} onChange=${set} />
      <${EventNames}
        event=${json.event}
        onChange=${(event) => set({ ...json, event })}
        suggest=${all}
        invalid=${isFaulty(faults, pointer, 'event')}
        autofocus=${json.event === ''}
      />
      ${json.each !== undefined && html`<${Each} ...${given} />`}
      ${!isAbsent &&
      html`<${Test} json=${json} onChange=${set} suggest=${suggest} faults=${faults} pointer=${pointer} />`}
      <${WindowField}
        within=${json.within}
        faults=${faults}
        pointer=${pointer}
        onChange=${(within) => set(put(json, 'within', within))}
      />
      <${Additions} ...${given} />
    </span>
    <${Below} ...${given} all=${all} />
  `;
}

/** A behaviour as an amount, of a rank, a comparison or a computed trait. */
export function Amount({ node, onChange, suggest: all, faults, pointer }) {
  const { json } = node;
  const set = (next) => onChange({ ...node, json: next });
  const suggest = all.inLines(json.each);
  const given = { node, onChange, suggest, faults, pointer };
  return html`
    <span class="sentence">
      <${MeasureField}
        json=${json}
        onChange=${set}
        suggest=${suggest}
        faults=${faults}
        pointer=${pointer}
        isAmount
      />
      <span class="word">${t('behaviour.of')}</span>
      <${EventNames}
        event=${json.event}
        onChange=${(event) => set({ ...json, event })}
        suggest=${all}
        invalid=${isFaulty(faults, pointer, 'event')}
      />
      ${json.each !== undefined && html`<${Each} ...${given} />`}
      <${WindowField}
        within=${json.within}
        faults=${faults}
        pointer=${pointer}
        onChange=${(within) => set(put(json, 'within', within))}
      />
      <${Additions} ...${given} />
    </span>
    <${Below} ...${given} all=${all} />
  `;
}
