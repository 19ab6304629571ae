// The frame around every page: where one can go, the connection, the theme, and messages.
import { html, useEffect, useState } from '../lib/html.js';
import { author, connection } from '../lib/api.js';
import { caller, may, signOut } from '../lib/session.js';
import { LANGUAGE, LANGUAGES, ZONES, chooseLanguage, chooseZone, zone } from '../lib/settings.js';
import { useStore } from '../lib/store.js';
import { dismiss, toast, toastProblem, toasts } from '../lib/toast.js';
import { Dialog } from './dialog.js';
import { Icon } from './icon.js';
import { Navigation } from './navigation.js';
import { Palette } from './palette.js';
import { t } from '../texts/texts.js';

/** The icon by the address that the page gives it, which the browser has already. */
const ICON = /** @type {HTMLLinkElement} */ (document.querySelector('link[rel="icon"]')).href;

const PLACES = [
  ['/segments', 'segments', t('common.segments'), 'segment:read'],
  ['/users', 'user', t('common.users'), 'user:read'],
  ['/traits', 'trait', t('shell.traits'), 'trait:read'],
  ['/campaigns', 'mail', t('campaigns.campaigns'), 'campaign:read'],
  ['/events', 'event', t('common.events'), 'event:read'],
  ['/imports', 'import', t('common.imports'), 'segment:write'],
  ['/audit', 'audit', t('common.audit'), 'audit:read'],
  ['/system', 'system', t('common.system'), 'system:read'],
  ['/access', 'key', t('access.access')],
];

/** The places where the caller may do something. */
const places = () => PLACES.filter(([, , , permission]) => !permission || may(permission));

const THEMES = {
  auto: ['auto', t('shell.systemTheme')],
  light: ['sun', t('shell.lightTheme')],
  dark: ['moon', t('shell.darkTheme')],
};

function ThemeSwitch() {
  const [theme, setTheme] = useState(document.documentElement.dataset.theme ?? 'auto');
  const next = { auto: 'light', light: 'dark', dark: 'auto' }[theme];
  const change = () => {
    if (next === 'auto') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = next;
    try {
      localStorage.setItem('audience.theme', next);
    } catch {
      // The theme then lasts until the next load.
    }
    setTheme(next);
  };
  const [icon, text] = THEMES[theme];
  return html`
    <button
      class="button quiet small"
      type="button"
      onClick=${change}
      aria-label=${t('shell.textChangeToValue', { text, value: THEMES[next][1] })}
    >
      <${Icon} name=${icon} />
      <span class="wide-only">${text}</span>
    </button>
  `;
}

/** In which zone times are shown, where there is a choice. */
function ZoneSwitch() {
  const chosen = useStore(zone);
  if (ZONES.length < 2) return html`<span class="small muted">${t('shell.timesInChosen', { chosen })}</span>`;
  return html`
    <label class="field">
      <span class="small">${t('shell.timesIn')}</span>
      <select
        class="select"
        aria-label=${t('shell.zoneOfTimes')}
        value=${chosen}
        onChange=${(event) => chooseZone(event.target.value)}
      >
        ${ZONES.map((name) => html`<option value=${name}>${name.replaceAll('_', ' ')}</option>`)}
      </select>
    </label>
  `;
}

function LanguageSwitch() {
  return html`
    <label class="field">
      <span class="small">${t('shell.language')}</span>
      <select
        class="select"
        aria-label=${t('shell.language')}
        value=${LANGUAGE}
        onChange=${(event) => chooseLanguage(event.target.value)}
      >
        ${Object.entries(LANGUAGES).map(([name, text]) => html`<option value=${name}>${text}</option>`)}
      </select>
    </label>
  `;
}

/** The member who is signed in, and the way out. */
function Member({ member }) {
  const name = member.name || member.email;
  const leave = () => signOut().catch(toastProblem);
  return html`
    <div class="row wide-only">
      <span class="small" title=${member.email}>${name}</span>
      <button type="button" class="button quiet small" onClick=${leave}>${t('access.signOut')}</button>
    </div>
    <${Preferences} label=${name}>
      <div class="row">
        <span title=${member.email}>${name}</span>
        <button type="button" class="button small" onClick=${leave}>${t('access.signOut')}</button>
      </div>
    <//>
  `;
}

/** Said on every page while whoever reaches the server may do everything. */
function OpenBanner() {
  const known = useStore(caller);
  if (!known?.open || known.isUnknown) return null;
  return html`
    <div class="banner warn" role="note">
      <${Icon} name="warn" />
      <div class="body">${t('access.nobodyIsAskedToSignIn')}</div>
      <a class="button small" href="/access">${t('access.inviteTheFirstAdmin')}</a>
    </div>
  `;
}

/** Who makes changes: a member, or a field where there is room, else behind a button. */
function Author() {
  const known = useStore(caller);
  return known?.member ? html`<${Member} member=${known.member} />` : html`<${AuthorField} />`;
}

