// Two values of a user side by side: each a trait, or a measure of events.
import { html } from '../lib/html.js';
import { Combobox } from '../parts/combobox.js';
import { toNode } from '../rules/form.js';
import { COMPARISONS, OPERATORS, operatorName, operatorText } from '../rules/grammar.js';
import { below } from '../rules/pointers.js';
import { Amount } from './behaviour.js';
import { Unseen } from './unseen.js';
import { isFaulty } from './faults.js';
import { t } from '../texts/texts.js';

const LABELS = { left: t('compare.firstValue'), right: t('compare.secondValue') };

/** One side; `side` is `left` or `right`. */
function Operand({ node, side, onChange, suggest, faults, pointer }) {
  const isEvents = node.kind === 'event';
  const label = LABELS[side];
  const choose = (event) => onChange(toNode(event.target.value === 'events' ? { event: '' } : { field: '' }));
  const setField = (field) => onChange({ ...node, json: { ...node.json, field } });
  return html`
    <span class="sentence">
      <select class="pill" aria-label=${label} value=${isEvents ? 'events' : 'trait'} onChange=${choose}>
        <option value="trait">${t('compare.theTrait')}</option>
        <option value="events">${t('compare.events')}</option>
      </select>
      ${!isEvents &&
      html`
        <${Combobox}
          className="pill field"
          label=${t('compare.labelTrait', { label })}
          value=${String(node.json.field)}
          options=${suggest.traits}
          placeholder=${t('common.traitLower')}
          invalid=${isFaulty(faults, pointer, 'field')}
          onChange=${setField}
        />
        <${Unseen} name=${node.json.field} known=${suggest.seen.traits} onChange=${setField} />
      `}
    </span>
    ${isEvents &&
    html`
      <div class="nested" role="group" aria-label=${label}>
        <${Amount} node=${node} onChange=${onChange} suggest=${suggest} faults=${faults} pointer=${pointer} />
      </div>
    `}
  `;
}

export function Compare({ node, onChange, suggest, faults, pointer }) {
  const { operator: written } = node.json;
  const operator = operatorName(written);
  const isKnown = COMPARISONS.includes(operator);
  const side = (name) => html`
    <${Operand}
      node=${node[name]}
      side=${name}
      onChange=${(next) => onChange({ ...node, [name]: next })}
      suggest=${suggest}
      faults=${faults}
      pointer=${below(pointer, name)}
    />
  `;
  return html`
    ${side('left')}
    <span class="sentence">
      <select
        class="pill operator"
        aria-label=${t('tests.comparison')}
        title=${operator && OPERATORS[operator].help}
        aria-invalid=${isFaulty(faults, pointer, 'operator') ? 'true' : undefined}
        value=${isKnown ? operator : ''}
        onChange=${(event) => onChange({ ...node, json: { ...node.json, operator: event.target.value } })}
      >
        ${!isKnown && html`<option value="">${String(written ?? t('tests.choose'))}</option>`}
        ${COMPARISONS.map((one) => html`<option value=${one}>${operatorText(one)}</option>`)}
      </select>
    </span>
    ${side('right')}
  `;
}
