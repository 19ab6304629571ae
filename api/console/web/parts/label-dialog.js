// The label of an event, a property or a trait: shown beside its name, and changed in a dialog.
import { html, useState } from '../lib/html.js';
import { toast } from '../lib/toast.js';
import { labelOf, nameOf, putLabel, vocabulary } from '../lib/vocabulary.js';
import { useStore } from '../lib/store.js';
import { Dialog } from './dialog.js';
import { ProblemBanner } from './feedback.js';
import { Icon } from './icon.js';
import { t } from '../texts/texts.js';

const KINDS = { event: t('label.event'), property: t('label.property'), trait: t('label.trait') };

/** A name as people call it, with the one that rules use, and a button that changes it. */
export function Named({ kind, name, isStrong }) {
  useStore(vocabulary);
  const label = labelOf(kind, name);
  const called = nameOf(kind, name);
  return html`
    <span class="named">
      ${isStrong
        ? html`<strong>${called}</strong>`
        : called === name
          ? html`<code>${name}</code>`
          : html`<span>${called}</span>`}
      <${NameButton} kind=${kind} name=${name} />
      ${called !== name && html`<code class="small muted">${name}</code>`}
      ${label?.description && html`<span class="small soft named-text">${label.description}</span>`}
    </span>
  `;
}

export function NameButton({ kind, name }) {
  const [open, setOpen] = useState(false);
  return html`
    <button
      type="button"
      class="button quiet small icon-only"
      aria-label=${t('label.nameOf', { name })}
      title=${t('label.nameOf', { name })}
      onClick=${() => setOpen(true)}
    >
      <${Icon} name="edit" />
    </button>
    ${open && html`<${LabelDialog} kind=${kind} name=${name} onClose=${() => setOpen(false)} />`}
  `;
}

function LabelDialog({ kind, name, onClose }) {
  const label = labelOf(kind, name);
  const [displayName, setDisplayName] = useState(label?.displayName ?? '');
  const [description, setDescription] = useState(label?.description ?? '');
  const [problem, setProblem] = useState(undefined);
  const submit = async (event) => {
    event.preventDefault();
    event.stopPropagation();
    try {
      await putLabel({ kind, name }, { displayName, description });
      toast(t('label.saved', { name }));
      onClose();
    } catch (failed) {
      setProblem(failed);
    }
  };
  return html`
    <${Dialog}
      title=${t('label.nameOf', { name })}
      onClose=${onClose}
      foot=${html`
        <button class="button" type="button" onClick=${onClose}>${t('common.cancel')}</button>
        <button class="button primary" type="submit" form="label-form">${t('common.save')}</button>
      `}
    >
      <form id="label-form" class="stack" onSubmit=${submit}>
        <p class="soft small">${t('label.whatItIsFor', { kind: KINDS[kind] })}</p>
        <${ProblemBanner} problem=${problem} />
        <div class="field">
          <label for="label-name">${t('label.displayName')}</label>
          <input
            class="input"
            id="label-name"
            maxlength="100"
            autofocus
            value=${displayName}
            onInput=${(event) => setDisplayName(event.target.value)}
          />
        </div>
        <div class="field">
          <label for="label-text">${t('common.description')}</label>
          <textarea
            class="input"
            id="label-text"
            rows="3"
            maxlength="1000"
            value=${description}
            onInput=${(event) => setDescription(event.target.value)}
          ></textarea>
        </div>
      </form>
    <//>
  `;
}
