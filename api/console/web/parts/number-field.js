// A number: typed in the language of the browser, never changed while it is typed.
import { html, useId } from '../lib/html.js';
import { readNumber, writeNumber } from '../lib/numbers.js';
import { Refusal, useTyped } from '../lib/typed.js';
import { t } from '../texts/texts.js';

/** Reads a number within limits. */
function readWithin(text, { minimum, maximum, isWhole, decimals }) {
  const read = readNumber(text);
  if (read.refused !== undefined) return read;
  const value = Number(read.value);
  if (isWhole && !Number.isInteger(value))
    return { refused: t('numberField.valueIsNotAWholeNumber', { value: text.trim() }) };
  if (decimals !== undefined && Number(value.toFixed(decimals)) !== value) {
    return { refused: t('numberField.atMostDecimalsDecimals', { decimals }) };
  }
  if (minimum !== undefined && value < minimum)
    return { refused: t('numberField.theLeastIsMinimum', { minimum: writeNumber(minimum) }) };
  if (maximum !== undefined && value > maximum)
    return { refused: t('numberField.theMostIsMaximum', { maximum: writeNumber(maximum) }) };
  return read;
}

/** A field whose limits are `minimum`, `maximum`, `isWhole` and `decimals`. */
export function NumberField({ value, label, onChange, invalid, className = 'pill number', ...rest }) {
  const { minimum, maximum, isWhole, decimals, id, ...attributes } = rest;
  const limits = { minimum, maximum, isWhole, decimals };
  const field = useTyped({ value, write: writeNumber, read: (text) => readWithin(text, limits), onChange });
  const fault = useId();
  return html`
    <input
      class=${className}
      id=${id}
      inputmode=${isWhole ? 'numeric' : 'decimal'}
      autocomplete="off"
      aria-label=${label}
      aria-invalid=${invalid || field.refused ? 'true' : undefined}
      aria-describedby=${field.refused ? fault : undefined}
      ...${attributes}
      value=${field.text}
      onInput=${(event) => field.type(event.target.value)}
      onBlur=${field.leave}
    />
    <${Refusal} text=${field.refused} id=${fault} />
  `;
}
