// Things that were done in order, and that were not done between them or since.
import { html } from '../lib/html.js';
import { Combobox } from '../parts/combobox.js';
import { toStep } from '../rules/form.js';
import { put, samePaths, stepDone } from '../rules/edits.js';
import { below } from '../rules/pointers.js';
import { DurationField } from './duration-field.js';
import { EventNames } from './event-names.js';
import { AddFilter, Filters } from './filters.js';
import { WindowField } from './window-field.js';
import { isFaulty } from './faults.js';
import { t } from '../texts/texts.js';

const MOST_STEPS = 10;
const MOST_SAME = 4;

/** A duration that may be left out: a button that adds it, or its field. */
function Lasting({ value, first, texts, invalid, onChange }) {
  if (value === undefined)
    return html`
      <button type="button" class="pill add" onClick=${() => onChange(first)}>${texts.add}</button>
    `;
  return html`
    <span class="word">${texts.word}</span>
    <${DurationField} value=${value} label=${texts.label} invalid=${invalid} onChange=${onChange} />
    <button type="button" class="pill clear" aria-label=${texts.drop} onClick=${() => onChange(undefined)}>
      ×
    </button>
  `;
}

/** The longest time since the step before. */
function Gap({ step, index, invalid, onChange }) {
  const texts = {
    add: t('conditions.within'),
    word: t('common.within'),
    label: t('conditions.stepIndexLongestGap', { index: index + 1 }),
    drop: t('conditions.noLongestGap'),
  };
  const set = (maxGap) => onChange({ ...step, json: put(step.json, 'maxGap', maxGap) });
  return html`
    <${Lasting} value=${step.json.maxGap} first="1d" texts=${texts} invalid=${invalid} onChange=${set} />
  `;
}

/** The least time for which something has not been done. */
function For({ step, index, invalid, onChange }) {
  const texts = {
    add: t('sequence.addFor'),
    word: t('sequence.forAtLeast'),
    label: t('sequence.stepIndexForHowLong', { index: index + 1 }),
    drop: t('sequence.atOnce'),
  };
  const set = (lasting) => onChange({ ...step, absent: put(step.absent, 'for', lasting) });
  return html`
    <${Lasting} value=${step.absent.for} first="1h" texts=${texts} invalid=${invalid} onChange=${set} />
  `;
}

/** The choice between a step that was done and one that was not. */
function Verb({ step, index, isAtEnd, onChange }) {
  return html`
    <select
      class="pill verb"
      aria-label=${t('sequence.stepIndexDoneOrNot', { index: index + 1 })}
      value=${step.absent ? 'not' : 'done'}
      onChange=${(event) => onChange(stepDone(step, event.target.value === 'done'))}
    >
      <option value="done">${t('sequence.andThen')}</option>
      <option value="not">${isAtEnd ? t('sequence.andThenDidNot') : t('sequence.withoutInBetween')}</option>
    </select>
  `;
}

/** One step of a sequence; the first has none before it. */
function Step({ step, index, steps, pointer, suggest, faults, onChange, onUp, onDrop }) {
  const isLater = index > 0;
  const isLast = index === steps.length - 1;
  const isAtEnd = steps.slice(index + 1).every((one) => one.absent);
  const inner = step.absent ? below(pointer, 'not') : pointer;
  const given = { step, index, onChange };
  const isEmpty = step.json.event === '' || step.json.event === undefined;
  return html`
    <li>
      <span class="sentence">
        <span class="step-number" aria-hidden="true">${index + 1}</span>
        ${(isLater || step.absent) && html`<${Verb} ...${given} isAtEnd=${isAtEnd} />`}
        <${EventNames}
          event=${step.json.event}
          onChange=${(event) => onChange({ ...step, json: { ...step.json, event } })}
          suggest=${suggest}
          invalid=${isFaulty(faults, inner, 'event')}
          autofocus=${isEmpty && isLater}
        />
        ${isLater &&
        !step.absent &&
        html`<${Gap} ...${given} invalid=${isFaulty(faults, pointer, 'maxGap')} />`}
        ${step.absent &&
        (isLast || step.absent.for !== undefined) &&
        html`<${For} ...${given} invalid=${isFaulty(faults, pointer, 'for')} />`}
        <${AddFilter} node=${step} onChange=${onChange} />
        ${isLater &&
        html`
          <button
            type="button"
            class="pill clear"
            aria-label=${t('conditions.stepIndexUp', { index: index + 1 })}
            onClick=${onUp}
          >
            ↑
          </button>
        `}
        ${steps.length > 2 &&
        html`
          <button
            type="button"
            class="pill clear"
            aria-label=${t('conditions.removeStepIndex', { index: index + 1 })}
            onClick=${onDrop}
          >
            ×
          </button>
        `}
      </span>
      <${Filters} node=${step} onChange=${onChange} suggest=${suggest} faults=${faults} pointer=${inner} />
    </li>
  `;
}

