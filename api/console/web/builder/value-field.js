// The value of a condition, in the shape that its operator asks for.
import { html } from '../lib/html.js';
import { OPERATORS, parseDuration } from '../rules/grammar.js';
import { AnniversaryField } from './anniversary-field.js';
import { DurationField } from './duration-field.js';
import { ListField } from './list-field.js';
import { MomentField } from './moment-field.js';
import { ScalarField } from './scalar-field.js';
import { isFaulty } from './faults.js';
import { t } from '../texts/texts.js';

/** The types of literals that an operator compares with. */
function typesOf(shape, result) {
  if (result === 'number') return ['number'];
  if (shape === 'ordered' || shape === 'pair' || shape === 'list') return ['number', 'string'];
  return ['number', 'string', 'boolean'];
}

function One({ shape, result, value, ...given }) {
  if (result === 'duration') {
    const shown = parseDuration(value) || typeof value === 'string' ? value : '7d';
    return html`<${DurationField} value=${shown} ...${given} />`;
  }
  const isOrdered = shape === 'ordered' || shape === 'pair';
  return html`
    <${ScalarField} value=${value} types=${typesOf(shape, result)} isOrdered=${isOrdered} ...${given} />
  `;
}

/** Two values; what is given for both is in `given`. */
function Pair({ value, onChange, label, ...given }) {
  const [low, high] = Array.isArray(value) ? value : [value, value];
  return html`
    <${One}
      value=${low}
      label=${t('valueField.labelLow', { label })}
      onChange=${(next) => onChange([next, high])}
      ...${given}
    />
    <span class="word">${t('common.and')}</span>
    <${One}
      value=${high}
      label=${t('valueField.labelHigh', { label })}
      onChange=${(next) => onChange([low, next])}
      ...${given}
    />
  `;
}

/** A text or several of them, one of which has to fit. */
function Texts({ shape, value, onChange, ...given }) {
  if (Array.isArray(value))
    return html`<${ListField} types=${['string']} value=${value} onChange=${onChange} ...${given} />`;
  const isText = typeof value === 'string';
  const types = shape === 'texts' ? ['string'] : typesOf(shape);
  return html`
    <${ScalarField} types=${types} value=${value} onChange=${onChange} ...${given} />
    ${isText &&
    value !== '' &&
    html`
      <button
        type="button"
        class="pill add"
        aria-label=${t('valueField.orAnotherText')}
        title=${t('valueField.orAnotherText')}
        onClick=${() => onChange([value])}
      >
        ${t('eventNames.or')}
      </button>
    `}
  `;
}

/**
 * The value of a condition: `known` is what the data says of the field, `result` what a measure gives, `pointer` that of
 * the condition.
 */
export function ValueField({
  operator,
  value,
  result,
  onChange,
  known,
  faults,
  pointer,
  label = t('valueField.value'),
}) {
  const shape = OPERATORS[operator]?.value;
  const given = { value, onChange, label, known, invalid: isFaulty(faults, pointer, 'value') };
  switch (shape) {
    case 'none':
      return null;
    case 'pair':
      return html`<${Pair} shape=${shape} result=${result} ...${given} />`;
    case 'list':
      return html`<${ListField} types=${typesOf(shape, result)} ...${given} />`;
    case 'text':
      return html`<${ScalarField} types=${['string']} ...${given} />`;
    case 'texts':
    case 'scalars':
      return html`<${Texts} shape=${shape} ...${given} />`;
    case 'time':
      return html`<${MomentField} ...${given} />`;
    case 'anniversary':
      return html`<${AnniversaryField} ...${given} faults=${faults} pointer="${pointer}/value" />`;
    default:
      return html`<${One} shape=${shape} result=${result} ...${given} />`;
  }
}
