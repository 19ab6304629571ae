// The filters of an event: tests of its properties, in groups of any depth.
import { html } from '../lib/html.js';
import { Combobox } from '../parts/combobox.js';
import { freshKey, fromNode, logicOf, newFilters, toNode } from '../rules/form.js';
import { childPointer, faultsAt } from '../rules/pointers.js';
import { Faults, isFaulty } from './faults.js';
import { FieldTest } from './tests.js';
import { Unseen } from './unseen.js';
import { t } from '../texts/texts.js';

const emptyTest = () => toNode({ field: '', operator: 'eq', value: '' });

/** The filters of an event or a step: its `where` is edited. */
export function Filters({ node, onChange, suggest, faults, pointer }) {
  if (!node.where) return null;
  const set = (where) => {
    const { where: _, ...rest } = node;
    onChange(where === undefined || where.children.length === 0 ? rest : { ...rest, where });
  };
  return html`
    <${FilterGroup}
      group=${node.where}
      onChange=${set}
      suggest=${suggest}
      faults=${faults}
      pointer="${pointer}/where"
      event=${node.json.event}
      isRoot
    />
  `;
}

/** The button that adds a first filter. */
export function AddFilter({ node, onChange }) {
  if (node.where) return null;
  return html`
    <button
      type="button"
      class="pill add"
      onClick=${() => onChange({ ...node, where: newFilters(emptyTest()) })}
    >
      ${t('filters.where')}
    </button>
  `;
}

function FilterGroup({ group, onChange, suggest, faults, pointer, event, isRoot }) {
  const set = (index, child) => {
    const children = group.children.map((one, at) => (at === index ? child : one)).filter(Boolean);
    onChange(children.length === 0 && !isRoot ? undefined : { ...group, children });
  };
  const add = (child) => onChange({ ...group, children: [...group.children, child] });
  const setLogic = (logic) => {
    const { logic: _, ...json } = group.json;
    onChange({ ...group, json: logic === 'AND' ? json : { ...json, logic } });
  };
  const nested = () => ({
    key: freshKey(),
    kind: 'group',
    json: { logic: 'OR' },
    list: 'conditions',
    shape: 'group',
    children: [emptyTest()],
  });
  const logic = logicOf(group);
  const pointers = group.children.map((_, index) => childPointer(group, pointer, index));
  const chooser = html`
    <select
      class="pill logic"
      aria-label=${t('filters.filtersHowTheyCombine')}
      value=${logic}
      onChange=${(change) => setLogic(change.target.value)}
    >
      <option value="AND">${t('filters.allOf')}</option>
      <option value="OR">${t('filters.anyOf')}</option>
      <option value="NOT">${t('filters.noneOf')}</option>
    </select>
  `;
  return html`
    <div class="filters" role="group" aria-label=${t('filters.filters')}>
      ${group.children.map(
        (child, index) => html`
          <div class="filter" key=${child.key}>
            <span class="lead">
              ${index === 0
                ? html`
                    ${isRoot && html`<span class="word">${t('filters.where2')}</span>`}
                    ${(group.children.length > 1 || logic !== 'AND') && chooser}
                  `
                : html`
                    <span class="word">
                      ${logic === 'OR'
                        ? t('common.or')
                        : logic === 'NOT'
                          ? t('filters.nor')
                          : t('common.and')}
                    </span>
                  `}
            </span>
            ${child.kind === 'group'
              ? html`
                  <${FilterGroup}
                    group=${child}
                    onChange=${(next) => set(index, next)}
                    suggest=${suggest}
                    faults=${faults}
                    pointer=${pointers[index]}
                    event=${event}
                  />
                `
              : html`
                  <${Filter}
                    node=${child}
                    onChange=${(next) => set(index, next)}
                    suggest=${suggest}
                    faults=${faults}
                    pointer=${pointers[index]}
                    event=${event}
                  />
                `}
          </div>
        `,
      )}
      <div class="row filter-add">
        <button type="button" class="pill add" onClick=${() => add(emptyTest())}>
          ${t('filters.filter')}
        </button>
        <button type="button" class="pill add" onClick=${() => add(nested())}>
          ${t('filters.groupOfFilters')}
        </button>
      </div>
      <${Faults} faults=${faultsAt(faults, pointer, pointers)} />
    </div>
  `;
}

function Filter({ node, onChange, suggest, faults, pointer, event }) {
  const own = faultsAt(faults, pointer);
  const set = (json) => onChange({ ...node, json });
  const drop = html`
    <button
      type="button"
      class="pill clear"
      aria-label=${t('filters.removeFilter')}
      onClick=${() => onChange(undefined)}
    >
      ×
    </button>
  `;
  if (node.kind !== 'trait')
    return html`<code class="cut">${JSON.stringify(fromNode(node))}</code>${drop}<${Faults} faults=${own} />`;
  const field = html`
    <${Combobox}
      className="pill field"
      label=${t('filters.property')}
      value=${String(node.json.field)}
      options=${suggest.propertiesOf(event)}
      placeholder=${t('common.property')}
      invalid=${isFaulty(faults, pointer, 'field')}
      autofocus=${node.json.field === ''}
      onChange=${(text) => set({ ...node.json, field: text })}
    />
  `;
  const unseen = html`
    <${Unseen}
      name=${node.json.field}
      known=${suggest.seen.properties(event)}
      onChange=${(meant) => set({ ...node.json, field: meant })}
    />
  `;
  return html`
    <span class="sentence">
      <${FieldTest}
        json=${node.json}
        onChange=${set}
        suggest=${suggest}
        faults=${faults}
        pointer=${pointer}
        event=${event ?? '*'}
        FieldInput=${[field, unseen]}
      />
      ${drop}
    </span>
    <${Faults} faults=${own} />
  `;
}
