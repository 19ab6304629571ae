// Making and editing a segment: the form beside its JSON, with the exact effect before it is saved.
import { html, useCallback, useEffect, useMemo, useRef, useState } from '../lib/html.js';
import { Problem, ask, path } from '../lib/api.js';
import { useLoad } from '../lib/load.js';
import { guardLeaving, navigate } from '../lib/router.js';
import { useStore } from '../lib/store.js';
import { toast } from '../lib/toast.js';
import { unreadable } from '../lib/typed.js';
import { count, plural } from '../lib/format.js';
import { fromForm, toForm } from '../rules/form.js';
import { countNodes } from '../rules/tree.js';
import { rulesFaults } from '../rules/pointers.js';
import { Icon } from '../parts/icon.js';
import { Loading, ProblemBanner, StateBadge } from '../parts/feedback.js';
import { useTitle } from '../parts/shell.js';
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

function Builder({ segment, etag, start, reload }) {
  const [fields, setFields] = useState(() => (segment ? fieldsOf(segment) : { ...EMPTY, ...start?.fields }));
  const [note, setNote] = useState('');
  const history = useHistory(() => toForm(segment?.rules ?? start?.rules));
  const [isBroken, setBroken] = useState(false);
  const [busy, setBusy] = useState('');
  const [problem, setProblem] = useState(undefined);
  const [conflict, setConflict] = useState(false);
  const [showsJson, setShowsJson] = useState(window.innerWidth > 980);
  const { data: suggest = NO_SUGGESTIONS } = useLoad(loadSuggestions, []);
  const key = useRef(globalThis.crypto?.randomUUID?.() ?? String(Math.random()));
  const rules = useMemo(() => fromForm(history.root), [history.root]);
  const isDynamic = fields.type === 'DYNAMIC';
  const view = usePreview(isDynamic ? rules : undefined, segment?.id);
  const first = useRef(JSON.stringify([fields, rules]));
  const isChanged = JSON.stringify([fields, rules]) !== first.current;
  const changed = useRef(false);
  changed.current = isChanged;
  useEffect(() => guardLeaving(() => changed.current), []);
  const changeRoot = useCallback((root, what) => history.change(root, what), [history.change]);
  const changeRules = useCallback((next) => history.change(toForm(next), 'json'), [history.change]);
  const faults = view.faults.length === 0 && problem ? rulesFaults(problem.errors) : view.faults;
  const unread = Object.values(useStore(unreadable));
  const rulesAreReady = !isDynamic || (rules !== undefined && !isBroken && unread.length === 0);
  const isReady = fields.name.trim() !== '' && rulesAreReady;

  const finish = (saved) => {
    changed.current = false;
    toast(segment ? `Saved “${saved.name}” as version ${saved.version}.` : `Created “${saved.name}”.`);
    navigate(
      saved.type === 'STATIC' && !segment
        ? `/imports?segment=${encodeURIComponent(saved.id)}`
        : `/segments/${encodeURIComponent(saved.id)}`,
      { force: true },
    );
  };
  const submit = async (status, over) => {
    if (!isReady || busy) return;
    setBusy(status);
    setProblem(undefined);
    try {
      const body = bodyOf(fields, rules, note, !segment);
      const answer = segment
        ? await save(segment, body, over ?? etag)
        : await create(body, status, key.current);
      finish(answer.data);
    } catch (failed) {
      if (failed instanceof Problem && failed.status === 412) setConflict(true);
      else setProblem(failed);
      // The same key may not carry another body.
      key.current = globalThis.crypto?.randomUUID?.() ?? String(Math.random());
    }
    setBusy('');
  };
  const onKeyDown = (event) => {
    const isCommand = event.ctrlKey || event.metaKey;
    if (isCommand && event.key === 's') {
      event.preventDefault();
      submit('ACTIVE');
    } else if (isCommand && event.key.toLowerCase() === 'z' && !event.target.matches('textarea, .input')) {
      event.preventDefault();
      (event.shiftKey ? history.redo : history.undo)?.();
    }
  };
  const nodes = countNodes(history.root);
  const tools = html`
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
      <button
        type="button"
        class="button quiet small"
        aria-pressed=${String(showsJson)}
        onClick=${() => setShowsJson(!showsJson)}
      >
        ${showsJson ? 'Hide JSON' : 'Show JSON'}
      </button>
    </div>
  `;

  return html`
    <div class="page builder" onKeyDown=${onKeyDown}>
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
      <${ProblemBanner} problem=${problem} />
      <div class="builder-grid">
        <div class="stack">
          <${DetailsForm}
            fields=${fields}
            onChange=${setFields}
            isNew=${!segment}
            faults=${problem?.errors ?? []}
          />
          ${isDynamic
            ? html`
                <section class="card rules-card" aria-label="Conditions">
                  <div class="card-head"><h2>Users are in this segment when</h2>${tools}</div>
                  <div class="card-body">
                    <${RuleEditor}
                      root=${history.root}
                      onChange=${changeRoot}
                      faults=${faults}
                      suggest=${suggest}
                    />
                  </div>
                  <div class="card-foot small muted narrow-hide">
                    <span>
                      ${nodes > 200 ? `${nodes} of at most 256 nodes · ` : ''}Move with <kbd>Alt</kbd>${' '}
                      <kbd>↑</kbd> <kbd>↓</kbd>, group with <kbd>Alt</kbd> <kbd>→</kbd>, add with${' '}
                      <kbd>Alt</kbd> <kbd>Enter</kbd>
                    </span>
                  </div>
                </section>
              `
            : html`
                <p class="card card-body soft">
                  A static list has no rules: after it is created, its members are imported from a file or set
                  over the API.
                </p>
              `}
        </div>
        ${isDynamic &&
        html`
          <aside class="stack builder-aside">
            <${PreviewPanel}
              view=${view}
              isEdit=${Boolean(segment)}
              isReady=${rules !== undefined}
              unread=${unread[0]}
            />
            ${showsJson && html`<${JsonPane} rules=${rules} onChange=${changeRules} onBroken=${setBroken} />`}
          </aside>
        `}
      </div>
      <div class="save-bar" role="region" aria-label="Save">
        ${segment &&
        html`
          <input
            class="input"
            aria-label="Note for the history"
            maxlength="1000"
            placeholder="Note: why this change (optional)"
            value=${note}
            onInput=${(event) => setNote(event.target.value)}
          />
        `}
        ${isDynamic &&
        view.result &&
        html`
          <span class="narrow-only save-preview number">
            <strong>${count(view.result.size)}</strong> users
            ${segment ? `: ${count(view.result.entered)} in, ${count(view.result.left)} out` : ''}
          </span>
        `}
        <span class="small muted save-hint">${hint()}</span>
        <a class="button" href=${segment ? `/segments/${encodeURIComponent(segment.id)}` : '/segments'}>
          Cancel
        </a>
        ${!segment &&
        html`
          <button type="button" class="button" disabled=${!isReady} onClick=${() => submit('DRAFT')}>
            Save as draft
          </button>
        `}
        <button
          type="button"
          class="button primary ${busy ? 'busy' : ''}"
          disabled=${!isReady || (segment && !isChanged)}
          onClick=${() => submit('ACTIVE')}
        >
          ${segment ? 'Save changes' : 'Create segment'}
        </button>
      </div>
      ${conflict &&
      html`
        <${ConflictDialog}
          segment=${segment}
          rules=${rules}
          onClose=${() => setConflict(false)}
          onTheirs=${() => {
            changed.current = false;
            setConflict(false);
            reload();
          }}
          onOver=${(theirs) => {
            setConflict(false);
            submit('ACTIVE', theirs);
          }}
        />
      `}
    </div>
  `;

  function hint() {
    if (fields.name.trim() === '') return 'A name is needed.';
    if (isBroken) return 'The JSON is not complete.';
    if (unread.length > 0) return unread[0];
    if (!rulesAreReady) return 'A condition is needed.';
    if (faults.length > 0) return plural(faults.length, 'fault');
    return segment && !isChanged ? 'No changes' : '';
  }
}
