// The filters of the list of segments: words, state, kind, owner, tag.
import { html, useEffect, useState } from '../lib/html.js';
import { setQuery } from '../lib/router.js';
import { Icon } from '../parts/icon.js';
import { ViewsMenu } from './views-menu.js';
import { t } from '../texts/texts.js';

const STATES = {
  '': t('toolbar.all'),
  ACTIVE: t('toolbar.active'),
  DRAFT: t('toolbar.drafts'),
  INACTIVE: t('toolbar.inactive'),
  ARCHIVED: t('toolbar.archived'),
};
const KINDS = { DYNAMIC: t('common.byRules'), STATIC: t('toolbar.staticLists') };

/** The words that are looked for; the address follows when typing rests. */
function Search({ value }) {
  const [text, setText] = useState(value);
  // A value from elsewhere, such as a saved view, is shown, too.
  useEffect(() => {
    if (value !== text.trim()) setText(value);
  }, [value]);
  useEffect(() => {
    if (text.trim() === value) return undefined;
    const timer = setTimeout(() => setQuery({ q: text.trim() }), 150);
    return () => clearTimeout(timer);
  }, [text]);
  return html`
    <div class="search">
      <${Icon} name="search" />
      <input
        class="input"
        type="search"
        aria-label=${t('toolbar.searchSegments')}
        placeholder=${t('toolbar.searchNameIdTagOwner')}
        value=${text}
        onInput=${(event) => setText(event.target.value)}
      />
    </div>
  `;
}

function Choice({ member, label, all, value, options }) {
  return html`
    <select
      class="select"
      aria-label=${label}
      value=${value ?? ''}
      onChange=${(event) => setQuery({ [member]: event.target.value })}
    >
      <option value="">${all}</option>
      ${options.map(([key, text]) => html`<option value=${key}>${text}</option>`)}
    </select>
  `;
}

/** The filters above the list; `owners` are those that there are. */
export function Toolbar({ filter, owners, query }) {
  return html`
    <div class="toolbar">
      <${Search} value=${filter.q ?? ''} />
      <div class="segmented" role="group" aria-label=${t('common.state')}>
        ${Object.entries(STATES).map(
          ([state, name]) => html`
            <button
              key=${state}
              type="button"
              aria-pressed=${String((filter.status ?? '') === state)}
              onClick=${() => setQuery({ status: state })}
            >
              ${name}
            </button>
          `,
        )}
      </div>
      <${Choice}
        member="type"
        label=${t('common.kind')}
        all=${t('toolbar.everyKind')}
        value=${filter.type}
        options=${Object.entries(KINDS)}
      />
      ${(owners.length > 0 || filter.owner) &&
      html`
        <${Choice}
          member="owner"
          label=${t('common.owner')}
          all=${t('toolbar.everyOwner')}
          value=${filter.owner}
          options=${owners.map((owner) => [owner, owner])}
        />
      `}
      ${filter.tag &&
      html`
        <button type="button" class="button small" onClick=${() => setQuery({ tag: '' })}>
          ${t('toolbar.tagTag', { tag: filter.tag })}${' '}
          <${Icon} name="close" />
        </button>
      `}
      <${ViewsMenu} query=${query} />
    </div>
  `;
}
