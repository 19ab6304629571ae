// Dialogs: the browser's own modal element, which keeps the focus and closes on Escape.
import { html, render, useEffect, useRef } from '../lib/html.js';
import { t } from '../texts/texts.js';

export function Dialog({ title, wide, onClose, children, foot }) {
  const element = useRef(null);
  useEffect(() => {
    const dialog = element.current;
    if (!dialog.open) dialog.showModal();
    return () => dialog.close();
  }, []);
  return html`
    <dialog
      class="dialog ${wide ? 'wide' : ''}"
      ref=${element}
      aria-label=${title}
      onCancel=${(event) => {
        event.preventDefault();
        onClose();
      }}
      onClick=${(event) => event.target === element.current && onClose()}
    >
      <div class="dialog-body"><h2>${title}</h2>${children}</div>
      ${foot && html`<div class="dialog-foot">${foot}</div>`}
    </dialog>
  `;
}

/**
 * Asks before something is done.
 * @param {{title: string, text: string, confirm: string, danger?: boolean, note?: boolean}} question
 * @returns {Promise<{note: string} | undefined>} nothing where the answer is no
 */
export function confirm(question) {
  return new Promise((resolve) => {
    const host = document.createElement('div');
    document.body.append(host);
    let note = '';
    const end = (answer) => {
      render(null, host);
      host.remove();
      resolve(answer);
    };
    const submit = (event) => {
      event.preventDefault();
      end({ note });
    };
    render(
      html`
        <${Dialog}
          title=${question.title}
          onClose=${() => end(undefined)}
          foot=${html`
            <button class="button" type="button" onClick=${() => end(undefined)}>
              ${t('common.cancel')}
            </button>
            <button
              class="button primary ${question.danger ? 'danger' : ''}"
              form="question"
              type="submit"
              autofocus=${!question.note}
            >
              ${question.confirm}
            </button>
          `}
        >
          <form id="question" class="stack" onSubmit=${submit}>
            <p class="soft">${question.text}</p>
            ${question.note &&
            html`
              <div class="field">
                <label for="question-note">${t('common.note')}</label>
                <input
                  class="input"
                  id="question-note"
                  maxlength="1000"
                  autofocus
                  onInput=${(event) => {
                    note = event.target.value;
                  }}
                />
              </div>
            `}
          </form>
        <//>
      `,
      host,
    );
  });
}
