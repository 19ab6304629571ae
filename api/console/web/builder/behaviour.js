// What users did: event, measure, comparison, window, filters. Ranks use the same without the comparison.
import { html, useLayoutEffect, useRef } from '../lib/html.js';
import { Combobox } from '../parts/combobox.js';
import { MEASURES, OPERATORS, measureName, operatorName } from '../rules/grammar.js';
import { currencySign, isAmountMeasure } from '../lib/vocabulary.js';
import { isNumber, textOf } from '../rules/exact.js';
import { EventNames } from './event-names.js';
import { AddFilter, Filters } from './filters.js';
import { OperatorField } from './tests.js';
import { ValueField } from './value-field.js';
import { WindowField } from './window-field.js';
import { isFaulty } from './faults.js';
import { many, t } from '../texts/texts.js';

const put = (json, member, value) => {
  const { [member]: _, ...rest } = json;
  return value === undefined ? rest : { ...rest, [member]: value };
};

/** What a count is called: after its number where it is chosen, by its full name among the others. */
const countText = (name, value) =>
  name === 'count'
    ? many('behaviour.times', isNumber(value) ? Number(textOf(value)) : 2)
    : t('behaviour.numberOfTimes');

function MeasureField({ json, onChange, suggest, faults, pointer, isAmount, element }) {
  const name = measureName(json.measure);
  const choose = (event) => {
    const fn = event.target.value;
    if (fn === 'count') return onChange(put(json, 'measure', undefined));
    const of = MEASURES[fn].of ? { of: json.measure?.of ?? '' } : {};
    const next = { ...json, measure: { fn, ...of } };
    const was = MEASURES[name]?.result;
    if (was === MEASURES[fn].result || isAmount) return onChange(next);
    // Comparison and value were made for another kind of result.
    return onChange(
      MEASURES[fn].result === 'duration'
        ? { ...next, operator: 'lte', value: '7d' }
        : {
            ...next,
            operator: MEASURES[fn].result === 'any' ? 'eq' : 'gte',
            value: MEASURES[fn].result === 'any' ? '' : 1,
          },
    );
  };
  return html`
    <select
      ref=${element}
      class="pill measure"
      aria-label=${t('behaviour.measure')}
      aria-invalid=${isFaulty(faults, pointer, 'measure') ? 'true' : undefined}
      value=${name ?? ''}
      onChange=${choose}
    >
      ${name === undefined && html`<option value="">${JSON.stringify(json.measure)}</option>`}
      ${Object.entries(MEASURES).map(
        ([key, { text }]) =>
          html`
            <option value=${key}>
              ${key === 'count' && !isAmount ? countText(name, json.value ?? 1) : text}
            </option>
          `,
      )}
    </select>
    ${name &&
    MEASURES[name].of &&
    html`
      <${Combobox}
        className="pill field"
        label=${t('behaviour.propertyThatIsMeasured')}
        value=${json.measure.of ?? ''}
        options=${suggest.propertiesOf(json.event)}
        placeholder=${t('common.property')}
        invalid=${isFaulty(faults, pointer, 'measure')}
        onChange=${(of) => onChange({ ...json, measure: { ...json.measure, of } })}
      />
    `}
  `;
}

/** Whether a behaviour says that something was not done. */
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

/** A behaviour as a condition. */
export function Behaviour({ node, onChange, suggest, faults, pointer }) {
  const { json } = node;
  const set = (next) => onChange({ ...node, json: next });
  const name = measureName(json.measure);
  const result = MEASURES[name]?.result;
  const operator =
    json.operator === undefined ? (result === 'number' ? 'gte' : undefined) : operatorName(json.operator);
  const absent = isAbsence(json);
  const isCount = name === 'count';
  const measure = useMoved(isCount);
  const measureField = html`
    <${MeasureField}
      json=${json}
      onChange=${set}
      suggest=${suggest}
      faults=${faults}
      pointer=${pointer}
      element=${measure}
    />
  `;
  const setDone = (event) => {
    const { measure: _, operator: __, value: ___, ...rest } = json;
    set(
      event.target.value === 'did'
        ? { ...rest, operator: 'gte', value: 1 }
        : { ...rest, operator: 'eq', value: 0 },
    );
  };
  return html`
    <span class="sentence">
      <select
        class="pill verb"
        aria-label=${t('behaviour.didOrDidNot')}
        value=${absent ? 'not' : 'did'}
        onChange=${setDone}
      >
        <option value="did">${t('behaviour.did')}</option>
        <option value="not">${t('behaviour.didNotDo')}</option>
      </select>
      <${EventNames}
        event=${json.event}
        onChange=${(event) => set({ ...json, event })}
        suggest=${suggest}
        invalid=${isFaulty(faults, pointer, 'event')}
        autofocus=${json.event === ''}
      />
      ${!absent &&
      html`
        ${!isCount && measureField}
        <${OperatorField}
          json=${json}
          result=${result}
          onChange=${set}
          faults=${faults}
          pointer=${pointer}
          fallback=${result === 'number' ? 'gte' : undefined}
        />
        ${operator &&
        OPERATORS[operator].value !== 'none' &&
        html`
          <${ValueField}
            key=${`${operator}${result}`}
            operator=${operator}
            result=${result}
            value=${json.operator === undefined ? (json.value ?? 1) : json.value}
            known=${suggest.field(json.measure?.of, json.event)}
            invalid=${isFaulty(faults, pointer, 'value')}
            onChange=${(value) => set({ ...json, operator: json.operator ?? 'gte', value })}
          />
          ${isAmountMeasure(json.measure) && html`<span class="word">${currencySign()}</span>`}
        `}
        ${isCount && measureField}
      `}
      <${WindowField}
        within=${json.within}
        invalid=${isFaulty(faults, pointer, 'within')}
        onChange=${(within) => set(put(json, 'within', within))}
      />
      <${AddFilter} node=${node} onChange=${onChange} />
    </span>
    <${Filters} node=${node} onChange=${onChange} suggest=${suggest} faults=${faults} pointer=${pointer} />
  `;
}

/** A behaviour as an amount, of a rank or a computed trait. */
export function Amount({ node, onChange, suggest, faults, pointer }) {
  const { json } = node;
  const set = (next) => onChange({ ...node, json: next });
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
        suggest=${suggest}
        invalid=${isFaulty(faults, pointer, 'event')}
      />
      <${WindowField}
        within=${json.within}
        invalid=${isFaulty(faults, pointer, 'within')}
        onChange=${(within) => set(put(json, 'within', within))}
      />
      <${AddFilter} node=${node} onChange=${onChange} />
    </span>
    <${Filters} node=${node} onChange=${onChange} suggest=${suggest} faults=${faults} pointer=${pointer} />
  `;
}
