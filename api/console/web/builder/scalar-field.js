// One value of a condition. A literal's JSON type decides how a rule compares, so the type is shown beside the value and
// can be changed. It follows the field, and what was seen of it.
import { html, useId, useState } from '../lib/html.js';
import { looksNumeric, readNumber, writeNumber } from '../lib/numbers.js';
import { Refusal, useTyped } from '../lib/typed.js';
import { Combobox } from '../parts/combobox.js';
import { isNumber, textOf } from '../rules/exact.js';
import { t } from '../texts/texts.js';

const SYMBOLS = {
  number: ['123', t('scalar.number')],
  string: ['Abc', t('scalar.text')],
  boolean: ['T/F', t('scalar.yesOrNo')],
};
const SEEN = new Map(Object.entries({ number: 'number', boolean: 'boolean' })).set('text', 'string');

const typeName = (value) => (isNumber(value) ? 'number' : typeof value === 'boolean' ? 'boolean' : 'string');
const isEmpty = (value) => value === '' || value === undefined;

/** The one type that was seen of a field, among those that an operator takes. */
export function seenType(known, types) {
  const seen = (known?.types ?? []).map((name) => SEEN.get(name)).filter((name) => types.includes(name));
  return seen.length === 1 && known.types.length === 1 ? seen[0] : undefined;
}

/**
 * The type by which a text is read: the chosen one, that of the value, or the seen one; `auto` reads as a number what is
 * meant as one.
 */
function modeOf({ value, types, known, chosen, isOrdered }) {
  if (chosen) return chosen;
  if (types.length === 1) return types[0];
  const seen = seenType(known, types);
  if (isEmpty(value)) return seen ?? (isOrdered ? 'number' : 'auto');
  const now = typeName(value);
  // A text of digits was meant as a text.
  const isMeant = typeof value === 'string' && looksNumeric(value);
  return now === seen || now === 'boolean' || isOrdered || isMeant ? now : 'auto';
}

/** The value of a typed text. */
export function readAs(mode, text) {
  if (mode === 'number') return readNumber(text);
  if (mode === 'auto' && text.trim() !== '' && looksNumeric(text)) return readNumber(text);
  return { value: text };
}

const write = (value) => (isNumber(value) ? writeNumber(value) : value === undefined ? '' : textOf(value));

/** The seen values of a field, as they are written in this language. */
export const examplesOf = (known, mode) =>
  (known?.examples ?? [])
    .filter((one) => typeof one !== 'object' && (mode !== 'number' || typeof one === 'number'))
    .map((one) => ({ value: typeof one === 'number' ? writeNumber(one) : String(one) }));

function YesNo({ value, onChange, label }) {
  return html`
    <select
      class="pill"
      aria-label=${label}
      value=${String(value)}
      onChange=${(event) => onChange(event.target.value === 'true')}
    >
      <option value="true">${t('scalarField.yes')}</option>
      <option value="false">${t('scalarField.no')}</option>
    </select>
  `;
}

/** A string, number or boolean. */
export function ScalarField({ value, onChange, label, known, invalid, types, isOrdered }) {
  const [chosen, setChosen] = useState(undefined);
  const fault = useId();
  const mode = modeOf({ value, types, known, chosen, isOrdered });
  const field = useTyped({ value, write, read: (text) => readAs(mode, text), onChange });
  const shown = mode !== 'auto' ? mode : isEmpty(value) ? 'number' : typeName(value);
  const next = types[(types.indexOf(shown) + 1) % types.length];
  const change = () => {
    setChosen(next);
    if (next === 'boolean') return onChange(true);
    if (next === 'string') return onChange(typeof value === 'boolean' ? '' : field.text);
    const { value: number } = readNumber(field.text);
    onChange(number ?? '');
  };
  const isNoNumber = shown === 'number' && !isEmpty(value) && !isNumber(value);
  return html`
    <span class="joined">
      ${mode === 'boolean'
        ? html`<${YesNo} value=${value} onChange=${onChange} label=${label} />`
        : html`
            <${Combobox}
              className="pill value"
              label=${label}
              value=${field.text}
              options=${examplesOf(known, mode)}
              placeholder=${t('scalarField.value')}
              invalid=${invalid || isNoNumber || field.refused !== undefined}
              describedBy=${field.refused ? fault : undefined}
              onChange=${field.type}
              onLeave=${field.leave}
            />
          `}
      ${types.length > 1 && html`<${TypeButton} shown=${shown} next=${next} onClick=${change} />`}
    </span>
    <${Refusal} text=${field.refused} id=${fault} />
  `;
}

function TypeButton({ shown, next, onClick }) {
  const [symbol, name] = SYMBOLS[shown];
  return html`
    <button
      type="button"
      class="pill type"
      title=${t('scalarField.comparedAsNameChange', { name })}
      aria-label=${t('scalarField.symbolComparedAsNameChangeTo', { symbol, name, value: SYMBOLS[next][1] })}
      onClick=${onClick}
    >
      ${symbol}
    </button>
  `;
}
