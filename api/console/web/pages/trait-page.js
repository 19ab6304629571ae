// Making and editing a computed trait.
import { html, takeFocus, useEffect, useRef, useState } from '../lib/html.js';
import { ask, path, read } from '../lib/api.js';
import { useLoad } from '../lib/load.js';
import { guardLeaving, navigate } from '../lib/router.js';
import { useStore } from '../lib/store.js';
import { toast, toastProblem } from '../lib/toast.js';
import { unreadable } from '../lib/typed.js';
import { nameOf, vocabulary } from '../lib/vocabulary.js';
import { fromNode, toNode } from '../rules/form.js';
import { measureSubject } from '../rules/describe.js';
import { Amount } from '../builder/behaviour.js';
import { Faults } from '../builder/faults.js';
import { JsonPane } from '../builder/json-pane.js';
import { NO_SUGGESTIONS, loadSuggestions } from '../builder/suggestions.js';
import { confirm } from '../parts/dialog.js';
import { confirmEffect } from '../parts/effect-dialog.js';
import { UsedBy } from '../parts/used-by.js';
import { Versions, rollbackQuestion } from '../parts/versions.js';
import { Loading, ProblemBanner } from '../parts/feedback.js';
import { Icon } from '../parts/icon.js';
import { NameButton } from '../parts/label-dialog.js';
import { useTitle } from '../parts/shell.js';
import { many, t } from '../texts/texts.js';

export function TraitPage({ name }) {
  useTitle(name ?? t('common.newTrait'), t('common.traits'));
  const { data, problem, reload } = useLoad(
    async (signal) => (name ? ask('GET', path`/api/traits/${name}`, { signal }) : {}),
    [name],
  );
  if (problem) return html`<div class="page"><${ProblemBanner} problem=${problem} retry=${reload} /></div>`;
  if (!data) return html`<div class="page"><${Loading} /></div>`;
  return html`<${TraitForm} key=${data.etag} trait=${data.data} etag=${data.etag} reload=${reload} />`;
}

function definitionOf(trait) {
  const { name: _, ...definition } = trait?.definition ?? {
    event: 'purchase',
    measure: { fn: 'sum', of: 'amount' },
    within: '90d',
  };
  return definition;
}

/** Asks before a trait that segments use is changed, with who enters and leaves them by it. */
async function askEffect(trait, definition) {
  const { usedBy } = await read(path`/api/traits/${trait.name}`);
  if (usedBy.length === 0) return { note: '' };
  return confirmEffect({
    title: t('trait.changeName', { name: trait.name }),
    text: t('trait.countUseItTheChangeTakes', { count: many('count.segment', usedBy.length) }),
    confirm: t('common.saveChanges'),
    change: { trait: trait.name, definition },
  });
}

/** The draft of a trait, with its saving and deleting. */
function useDraft(trait, etag) {
  const [name, setName] = useState(trait?.name ?? '');
  const [node, setNode] = useState(() => toNode(definitionOf(trait)));
  const [problem, setProblem] = useState(undefined);
  const definition = fromNode(node);
  const first = useRef(JSON.stringify([name, definition]));
  const changed = useRef(false);
  changed.current = JSON.stringify([name, definition]) !== first.current;
  useEffect(() => guardLeaving(() => changed.current), []);
  const leave = (text) => {
    changed.current = false;
    toast(text);
    navigate('/traits', { force: true });
  };
  const submit = async (event) => {
    event.preventDefault();
    setProblem(undefined);
    try {
      if (trait && !(await askEffect(trait, definition))) return;
      if (trait) await ask('PUT', path`/api/traits/${trait.name}`, { body: definition, etag });
      else await ask('POST', '/api/traits', { body: { name: name.trim(), ...definition } });
      leave(t('trait.savedValue', { value: name.trim() }));
    } catch (failed) {
      setProblem(failed);
    }
  };
  const remove = async () => {
    const answer = await confirm({
      title: t('trait.deleteName', { name: trait.name }),
      text: t('trait.whereASegmentRefersToIt'),
      confirm: t('common.delete'),
      danger: true,
    });
    if (!answer) return;
    try {
      await ask('DELETE', path`/api/traits/${trait.name}`, { etag });
      leave(t('trait.deletedName', { name: trait.name }));
    } catch (failed) {
      toastProblem(failed);
    }
  };
  return { name, setName, node, setNode, definition, problem, submit, remove };
}

