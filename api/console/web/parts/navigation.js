// Navigation: all places side by side, and on a narrow screen the first ones with the rest in a drawer.
import { html, useEffect, useState } from '../lib/html.js';
import { Icon } from './icon.js';
import { t } from '../texts/texts.js';

/** Places in the bar of a narrow screen that has not room for all, and those that it has room for. */
const FIRST = 4;
const MOST = 5;
const DRAWER = 'places-more';

/** `places` are address, icon and text of each; `isHere` says whether an address is that of the page. */
export function Navigation({ places, isHere }) {
  const [isOpen, setOpen] = useState(false);
  const hasDrawer = places.length > MOST;
  const first = hasDrawer ? places.slice(0, FIRST) : places;
  const rest = places.slice(first.length);
  useEffect(() => {
    if (!isOpen) return undefined;
    const onKey = (event) => event.key === 'Escape' && setOpen(false);
    window.addEventListener('keydown', onKey);
    return () => window.removeEventListener('keydown', onKey);
  }, [isOpen]);
  const link = ([to, icon, text]) => html`
    <a href=${to} aria-current=${isHere(to) ? 'page' : undefined} onClick=${() => setOpen(false)}>
      <${Icon} name=${icon} />
      ${text}
    </a>
  `;
  return html`
    <nav class=${isOpen ? 'is-open' : ''} aria-label=${t('shell.main')}>
      ${first.map(link)}
      ${hasDrawer &&
      html`
        <button
          type="button"
          class="more ${rest.some(([to]) => isHere(to)) ? 'is-here' : ''}"
          aria-expanded=${String(isOpen)}
          aria-controls=${DRAWER}
          onClick=${() => setOpen(!isOpen)}
        >
          <${Icon} name="more" />
          ${t('shell.more')}
        </button>
      `}
      <div class="drawer" id=${DRAWER}>${rest.map(link)}</div>
    </nav>
  `;
}
