// The value of a condition, in the shape that its operator asks for. A literal's JSON type decides how a rule compares,
// so the type of each is shown beside it and can be changed.
import { html, useState } from '../lib/html.js';
import { isNumber, numberOf, textOf } from '../rules/exact.js';
import { OPERATORS, parseDuration } from '../rules/grammar.js';
import { Combobox } from '../parts/combobox.js';
import { DurationField } from './duration-field.js';
import { TimeField } from './time-field.js';

const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
const SYMBOLS = { number: ['123', 'number'], string: ['Abc', 'text'], boolean: ['T/F', 'yes or no'] };

/** The literal that typed text means, in the type that the field has. */
export function literal(text, type) {
  if (type === 'number')
    return NUMBER.test(text.trim()) && Number.isFinite(Number(text)) ? numberOf(text.trim()) : text;
  return text;
}

/** The type that a new value of a field should have, by what the data has. */
function typeOf(value, known) {
  if (isNumber(value)) return 'number';
  if (typeof value === 'boolean') return 'boolean';
  if (value === '' || value === undefined) {
    if (known?.types?.length === 1 && known.types[0] === 'boolean') return 'boolean';
    if (known?.types?.includes('text')) return 'string';
    return 'number';
  }
  return 'string';
}

/** A string, number or boolean. */
function Scalar({ value, onChange, label, known, invalid, types }) {
  const [chosen, setChosen] = useState(undefined);
  // Where text is typed into a number, the number is the wish and the text stays until it is one.
  const type =
    chosen === 'number' && typeof value === 'string'
      ? 'number'
      : typeOf(value, chosen ? { types: [] } : known);
  const shown = chosen && (value === '' || value === undefined) ? chosen : type;
  const next = types[(types.indexOf(shown) + 1) % types.length];
  const change = () => {
    setChosen(next);
    if (next === 'boolean') onChange(true);
    else if (next === 'number') onChange(literal(textOf(value ?? ''), 'number'));
    else onChange(typeof value === 'boolean' ? '' : textOf(value ?? ''));
  };
  const options = (known?.examples ?? [])
    .filter((one) => typeof one !== 'object')
    .map((one) => ({ value: String(one) }));
  const isNoNumber = shown === 'number' && value !== '' && value !== undefined && !isNumber(value);
  const field =
    shown === 'boolean'
      ? html`
          <select
            class="pill"
            aria-label=${label}
            value=${String(value)}
            onChange=${(event) => onChange(event.target.value === 'true')}
          >
            <option>true</option>
            <option>false</option>
          </select>
        `
      : html`
          <${Combobox}
            className="pill value"
            label=${label}
            value=${value === undefined ? '' : textOf(value)}
            options=${options}
            placeholder="value"
            invalid=${invalid || isNoNumber}
            onChange=${(text) => onChange(literal(text, shown === 'string' ? 'string' : 'number'))}
          />
        `;
  return html`
    <span class="joined">
      ${field}
      ${types.length > 1 &&
      html`
        <button
          type="button"
          class="pill type"
          title="Compared as ${SYMBOLS[shown][1]}; change"
          aria-label="${SYMBOLS[shown][0]}: compared as ${SYMBOLS[shown][1]}; change to ${SYMBOLS[next][1]}"
          onClick=${change}
        >
          ${SYMBOLS[shown][0]}
        </button>
      `}
    </span>
  `;
}