function AuthorField() {
  const [name, setName] = useState(author.get());
  const field = (classes) => html`
    <label class="field ${classes}">
      <span class="small">${t('shell.yourNameForTheHistory')}</span>
      <input
        class="input"
        maxlength="64"
        value=${name}
        onInput=${(event) => {
          setName(event.target.value);
          author.set(event.target.value.trim());
        }}
      />
    </label>
  `;
  return html`
    ${field('wide-only')}
    <${Preferences} label=${t('shell.yourNameNameChange', { name })}>${field('')}<//>
  `;
}

/** On a narrow screen, a button with what the foot of a wide one has. */
function Preferences({ label, children }) {
  const [isOpen, setOpen] = useState(false);
  const close = () => setOpen(false);
  return html`
    <button
      type="button"
      class="button quiet small narrow-only"
      aria-label=${label}
      onClick=${() => setOpen(true)}
    >
      <${Icon} name="user" />
    </button>
    ${isOpen &&
    html`
      <${Dialog}
        title=${t('shell.whoYouAre')}
        onClose=${close}
        foot=${html`
          <button type="button" class="button primary" onClick=${close}>${t('shell.done')}</button>
        `}
      >
        ${children}
        <${ZoneSwitch} />
        <${LanguageSwitch} />
        <a href="/docs">${t('common.apiReference')}</a>
      <//>
    `}
  `;
}

function Connection() {
  const { up } = useStore(connection);
  return html`
    <span class="link-state" role="status">
      <span class="dot ${up ? 'good' : 'bad'}"></span>
      <span class=${up ? 'wide-only' : ''}>${up ? t('shell.connected') : t('shell.noConnection')}</span>
    </span>
  `;
}

/** Takes back what a message tells. */
async function undo(one) {
  dismiss(one.id);
  try {
    await one.undo();
    toast(t('shell.itIsUndone'));
  } catch (problem) {
    toastProblem(problem);
  }
}

function Toasts() {
  const all = useStore(toasts);
  return html`
    <div class="toasts" role="status" aria-live="polite">
      ${all.map(
        (one) => html`
          <div class="toast ${one.bad ? 'bad' : ''}" key=${one.id}>
            <${Icon} name=${one.bad ? 'warn' : 'check'} />
            <div class="body">${one.text}</div>
            ${one.undo &&
            html`<button type="button" class="act" onClick=${() => undo(one)}>${t('shell.undo')}</button>`}
            <button type="button" aria-label=${t('shell.dismiss')} onClick=${() => dismiss(one.id)}>
              <${Icon} name="close" />
            </button>
          </div>
        `,
      )}
    </div>
  `;
}

/** The search over everything, and the key that opens it. */
function Search() {
  const [isOpen, setOpen] = useState(false);
  useEffect(() => {
    const onKey = (event) => {
      if (!(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== 'k') return;
      event.preventDefault();
      setOpen(true);
    };
    document.addEventListener('keydown', onKey);
    return () => document.removeEventListener('keydown', onKey);
  }, []);
  const close = () => setOpen(false);
  const pages = places().map(([to, icon, name]) => ({ to, icon, name, hint: t('shell.page') }));
  return html`
    <button
      type="button"
      class="button search-button"
      aria-label=${t('shell.searchKey')}
      onClick=${() => setOpen(true)}
    >
      <${Icon} name="search" />
      <span class="word">${t('shell.search')}</span>${' '}
      <kbd class="wide-only">Ctrl K</kbd>
    </button>
    ${isOpen &&
    html`
      <${Dialog} title=${t('shell.search')} wide onClose=${close}>
        <${Palette} pages=${pages} onClose=${close} />
      <//>
    `}
  `;
}

export function Shell({ path, children }) {
  useStore(caller);
  // A campaign by itself has an address beside that of all.
  const shown = path === '/' ? '/segments/' : path.replace(/^\/campaign\//, '/campaigns/');
  const isHere = (to) => `${shown}/`.startsWith(`${to}/`);
  return html`
    <div class="shell">
      <a class="skip" href="#main">${t('shell.skipToContent')}</a>
      <header class="side">
        <a class="brand" href="/segments"><img src=${ICON} alt="" /><span>Audience Manager</span></a>
        <${Search} />
        <${Navigation} places=${places()} isHere=${isHere} />
        <div class="side-foot">
          <${Author} />
          <div class="wide-only"><${ZoneSwitch} /></div>
          <div class="wide-only"><${LanguageSwitch} /></div>
          <${ThemeSwitch} />
          <a class="wide-only" href="/docs">${t('common.apiReference')}</a>
          <${Connection} />
        </div>
      </header>
      <main class="main" id="main" tabindex="-1"><${OpenBanner} />${children}</main>
      <${Toasts} />
    </div>
  `;
}

/** The name of a page in the title of the document. */
export function useTitle(...parts) {
  const title = [...parts.filter(Boolean), 'Audience Manager'].join(' · ');
  useEffect(() => {
    document.title = title;
  }, [title]);
}
