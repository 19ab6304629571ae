// The window of a behaviour: ever, the last days, a span some time ago, between two dates.
import { html } from '../lib/html.js';
import { windowKind } from '../rules/grammar.js';
import { DurationField } from './duration-field.js';
import { TimeField } from './time-field.js';

const KINDS = { ever: 'ever', last: 'in the last', ago: 'between … ago', fixed: 'between dates' };

const today = () => `${new Date().toISOString().slice(0, 10)}T00:00:00Z`;
const fresh = {
  ever: () => undefined,
  last: () => '30d',
  ago: () => ({ ago: ['60d', '30d'] }),
  fixed: () => ({ from: today() }),
};

export function WindowField({ within, onChange, invalid }) {
  const kind = windowKind(within);
  const label = 'Window';
  return html`
    <select
      class="pill"
      aria-label="Window"
      aria-invalid=${invalid && kind === 'other' ? 'true' : undefined}
      value=${kind}
      onChange=${(event) => onChange(fresh[event.target.value]?.())}
    >
      ${Object.entries(KINDS).map(([key, text]) => html`<option value=${key}>${text}</option>`)}
      ${kind === 'other' && html`<option value="other">as in the JSON</option>`}
    </select>
    ${kind === 'last' &&
    html`
      <${DurationField}
        value=${within.last ?? within}
        label=${label}
        invalid=${invalid}
        onChange=${(value) => onChange(typeof within === 'string' ? value : { ...within, last: value })}
      />
    `}
    ${kind === 'ago' &&
    html`
      <${DurationField}
        value=${within.ago[0]}
        label="Window, begin"
        invalid=${invalid}
        onChange=${(value) => onChange({ ...within, ago: [value, within.ago[1]] })}
      />
      <span class="word">and</span>
      <${DurationField}
        value=${within.ago[1]}
        label="Window, end"
        invalid=${invalid}
        suffix="ago"
        onChange=${(value) => onChange({ ...within, ago: [within.ago[0], value] })}
      />
    `}
    ${kind === 'fixed' &&
    html`
      <${Bound} within=${within} side="from" onChange=${onChange} invalid=${invalid} />
      <${Bound} within=${within} side="to" onChange=${onChange} invalid=${invalid} />
    `}
  `;
}

/** One end of a window between dates; the other may be left out. */
function Bound({ within, side, onChange, invalid }) {
  const other = side === 'from' ? 'to' : 'from';
  const { [side]: value, ...rest } = within;
  if (value === undefined)
    return html`
      <button type="button" class="pill add" onClick=${() => onChange({ ...within, [side]: today() })}>
        + ${side}
      </button>
    `;
  return html`
    <span class="word">${side}</span>
    <${TimeField}
      value=${value}
      label="Window, ${side}"
      invalid=${invalid}
      onChange=${(next) => onChange({ ...within, [side]: next })}
    />
    ${within[other] !== undefined &&
    html`
      <button type="button" class="pill clear" aria-label="No ${side}" onClick=${() => onChange(rest)}>
        ×
      </button>
    `}
  `;
}
