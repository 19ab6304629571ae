// The measure of events: a count, a sum, a middle, the last value, a number of days.
import { html } from '../lib/html.js';
import { NumberField } from '../parts/number-field.js';
import { MEASURES, measureName } from '../rules/grammar.js';
import { put, withMeasure } from '../rules/edits.js';
import { isNumber, textOf } from '../rules/exact.js';
import { DurationField } from './duration-field.js';
import { PathsField } from './paths-field.js';
import { WeekStart } from './window-field.js';
import { ZoneField } from './zone-field.js';
import { isFaulty } from './faults.js';
import { many, t } from '../texts/texts.js';

/** The farthest value from an end. */
const MOST_NTH = 100;

/** The name of a count: after its number where it is chosen, in full among the others. */
function countText(name, json) {
  const isLines = json.each !== undefined;
  if (name !== 'count') return isLines ? t('behaviour.numberOfLines') : t('behaviour.numberOfTimes');
  const number = isNumber(json.value ?? 1) ? Number(textOf(json.value ?? 1)) : 2;
  return isLines ? many('behaviour.lines', number) : many('behaviour.times', number);
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
      <${PathsField}
        of=${json.measure.of}
        event=${json.event}
        suggest=${suggest}
        faults=${faults}
        pointer=${at}
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
