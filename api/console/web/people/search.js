// Finding people: by their id, or by the value of a trait.
import { html, takeFocus, useEffect, useState } from '../lib/html.js';
import { nameOf } from '../lib/vocabulary.js';
import { Icon } from '../parts/icon.js';
import { t } from '../texts/texts.js';

/** Between the last key and the question, in milliseconds: a search by a trait costs a look at everybody. */
const TYPING = { id: 200, trait: 500 };

/**
 * The query of a search for people.
 * @typedef {{ by: string, match: string, text: string }} Search `by` is a trait, or nothing for ids; `match` is `equals` or
 *   `startsWith`
 */

/** The parameters of a search for the server. */
export function searchParameters({ by, match, text }) {
  if (!text) return {};
  return by ? { trait: by, [match]: text } : { q: text };
}

/** The fields of a search. Without `hasIds` people are found by traits only. */
export function SearchFields({ search, fields, hasIds, onChange, label }) {
  const [text, setText] = useState(search.text);
  const by = search.by || (hasIds ? '' : (fields[0]?.value ?? ''));
  useEffect(() => {
    if (text.trim() === search.text) return undefined;
    const timer = setTimeout(
      () => onChange({ ...search, by, text: text.trim() }),
      by ? TYPING.trait : TYPING.id,
    );
    return () => clearTimeout(timer);
  }, [text]);
  return html`
    <select
      class="select"
      aria-label=${t('people.searchBy')}
      value=${by}
      onChange=${(event) => onChange({ ...search, by: event.target.value })}
    >
      ${hasIds && html`<option value="">${t('people.userId')}</option>`}
      ${[...new Set([...fields.map((field) => field.value), by])]
        .filter(Boolean)
        .map((name) => html`<option value=${name}>${nameOf('trait', name)}</option>`)}
    </select>
    ${by &&
    html`
      <select
        class="select"
        aria-label=${t('people.howItFits')}
        value=${search.match}
        onChange=${(event) => onChange({ ...search, by, match: event.target.value })}
      >
        <option value="startsWith">${t('people.beginsWith')}</option>
        <option value="equals">${t('people.is')}</option>
      </select>
    `}
    <div class="search">
      <${Icon} name="search" />
      <input
        class="input"
        type="search"
        ref=${hasIds ? takeFocus : undefined}
        aria-label=${by ? t('people.searchByField', { field: nameOf('trait', by) }) : label}
        placeholder=${!by
          ? t('people.userIdOrHowItBegins')
          : search.match === 'equals'
            ? t('people.fieldIs', { field: nameOf('trait', by) })
            : t('people.fieldBeginsWith', { field: nameOf('trait', by) })}
        value=${text}
        onInput=${(event) => setText(event.target.value)}
      />
    </div>
  `;
}
