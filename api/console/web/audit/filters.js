// The filters of the audit log: kind, action, author, id, and days.
import { html } from '../lib/html.js';
import { setQuery } from '../lib/router.js';
import { useTyped } from '../lib/typed.js';
import { ACTIONS, KINDS } from './words.js';
import { t } from '../texts/texts.js';

/** A text that is looked for: spaces around it say nothing, but stay while it is typed. */
function FilterText({ label, value, onChange }) {
  const field = useTyped({
    value,
    write: (text) => text,
    read: (text) => ({ value: text.trim() }),
    onChange,
  });
  return html`
    <input
      class="input filter-text"
      aria-label=${label}
      placeholder=${label}
      value=${field.text}
      onInput=${(event) => field.type(event.target.value)}
      onBlur=${field.leave}
    />
  `;
}

function Day({ label, value, onChange }) {
  return html`
    <label class="day">
      <span class="small muted">${label}</span>
      <input class="input" type="date" value=${value} onChange=${(event) => onChange(event.target.value)} />
    </label>
  `;
}

export function Filters({ filter }) {
  const set = (member) => (value) => setQuery({ [member]: value });
  const pick = (member, label, options) => html`
    <select
      class="select"
      aria-label=${label}
      value=${filter[member] ?? ''}
      onChange=${(event) => set(member)(event.target.value)}
    >
      <option value="">${label}</option>
      ${options.map(([value, text]) => html`<option value=${value}>${text}</option>`)}
    </select>
  `;
  const text = (member, label) => html`
    <${FilterText} label=${label} value=${filter[member] ?? ''} onChange=${set(member)} />
  `;
  const actions = Object.entries(ACTIONS).map(([value, [name]]) => [value, name]);
  const none = Object.fromEntries(Object.keys(filter).map((member) => [member, '']));
  return html`
    <div class="toolbar">
      ${pick('kind', t('filters.everything'), Object.entries(KINDS))}
      ${pick('action', t('filters.everyAction'), actions)}
      ${text('author', t('filters.author'))}
      ${text('id', t('filters.id'))}
      <${Day} label=${t('filters.from')} value=${filter.from ?? ''} onChange=${set('from')} />
      <${Day} label=${t('filters.to')} value=${filter.to ?? ''} onChange=${set('to')} />
      ${Object.values(filter).some(Boolean) &&
      html`
        <button type="button" class="button quiet small" onClick=${() => setQuery(none)}>
          ${t('filters.clear')}
        </button>
      `}
    </div>
  `;
}
