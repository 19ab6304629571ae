// The computed traits: named behaviour measures that rules and ranks use.
import { html } from '../lib/html.js';
import { read } from '../lib/api.js';
import { relative } from '../lib/format.js';
import { useLoad } from '../lib/load.js';
import { measureSubject } from '../rules/describe.js';
import { Empty } from '../parts/feedback.js';
import { Icon } from '../parts/icon.js';
import { Found, Listing } from '../parts/listing.js';
import { useTitle } from '../parts/shell.js';
import { t } from '../texts/texts.js';

const linkTo = (one) => `/traits/${encodeURIComponent(one.name)}`;
/** A shipped trait was never changed: its date is that of the beginning of time. */
const isShipped = (one) => new Date(one.updatedAt).getTime() <= 86_400_000;

const COLUMNS = [
  { head: t('common.name'), cell: (one) => html`<a class="title" href=${linkTo(one)}>${one.name}</a>` },
  { head: t('traits.whatItIs'), tone: ['soft'], cell: (one) => measureSubject(one.definition) },
  {
    head: t('traits.version'),
    name: ['narrow-hide', 'end'],
    tone: ['number', 'muted'],
    cell: (one) => one.version,
  },
  {
    head: t('common.changed'),
    name: ['narrow-hide'],
    tone: ['muted', 'nowrap'],
    cell: (one) => (isShipped(one) ? t('traits.shipped') : relative(one.updatedAt)),
  },
];

export function TraitsPage() {
  useTitle(t('common.traits'));
  const found = useLoad((signal) => read('/api/traits', signal), [], { every: 5000 });
  const empty = html`
    <${Empty}
      icon="trait"
      title=${t('traits.noComputedTrait')}
      action=${html`<a class="button primary" href="/traits/new">${t('common.newTrait')}</a>`}
    >
      ${t('traits.suchAsWhatAUserSpent')}
    <//>
  `;
  return html`
    <div class="page">
      <header class="page-head">
        <div><h1>${t('common.traits')}</h1><p class="lead">${t('traits.amountsOfWhatAUserDid')}</p></div>
        <div class="actions">
          <a class="button primary" href="/traits/new"><${Icon} name="plus" />${t('common.newTrait')}</a>
        </div>
      </header>
      <${Found} ...${found} empty=${empty}>
        ${(items) =>
          html`<${Listing} items=${items} columns=${COLUMNS} keyOf=${(one) => one.name} to=${linkTo} />`}
      <//>
    </div>
  `;
}
