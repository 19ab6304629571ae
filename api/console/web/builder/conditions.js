// The conditions that are of no events: traits, segments, random shares, and what has no form.
import { html, useState } from '../lib/html.js';
import { Combobox } from '../parts/combobox.js';
import { NumberField } from '../parts/number-field.js';
import { parseJson } from '../rules/exact.js';
import { FieldTest, takesMissing } from './tests.js';
import { Unseen } from './unseen.js';
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

/** A node without a form is edited as JSON, and otherwise left as it is. */
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
