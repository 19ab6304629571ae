// Making and editing a segment: the form beside its JSON, with the exact effect before it is saved.
import { html, useCallback, useEffect, useMemo, useRef, useState } from '../lib/html.js';
import { Problem, ask, path } from '../lib/api.js';
import { allSegments } from '../lib/effects.js';
import { useLoad } from '../lib/load.js';
import { guardLeaving, navigate } from '../lib/router.js';
import { useStore } from '../lib/store.js';
import { toast } from '../lib/toast.js';
import { unreadable } from '../lib/typed.js';
import { count, plural } from '../lib/format.js';
import { fromForm, toForm } from '../rules/form.js';
import { countNodes } from '../rules/tree.js';
import { rulesFaults } from '../rules/pointers.js';
import { usersOf } from '../rules/references.js';
import { confirmEffect } from '../parts/effect-dialog.js';
import { Icon } from '../parts/icon.js';
import { Loading, ProblemBanner, StateBadge } from '../parts/feedback.js';
import { useTitle } from '../parts/shell.js';
import { undoEdit } from '../segment/acts.js';
import { ConflictDialog } from '../builder/conflict-dialog.js';
import { DetailsForm } from '../builder/details-form.js';
import { EMPTY, bodyOf, create, fieldsOf, save } from '../builder/draft.js';
import { useHistory } from '../builder/history.js';
import { JsonPane } from '../builder/json-pane.js';
import { PreviewPanel } from '../builder/preview-panel.js';
import { usePreview } from '../builder/preview.js';
import { RuleEditor } from '../builder/rule-editor.js';
import { NO_SUGGESTIONS, loadSuggestions } from '../builder/suggestions.js';

/** Edits a segment that is there. */
export function EditPage({ id }) {
  useTitle('Edit', id);
  const { data, problem, reload } = useLoad(
    (signal) => ask('GET', path`/api/segments/${id}`, { signal }),
    [id],
  );
  if (problem) return html`<div class="page"><${ProblemBanner} problem=${problem} retry=${reload} /></div>`;
  if (!data) return html`<div class="page"><${Loading} /></div>`;
  return html`<${Builder} key=${data.etag} segment=${data.data} etag=${data.etag} reload=${reload} />`;
}

/** Makes a new one, of nothing, a template or another segment. */
export function NewPage({ start }) {
  useTitle('New segment');
  return html`<${Builder} start=${start} />`;
}

/** A key that keeps a repeated save from making two segments. */
const newKey = () => globalThis.crypto?.randomUUID?.() ?? String(Math.random());

/** Asks before a segment that others use is edited: they gain and lose members by it too. */
async function mayMoveOthers(segment, rules, over) {
  const isMoved = segment?.status === 'ACTIVE' && segment.type !== 'STATIC' && over === undefined;
  if (!isMoved || JSON.stringify(rules) === JSON.stringify(segment.rules)) return true;
  const users = usersOf(await allSegments(), { segment: segment.id }).filter(
    (one) => one.status === 'ACTIVE',
  );
  if (users.length === 0) return true;
  const answer = await confirmEffect({
    title: `Change “${segment.name}”, which ${users.length === 1 ? 'another segment uses' : 'others use'}?`,
    text: 'The change takes effect in all of them at once.',
    confirm: 'Save changes',
    change: { segments: [{ segment, rules }] },
  });
  return answer !== undefined;
}

/** Saves a draft once at a time; what came of it is in `problem` and `conflict`. */
function useSave({ segment, etag, fields, rules, note, isReady, onSaved }) {
  const [isBusy, setBusy] = useState(false);
  const [problem, setProblem] = useState(undefined);
  const [conflict, setConflict] = useState(false);
  const key = useRef(newKey());
  const submit = async (status, over) => {
    if (!isReady || isBusy) return;
    setBusy(true);
    setProblem(undefined);
    try {
      if (!(await mayMoveOthers(segment, rules, over))) return setBusy(false);
      const body = bodyOf(fields, rules, note, !segment);
      const answer = segment
        ? await save(segment, body, over ?? etag)
        : await create(body, status, key.current);
      onSaved(answer.data);
    } catch (failed) {
      if (failed instanceof Problem && failed.status === 412) setConflict(true);
      else setProblem(failed);
      // The same key may not carry another body.
      key.current = newKey();
    }
    setBusy(false);
  };
  return { submit, isBusy, problem, conflict, setConflict };
}

/** Goes on after a save: to the segment, or to the import of a new list. */
function goOn(saved, isEdit) {
  if (isEdit) {
    const undo = async () => {
      await undoEdit(saved.id, saved.version - 1)();
      navigate(path`/segments/${saved.id}`);
    };
    toast(`Saved “${saved.name}” as version ${saved.version}.`, saved.type === 'STATIC' ? {} : { undo });
  } else toast(`Created “${saved.name}”.`);
  const id = encodeURIComponent(saved.id);
  const isNewList = saved.type === 'STATIC' && !isEdit;
  navigate(isNewList ? `/imports?segment=${id}` : `/segments/${id}`, { force: true });
}