/** Several values as chips. */
function List({ value, onChange, label, known, invalid, types }) {
  const [text, setText] = useState('');
  const all = Array.isArray(value) ? value : [];
  const add = (raw) => {
    const wantsText =
      !types.includes('number') ||
      (known?.types?.includes('text') && !known.types.includes('number')) ||
      typeof all[0] === 'string';
    const parts = raw
      .split(',')
      .map((part) => part.trim())
      .filter(Boolean)
      .map((part) => (wantsText ? part : literal(part, 'number')));
    if (parts.length > 0) onChange([...all, ...parts.filter((part) => !all.includes(part))]);
    setText('');
  };
  const onKeyDown = (event) => {
    if ((event.key === 'Enter' || event.key === ',') && text.trim() && !event.defaultPrevented) {
      event.preventDefault();
      add(text);
    } else if (event.key === 'Backspace' && text === '' && all.length > 0) onChange(all.slice(0, -1));
  };
  const options = (known?.examples ?? [])
    .filter((one) => typeof one !== 'object' && !all.includes(one))
    .map((one) => ({ value: String(one) }));
  const choose = (next) => (options.some((option) => option.value === next) ? add(next) : setText(next));
  return html`
    <span
      class="chips ${invalid ? 'invalid' : ''}"
      onKeyDown=${onKeyDown}
      onFocusOut=${() => text.trim() && add(text)}
    >
      ${all.map(
        (one, index) =>
          html`
            <span class="chip" key=${`${typeof one}${textOf(one)}`}>
              ${typeof one === 'string' ? one : JSON.stringify(one)}
              <button
                type="button"
                aria-label="Remove ${textOf(one)}"
                onClick=${() => onChange(all.filter((_, at) => at !== index))}
              >
                ×
              </button>
            </span>
          `,
      )}
      <${Combobox}
        className="bare"
        label=${label}
        value=${text}
        options=${options}
        placeholder=${all.length === 0 ? 'values, Enter adds' : 'add'}
        invalid=${invalid}
        onChange=${choose}
      />
    </span>
  `;
}

/** A time, or a duration before now. */
function Moment({ value, onChange, label, invalid }) {
  const isAgo = value === undefined || /^\d*[smhdw]$/.test(value);
  return html`
    <select
      class="pill"
      aria-label="${label}, kind"
      value=${isAgo ? 'ago' : 'at'}
      onChange=${(event) =>
        onChange(
          event.target.value === 'ago' ? '30d' : new Date().toISOString().slice(0, 10).concat('T00:00:00Z'),
        )}
    >
      <option value="ago">relative</option>
      <option value="at">on the date</option>
    </select>
    ${isAgo
      ? html`
          <${DurationField}
            value=${value}
            label=${label}
            onChange=${onChange}
            invalid=${invalid}
            suffix="ago"
          />
        `
      : html`<${TimeField} value=${value} label=${label} onChange=${onChange} invalid=${invalid} />`}
  `;
}

/** The value of a condition: `known` is what the data says of the field, `result` what a measure gives. */
export function ValueField({ operator, value, result, onChange, known, invalid, label = 'Value' }) {
  const shape = OPERATORS[operator]?.value;
  if (shape === 'none') return null;
  const one = (current, set, name) => {
    if (result === 'duration')
      return html`
        <${DurationField}
          value=${parseDuration(current) || typeof current === 'string' ? current : '7d'}
          label=${name}
          onChange=${set}
          invalid=${invalid}
        />
      `;
    const types =
      result === 'number'
        ? ['number']
        : shape === 'ordered' || shape === 'pair'
          ? ['number', 'string']
          : ['number', 'string', 'boolean'];
    return html`
      <${Scalar}
        value=${current}
        onChange=${set}
        label=${name}
        known=${known}
        invalid=${invalid}
        types=${types}
      />
    `;
  };
  switch (shape) {
    case 'pair': {
      const [low, high] = Array.isArray(value) ? value : [value, value];
      return html`
        ${one(low, (next) => onChange([next, high]), `${label}, low`)}
        <span class="word">and</span>
        ${one(high, (next) => onChange([low, next]), `${label}, high`)}
      `;
    }
    case 'list':
      return html`
        <${List}
          value=${value}
          onChange=${onChange}
          label=${label}
          known=${known}
          invalid=${invalid}
          types=${result === 'number' ? ['number'] : ['number', 'string']}
        />
      `;
    case 'text':
      return html`
        <${Scalar}
          value=${value}
          onChange=${onChange}
          label=${label}
          known=${{ types: ['text'], examples: known?.examples }}
          invalid=${invalid}
          types=${['string']}
        />
      `;
    case 'time':
      return html`<${Moment} value=${value} onChange=${onChange} label=${label} invalid=${invalid} />`;
    default:
      return one(value, onChange, label);
  }
}
