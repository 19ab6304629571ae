// The choice of events: one, several, or any.
import { html } from '../lib/html.js';
import { Combobox } from '../parts/combobox.js';
import { Unseen } from './unseen.js';
import { t } from '../texts/texts.js';

/** `label` is what the field is called; `isNamed` says that any event may not be meant. */
export function EventNames({ event, onChange, suggest, invalid, autofocus, label, isNamed }) {
  const given = { event, onChange, suggest, invalid, label: label ?? t('eventNames.event'), isNamed };
  return Array.isArray(event)
    ? html`<${Several} ...${given} />`
    : html`<${One} ...${given} autofocus=${autofocus} />`;
}

function One({ event, onChange, suggest, invalid, autofocus, label, isNamed }) {
  const any = { value: '*', label: t('eventNames.anyEvent') };
  return html`
    <${Combobox}
      className="pill event"
      label=${label}
      value=${event === undefined ? '' : String(event)}
      options=${isNamed ? suggest.events : [...suggest.events, any]}
      placeholder=${t('common.event')}
      invalid=${invalid}
      autofocus=${autofocus}
      onChange=${onChange}
    />
    <${Unseen} name=${event} known=${suggest.seen.events} onChange=${onChange} />
    ${event &&
    event !== '*' &&
    html`
      <button
        type="button"
        class="pill add"
        aria-label=${t('eventNames.orAnotherEvent')}
        title=${t('eventNames.orAnotherEvent')}
        onClick=${() => onChange([event, ''])}
      >
        ${t('eventNames.or')}
      </button>
    `}
  `;
}

function Several({ event, onChange, suggest, invalid, label }) {
  const set = (index, name) => onChange(event.map((one, at) => (at === index ? name : one)));
  const drop = (index) => {
    const left = event.filter((_, at) => at !== index);
    onChange(left.length === 1 ? left[0] : left);
  };
  const field = (name, index) => html`
    ${index > 0 && html`<span class="word">${t('common.or')}</span>`}
    <span class="joined" key=${index}>
      <${Combobox}
        className="pill event"
        label=${t('eventNames.labelIndex', { label, index: index + 1 })}
        value=${String(name)}
        options=${suggest.events}
        placeholder=${t('common.event')}
        invalid=${invalid}
        autofocus=${name === ''}
        onChange=${(text) => set(index, text)}
      />
      <button
        type="button"
        class="pill clear"
        aria-label=${t('eventNames.withoutName', { name: name || t('eventNames.thisEvent') })}
        onClick=${() => drop(index)}
      >
        ×
      </button>
    </span>
    <${Unseen} name=${name} known=${suggest.seen.events} onChange=${(meant) => set(index, meant)} />
  `;
  return html`
    ${event.map(field)}
    <button type="button" class="pill add" onClick=${() => onChange([...event, ''])}>
      ${t('eventNames.or')}
    </button>
  `;
}
