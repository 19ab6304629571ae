// The conditions that are no behaviour: traits, segments, sequences, random shares, and what has no form.
import { html, useState } from '../lib/html.js';
import { Combobox } from '../parts/combobox.js';
import { NumberField } from '../parts/number-field.js';
import { parseJson } from '../rules/exact.js';
import { freshKey } from '../rules/form.js';
import { below } from '../rules/pointers.js';
import { DurationField } from './duration-field.js';
import { EventNames } from './event-names.js';
import { AddFilter, Filters } from './filters.js';
import { FieldTest, takesMissing } from './tests.js';
import { Unseen } from './unseen.js';
import { WindowField } from './window-field.js';
import { Faults, isFaulty } from './faults.js';
import { t } from '../texts/texts.js';

export function Trait({ node, onChange, suggest, faults, pointer }) {
  const { json } = node;
  const set = (next) => onChange({ ...node, json: next });
  const field = html`
    <${Combobox}
      className="pill field"
      label=${t('common.trait')}
      value=${String(json.field)}
      options=${suggest.traits}
      placeholder=${t('common.traitLower')}
      invalid=${isFaulty(faults, pointer, 'field')}
      autofocus=${json.field === ''}
      onChange=${(text) => set({ ...json, field: text })}
    />
  `;
  const unseen = html`
    <${Unseen}
      name=${json.field}
      known=${suggest.seen.traits}
      onChange=${(meant) => set({ ...json, field: meant })}
    />
  `;
  return html`
    <span class="sentence">
      <${FieldTest}
        json=${json}
        onChange=${set}
        suggest=${suggest}
        faults=${faults}
        pointer=${pointer}
        FieldInput=${[field, unseen]}
      />
      ${takesMissing(json) &&
      html`
        <span class="aside" title=${t('conditions.aNegatedTestHoldsForUsers')}>
          ${t('conditions.alsoWhereNotKnown')}
        </span>
      `}
    </span>
  `;
}

export function Segment({ node, onChange, suggest, faults, pointer }) {
  return html`
    <span class="sentence">
      <span class="word strong">${t('conditions.isInSegment')}</span>
      <${Combobox}
        className="pill field"
        label=${t('common.segment')}
        value=${String(node.json.segment)}
        options=${suggest.segments}
        placeholder=${t('conditions.segment')}
        invalid=${isFaulty(faults, pointer, 'segment')}
        autofocus=${node.json.segment === ''}
        onChange=${(segment) => onChange({ ...node, json: { ...node.json, segment } })}
      />
    </span>
  `;
}

/** The longest time since the step before, where there is one. */
function Gap({ step, index, invalid, onChange }) {
  const setGap = (maxGap) => {
    const { maxGap: _, ...rest } = step.json;
    onChange({ ...step, json: maxGap === undefined ? rest : { ...rest, maxGap } });
  };
  if (step.json.maxGap === undefined)
    return html`
      <button type="button" class="pill add" onClick=${() => setGap('1d')}>${t('conditions.within')}</button>
    `;
  return html`
    <span class="word">${t('common.within')}</span>
    <${DurationField}
      value=${step.json.maxGap}
      label=${t('conditions.stepIndexLongestGap', { index: index + 1 })}
      invalid=${invalid}
      onChange=${setGap}
    />
    <button
      type="button"
      class="pill clear"
      aria-label=${t('conditions.noLongestGap')}
      onClick=${() => setGap(undefined)}
    >
      ×
    </button>
  `;
}

/** One step of a sequence; the first has none before it. */
function Step({ step, index, count, pointer, suggest, faults, onChange, onUp, onDrop }) {
  const isLater = index > 0;
  return html`
    <li>
      <span class="sentence">
        <span class="step-number" aria-hidden="true">${index + 1}</span>
        ${isLater && html`<span class="word">${t('conditions.then')}</span>`}
        <${EventNames}
          event=${step.json.event}
          onChange=${(event) => onChange({ ...step, json: { ...step.json, event } })}
          suggest=${suggest}
          invalid=${isFaulty(faults, pointer, 'event')}
          autofocus=${step.json.event === '' && isLater}
        />
        ${isLater &&
        html`
          <${Gap}
            step=${step}
            index=${index}
            invalid=${isFaulty(faults, pointer, 'maxGap')}
            onChange=${onChange}
          />
        `}
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
        ${count > 2 &&
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
      <${Filters} node=${step} onChange=${onChange} suggest=${suggest} faults=${faults} pointer=${pointer} />
    </li>
  `;
}

