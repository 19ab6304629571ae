// Which events are meant: one, several, or any.
import { html } from '../lib/html.js';
import { Combobox } from '../parts/combobox.js';

export function EventNames({ event, onChange, suggest, invalid, autofocus }) {
  const options = [...suggest.events, { value: '*', hint: 'any event' }];
  if (!Array.isArray(event)) {
    return html`
      <${Combobox}
        className="pill event"
        label="Event"
        value=${event === undefined ? '' : String(event)}
        options=${options}
        placeholder="event"
        invalid=${invalid || event === ''}
        autofocus=${autofocus}
        onChange=${onChange}
      />
      ${event &&
      event !== '*' &&
      html`
        <button
          type="button"
          class="pill add"
          aria-label="Or another event"
          title="Or another event"
          onClick=${() => onChange([event, ''])}
        >
          + or
        </button>
      `}
    `;
  }
  const set = (index, name) => onChange(event.map((one, at) => (at === index ? name : one)));
  const drop = (index) => {
    const left = event.filter((_, at) => at !== index);
    onChange(left.length === 1 ? left[0] : left);
  };
  return html`
    ${event.map(
      (name, index) => html`
        ${index > 0 && html`<span class="word">or</span>`}
        <span class="joined" key=${index}>
          <${Combobox}
            className="pill event"
            label="Event ${index + 1}"
            value=${String(name)}
            options=${suggest.events}
            placeholder="event"
            invalid=${invalid || name === ''}
            autofocus=${name === ''}
            onChange=${(text) => set(index, text)}
          />
          <button
            type="button"
            class="pill clear"
            aria-label="Without ${name || 'this event'}"
            onClick=${() => drop(index)}
          >
            ×
          </button>
        </span>
      `,
    )}
    <button type="button" class="pill add" onClick=${() => onChange([...event, ''])}>+ or</button>
  `;
}
