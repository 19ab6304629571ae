// The traits of a user: those that were sent, and those that are computed.
import { html } from '../lib/html.js';
import { dateTime } from '../lib/format.js';
import { nameOf, shown, titleOf } from '../lib/vocabulary.js';
import { t } from '../texts/texts.js';

/** True if a number is an instant, by its size and its name. */
export const looksLikeTime = (name, value) =>
  typeof value === 'number' && value > 1e12 && value < 8e12 && /seen|last|first|purchase|at$/i.test(name);

function Facts({ values, empty }) {
  const all = Object.entries(values ?? {}).sort(([a], [b]) => a.localeCompare(b));
  if (all.length === 0) return html`<p class="muted">${empty}</p>`;
  return html`
    <dl class="facts">
      ${all.map(
        ([name, value]) =>
          html`
            <dt title=${titleOf('trait', name)}>${nameOf('trait', name)}</dt>
            <dd>
              ${value === null
                ? html`<span class="muted">${t('userTraits.notKnown')}</span>`
                : looksLikeTime(name, value)
                  ? dateTime(value)
                  : shown('trait', name, value)}
            </dd>
          `,
      )}
    </dl>
  `;
}

export function Traits({ user }) {
  return html`
    <div class="stack">
      <section class="card" aria-label=${t('userTraits.traits')}>
        <div class="card-head"><h2>${t('userTraits.traits')}</h2></div>
        <div class="card-body">
          <${Facts} values=${user.traits} empty=${t('userTraits.noIdentifyEvent')} />
        </div>
      </section>
      <section class="card" aria-label=${t('common.traits')}>
        <div class="card-head">
          <h2>${t('common.traits')}</h2>
          <a class="small" href="/traits">${t('userTraits.edit')}</a>
        </div>
        <div class="card-body">
          <${Facts} values=${user.computedTraits} empty=${t('userTraits.noneAreDefined')} />
        </div>
      </section>
    </div>
  `;
}