function Builder({ segment, etag, start, reload }) {
  const [fields, setFields] = useState(() => (segment ? fieldsOf(segment) : { ...EMPTY, ...start?.fields }));
  const [note, setNote] = useState('');
  const history = useHistory(() => toForm(segment?.rules ?? start?.rules));
  const [isBroken, setBroken] = useState(false);
  const rules = useMemo(() => fromForm(history.root), [history.root]);
  const isDynamic = fields.type === 'DYNAMIC';
  const view = usePreview(isDynamic ? rules : undefined, segment?.id);
  const first = useRef(JSON.stringify([fields, rules]));
  const isChanged = JSON.stringify([fields, rules]) !== first.current;
  const changed = useRef(false);
  changed.current = isChanged;
  useEffect(() => guardLeaving(() => changed.current), []);
  const unread = Object.values(useStore(unreadable));
  const rulesAreReady = !isDynamic || (rules !== undefined && !isBroken && unread.length === 0);
  const isReady = fields.name.trim() !== '' && rulesAreReady;
  const onSaved = (saved) => {
    changed.current = false;
    goOn(saved, Boolean(segment));
  };
  const saving = useSave({ segment, etag, fields, rules, note, isReady, onSaved });
  const { submit, problem } = saving;
  const faults = view.faults.length === 0 && problem ? rulesFaults(problem.errors) : view.faults;
  const isUnchanged = segment && !isChanged;
  const hint = hintOf({ fields, isBroken, unread, rulesAreReady, faults, isUnchanged });
  const discard = () => {
    changed.current = false;
    saving.setConflict(false);
    reload();
  };
  return html`
    <div class="page builder" onKeyDown=${keysOf(history, submit)}>
      <${Head} segment=${segment} />
      <${ProblemBanner} problem=${problem} />
      <div class="builder-grid">
        <${Parts}
          fields=${fields}
          onFields=${setFields}
          segment=${segment}
          history=${history}
          rules=${rules}
          view=${view}
          faults=${faults}
          errors=${problem?.errors ?? []}
          unread=${unread[0]}
          onBroken=${setBroken}
        />
      </div>
      <${SaveBar}
        segment=${segment}
        note=${note}
        onNote=${setNote}
        counted=${isDynamic && unread.length === 0 && view.result}
        hint=${hint}
        isReady=${isReady}
        isChanged=${isChanged}
        isBusy=${saving.isBusy}
        onSave=${submit}
      />
      ${saving.conflict &&
      html`
        <${ConflictDialog}
          segment=${segment}
          mine=${{ status: segment.status, ...bodyOf(fields, rules, note, false) }}
          onClose=${() => saving.setConflict(false)}
          onTheirs=${discard}
          onOver=${(theirs) => {
            saving.setConflict(false);
            submit('ACTIVE', theirs);
          }}
        />
      `}
    </div>
  `;
}

/** Ctrl S saves; Ctrl Z and Ctrl Shift Z undo and redo, outside of texts that have their own. */
const keysOf = (history, submit) => (event) => {
  if (!event.ctrlKey && !event.metaKey) return;
  if (event.key === 's') {
    event.preventDefault();
    submit('ACTIVE');
  } else if (event.key.toLowerCase() === 'z' && !event.target.matches('textarea, .input')) {
    event.preventDefault();
    (event.shiftKey ? history.redo : history.undo)?.();
  }
};

/** The form on one side, its effect and its JSON on the other. */
function Parts({ fields, onFields, segment, history, rules, view, faults, errors, unread, onBroken }) {
  const [showsJson, setShowsJson] = useState(false);
  const { data: suggest = NO_SUGGESTIONS } = useLoad(loadSuggestions, []);
  const changeRules = useCallback((next) => history.change(toForm(next), 'json'), [history.change]);
  const details = html`
    <${DetailsForm} fields=${fields} onChange=${onFields} isNew=${!segment} faults=${errors} />
  `;
  if (fields.type !== 'DYNAMIC')
    return html`
      <div class="stack">
        ${details}
        <p class="card card-body soft">
          A static list has no rules. After it is created, its members are imported from a file.
        </p>
      </div>
    `;
  return html`
    <div class="stack">
      ${details}
      <${RulesCard}
        history=${history}
        faults=${faults}
        suggest=${suggest}
        showsJson=${showsJson}
        onJson=${() => setShowsJson(!showsJson)}
      />
    </div>
    <aside class="stack builder-aside">
      <${PreviewPanel}
        view=${view}
        isEdit=${Boolean(segment)}
        isReady=${rules !== undefined}
        unread=${unread}
      />
      ${showsJson && html`<${JsonPane} rules=${rules} onChange=${changeRules} onBroken=${onBroken} />`}
    </aside>
  `;
}

