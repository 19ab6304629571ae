// A date with a time of day. While it is typed in, and has no whole date yet, nothing is written over it.
import { html, useState } from '../lib/html.js';

/** A field whose `value` is `2026-01-31T12:00:00`, or empty; `onChange` hears of whole dates only. */
export function InstantField({ value, label, onChange, invalid, ...rest }) {
  const [typed, setTyped] = useState(undefined);
  const read = (event) => {
    const { value: text } = event.target;
    setTyped(text);
    if (text !== '') onChange(text.length === 16 ? `${text}:00` : text);
  };
  return html`
    <input
      class="pill"
      type="datetime-local"
      step="1"
      aria-label=${label}
      aria-invalid=${invalid ? 'true' : undefined}
      ...${rest}
      value=${typed ?? value}
      onInput=${read}
      onBlur=${() => setTyped(undefined)}
    />
  `;
}
