// A test of a value: operator and value. Shared by traits, properties and measures.
import { html } from '../lib/html.js';
import { OPERATORS, fitValue, operatorName, operatorText, operatorsFor } from '../rules/grammar.js';
import { currencySign, isAmount } from '../lib/vocabulary.js';
import { ValueField } from './value-field.js';
import { isFaulty } from './faults.js';
import { UnseenValues } from './unseen.js';
import { t } from '../texts/texts.js';

/** The operator of a node, with those that go with what is tested. */
export function OperatorField({ json, result, onChange, faults, pointer, fallback, known }) {
  const name = json.operator === undefined && fallback ? fallback : operatorName(json.operator);
  const names = operatorsFor(result, known);
  const choose = (event) => {
    const operator = event.target.value;
    const value = fitValue(operator, json.value, result);
    const { value: _, ...rest } = json;
    onChange(value === undefined ? { ...rest, operator } : { ...rest, operator, value });
  };
  const isOdd = name === undefined || !names.includes(name);
  const help = name && OPERATORS[name].help;
  return html`
    <span class="with-help">
      <select
        class="pill operator"
        aria-label=${t('tests.comparison')}
        aria-description=${help}
        title=${help}
        aria-invalid=${isFaulty(faults, pointer, 'operator') ? 'true' : undefined}
        value=${name ?? ''}
        onChange=${choose}
      >
        ${isOdd &&
        html`
          <option value=${name ?? ''}>
            ${name ? operatorText(name, result) : String(json.operator ?? t('tests.choose'))}
          </option>
        `}
        ${names.map((one) => html`<option value=${one}>${operatorText(one, result)}</option>`)}
      </select>
      ${help && html`<span class="help" aria-hidden="true">${help}</span>`}
    </span>
  `;
}

/** A trait of a user or, with `event`, a property of an event, under test. */
export function FieldTest({ json, onChange, suggest, faults, pointer, event, FieldInput }) {
  const operator = operatorName(json.operator);
  const known = suggest.field(json.field, event);
  return html`
    ${FieldInput}
    <${OperatorField} json=${json} onChange=${onChange} faults=${faults} pointer=${pointer} known=${known} />
    ${operator &&
    OPERATORS[operator].value !== 'none' &&
    html`
      <${ValueField}
        key=${operator}
        operator=${operator}
        value=${json.value}
        known=${known}
        invalid=${isFaulty(faults, pointer, 'value')}
        onChange=${(value) => onChange({ ...json, value })}
      />
      ${isAmount(event === undefined ? 'trait' : 'property', json.field) &&
      html`<span class="word">${currencySign()}</span>`}
      ${['eq', 'ne', 'in', 'not_in'].includes(operator) &&
      html`
        <${UnseenValues}
          value=${json.value}
          known=${known}
          onChange=${(value) => onChange({ ...json, value })}
        />
      `}
    `}
  `;
}

/** Whether a negative operator also takes in users of whom the field is not known. */
export function takesMissing(json) {
  const name = operatorName(json.operator);
  return name !== undefined && name !== 'not_exists' && Boolean(OPERATORS[name].negative);
}
