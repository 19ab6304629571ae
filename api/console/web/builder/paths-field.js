// The measured value of an event: a property, a product of several, or the first of several that has a value.
import { html } from '../lib/html.js';
import { Combobox } from '../parts/combobox.js';
import { dropChoice, isChoice, put, withChoice } from '../rules/edits.js';
import { EventNames } from './event-names.js';
import { isFaulty } from './faults.js';
import { t } from '../texts/texts.js';

/** The most factors of a product, and the most properties of a choice. */
const MOST_FACTORS = 4;
const MOST_CHOICES = 8;

/** A property, with a button that takes it away where it is one of several. */
function Path({ value, label, drop, dropLabel, ...given }) {
  const field = html`
    <${Combobox}
      className="pill field"
      label=${label}
      value=${String(value ?? '')}
      placeholder=${t('common.property')}
      ...${given}
    />
  `;
  if (!drop) return field;
  return html`
    <span class="joined">
      ${field}
      <button type="button" class="pill clear" aria-label=${dropLabel} onClick=${drop}>×</button>
    </span>
  `;
}

function Add({ text, label, onClick }) {
  return html`
    <button type="button" class="pill add" aria-label=${label} title=${label} onClick=${onClick}>
      ${text}
    </button>
  `;
}

/** Properties that are multiplied. */
function Product({ of, options, onChange, invalid }) {
  const drop = (index) => {
    const left = of.filter((_, at) => at !== index);
    onChange(left.length === 1 ? left[0] : left);
  };
  return of.map(
    (factor, index) => html`
      ${index > 0 && html`<span class="word">${t('measureField.by')}</span>`}
      <${Path}
        key=${index}
        value=${factor}
        label=${t('measureField.factor', { index: index + 1 })}
        options=${options}
        invalid=${invalid('of')}
        autofocus=${index > 0 && factor === ''}
        onChange=${(text) => onChange(of.map((one, at) => (at === index ? text : one)))}
        drop=${() => drop(index)}
        dropLabel=${t('measureField.withoutFactor', { index: index + 1 })}
      />
    `,
  );
}

/** Properties of which the first that has a value counts, and the events for which it counts as negative. */
function Choice({ of, options, onChange, invalid, suggest }) {
  const { firstOf, minus } = of;
  const set = (index, text) =>
    onChange({ ...of, firstOf: firstOf.map((one, at) => (at === index ? text : one)) });
  const path = (one, index) => html`
    ${index > 0 && html`<span class="word">${t('measureField.orElse')}</span>`}
    <${Path}
      key=${index}
      value=${one}
      label=${t('measureField.choice', { index: index + 1 })}
      options=${options}
      invalid=${invalid(`of/firstOf/${index}`)}
      autofocus=${index > 0 && one === ''}
      onChange=${(text) => set(index, text)}
      drop=${() => onChange(dropChoice(of, index))}
      dropLabel=${t('measureField.withoutChoice', { index: index + 1 })}
    />
  `;
  return html`
    ${firstOf.map(path)}
    ${firstOf.length < MOST_CHOICES &&
    html`
      <${Add}
        text=${t('measureField.addOrElse')}
        label=${t('measureField.orElseAnotherProperty')}
        onClick=${() => onChange({ ...of, firstOf: [...firstOf, ''] })}
      />
    `}
    ${minus === undefined
      ? html`
          <button type="button" class="pill add" onClick=${() => onChange({ ...of, minus: '' })}>
            ${t('measureField.addMinus')}
          </button>
        `
      : html`
          <span class="word">${t('measureField.negativeFor')}</span>
          <${EventNames}
            event=${minus}
            label=${t('measureField.negativeEvent')}
            suggest=${suggest}
            invalid=${invalid('of/minus')}
            autofocus=${minus === ''}
            isNamed
            onChange=${(events) => onChange({ ...of, minus: events })}
          />
          <button
            type="button"
            class="pill clear"
            aria-label=${t('measureField.withoutMinus')}
            onClick=${() => onChange(put(of, 'minus', undefined))}
          >
            ×
          </button>
        `}
  `;
}

/** `pointer` is that of the measure; `isNumeric` says that numbers are measured, which go together in a product. */
export function PathsField({ of, event, onChange, suggest, faults, pointer, isNumeric }) {
  const isWhole = ['', '/of', '/of/firstOf'].some((end) =>
    faults.some((one) => one.pointer === pointer + end),
  );
  const given = {
    of,
    options: suggest.propertiesOf(event),
    onChange,
    invalid: (member) => isWhole || isFaulty(faults, pointer, member),
  };
  if (isChoice(of)) return html`<${Choice} ...${given} suggest=${suggest} />`;
  const isProduct = Array.isArray(of);
  return html`
    ${isProduct
      ? html`<${Product} ...${given} />`
      : html`
          <${Path}
            value=${of}
            label=${t('behaviour.propertyThatIsMeasured')}
            options=${given.options}
            invalid=${given.invalid('of')}
            onChange=${onChange}
          />
        `}
    ${(isNumeric || isProduct) &&
    (isProduct ? of.length < MOST_FACTORS && of[0] : of) &&
    html`
      <${Add}
        text=${t('measureField.times')}
        label=${t('measureField.timesAnotherProperty')}
        onClick=${() => onChange([...[of].flat(), ''])}
      />
    `}
    ${!isProduct &&
    of &&
    html`
      <${Add}
        text=${t('measureField.addOrElse')}
        label=${t('measureField.orElseAnotherProperty')}
        onClick=${() => onChange(withChoice(of))}
      />
    `}
  `;
}
