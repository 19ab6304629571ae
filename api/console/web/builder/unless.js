// Events that undo others with the same value, such as the cancellation of an order.
import { html } from '../lib/html.js';
import { Combobox } from '../parts/combobox.js';
import { toUnless } from '../rules/form.js';
import { below } from '../rules/pointers.js';
import { EventNames } from './event-names.js';
import { AddFilter, Filters } from './filters.js';
import { isFaulty } from './faults.js';
import { t } from '../texts/texts.js';

/** The button that begins with it. */
export function AddUnless({ node, onChange }) {
  if (node.unless) return null;
  const add = () => onChange({ ...node, unless: toUnless({ event: '', same: '' }) });
  return html`<button type="button" class="pill add" onClick=${add}>${t('unless.add')}</button>`;
}

/** One path for both, or one for what counts and one for what undoes it. */
function Same({ same, own, other, onChange, invalid }) {
  const isPair = Array.isArray(same);
  const [here, there] = isPair ? same : [same, same];
  return html`
    <${Combobox}
      className="pill field"
      label=${t('unless.sameValueOf')}
      value=${String(here ?? '')}
      options=${own}
      placeholder=${t('common.property')}
      invalid=${invalid}
      onChange=${(text) => onChange(isPair ? [text, there] : text)}
    />
    ${isPair
      ? html`
          <span class="word">${t('unless.calledThere')}</span>
          <span class="joined">
            <${Combobox}
              className="pill field"
              label=${t('unless.itsNameThere')}
              value=${String(there ?? '')}
              options=${other}
              placeholder=${t('common.property')}
              invalid=${invalid}
              autofocus=${there === ''}
              onChange=${(text) => onChange([here, text])}
            />
            <button
              type="button"
              class="pill clear"
              aria-label=${t('unless.theSameName')}
              onClick=${() => onChange(here)}
            >
              ×
            </button>
          </span>
        `
      : html`
          <button type="button" class="pill add" onClick=${() => onChange([here ?? '', ''])}>
            ${t('unless.otherNameThere')}
          </button>
        `}
  `;
}

/** `suggest` is that of what counts, `all` that of any event. */
export function Unless({ node, onChange, suggest, all, faults, pointer }) {
  const { unless } = node;
  if (!unless) return null;
  const at = below(pointer, 'unless');
  const set = (next) => onChange({ ...node, unless: next });
  const put = (change) => set({ ...unless, json: { ...unless.json, ...change } });
  const drop = () => {
    const { unless: _, ...rest } = node;
    onChange(rest);
  };
  return html`
    <div class="nested" role="group" aria-label=${t('unless.unlessItWasUndone')}>
      <span class="sentence">
        <span class="word strong">${t('unless.unless')}</span>
        <${EventNames}
          event=${unless.json.event}
          onChange=${(event) => put({ event })}
          suggest=${all}
          invalid=${isFaulty(faults, at, 'event')}
          autofocus=${unless.json.event === ''}
        />
        <span class="word">${t('unless.hasTheSame')}</span>
        <${Same}
          same=${unless.json.same}
          own=${suggest.propertiesOf(node.json.event)}
          other=${all.propertiesOf(unless.json.event)}
          invalid=${isFaulty(faults, at, 'same')}
          onChange=${(same) => put({ same })}
        />
        <${AddFilter} node=${unless} onChange=${set} />
        <button type="button" class="pill clear" aria-label=${t('unless.remove')} onClick=${drop}>×</button>
      </span>
      <${Filters} node=${unless} onChange=${set} suggest=${all} faults=${faults} pointer=${at} />
    </div>
  `;
}
