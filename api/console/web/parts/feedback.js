// The notices of a page while it loads, if it failed, and if there is nothing.
import { html } from '../lib/html.js';
import { placeOf } from '../lib/places.js';
import { sentenceOf } from '../lib/sentences.js';
import { Icon } from './icon.js';
import { t } from '../texts/texts.js';

/** A failure, with a way to ask again; the server's own words are a detail. */
export function ProblemBanner({ problem, retry }) {
  if (!problem) return null;
  return html`
    <div class="banner bad" role="alert">
      <${Icon} name="warn" />
      <div class="body">
        <strong>
          ${problem.status === 404
            ? t('feedback.notFound')
            : problem.status === 0
              ? t('feedback.noConnection')
              : t('feedback.thatDidNotWork')}
        </strong>
        ${problem.errors?.length !== 1 && html`<div>${problem.message}</div>`}
        ${problem.errors?.length > 0 &&
        html`
          <ul class="small">${problem.errors.map((fault) => html`<li><${Fault} ...${fault} /></li>`)}</ul>
        `}
        <${Details} problem=${problem} />
      </div>
      ${retry &&
      html`<button class="button small" type="button" onClick=${retry}>${t('common.tryAgain')}</button>`}
    </div>
  `;
}

/** The server's own words, for whom a sentence by their code is not enough. */
function Details({ problem }) {
  const faults = problem.errors ?? [];
  const own = faults.length > 0 ? faults.map((fault) => fault.message) : [problem.detail];
  const told = faults.length > 0 ? faults.map(sentenceOf) : [problem.message];
  if (own.every((text, index) => text === undefined || text === told[index])) return null;
  return html`
    <details class="small">
      <summary>${t('said.details')}</summary>
      ${own.map((text) => html`<div lang="en">${text}</div>`)}
    </details>
  `;
}

/** A fault with the field that it is in. */
export function Fault({ pointer, code, message }) {
  const place = placeOf(pointer);
  return html`${place && html`<strong>${place}:</strong>${' '}`}${sentenceOf({ code, message })}`;
}

export function Loading({ lines = 4 }) {
  return html`
    <div class="stack" aria-busy="true" aria-label=${t('feedback.loading')} role="status">
      ${Array.from(
        { length: lines },
        (_, index) => html`<div class="skeleton" style=${{ width: `${90 - ((index * 17) % 40)}%` }}></div>`,
      )}
    </div>
  `;
}

/** Nothing there yet, and what to do about it. */
export function Empty({ icon, title, children, action }) {
  return html`
    <div class="empty">
      <${Icon} name=${icon} />
      <h2>${title}</h2>
      <p>${children}</p>
      ${action && html`<div class="row">${action}</div>`}
    </div>
  `;
}

/** Said where this server lacks a part of the API. */
export function NotOffered({ what }) {
  return html`<p class="muted small card-body">${t('feedback.whatIsNotOfferedByThis', { what })}</p>`;
}

const STATES = {
  ACTIVE: ['good', t('feedback.active')],
  INACTIVE: ['warn', t('feedback.inactive')],
  DRAFT: ['accent', t('feedback.draft')],
  ARCHIVED: ['', t('feedback.archived')],
  PAUSED: ['warn', t('feedback.paused')],
};

/** The word for a state. */
export const stateText = (state) => STATES[state]?.[1] ?? state;

export function StateBadge({ state }) {
  const [tone, text] = STATES[state] ?? ['', state];
  return html`<span class="badge ${tone}">${text}</span>`;
}
