// A test of a value: operator and value. Shared by traits, properties and measures.
import { html } from '../lib/html.js';
import {
  OPERATORS,
  operatorName,
  operatorText,
  operatorsFor,
  takesAnyCase,
  takesZone,
} from '../rules/grammar.js';
import { put, withOperator } from '../rules/edits.js';
import { currencySign, isAmount } from '../lib/vocabulary.js';
import { isMomentOfZone } from './moment-field.js';
import { ValueField } from './value-field.js';
import { ZoneField } from './zone-field.js';
import { isFaulty } from './faults.js';
import { UnseenValues } from './unseen.js';
import { t } from '../texts/texts.js';

/** The operator of a node, with those that go with what is tested. */
export function OperatorField({ json, result, onChange, faults, pointer, fallback, known }) {
  const name = json.operator === undefined && fallback ? fallback : operatorName(json.operator);
  const names = operatorsFor(result, known);
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
        onChange=${(event) => onChange(withOperator(json, event.target.value, result))}
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

/** The button that makes capitals not count; it is pressed while they do not. */
function AnyCase({ json, onChange }) {
  const isOn = json.ignoreCase === true;
  return html`
    <button
      type="button"
      class="pill type"
      aria-pressed=${String(isOn)}
      title=${t('tests.capitalsDoNotMatter')}
      onClick=${() => onChange(put(json, 'ignoreCase', isOn ? undefined : true))}
    >
      ${t('tests.anyCase')}
    </button>
  `;
}

/** True if a value contains a text, for which capitals matter. */
const hasText = (value) => [value].flat().some((one) => typeof one === 'string' && /\p{L}/u.test(one));

/** The value that something is compared with, and what stands beside it: a zone, whether capitals count. */
export function ComparedValue({ json, operator, result, value, known, onChange, faults, pointer }) {
  if (!operator || OPERATORS[operator].value === 'none') return null;
  const isText = result !== 'number' && result !== 'duration' && takesAnyCase(operator);
  const isZoned = takesZone(operator) && isMomentOfZone(json.value);
  return html`
    <${ValueField}
      key=${`${operator}${result}`}
      operator=${operator}
      result=${result}
      value=${value}
      known=${known}
      faults=${faults}
      pointer=${pointer}
      onChange=${(next) => onChange({ ...json, operator: json.operator ?? operator, value: next })}
    />
    ${((isText && hasText(json.value)) || json.ignoreCase !== undefined) &&
    html`<${AnyCase} json=${json} onChange=${onChange} />`}
    ${(isZoned || json.zone !== undefined) &&
    html`
      <${ZoneField}
        value=${json.zone}
        invalid=${isFaulty(faults, pointer, 'zone')}
        onChange=${(zone) => onChange(put(json, 'zone', zone))}
      />
    `}
  `;
}

/** A trait of a user or, with `event`, a property of an event, under test. */
export function FieldTest({ json, onChange, suggest, faults, pointer, event, FieldInput }) {
  const operator = operatorName(json.operator);
  const known = suggest.field(json.field, event);
  const given = { json, onChange, faults, pointer, known };
  const isTested = operator && OPERATORS[operator].value !== 'none';
  return html`
    ${FieldInput}
    <${OperatorField} ...${given} />
    <${ComparedValue} ...${given} operator=${operator} value=${json.value} />
    ${isTested &&
    isAmount(event === undefined ? 'trait' : 'property', json.field) &&
    html`<span class="word">${currencySign()}</span>`}
    ${['eq', 'ne', 'in', 'not_in'].includes(operator) &&
    !json.ignoreCase &&
    html`
      <${UnseenValues}
        value=${json.value}
        known=${known}
        onChange=${(value) => onChange({ ...json, value })}
      />
    `}
  `;
}

/** The choice whether a negative operator also takes in users whose field is unknown. */
export function takesMissing(json) {
  const name = operatorName(json.operator);
  return name !== undefined && name !== 'not_exists' && Boolean(OPERATORS[name].negative);
}
