// The question before an act that moves members: who enters and leaves, in which segments, by name.
import { html, render, useState } from '../lib/html.js';
import { effectsOf } from '../lib/effects.js';
import { count, signed } from '../lib/format.js';
import { useLoad } from '../lib/load.js';
import { Dialog } from './dialog.js';
import { Loading, ProblemBanner } from './feedback.js';
import { many, t } from '../texts/texts.js';

const hasMoves = ({ result }) => result && (result.entered > 0 || result.left > 0);

function Names({ users, total }) {
  if (!users?.length) return null;
  const shown = users.slice(0, 5);
  const more = total - shown.length;
  return html`
    <span class="muted">
      ${shown.join(', ')}
      ${more > 0 ? ` ${t('effectDialog.andMoreMore', { more: count(more) })}` : ''}
    </span>
  `;
}

function Moves({ segment, result, reason }) {
  if (reason !== undefined) {
    return html`
      <li>
        <strong>${segment.name}</strong>
        <div class="small soft">${t('effectDialog.usesItTheEffectCouldNot', { reason })}</div>
      </li>
    `;
  }
  const { size, entered, left } = result;
  const before = size - entered + left;
  return html`
    <li>
      <div class="spread">
        <strong>${segment.name}</strong>
        <span class="number">${count(before)} → ${count(size)}</span>
      </div>
      ${entered > 0 &&
      html`
        <div class="small">
          <span class="up">${t('effectDialog.enteredEnter', { entered: signed(entered) })}</span>${' '}
          <${Names} users=${result.sampleEntered} total=${entered} />
        </div>
      `}
      ${left > 0 &&
      html`
        <div class="small">
          <span class="down">${t('effectDialog.leftLeave', { left: signed(-left) })}</span>${' '}
          <${Names} users=${result.sampleLeft} total=${left} />
        </div>
      `}
      ${entered === 0 &&
      left === 0 &&
      html`<div class="small muted">${t('effectDialog.nobodyEntersOrLeaves')}</div>`}
    </li>
  `;
}

/** The effects of a change, those that move members first. */
function Effects({ change }) {
  const load = (signal) => effectsOf(change, signal);
  const { data, problem } = useLoad(load, [change]);
  if (problem) return html`<${ProblemBanner} problem=${problem} />`;
  if (!data) {
    return html`
      <p class="soft">${t('effectDialog.countingWhoWouldEnterAndLeave')}</p>
      <${Loading} lines=${2} />
    `;
  }
  const moving = data.filter((one) => one.reason !== undefined || hasMoves(one));
  const still = data.filter((one) => !moving.includes(one));
  return html`
    ${moving.length === 0 && html`<p class="soft">${t('effectDialog.nobodyEntersOrLeavesAnySegment')}</p>`}
    <ul class="list effects" aria-label=${t('effectDialog.whoEntersAndLeaves')}>
      ${moving.map((one) => html`<${Moves} key=${one.segment.id} ...${one} />`)}
    </ul>
    ${moving.length > 0 &&
    still.length > 0 &&
    html`
      <p class="small soft">
        ${t('effectDialog.countWithoutAChangeValue', {
          count: many('count.segment', still.length),
          value: still.map((one) => one.segment.name).join(', '),
        })}
      </p>
    `}
  `;
}

function EffectQuestion({ question, onEnd }) {
  const [note, setNote] = useState('');
  const submit = (event) => {
    event.preventDefault();
    onEnd({ note });
  };
  return html`
    <${Dialog}
      title=${question.title}
      wide
      onClose=${() => onEnd(undefined)}
      foot=${html`
        <button class="button" type="button" onClick=${() => onEnd(undefined)}>${t('common.cancel')}</button>
        <button
          class="button primary ${question.danger ? 'danger' : ''}"
          form="effect-question"
          type="submit"
        >
          ${question.confirm}
        </button>
      `}
    >
      <form id="effect-question" class="stack" onSubmit=${submit}>
        <p class="soft">${question.text}</p>
        <${Effects} change=${question.change} />
        ${question.note &&
        html`
          <div class="field">
            <label for="effect-note">${t('common.note')}</label>
            <input
              class="input"
              id="effect-note"
              maxlength="1000"
              value=${note}
              onInput=${(event) => setNote(event.target.value)}
            />
          </div>
        `}
      </form>
    <//>
  `;
}

/**
 * Asks before something is done that moves members, and shows whom.
 * @param {object} question
 * @param {string} question.title
 * @param {string} question.text
 * @param {string} question.confirm what the button says
 * @param {import('../lib/effects.js').Change} question.change
 * @param {boolean} [question.danger]
 * @param {boolean} [question.note] whether a note is asked for
 * @returns {Promise<{ note: string } | undefined>} nothing where the answer is no
 */
export function confirmEffect(question) {
  return new Promise((resolve) => {
    const host = document.createElement('div');
    document.body.append(host);
    const end = (answer) => {
      render(null, host);
      host.remove();
      resolve(answer);
    };
    render(html`<${EffectQuestion} question=${question} onEnd=${end} />`, host);
  });
}
