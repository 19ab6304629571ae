// The window of a behaviour: ever, the last days, a span some time ago, between two dates.
import { html } from '../lib/html.js';
import { windowKind } from '../rules/grammar.js';
import { DurationField } from './duration-field.js';
import { TimeField } from './time-field.js';
import { t } from '../texts/texts.js';

const KINDS = {
  ever: t('windowField.ever'),
  last: t('windowField.inTheLast'),
  ago: t('windowField.betweenAgo'),
  fixed: t('windowField.betweenDates'),
};

const today = () => `${new Date().toISOString().slice(0, 10)}T00:00:00Z`;
const fresh = {
  ever: () => undefined,
  last: () => '30d',
  ago: () => ({ ago: ['60d', '30d'] }),
  fixed: () => ({ from: today() }),
};

export function WindowField({ within, onChange, invalid }) {
  const kind = windowKind(within);
  const label = t('windowField.window');
  return html`
    <select
      class="pill"
      aria-label=${t('windowField.window')}
      aria-invalid=${invalid && kind === 'other' ? 'true' : undefined}
      value=${kind}
      onChange=${(event) => onChange(fresh[event.target.value]?.())}
    >
      ${Object.entries(KINDS).map(([key, text]) => html`<option value=${key}>${text}</option>`)}
      ${kind === 'other' && html`<option value="other">${t('windowField.asInTheJson')}</option>`}
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
        label=${t('windowField.windowBegin')}
        invalid=${invalid}
        onChange=${(value) => onChange({ ...within, ago: [value, within.ago[1]] })}
      />
      <span class="word">${t('common.and')}</span>
      <${DurationField}
        value=${within.ago[1]}
        label=${t('windowField.windowEnd')}
        invalid=${invalid}
        suffix=${t('windowField.ago')}
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

const SIDES = {
  from: {
    word: t('windowField.from'),
    label: t('windowField.windowFrom'),
    add: t('windowField.from2'),
    drop: t('windowField.noBegin'),
  },
  to: {
    word: t('common.to'),
    label: t('windowField.windowTo'),
    add: t('windowField.to'),
    drop: t('windowField.noEnd'),
  },
};

/** One end of a window between dates; the other may be left out. */
function Bound({ within, side, onChange, invalid }) {
  const other = side === 'from' ? 'to' : 'from';
  const { [side]: value, ...rest } = within;
  if (value === undefined)
    return html`
      <button type="button" class="pill add" onClick=${() => onChange({ ...within, [side]: today() })}>
        ${SIDES[side].add}
      </button>
    `;
  return html`
    <span class="word">${SIDES[side].word}</span>
    <${TimeField}
      value=${value}
      label=${SIDES[side].label}
      invalid=${invalid}
      onChange=${(next) => onChange({ ...within, [side]: next })}
    />
    ${within[other] !== undefined &&
    html`
      <button type="button" class="pill clear" aria-label=${SIDES[side].drop} onClick=${() => onChange(rest)}>
        ×
      </button>
    `}
  `;
}
