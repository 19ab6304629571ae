// The segments that use a segment, a list or a computed trait.
import { html } from '../lib/html.js';
import { allSegments } from '../lib/effects.js';
import { useLoad } from '../lib/load.js';
import { usersOf } from '../rules/references.js';
import { StateBadge } from './feedback.js';
import { t } from '../texts/texts.js';

/** The users of a segment or a trait; `version` draws them again after an edit. */
export function UsedBy({ segment, trait, version }) {
  const { data } = useLoad((signal) => allSegments(signal), [segment, trait, version], { every: 30_000 });
  if (!data) return null;
  const users = usersOf(data, { segment, trait });
  return html`
    <section class="card" aria-label=${t('usedBy.usedBy')}>
      <div class="card-head"><h2>${t('usedBy.usedBy')}</h2></div>
      ${users.length === 0
        ? html`<p class="card-body muted">${t('usedBy.noSegmentUsesIt')}</p>`
        : html`<ul class="list">${users.map((one) => html`<${User} key=${one.id} segment=${one} />`)}</ul>`}
    </section>
  `;
}

function User({ segment }) {
  return html`
    <li class="spread">
      <a class="title" href="/segments/${encodeURIComponent(segment.id)}">${segment.name}</a>
      ${segment.status !== 'ACTIVE' && html`<${StateBadge} state=${segment.status} />`}
    </li>
  `;
}