function Head({ trait, draft, isReady }) {
  useStore(vocabulary);
  return html`
    <header class="page-head">
      <div>
        <nav class="crumbs" aria-label=${t('common.wayBack')}>
          <a href="/traits">${t('common.traits')}</a>
        </nav>
        <h1>
          ${trait ? nameOf('trait', trait.name) : t('trait.newComputedTrait')}${' '}
          ${trait && html`<${NameButton} kind="trait" name=${trait.name} />`}
        </h1>
        <p class="lead">${draft.node.kind === 'event' ? measureSubject(draft.definition) : ''}</p>
      </div>
      <div class="actions">
        ${trait &&
        html`
          <button type="button" class="button danger" onClick=${draft.remove}>
            <${Icon} name="trash" />
            ${t('common.delete')}
          </button>
        `}
        <a class="button" href="/traits">${t('common.cancel')}</a>
        <button type="submit" class="button primary" disabled=${!isReady}>
          ${trait ? t('common.saveChanges') : t('trait.createTrait')}
        </button>
      </div>
    </header>
  `;
}

function NameField({ value, onChange }) {
  return html`
    <div class="field">
      <label for="trait-name">${t('common.name')}</label>
      <input
        class="input"
        id="trait-name"
        ref=${takeFocus}
        maxlength="256"
        placeholder=${t('trait.suchAsSpentin90days')}
        value=${value}
        onInput=${(event) => onChange(event.target.value)}
      />
      <span class="hint">${t('trait.withoutDotsRulesUseItLike')}</span>
    </div>
  `;
}

function TraitForm({ trait, etag, reload }) {
  const draft = useDraft(trait, etag);
  const [isBroken, setBroken] = useState(false);
  // A definition without a form can be edited there only.
  const [isJson, setJson] = useState(draft.node.kind !== 'event');
  const { data: suggest = NO_SUGGESTIONS } = useLoad(loadSuggestions, []);
  const isUnread = Object.keys(useStore(unreadable)).length > 0;
  const { node, setNode, problem } = draft;
  const faults = problem?.errors ?? [];
  // Enter in a part of the sentence chooses what is suggested; it does not save.
  const onKeyDown = (event) =>
    event.key === 'Enter' && event.target.matches('.pill, .bare') && event.preventDefault();
  return html`
    <form class="page" onSubmit=${draft.submit} onKeyDown=${onKeyDown}>
      <${Head}
        trait=${trait}
        draft=${draft}
        isReady=${Boolean(draft.name.trim()) && !isBroken && !isUnread}
      />
      <${ProblemBanner} problem=${problem} retry=${problem?.status === 412 ? reload : undefined} />
      <div class="split">
        <section class="card">
          <div class="card-body stack">
            ${!trait && html`<${NameField} value=${draft.name} onChange=${draft.setName} />`}
            <div class="field">
              <span class="label">${t('trait.whatItIs')}</span>
              ${node.kind === 'event'
                ? html`
                    <div class="condition-form">
                      <${Amount}
                        node=${node}
                        onChange=${setNode}
                        suggest=${suggest}
                        faults=${faults}
                        pointer=""
                      />
                    </div>
                  `
                : html`<p class="muted">${t('trait.editTheJsonATraitNeeds')}</p>`}
            </div>
            <${Faults} faults=${faults} />
          </div>
        </section>
        <div class="stack">
          ${trait && html`<${UsedBy} trait=${trait.name} version=${trait.version} />`}
          <div>
            <button
              type="button"
              class="button quiet small"
              aria-expanded=${String(isJson)}
              onClick=${() => setJson(!isJson)}
            >
              ${isJson ? t('trait.hideJson') : t('trait.showJson')}
            </button>
          </div>
          ${isJson &&
          html`
            <${JsonPane}
              rules=${draft.definition}
              onChange=${(next) => setNode(toNode(next))}
              onBroken=${setBroken}
            />
          `}
        </div>
      </div>
      ${trait && html`<${TraitVersions} trait=${trait} etag=${etag} reload=${reload} />`}
    </form>
  `;
}

function TraitVersions({ trait, etag, reload }) {
  const askRollback = (one) => {
    const { name: _, ...definition } = one.definition;
    return confirmEffect({ ...rollbackQuestion(one.version), change: { trait: trait.name, definition } });
  };
  return html`
    <${Versions}
      base=${path`/api/traits/${trait.name}`}
      newest=${trait.version}
      etag=${etag}
      reload=${reload}
      describeVersion=${(one) => measureSubject(one.definition)}
      askRollback=${askRollback}
    />
  `;
}
