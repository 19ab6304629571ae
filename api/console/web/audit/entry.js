// One change of the audit log: what it was done to, and what stood there before and after.
import { html, useState } from '../lib/html.js';
import { path } from '../lib/api.js';
import { dateTime, relative } from '../lib/format.js';
import { Diff } from '../parts/diff.js';
import { ACTIONS, THINGS } from './words.js';
import { t } from '../texts/texts.js';

const PLACES = {
  segment: '/segments/',
  members: '/segments/',
  trait: '/traits/',
  user: '/users/',
  campaign: '/campaign/',
};

/** The object of an entry, as a link if it still exists. */
function Subject({ entry: { action, kind, id, before, after } }) {
  const hook = after ?? before;
  if (kind === 'webhook') {
    const [segment] = hook?.segments ?? [];
    const name = hook?.url ?? id;
    return segment && segment !== '*' && after
      ? html`<a class="mono" href="/segments/${encodeURIComponent(segment)}/webhooks">${name}</a>`
      : html`<strong class="mono">${name}</strong>`;
  }
  if (!PLACES[kind] || action === 'deleted' || action === 'erased')
    return html`<strong title=${id}>${id.length > 40 ? `${id.slice(0, 20)}…` : id}</strong>`;
  return html`<a href="${PLACES[kind]}${encodeURIComponent(id)}">${id}</a>`;
}

const OF_EVERY_CHANGE = ['version', 'updatedAt'];

/** The members of it that are other than before, where the log says what it was and is. */
function ChangedMembers({ entry: { before, after } }) {
  if (!before || !after) return null;
  const members = [...new Set([...Object.keys(before), ...Object.keys(after)])].filter(
    (name) => !OF_EVERY_CHANGE.includes(name) && JSON.stringify(before[name]) !== JSON.stringify(after[name]),
  );
  const say = (value) =>
    value === undefined ? t('entry.nothing') : Array.isArray(value) ? value.join(', ') : String(value);
  return members.map(
    (name) =>
      html`<div class="small soft" key=${name}>${name}: ${say(before[name])} → ${say(after[name])}</div>`,
  );
}

/** True if the versions before and after a change can be compared. */
const isCompared = ({ kind, version, action }) =>
  ['segment', 'trait'].includes(kind) && version > 1 && action !== 'deleted';

export function Entry({ entry }) {
  const [isOpen, setOpen] = useState(false);
  const [name, tone] = ACTIONS[entry.action] ?? [entry.action, ''];
  const { kind, id, version } = entry;
  return html`
    <tr>
      <td class="nowrap muted">
        <time datetime=${entry.at} title=${dateTime(entry.at)}>${relative(entry.at)}</time>
      </td>
      <td>${entry.author}</td>
      <td>
        <span class="badge plain ${tone}">${name}</span>${' '}
        <span class="muted">${THINGS[kind] ?? kind}</span>${' '}
        <${Subject} entry=${entry} />
        ${version ? html`${' '}<span class="muted small">${t('versions.short', { version })}</span>` : ''}
        <${ChangedMembers} entry=${entry} />
        ${entry.note && html`<div class="narrow-only small soft">${entry.note}</div>`}
        ${isCompared(entry) &&
        html`
          <button
            type="button"
            class="button quiet small"
            aria-expanded=${String(isOpen)}
            onClick=${() => setOpen(!isOpen)}
          >
            ${t('entry.beforeAndAfter')}
          </button>
          ${isOpen &&
          html`<${Diff} base=${path`/api/${`${kind}s`}/${id}`} from=${version - 1} to=${version} />`}
        `}
      </td>
      <td class="narrow-hide soft">${entry.note ?? ''}</td>
    </tr>
  `;
}