export function Sequence({ node, onChange, suggest, faults, pointer }) {
  const { steps } = node;
  const set = (index, step) =>
    onChange({ ...node, steps: steps.map((one, at) => (at === index ? step : one)) });
  const add = () =>
    onChange({ ...node, steps: [...steps, { key: freshKey(), kind: 'step', json: { event: '' } }] });
  const drop = (index) => onChange({ ...node, steps: steps.filter((_, at) => at !== index) });
  const swap = (index, to) => {
    const next = [...steps];
    [next[index], next[to]] = [next[to], next[index]];
    onChange({ ...node, steps: next });
  };
  const setWithin = (within) => {
    const { within: _, ...rest } = node.json;
    onChange({ ...node, json: within === undefined ? rest : { ...rest, within } });
  };
  return html`
    <span class="sentence">
      <span class="word strong">${t('conditions.didInThisOrder')}</span>
      <${WindowField}
        within=${node.json.within}
        invalid=${isFaulty(faults, pointer, 'within')}
        onChange=${setWithin}
      />
    </span>
    <ol class="steps">
      ${steps.map(
        (step, index) => html`
          <${Step}
            key=${step.key}
            step=${step}
            index=${index}
            count=${steps.length}
            pointer=${below(pointer, 'sequence', index)}
            suggest=${suggest}
            faults=${faults}
            onChange=${(next) => set(index, next)}
            onUp=${() => swap(index, index - 1)}
            onDrop=${() => drop(index)}
          />
        `,
      )}
    </ol>
    ${steps.length < 10 &&
    html`<button type="button" class="pill add" onClick=${add}>${t('conditions.step')}</button>`}
  `;
}

const BUCKETS = 10_000;

/** A share by buckets of a hash: the same salt gives the same users. */
export function Sample({ node, onChange, faults, pointer }) {
  const { sample } = node.json;
  const set = (change) => onChange({ ...node, json: { ...node.json, sample: { ...sample, ...change } } });
  const bucket = (side, minimum, maximum) => html`
    <${NumberField}
      value=${sample[side]}
      label=${side === 'from' ? t('conditions.bucketsFrom') : t('conditions.bucketsTo')}
      invalid=${isFaulty(faults, pointer, `sample/${side}`)}
      minimum=${minimum}
      maximum=${maximum}
      isWhole
      onChange=${(value) => set({ [side]: value })}
    />
  `;
  const share = (sample.to - sample.from + 1) / 100;
  return html`
    <span class="sentence">
      <span class="word strong">${t('conditions.randomShare')}</span>
      <${NumberField}
        value=${share}
        label=${t('conditions.percentOfUsers')}
        minimum=${0.01}
        maximum=${(BUCKETS - sample.from) / 100}
        decimals=${2}
        onChange=${(percent) => set({ to: sample.from + Math.round(percent * 100) - 1 })}
      />
      <span class="word">${t('conditions.ofUsersDrawnBy')}</span>
      <input
        class="pill"
        aria-label=${t('conditions.salt')}
        value=${sample.salt}
        placeholder=${t('conditions.salt2')}
        size=${Math.max(8, String(sample.salt).length)}
        onInput=${(event) => set({ salt: event.target.value })}
      />
      <span class="word">${t('conditions.buckets')}</span>
      ${bucket('from', 0, BUCKETS - 1)}
      <span class="word">${t('common.to')}</span>
      ${bucket('to', sample.from, BUCKETS - 1)}
    </span>
  `;
}

/** What has no form is edited as JSON, and otherwise left as it is. */
export function Unknown({ node, onChange }) {
  const [text, setText] = useState(JSON.stringify(node.json, null, 2));
  const [wrong, setWrong] = useState('');
  const edit = (event) => {
    setText(event.target.value);
    try {
      onChange({ ...node, json: parseJson(event.target.value) });
      setWrong('');
    } catch (error) {
      setWrong(error.message);
    }
  };
  return html`
    <p class="small soft">${t('conditions.thisHasNoFormHereIt')}</p>
    <textarea
      class="textarea mono"
      rows="4"
      aria-label=${t('conditions.conditionAsJson')}
      value=${text}
      onInput=${edit}
    ></textarea>
    <${Faults} faults=${wrong ? [{ message: wrong }] : []} />
  `;
}
