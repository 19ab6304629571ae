// Several values as chips.
import { html, useId, useState } from '../lib/html.js';
import { looksNumeric, splitNumbers, writeNumber } from '../lib/numbers.js';
import { Refusal, useTyped } from '../lib/typed.js';
import { Combobox } from '../parts/combobox.js';
import { isNumber, textOf } from '../rules/exact.js';
import { examplesOf, readAs, seenType } from './scalar-field.js';
import { t } from '../texts/texts.js';

/** The type by which texts are read: that of the present values, or the one seen in the field. */
function modeOf(all, types, known) {
  if (types.length === 1) return types[0];
  const seen = seenType(known, types);
  if (all.length === 0) return seen ?? 'auto';
  return isNumber(all[0]) ? (seen ?? 'auto') : 'string';
}

/** The values of a typed text, or why one of them has none. */
function readList(mode, text) {
  const isNumeric = mode === 'number' || (mode === 'auto' && looksNumeric(text));
  const parts = isNumeric
    ? splitNumbers(text)
    : text
        .split(',')
        .map((part) => part.trim())
        .filter(Boolean);
  const read = parts.map((part) => readAs(mode, part));
  const refused = read.find((one) => one.refused !== undefined)?.refused;
  return refused === undefined ? { values: read.map((one) => one.value) } : { refused };
}

export function ListField({ value, onChange, label, known, invalid, types }) {
  const [text, setText] = useState('');
  const fault = useId();
  const all = Array.isArray(value) ? value : [];
  const mode = modeOf(all, types, known);
  // Text that waits in the field is no value yet: it is unreadable as long as it is refused.
  const field = useTyped({
    value: text,
    write: (waiting) => waiting,
    read: (typed) => {
      const { refused } = typed.trim() === '' ? {} : readList(mode, typed);
      return refused === undefined ? { value: typed } : { refused };
    },
    onChange: setText,
  });
  const add = (raw) => {
    const { values, refused } = readList(mode, raw);
    if (refused !== undefined) return field.leave();
    const fresh = values.filter((one, at) => !all.includes(one) && values.indexOf(one) === at);
    if (fresh.length > 0) onChange([...all, ...fresh]);
    field.type('');
  };
  const onKeyDown = (event) => {
    const { text: typed } = field;
    // A comma may be part of a number.
    const isOfNumber = mode === 'number' || (mode === 'auto' && looksNumeric(typed));
    const isEnd = event.key === 'Enter' || (event.key === ',' && !isOfNumber);
    if (isEnd && typed.trim() && !event.defaultPrevented) {
      event.preventDefault();
      add(typed);
    } else if (event.key === 'Backspace' && typed === '' && all.length > 0) onChange(all.slice(0, -1));
  };
  const options = examplesOf(known, mode).filter(
    (one) => !all.some((other) => writeOne(other) === one.value),
  );
  const choose = (next) => (options.some((option) => option.value === next) ? add(next) : field.type(next));
  const drop = (index) => onChange(all.filter((_, at) => at !== index));
  return html`
    <span
      class="chips ${invalid || field.refused ? 'invalid' : ''}"
      onKeyDown=${onKeyDown}
      onFocusOut=${() => field.text.trim() && add(field.text)}
    >
      ${all.map(
        (one, index) =>
          html`<${Chip} key=${`${typeof one}${textOf(one)}`} value=${one} onDrop=${() => drop(index)} />`,
      )}
      <${Combobox}
        className="bare"
        label=${label}
        value=${field.text}
        options=${options}
        placeholder=${all.length === 0 ? t('listField.valuesEnterAdds') : t('listField.add')}
        invalid=${invalid || field.refused !== undefined}
        describedBy=${field.refused ? fault : undefined}
        onChange=${choose}
      />
    </span>
    <${Refusal} text=${field.refused} id=${fault} />
  `;
}

const writeOne = (value) => (isNumber(value) ? writeNumber(value) : textOf(value));

function Chip({ value, onDrop }) {
  return html`
    <span class="chip">
      ${writeOne(value)}
      <button
        type="button"
        aria-label=${t('listField.removeValue', { value: writeOne(value) })}
        onClick=${onDrop}
      >
        ×
      </button>
    </span>
  `;
}
