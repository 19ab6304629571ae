// Making and editing a segment: the form beside its JSON, with the exact effect before it is saved.
import { html, useCallback, useEffect, useMemo, useRef, useState } from '../lib/html.js';
import { Problem, ask, path } from '../lib/api.js';
import { allSegments } from '../lib/effects.js';
import { useLoad } from '../lib/load.js';
import { guardLeaving, navigate } from '../lib/router.js';
import { useStore } from '../lib/store.js';
import { toast } from '../lib/toast.js';
import { unreadable } from '../lib/typed.js';
import { count } from '../lib/format.js';
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
import { PastSizes } from '../builder/past-sizes.js';
import { PreviewPanel } from '../builder/preview-panel.js';
import { usePreview } from '../builder/preview.js';
import { RuleEditor } from '../builder/rule-editor.js';
import { NO_SUGGESTIONS, loadSuggestions } from '../builder/suggestions.js';
import { many, t } from '../texts/texts.js';

/** Edits a segment that is there. */
export function EditPage({ id }) {
  useTitle(t('builder.edit'), id);
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
  useTitle(t('common.newSegment'));
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
    title: t('builder.changeNameWhichOthersUse', { name: segment.name }),
    text: t('builder.theChangeTakesEffectInAll'),
    confirm: t('common.saveChanges'),
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
    toast(
      t('builder.savedNameAsVersionVersion', { name: saved.name, version: saved.version }),
      saved.type === 'STATIC' ? {} : { undo },
    );
  } else toast(t('builder.createdName', { name: saved.name }));
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
        <p class="card card-body soft">${t('builder.aStaticListHasNoRules')}</p>
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
      ${view.state === 'done' && !view.isOld && html`<${PastSizes} text=${JSON.stringify(rules)} />`}
      ${showsJson && html`<${JsonPane} rules=${rules} onChange=${changeRules} onBroken=${onBroken} />`}
    </aside>
  `;
}

/** Why there is nothing to save yet, or what is wrong. */
function hintOf({ fields, isBroken, unread, rulesAreReady, faults, isUnchanged }) {
  if (fields.name.trim() === '') return t('builder.aNameIsNeeded');
  if (isBroken) return t('builder.theJsonIsNotComplete');
  if (unread.length > 0) return unread[0];
  if (!rulesAreReady) return t('builder.aConditionIsNeeded');
  if (faults.length > 0) return many('count.fault', faults.length);
  return isUnchanged ? t('builder.noChanges') : '';
}

function Head({ segment }) {
  return html`
    <header class="page-head">
      <div>
        <nav class="crumbs" aria-label=${t('common.wayBack')}>
          <a href="/segments">${t('common.segments')}</a>
          <span>/</span>
          ${segment
            ? html`<a href="/segments/${encodeURIComponent(segment.id)}">${segment.name}</a>`
            : html`<a href="/segments/new">${t('builder.new')}</a>`}
        </nav>
        <h1>${segment ? t('builder.editName', { name: segment.name }) : t('common.newSegment')}</h1>
      </div>
      ${segment &&
      html`
        <div class="row">
          <${StateBadge} state=${segment.status} />
          <span class="muted">${t('builder.versionVersion', { version: segment.version })}</span>
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
        aria-label=${t('builder.undo')}
        title=${t('builder.undoCtrlZ')}
        disabled=${!history.undo}
        onClick=${history.undo}
      >
        <${Icon} name="undo" />
      </button>
      <button
        type="button"
        class="button quiet small icon-only"
        aria-label=${t('builder.redo')}
        title=${t('builder.redoCtrlShiftZ')}
        disabled=${!history.redo}
        onClick=${history.redo}
      >
        <${Icon} name="redo" />
      </button>
      <button type="button" class="button quiet small" aria-pressed=${String(showsJson)} onClick=${onJson}>
        ${showsJson ? t('builder.hideJson') : t('builder.showJson')}
      </button>
      <a class="button quiet small" href="/docs#schema-Rules" target="_blank" rel="noopener">
        ${t('builder.ruleLanguage')}
      </a>
    </div>
  `;
}

function RulesCard({ history, faults, suggest, showsJson, onJson }) {
  const nodes = countNodes(history.root);
  return html`
    <section class="card rules-card" aria-label=${t('builder.conditions')}>
      <div class="card-head">
        <h2>${t('builder.usersAreInThisSegmentWhen')}</h2>
        <${Tools} history=${history} showsJson=${showsJson} onJson=${onJson} />
      </div>
      <div class="card-body">
        <${RuleEditor} root=${history.root} onChange=${history.change} faults=${faults} suggest=${suggest} />
      </div>
      <div class="card-foot small muted narrow-hide">
        <span>
          ${t('builder.nodesMoveWith', {
            nodes: nodes > 200 ? `${t('builder.nodesOfAtMost256Nodes', { nodes })} ` : '',
          })}${' '}
          <kbd>Alt</kbd>${' '}
          <kbd>↑</kbd>${' '}
          <kbd>↓</kbd>
          ${t('builder.groupWith')}${' '}
          <kbd>Alt</kbd>${' '}
          <kbd>→</kbd>
          ${t('builder.addWith')}${' '}
          <kbd>Alt</kbd>${' '}
          <kbd>${t('builder.enter')}</kbd>
        </span>
      </div>
    </section>
  `;
}

/** The buttons that save; `counted` is the preview, for screens on which it stands far above. */
function SaveBar({ segment, note, onNote, counted, hint, isReady, isChanged, isBusy, onSave }) {
  return html`
    <div class="save-bar" role="region" aria-label=${t('common.save')}>
      ${segment &&
      html`
        <input
          class="input"
          aria-label=${t('builder.noteForTheHistory')}
          maxlength="1000"
          placeholder=${t('builder.noteWhyThisChangeOptional')}
          value=${note}
          onInput=${(event) => onNote(event.target.value)}
        />
      `}
      ${counted &&
      html`
        <span class="narrow-only save-preview number">
          <strong>${count(counted.size)}</strong>${' '}
          ${t('builder.usersSegment', {
            segment: segment
              ? t('builder.enteredInLeftOut', { entered: count(counted.entered), left: count(counted.left) })
              : '',
          })}
        </span>
      `}
      <span class="small muted save-hint">${hint}</span>
      <a class="button" href=${segment ? `/segments/${encodeURIComponent(segment.id)}` : '/segments'}>
        ${t('common.cancel')}
      </a>
      ${!segment &&
      html`
        <button type="button" class="button" disabled=${!isReady} onClick=${() => onSave('DRAFT')}>
          ${t('builder.saveAsDraft')}
        </button>
      `}
      <button
        type="button"
        class="button primary ${isBusy ? 'busy' : ''}"
        disabled=${!isReady || (segment && !isChanged)}
        onClick=${() => onSave('ACTIVE')}
      >
        ${segment ? t('common.saveChanges') : t('builder.createSegment')}
      </button>
    </div>
  `;
}