/** Why there is nothing to save yet, or what is wrong. */
function hintOf({ fields, isBroken, unread, rulesAreReady, faults, isUnchanged }) {
  if (fields.name.trim() === '') return 'A name is needed.';
  if (isBroken) return 'The JSON is not complete.';
  if (unread.length > 0) return unread[0];
  if (!rulesAreReady) return 'A condition is needed.';
  if (faults.length > 0) return plural(faults.length, 'fault');
  return isUnchanged ? 'No changes' : '';
}

function Head({ segment }) {
  return html`
    <header class="page-head">
      <div>
        <nav class="crumbs" aria-label="Way back">
          <a href="/segments">Segments</a>
          <span>/</span>
          ${segment
            ? html`<a href="/segments/${encodeURIComponent(segment.id)}">${segment.name}</a>`
            : html`<a href="/segments/new">New</a>`}
        </nav>
        <h1>${segment ? `Edit ${segment.name}` : 'New segment'}</h1>
      </div>
      ${segment &&
      html`
        <div class="row">
          <${StateBadge} state=${segment.status} />
          <span class="muted">version ${segment.version}</span>
        </div>
      `}
    </header>
  `;
}

/** Undo, redo and the JSON. */
function Tools({ history, showsJson, onJson }) {
  return html`
    <div class="row">
      <button
        type="button"
        class="button quiet small icon-only"
        aria-label="Undo"
        title="Undo (Ctrl Z)"
        disabled=${!history.undo}
        onClick=${history.undo}
      >
        <${Icon} name="undo" />
      </button>
      <button
        type="button"
        class="button quiet small icon-only"
        aria-label="Redo"
        title="Redo (Ctrl Shift Z)"
        disabled=${!history.redo}
        onClick=${history.redo}
      >
        <${Icon} name="redo" />
      </button>
      <button type="button" class="button quiet small" aria-pressed=${String(showsJson)} onClick=${onJson}>
        ${showsJson ? 'Hide JSON' : 'Show JSON'}
      </button>
    </div>
  `;
}

function RulesCard({ history, faults, suggest, showsJson, onJson }) {
  const nodes = countNodes(history.root);
  return html`
    <section class="card rules-card" aria-label="Conditions">
      <div class="card-head">
        <h2>Users are in this segment when</h2>
        <${Tools} history=${history} showsJson=${showsJson} onJson=${onJson} />
      </div>
      <div class="card-body">
        <${RuleEditor} root=${history.root} onChange=${history.change} faults=${faults} suggest=${suggest} />
      </div>
      <div class="card-foot small muted narrow-hide">
        <span>
          ${nodes > 200 ? `${nodes} of at most 256 nodes · ` : ''}Move with <kbd>Alt</kbd> <kbd>↑</kbd>${' '}
          <kbd>↓</kbd>, group with <kbd>Alt</kbd> <kbd>→</kbd>, add with <kbd>Alt</kbd> <kbd>Enter</kbd>
        </span>
      </div>
    </section>
  `;
}

/** The buttons that save; `counted` is the preview, for screens on which it stands far above. */
function SaveBar({ segment, note, onNote, counted, hint, isReady, isChanged, isBusy, onSave }) {
  return html`
    <div class="save-bar" role="region" aria-label="Save">
      ${segment &&
      html`
        <input
          class="input"
          aria-label="Note for the history"
          maxlength="1000"
          placeholder="Note: why this change (optional)"
          value=${note}
          onInput=${(event) => onNote(event.target.value)}
        />
      `}
      ${counted &&
      html`
        <span class="narrow-only save-preview number">
          <strong>${count(counted.size)}</strong> users
          ${segment ? `: ${count(counted.entered)} in, ${count(counted.left)} out` : ''}
        </span>
      `}
      <span class="small muted save-hint">${hint}</span>
      <a class="button" href=${segment ? `/segments/${encodeURIComponent(segment.id)}` : '/segments'}>
        Cancel
      </a>
      ${!segment &&
      html`
        <button type="button" class="button" disabled=${!isReady} onClick=${() => onSave('DRAFT')}>
          Save as draft
        </button>
      `}
      <button
        type="button"
        class="button primary ${isBusy ? 'busy' : ''}"
        disabled=${!isReady || (segment && !isChanged)}
        onClick=${() => onSave('ACTIVE')}
      >
        ${segment ? 'Save changes' : 'Create segment'}
      </button>
    </div>
  `;
}
