// A group of conditions: how they combine, the conditions, and what can be added.
import { html, useContext, useState } from '../lib/html.js';
import { pressEnded } from '../lib/press.js';
import { logicOf, fromNode } from '../rules/form.js';
import { childPointer, faultsAt, filterPointers } from '../rules/pointers.js';
import { Menu } from '../parts/menu.js';
import { Icon } from '../parts/icon.js';
import { Behaviour } from './behaviour.js';
import { Compare } from './compare.js';
import { Sample, Segment, Trait, Unknown } from './conditions.js';
import { Editor } from './editor-context.js';
import { Faults } from './faults.js';
import { ICONS, KINDS, makeNode } from './kinds.js';
import { Rank } from './rank.js';
import { Sequence } from './sequence.js';
import { t } from '../texts/texts.js';

const EDITORS = {
  event: Behaviour,
  trait: Trait,
  sequence: Sequence,
  compare: Compare,
  segment: Segment,
  rank: Rank,
  sample: Sample,
  unknown: Unknown,
};
const LOGICS = {
  AND: [t('ruleGroup.all'), t('ruleGroup.allOfTheseHold'), t('common.and')],
  OR: [t('ruleGroup.any'), t('ruleGroup.atLeastOneOfTheseHolds'), t('common.or')],
  NOT: [t('ruleGroup.none'), t('ruleGroup.noneOfTheseHolds'), t('ruleGroup.nor')],
};

export function RuleGroup({ group, pointer, isRoot, depth = 1 }) {
  const { edit, faults } = useContext(Editor);
  const logic = logicOf(group);
  const [, meaning, joint] = LOGICS[logic] ?? LOGICS.AND;
  const pointers = group.children.map((_, index) => childPointer(group, pointer, index));
  const own = pointers.includes(pointer) ? [] : faultsAt(faults, pointer, pointers);
  return html`
    <div class="rule-group depth-${Math.min(depth, 4)} ${logic.toLowerCase()}">
      <div class="group-head">
        <div
          class="segmented"
          role="radiogroup"
          aria-label=${t('ruleGroup.howTheConditionsOfThisGroup')}
          onKeyDown=${(event) => {
            const names = Object.keys(LOGICS);
            const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
            if (!step || event.altKey) return;
            event.preventDefault();
            edit.setLogic(group.key, names[(names.indexOf(logic) + step + 3) % 3]);
            event.currentTarget.querySelectorAll('button')[(names.indexOf(logic) + step + 3) % 3].focus();
          }}
        >
          ${Object.entries(LOGICS).map(
            ([name, [text]]) =>
              html`
                <button
                  type="button"
                  role="radio"
                  aria-checked=${String(name === logic)}
                  tabindex=${name === logic ? 0 : -1}
                  onClick=${() => edit.setLogic(group.key, name)}
                >
                  ${text}
                </button>
              `,
          )}
        </div>
        <span class="small muted">${meaning}</span>
        ${!isRoot && html`<${RowActions} node=${group} isGroup />`}
      </div>
      <ul class="conditions">
        ${group.children.map(
          (child, index) =>
            html`
              <${Row}
                key=${child.key}
                node=${child}
                group=${group}
                index=${index}
                joint=${index === 0 ? '' : joint}
                pointer=${pointers[index]}
                depth=${depth}
              />
            `,
        )}
        ${group.children.length === 0 && html`<${DropHere} group=${group} />`}
      </ul>
      <${Faults} faults=${own} />
      <div class="group-foot">
        <${Menu}
          label=${t('ruleGroup.addCondition')}
          text=${group.children.length === 0 && isRoot
            ? t('ruleGroup.addTheFirstCondition')
            : t('ruleGroup.addCondition')}
          icon="plus"
          start
          small
          items=${KINDS.map((kind) => ({
            text: kind.text,
            icon: kind.icon,
            run: () => edit.insert(group.key, group.children.length, makeNode(kind)),
          }))}
        />
      </div>
    </div>
  `;
}

function DropHere({ group }) {
  const { edit, dragged } = useContext(Editor);
  return html`
    <li
      class="drop-here"
      onDragOver=${(event) => dragged.current && event.preventDefault()}
      onDrop=${(event) => {
        event.preventDefault();
        event.stopPropagation();
        edit.move(dragged.current, group.key, 0);
      }}
    >
      ${t('ruleGroup.noConditionYet')}
    </li>
  `;
}

/** On which half of a condition the pointer is. */
function sideOf(event) {
  const box = event.currentTarget.getBoundingClientRect();
  return event.clientY < box.top + box.height / 2 ? 'before' : 'after';
}