/** The values in which the events of a sequence agree. */
function Same({ same, onChange, options, invalid }) {
  const paths = same === undefined ? [] : [same].flat();
  const drop = (index) => onChange(samePaths(paths.filter((_, at) => at !== index)));
  const set = (index, text) =>
    onChange(Array.isArray(same) ? paths.map((one, at) => (at === index ? text : one)) : text);
  const field = (path, index) => html`
    <span class="word">${index === 0 ? t('sequence.allWithTheSame') : t('common.and')}</span>
    <span class="joined" key=${index}>
      <${Combobox}
        className="pill field"
        label=${t('sequence.sameValueOf', { index: index + 1 })}
        value=${path}
        options=${options}
        placeholder=${t('common.property')}
        invalid=${invalid}
        autofocus=${path === ''}
        onChange=${(text) => set(index, text)}
      />
      <button
        type="button"
        class="pill clear"
        aria-label=${t('sequence.anyValue', { index: index + 1 })}
        onClick=${() => drop(index)}
      >
        ×
      </button>
    </span>
  `;
  const add = () => onChange(paths.length === 0 ? '' : [...paths, '']);
  return html`
    ${paths.map(field)}
    ${paths.length < MOST_SAME &&
    html`
      <button type="button" class="pill add" onClick=${add}>
        ${paths.length === 0 ? t('sequence.addSame') : t('sequence.addAnd')}
      </button>
    `}
  `;
}

/** The events of all steps, whose properties are suggested. */
const eventsOf = (steps) => steps.flatMap((step) => step.json.event ?? []);

export function Sequence({ node, onChange, suggest, faults, pointer }) {
  const { steps, json } = node;
  const setStep = (index, step) =>
    onChange({ ...node, steps: steps.map((one, at) => (at === index ? step : one)) });
  const add = (step) => onChange({ ...node, steps: [...steps, toStep(step)] });
  const drop = (index) => onChange({ ...node, steps: steps.filter((_, at) => at !== index) });
  const swap = (index, to) => {
    const next = [...steps];
    [next[index], next[to]] = [next[to], next[index]];
    onChange({ ...node, steps: next });
  };
  const set = (member, value) => onChange({ ...node, json: put(json, member, value) });
  return html`
    <span class="sentence">
      <span class="word strong">${t('conditions.didInThisOrder')}</span>
      <${WindowField}
        within=${json.within}
        faults=${faults}
        pointer=${pointer}
        onChange=${(within) => set('within', within)}
      />
      <${Same}
        same=${json.same}
        options=${suggest.propertiesOf(eventsOf(steps))}
        invalid=${isFaulty(faults, pointer, 'same')}
        onChange=${(same) => set('same', same)}
      />
    </span>
    <ol class="steps">
      ${steps.map(
        (step, index) => html`
          <${Step}
            key=${step.key}
            step=${step}
            index=${index}
            steps=${steps}
            pointer=${below(pointer, 'sequence', index)}
            suggest=${suggest}
            faults=${faults}
            onChange=${(next) => setStep(index, next)}
            onUp=${() => swap(index, index - 1)}
            onDrop=${() => drop(index)}
          />
        `,
      )}
    </ol>
    ${steps.length < MOST_STEPS &&
    html`
      <span class="sentence">
        <button type="button" class="pill add" onClick=${() => add({ event: '' })}>
          ${t('conditions.step')}
        </button>
        <button type="button" class="pill add" onClick=${() => add({ not: { event: '' } })}>
          ${t('sequence.addNot')}
        </button>
      </span>
    `}
  `;
}
