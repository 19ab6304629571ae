// What a page shows while it loads, when it failed and when there is nothing.
import { html } from '../lib/html.js';
import { placeOf } from '../lib/places.js';
import { Icon } from './icon.js';

/** A failure in the server's own words, with a way to ask again. */
export function ProblemBanner({ problem, retry }) {
  if (!problem) return null;
  return html`
    <div class="banner bad" role="alert">
      <${Icon} name="warn" />
      <div class="body">
        <strong>
          ${problem.status === 404
            ? 'Not found'
            : problem.status === 0
              ? 'No connection'
              : 'That did not work'}
        </strong>
        ${problem.errors?.length !== 1 && html`<div>${problem.message}</div>`}
        ${problem.errors?.length > 0 &&
        html`
          <ul class="small">${problem.errors.map((fault) => html`<li><${Fault} ...${fault} /></li>`)}</ul>
        `}
      </div>
      ${retry && html`<button class="button small" type="button" onClick=${retry}>Try again</button>`}
    </div>
  `;
}

/** A fault with the field that it is in. */
export function Fault({ pointer, message }) {
  const place = placeOf(pointer);
  return html`${place && html`<strong>${place}:</strong>${' '}`}${message}`;
}

export function Loading({ lines = 4 }) {
  return html`
    <div class="stack" aria-busy="true" aria-label="Loading" role="status">
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
  return html`<p class="muted small card-body">${what} is not offered by this server.</p>`;
}

const STATES = {
  ACTIVE: ['good', 'Active'],
  INACTIVE: ['warn', 'Inactive'],
  DRAFT: ['accent', 'Draft'],
  ARCHIVED: ['', 'Archived'],
  PAUSED: ['warn', 'Paused'],
};

export function StateBadge({ state }) {
  const [tone, text] = STATES[state] ?? ['', state];
  return html`<span class="badge ${tone}">${text}</span>`;
}