function Row({ node, group, index, joint, pointer, depth }) {
  const { edit, faults, suggest, dragged } = useContext(Editor);
  const [drop, setDrop] = useState('');
  const [isFresh, setFresh] = useState(() => edit.isFresh(node.key));
  const isGroup = node.kind === 'group';
  const onDragOver = (event) => {
    if (!dragged.current || dragged.current === node.key) return;
    event.preventDefault();
    event.stopPropagation();
    setDrop(sideOf(event));
  };
  const onDrop = (event) => {
    event.preventDefault();
    event.stopPropagation();
    edit.move(dragged.current, group.key, sideOf(event) === 'before' ? index : index + 1);
    setDrop('');
  };
  const onFocusOut = (event) => {
    const row = event.currentTarget;
    // The focus has its next place only after this; that of another window is no leaving.
    setTimeout(async () => {
      // Faults that show now would push a button that is pressed away from under the pointer.
      await pressEnded();
      if (row.contains(document.activeElement)) return;
      edit.settle(node.key);
      setFresh(false);
    });
  };
  const shown = isFresh ? [] : faults;
  const all = isGroup ? [] : faultsAt(shown, pointer, node.among ? [`${pointer}/among`] : []);
  const own = faultsAt(all, pointer, filterPointers(node, pointer));
  const NodeEditor = EDITORS[node.kind];
  return html`
    <li
      class="condition ${drop ? `drop-${drop}` : ''} ${all.length > 0 ? 'faulty' : ''}"
      data-key=${node.key}
      data-pointer=${pointer}
      onDragOver=${onDragOver}
      onDragLeave=${() => setDrop('')}
      onDrop=${onDrop}
      onFocusOut=${isFresh ? onFocusOut : undefined}
    >
      ${joint && html`<span class="joint">${joint}</span>`}
      <div class="condition-body ${isGroup ? 'is-group' : ''}" data-kind=${node.kind}>
        <span
          class="grip"
          draggable="true"
          title=${t('ruleGroup.dragToMove')}
          aria-hidden="true"
          onDragStart=${(event) => {
            dragged.current = node.key;
            event.dataTransfer.effectAllowed = 'move';
            event.dataTransfer.setData('text/plain', JSON.stringify(fromNode(node)));
          }}
          onDragEnd=${() => {
            dragged.current = undefined;
            setDrop('');
          }}
        >
          <${Icon} name="grip" />
        </span>
        ${isGroup
          ? html`<${RuleGroup} group=${node} pointer=${pointer} depth=${depth + 1} />`
          : html`
              <span class="kind-icon"><${Icon} name=${ICONS[node.kind]} /></span>
              <div class="condition-form">
                <${NodeEditor}
                  node=${node}
                  onChange=${(next) => edit.set(node.key, next)}
                  suggest=${suggest}
                  faults=${shown}
                  pointer=${pointer}
                  renderGroup=${(among, at) =>
                    html`<${RuleGroup} group=${among} pointer=${at} depth=${depth + 1} isRoot />`}
                />
                <${Faults} faults=${own} />
              </div>
              <${RowActions} node=${node} />
            `}
      </div>
    </li>
  `;
}

function RowActions({ node, isGroup }) {
  const { edit } = useContext(Editor);
  const items = [
    { text: t('ruleGroup.moveUp'), icon: 'up', keys: 'Alt ↑', run: () => edit.nudge(node.key, -1) },
    { text: t('ruleGroup.moveDown'), icon: 'down', keys: 'Alt ↓', run: () => edit.nudge(node.key, 1) },
    { text: t('ruleGroup.putIntoAGroup'), icon: 'group', keys: 'Alt →', run: () => edit.wrap(node.key) },
    {
      text: t('ruleGroup.moveOutOfTheGroup'),
      icon: 'back',
      keys: 'Alt ←',
      run: () => edit.outdent(node.key),
    },
    ...(isGroup
      ? [{ text: t('ruleGroup.dissolveTheGroup'), icon: 'group', run: () => edit.unwrap(node.key) }]
      : []),
    { text: t('ruleGroup.duplicate'), icon: 'copy', keys: 'Alt D', run: () => edit.duplicate(node.key) },
    null,
    {
      text: t('ruleGroup.remove'),
      icon: 'trash',
      keys: 'Alt ⌫',
      danger: true,
      run: () => edit.remove(node.key),
    },
  ];
  return html`
    <span class="row-actions">
      <${Menu} label=${isGroup ? t('ruleGroup.group') : t('ruleGroup.condition')} items=${items} small />
      <button
        type="button"
        class="button quiet small icon-only"
        aria-label=${isGroup ? t('ruleGroup.removeGroup') : t('ruleGroup.removeCondition')}
        onClick=${() => edit.remove(node.key)}
      >
        <${Icon} name="close" />
      </button>
    </span>
  `;
}
