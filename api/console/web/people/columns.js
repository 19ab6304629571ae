// The columns of tables of people: which traits stand beside the ids, chosen once for this browser.
import { html, useState } from '../lib/html.js';
import { read } from '../lib/api.js';
import { useLoad } from '../lib/load.js';
import { createStore, useStore } from '../lib/store.js';
import { nameOf, typesText } from '../lib/vocabulary.js';
import { Combobox } from '../parts/combobox.js';
import { Dialog } from '../parts/dialog.js';
import { Icon } from '../parts/icon.js';
import { t } from '../texts/texts.js';

const STORED = 'audience.columns';
/** As many as the server gives. */
const MOST = 20;
/** The columns that most look for first, if they are there. */
const USUAL = ['name', 'email'];

function stored() {
  try {
    const columns = JSON.parse(localStorage.getItem(STORED) ?? 'null');
    return Array.isArray(columns)
      ? columns.filter((one) => typeof one === 'string').slice(0, MOST)
      : undefined;
  } catch {
    return undefined;
  }
}

const chosen = createStore(/** @type {string[] | undefined} */ (stored()));

function choose(columns) {
  try {
    localStorage.setItem(STORED, JSON.stringify(columns));
  } catch {
    // The choice then lasts until the next load.
  }
  chosen.set(columns);
}

/** The traits that are known, told and computed, by name. */
async function loadFields(signal) {
  const schema = await read('/api/schema', signal);
  const computed = schema.computedTraits.map((one) => ({ value: one.name, hint: t('suggestions.computed') }));
  const told = schema.traits.map((one) => ({ value: one.name, hint: typesText(one.types) }));
  const all = new Map([...told, ...computed].map((one) => [one.value, one]));
  return [...all.values()].sort((a, b) => a.value.localeCompare(b.value));
}

/**
 * The columns that are chosen, and the traits to choose from. Columns are there once it is known what there is.
 * @returns {{ columns: string[] | undefined, fields: { value: string, hint: string }[] }}
 */
export function useColumns() {
  const { data, problem } = useLoad(loadFields, []);
  const own = useStore(chosen);
  const fields = data ?? [];
  const usual = USUAL.filter((name) => fields.some((field) => field.value === name));
  return { columns: own ?? (data || problem ? usual : undefined), fields };
}

export function ColumnChooser({ columns, fields }) {
  const [open, setOpen] = useState(false);
  return html`
    <button type="button" class="button small" onClick=${() => setOpen(true)}>
      <${Icon} name="filter" />
      ${t('people.columns')}
    </button>
    ${open && html`<${Chooser} columns=${columns} fields=${fields} onClose=${() => setOpen(false)} />`}
  `;
}

function Chooser({ columns, fields, onClose }) {
  const [other, setOther] = useState('');
  const names = [...new Set([...columns, ...fields.map((field) => field.value)])];
  const toggle = (name) =>
    choose(
      columns.includes(name) ? columns.filter((one) => one !== name) : [...columns, name].slice(0, MOST),
    );
  const add = (event) => {
    event.preventDefault();
    if (other.trim() && !columns.includes(other.trim())) toggle(other.trim());
    setOther('');
  };
  return html`
    <${Dialog}
      title=${t('people.columns')}
      onClose=${onClose}
      foot=${html`
        <button type="button" class="button primary" onClick=${onClose}>${t('people.done')}</button>
      `}
    >
      <fieldset class="column-choice">
        <legend class="visually-hidden">${t('people.traitsBesideTheIds')}</legend>
        ${names.map(
          (name) => html`
            <label class="row" key=${name}>
              <input type="checkbox" checked=${columns.includes(name)} onChange=${() => toggle(name)} />
              <span>${nameOf('trait', name)}</span>
              <small class="muted">${fields.find((field) => field.value === name)?.hint}</small>
            </label>
          `,
        )}
      </fieldset>
      <form class="row" onSubmit=${add}>
        <${Combobox}
          className="input"
          label=${t('people.anotherTrait')}
          placeholder=${t('people.anotherTraitSuchAs')}
          value=${other}
          options=${[]}
          onChange=${setOther}
        />
        <button type="submit" class="button" disabled=${!other.trim()}>${t('people.add')}</button>
      </form>
    <//>
  `;
}
