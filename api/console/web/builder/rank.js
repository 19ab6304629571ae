// The first users by an amount: top N or top percent, of all or among some.
import { html } from '../lib/html.js';
import { Combobox } from '../parts/combobox.js';
import { NumberField } from '../parts/number-field.js';
import { toForm, toNode } from '../rules/form.js';
import { below } from '../rules/pointers.js';
import { Amount } from './behaviour.js';
import { isFaulty } from './faults.js';
import { t } from '../texts/texts.js';

/** The number of users, or their share. */
function Many({ json, onChange, faults, pointer }) {
  const isPercent = json.top === undefined && json.percent !== undefined;
  const many = isPercent ? json.percent : json.top;
  const set = (member, value) => {
    const { top: _, percent: __, ...rest } = json;
    onChange({ ...rest, [member]: value });
  };
  const setUnit = ({ target: { value: unit } }) =>
    set(unit, unit === 'percent' ? Math.min(many ?? 10, 100) : Math.max(1, Math.round(many ?? 100)));
  return html`
    <${NumberField}
      key=${isPercent}
      value=${many}
      label=${t('rank.howMany')}
      invalid=${isFaulty(faults, pointer, isPercent ? 'percent' : 'top') || many === undefined}
      minimum=${isPercent ? 0.01 : 1}
      maximum=${isPercent ? 100 : 1_000_000}
      isWhole=${!isPercent}
      onChange=${(value) => set(isPercent ? 'percent' : 'top', value)}
    />
    <select
      class="pill"
      aria-label=${t('rank.unit')}
      value=${isPercent ? 'percent' : 'top'}
      onChange=${setUnit}
    >
      <option value="top">${t('rank.users')}</option>
      <option value="percent">${t('rank.ofUsers')}</option>
    </select>
  `;
}

/** A trait or a measure of events by which users are ordered. */
function By({ node, onChange, suggest, faults, pointer }) {
  const { json } = node;
  const choose = (event) => {
    const { by: _, ...rank } = json.rank;
    if (event.target.value === 'events')
      onChange({
        ...node,
        json: { ...json, rank },
        by: toNode({ event: 'purchase', measure: { fn: 'sum', of: 'amount' } }),
      });
    else onChange({ ...node, by: undefined, json: { ...json, rank: { by: 'totalSpent', ...rank } } });
  };
  return html`
    <span class="word">${t('rank.by')}</span>
    <select
      class="pill"
      aria-label=${t('rank.rankedBy')}
      value=${node.by ? 'events' : 'trait'}
      onChange=${choose}
    >
      <option value="trait">${t('common.traitLower')}</option>
      <option value="events">${t('rank.events')}</option>
    </select>
    ${!node.by &&
    html`
      <${Combobox}
        className="pill field"
        label=${t('common.trait')}
        value=${String(json.rank.by ?? '')}
        options=${suggest.traits}
        placeholder=${t('common.traitLower')}
        invalid=${isFaulty(faults, pointer, 'rank')}
        onChange=${(by) => onChange({ ...node, json: { ...json, rank: { ...json.rank, by } } })}
      />
    `}
  `;
}

/** The users among whom is ranked, where not all are. */
function Among({ node, onChange, pointer, renderGroup }) {
  return html`
    <div class="nested">
      <div class="row">
        <span class="word">${t('rank.onlyAmongUsersWith')}</span>
        <button
          type="button"
          class="pill clear"
          aria-label=${t('rank.amongAllUsers')}
          onClick=${() => onChange({ ...node, among: undefined })}
        >
          ×
        </button>
      </div>
      ${renderGroup(node.among, below(pointer, 'among'))}
    </div>
  `;
}

export function Rank({ node, onChange, suggest, faults, pointer, renderGroup }) {
  const { json } = node;
  const setOrder = (event) => {
    const { order: _, ...rest } = json.rank;
    const rank = event.target.value === 'asc' ? { ...rest, order: 'asc' } : rest;
    onChange({ ...node, json: { ...json, rank } });
  };
  const isLow = String(json.rank.order ?? '').toLowerCase() === 'asc';
  const given = { node, onChange, suggest, faults, pointer };
  const addAmong = () =>
    onChange({ ...node, among: toForm({ event: 'purchase', operator: 'gte', value: 1 }) });
  return html`
    <span class="sentence">
      <select
        class="pill verb"
        aria-label=${t('rank.order')}
        value=${isLow ? 'asc' : 'desc'}
        onChange=${setOrder}
      >
        <option value="desc">${t('rank.top')}</option>
        <option value="asc">${t('rank.bottom')}</option>
      </select>
      <${Many}
        json=${json}
        onChange=${(next) => onChange({ ...node, json: next })}
        faults=${faults}
        pointer=${pointer}
      />
      <${By} ...${given} />
      ${!node.among &&
      html`<button type="button" class="pill add" onClick=${addAmong}>${t('rank.onlyAmong')}</button>`}
    </span>
    ${node.by &&
    html`
      <div class="nested">
        <${Amount}
          node=${node.by}
          onChange=${(by) => onChange({ ...node, by })}
          suggest=${suggest}
          faults=${faults}
          pointer=${below(pointer, 'rank', 'by')}
        />
      </div>
    `}
    ${node.among && html`<${Among} ...${given} renderGroup=${renderGroup} />`}
  `;
}
