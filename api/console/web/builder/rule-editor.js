// The visual side: a tree of groups and conditions, by mouse and by keyboard.
import { html, useMemo, useRef } from '../lib/html.js';
import * as tree from '../rules/tree.js';
import { Editor } from './editor-context.js';
import { RuleGroup } from './rule-group.js';
import { KINDS, makeNode } from './kinds.js';

/** @param {{root: object, onChange: (root: object, what?: string) => void, faults: object[], suggest: object}} given */
export function RuleEditor({ root, onChange, faults, suggest }) {
  const element = useRef(null);
  const dragged = useRef(undefined);
  const fresh = useRef(new Set());
  const latest = useRef(root);
  latest.current = root;
  /** Draws the focus back to a condition that was moved. */
  const focus = (key) =>
    requestAnimationFrame(() =>
      element.current?.querySelector(`[data-key="${key}"] :is(input, select, button)`)?.focus(),
    );
  const edit = useMemo(() => {
    const change = (make, key) => {
      onChange(make(latest.current));
      if (key) focus(key);
    };
    return {
      set: (key, node) =>
        onChange(
          tree.update(latest.current, key, () => node),
          key,
        ),
      setLogic: (key, logic) => change((now) => tree.setLogic(now, key, logic)),
      /** True if a condition was added here and not left yet: missing parts are no faults so far. */
      isFresh: (key) => fresh.current.has(key),
      settle: (key) => fresh.current.delete(key),
      insert: (groupKey, index, node) => {
        fresh.current.add(node.key);
        change((now) => tree.insert(now, groupKey, index, node), node.key);
      },
      move: (key, groupKey, index) => key && change((now) => tree.move(now, key, groupKey, index), key),
      nudge: (key, step) => change((now) => tree.nudge(now, key, step), key),
      wrap: (key) => change((now) => tree.wrap(now, key), key),
      unwrap: (key) => change((now) => tree.unwrap(now, key)),
      outdent: (key) => change((now) => tree.outdent(now, key), key),
      remove: (key) => {
        const group = tree.find(latest.current, key)?.group;
        const at = group?.children?.findIndex((child) => child.key === key) ?? 0;
        const near = group?.children?.[at + 1] ?? group?.children?.[at - 1];
        change((now) => tree.remove(now, key), near?.key);
        if (!near) requestAnimationFrame(() => element.current?.querySelector('.group-foot button')?.focus());
      },
      duplicate: (key) => {
        const found = tree.find(latest.current, key);
        if (!found?.group?.children) return;
        const copy = tree.copy(found.node);
        change(
          (now) => tree.insert(now, found.group.key, found.group.children.indexOf(found.node) + 1, copy),
          copy.key,
        );
      },
    };
  }, [onChange]);
  const onKeyDown = (event) => {
    if (!event.altKey || event.ctrlKey || event.metaKey) return;
    const key = event.target.closest('[data-key]')?.dataset.key;
    const found = key && tree.find(latest.current, key);
    if (!found) return;
    const group = found.group;
    const acts = {
      ArrowUp: () => edit.nudge(key, -1),
      ArrowDown: () => edit.nudge(key, 1),
      ArrowRight: () => edit.wrap(key),
      ArrowLeft: () => edit.outdent(key),
      Enter: () => edit.insert(group.key, group.children.indexOf(found.node) + 1, makeNode(KINDS[0])),
      Backspace: () => edit.remove(key),
      KeyD: () => edit.duplicate(key),
    };
    const act = acts[event.key] ?? acts[event.code];
    if (!act) return;
    event.preventDefault();
    event.stopPropagation();
    act();
  };
  return html`
    <${Editor.Provider} value=${{ edit, faults, suggest, dragged }}>
      <div class="rule-editor" ref=${element} onKeyDown=${onKeyDown}>
        <${RuleGroup} group=${root} pointer="" isRoot />
      </div>
    <//>
  `;
}
