// The search over everything: Ctrl K opens it, words find, arrow keys and Enter go there.
import { html, takeFocus, useEffect, useState } from '../lib/html.js';
import { query, read } from '../lib/api.js';
import { allSegments } from '../lib/effects.js';
import { useLoad } from '../lib/load.js';
import { navigate } from '../lib/router.js';
import { labelOf, nameOf, vocabulary } from '../lib/vocabulary.js';
import { hasWords, wordsOf } from '../lib/words.js';
import { Icon } from './icon.js';
import { t } from '../texts/texts.js';

const SHOWN = 12;
const LABELS = { event: t('label.event'), property: t('label.property'), trait: t('label.trait') };
const TYPING = 150; // milliseconds without a key before users are asked for

/** Everything that has a place, but users: those are asked for by what is typed. */
async function loadPlaces(signal) {
  const [segments, traits] = await Promise.all([
    allSegments(signal),
    read('/api/traits', signal).catch(() => ({ items: [] })),
  ]);
  const computed = new Set((traits.items ?? []).map((one) => one.name));
  const named = vocabulary.get().labels.filter((one) => one.kind !== 'trait' || !computed.has(one.name));
  return [
    ...segments.map((one) => ({
      icon: 'segments',
      name: one.name,
      hint: one.id,
      more: [one.description, one.owner, ...(one.tags ?? [])],
      to: `/segments/${encodeURIComponent(one.id)}`,
    })),
    ...(traits.items ?? []).map((one) => ({
      icon: 'trait',
      name: nameOf('trait', one.name),
      hint: t('palette.computedTrait'),
      more: [one.name, labelOf('trait', one.name)?.description],
      to: `/traits/${encodeURIComponent(one.name)}`,
    })),
    ...named.map((label) => ({
      icon: label.kind === 'event' ? 'event' : 'trait',
      name: label.displayName || label.name,
      hint: LABELS[label.kind],
      more: [label.name, label.description],
      to: `/events/data?show=${encodeURIComponent(label.name)}`,
    })),
  ];
}

/** Users whom the server finds by what is typed. */
function useUsers(text) {
  const [wanted, setWanted] = useState('');
  useEffect(() => {
    const timer = setTimeout(() => setWanted(text.trim()), TYPING);
    return () => clearTimeout(timer);
  }, [text]);
  const load = async (signal) => {
    if (!wanted) return [];
    const { items } = await read(`/api/users${query({ q: wanted, limit: 5 })}`, signal);
    return items.map((one) => ({
      icon: 'user',
      name: one.userId,
      hint: t('palette.user'),
      to: `/users/${encodeURIComponent(one.userId)}`,
    }));
  };
  return useLoad(load, [wanted], { keep: true }).data ?? [];
}

/** Those whose name begins with what is typed come first. */
function found(places, text) {
  const words = wordsOf(text);
  const begins = (one) => Number(one.name.toLocaleLowerCase().startsWith(text.trim().toLocaleLowerCase()));
  return places
    .filter((one) => hasWords(words, [one.name, one.hint, ...(one.more ?? [])]))
    .sort((a, b) => begins(b) - begins(a))
    .slice(0, SHOWN);
}

/** The open search; `pages` are the places of the menu. */
export function Palette({ pages, onClose }) {
  const [text, setText] = useState('');
  const [at, setAt] = useState(0);
  const { data: places = [] } = useLoad(loadPlaces, []);
  const users = useUsers(text);
  const all = [...found([...pages, ...places], text), ...users];
  const chosen = Math.min(at, all.length - 1);
  const go = (one) => {
    onClose();
    navigate(one.to);
  };
  const onKeyDown = (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && all.length > 0) setAt((chosen + step + all.length) % all.length);
    else if (event.key === 'Enter' && all[chosen]) go(all[chosen]);
    else return;
    event.preventDefault();
  };
  const type = (event) => {
    setText(event.target.value);
    setAt(0);
  };
  return html`
    <div class="palette" onKeyDown=${onKeyDown}>
      <input
        class="input"
        type="search"
        role="combobox"
        aria-label=${t('palette.searchEverything')}
        aria-expanded="true"
        aria-controls="palette-list"
        aria-activedescendant=${all.length > 0 ? `palette-${chosen}` : undefined}
        placeholder=${t('palette.segmentsTraitsUsersPages')}
        autocomplete="off"
        ref=${takeFocus}
        value=${text}
        onInput=${type}
      />
      <ul role="listbox" id="palette-list" aria-label=${t('palette.found')}>
        ${all.map(
          (one, index) => html`
            <li
              key=${one.to}
              id="palette-${index}"
              role="option"
              aria-selected=${String(index === chosen)}
              onPointerMove=${() => setAt(index)}
              onClick=${() => go(one)}
            >
              <${Icon} name=${one.icon} />
              <span class="cut">${one.name}</span>
              <small>${one.hint}</small>
            </li>
          `,
        )}
      </ul>
      ${all.length === 0 && html`<p class="muted small">${t('palette.nothingHasTheseWords')}</p>`}
    </div>
  `;
}
