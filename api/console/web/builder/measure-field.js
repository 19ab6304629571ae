// What of events is measured: how often, a sum, a middle, the last value, on how many days.
import { html } from '../lib/html.js';
import { Combobox } from '../parts/combobox.js';
import { NumberField } from '../parts/number-field.js';
import { MEASURES, measureName } from '../rules/grammar.js';
import { put, withMeasure } from '../rules/edits.js';
import { isNumber, textOf } from '../rules/exact.js';
import { DurationField } from './duration-field.js';
import { WeekStart } from './window-field.js';
import { ZoneField } from './zone-field.js';
import { isFaulty } from './faults.js';
import { many, t } from '../texts/texts.js';

/** The most factors of a product, and the farthest value from an end. */
const MOST_FACTORS = 4;
const MOST_NTH = 100;

/** What a count is called: after its number where it is chosen, by its full name among the others. */
function countText(name, json) {
  const isLines = json.each !== undefined;
  if (name !== 'count') return isLines ? t('behaviour.numberOfLines') : t('behaviour.numberOfTimes');
  const number = isNumber(json.value ?? 1) ? Number(textOf(json.value ?? 1)) : 2;
  return isLines ? many('behaviour.lines', number) : many('behaviour.times', number);
}

/** The property that is measured, or the factors of a product. */
function Factors({ of, options, onChange, invalid, isNumeric }) {
  const isProduct = Array.isArray(of);
  const factors = isProduct ? of : [of];
  const drop = (index) => {
    const left = factors.filter((_, at) => at !== index);
    onChange(left.length === 1 ? left[0] : left);
  };
  const field = (factor, index) => html`
    ${index > 0 && html`<span class="word">${t('measureField.by')}</span>`}
    <span class="joined" key=${index}>
      <${Combobox}
        className="pill field"
        label=${isProduct
          ? t('measureField.factor', { index: index + 1 })
          : t('behaviour.propertyThatIsMeasured')}
        value=${String(factor ?? '')}
        options=${options}
        placeholder=${t('common.property')}
        invalid=${invalid}
        autofocus=${isProduct && index > 0 && factor === ''}
        onChange=${(text) =>
          onChange(isProduct ? factors.map((one, at) => (at === index ? text : one)) : text)}
      />
      ${isProduct &&
      html`
        <button
          type="button"
          class="pill clear"
          aria-label=${t('measureField.withoutFactor', { index: index + 1 })}
          onClick=${() => drop(index)}
        >
          ×
        </button>
      `}
    </span>
  `;
  return html`
    ${factors.map(field)}
    ${(isNumeric || isProduct) &&
    factors.length < MOST_FACTORS &&
    factors[0] &&
    html`
      <button
        type="button"
        class="pill add"
        aria-label=${t('measureField.timesAnotherProperty')}
        title=${t('measureField.timesAnotherProperty')}
        onClick=${() => onChange([...factors, ''])}
      >
        ${t('measureField.times')}
      </button>
    `}
  `;
}

/** `pointer` is that of the behaviour; `isAmount` says that nothing is compared with it. */
export function MeasureField({ json, onChange, suggest, faults, pointer, isAmount, element }) {
  const name = measureName(json.measure);
  const { of, nth, gap, zone, week, result } = MEASURES[name] ?? {};
  const at = `${pointer}/measure`;
  const isWhole = faults.some((fault) => fault.pointer === at);
  const invalid = (member) => isWhole || isFaulty(faults, at, member);
  const set = (change) => onChange({ ...json, measure: { ...json.measure, ...change } });
  const setZone = (chosen) => onChange({ ...json, measure: put(json.measure, 'zone', chosen) });
  return html`
    <select
      ref=${element}
      class="pill measure"
      aria-label=${t('behaviour.measure')}
      aria-invalid=${invalid('fn') ? 'true' : undefined}
      value=${name ?? ''}
      onChange=${(event) => onChange(withMeasure(json, event.target.value, isAmount))}
    >
      ${name === undefined && html`<option value="">${JSON.stringify(json.measure)}</option>`}
      ${Object.entries(MEASURES).map(
        ([key, { text }]) =>
          html`<option value=${key}>${key === 'count' && !isAmount ? countText(name, json) : text}</option>`,
      )}
    </select>
    ${nth &&
    html`
      <${NumberField}
        value=${json.measure.nth}
        label=${t('measureField.whichOne')}
        invalid=${invalid('nth')}
        minimum=${1}
        maximum=${MOST_NTH}
        isWhole
        onChange=${(value) => set({ nth: value })}
      />
    `}
    ${of &&
    html`
      <${Factors}
        of=${json.measure.of}
        options=${suggest.propertiesOf(json.event)}
        invalid=${invalid('of')}
        isNumeric=${result === 'number' && name !== 'distinct'}
        onChange=${(next) => set({ of: next })}
      />
    `}
    ${gap &&
    html`
      <span class="word">${t('measureField.withPausesUpTo')}</span>
      <${DurationField}
        value=${json.measure.gap}
        label=${t('measureField.longestPause')}
        invalid=${invalid('gap')}
        onChange=${(value) => set({ gap: value })}
      />
    `}
    ${week &&
    html`
      <${WeekStart}
        within=${json.measure}
        invalid=${invalid}
        onChange=${(measure) => onChange({ ...json, measure })}
      />
    `}
    ${zone &&
    html`
      <${ZoneField}
        value=${json.measure.zone}
        label=${t('measureField.timeZone')}
        invalid=${isFaulty(faults, at, 'zone')}
        onChange=${setZone}
      />
    `}
  `;
}
