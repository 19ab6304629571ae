// The value of a condition, in the shape that its operator asks for.
import { html } from '../lib/html.js';
import { OPERATORS, parseDuration } from '../rules/grammar.js';
import { DurationField } from './duration-field.js';
import { ListField } from './list-field.js';
import { ScalarField } from './scalar-field.js';
import { TimeField } from './time-field.js';
import { t } from '../texts/texts.js';

const startOfToday = () => `${new Date().toISOString().slice(0, 10)}T00:00:00Z`;

/** A time, or a duration before now. */
function Moment({ value, onChange, label, invalid }) {
  const isAgo = value === undefined || /^\d*[smhdw]$/.test(value);
  const setKind = (event) => onChange(event.target.value === 'ago' ? '30d' : startOfToday());
  const given = { value, label, onChange, invalid };
  return html`
    <select
      class="pill"
      aria-label=${t('valueField.labelKind', { label })}
      value=${isAgo ? 'ago' : 'at'}
      onChange=${setKind}
    >
      <option value="ago">${t('valueField.relative')}</option>
      <option value="at">${t('valueField.onTheDate')}</option>
    </select>
    ${isAgo
      ? html`<${DurationField} ...${given} suffix=${t('valueField.ago')} />`
      : html`<${TimeField} ...${given} />`}
  `;
}

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

/** The value of a condition: `known` is what the data says of the field, `result` what a measure gives. */
export function ValueField({
  operator,
  value,
  result,
  onChange,
  known,
  invalid,
  label = t('valueField.value'),
}) {
  const shape = OPERATORS[operator]?.value;
  const given = { value, onChange, label, known, invalid };
  switch (shape) {
    case 'none':
      return null;
    case 'pair':
      return html`<${Pair} shape=${shape} result=${result} ...${given} />`;
    case 'list':
      return html`<${ListField} types=${typesOf(shape, result)} ...${given} />`;
    case 'text':
      return html`<${ScalarField} types=${['string']} ...${given} />`;
    case 'time':
      return html`<${Moment} ...${given} />`;
    default:
      return html`<${One} shape=${shape} result=${result} ...${given} />`;
  }
}
