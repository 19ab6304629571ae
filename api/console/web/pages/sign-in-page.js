// Signing in, and taking an invitation.
import { html, useEffect, useRef, useState } from '../lib/html.js';
import { read } from '../lib/api.js';
import { useLoad } from '../lib/load.js';
import { navigate, setQuery } from '../lib/router.js';
import { join, signIn } from '../lib/session.js';
import { ProblemBanner } from '../parts/feedback.js';
import { Icon } from '../parts/icon.js';
import { useTitle } from '../parts/shell.js';
import { t } from '../texts/texts.js';

/** The words by which the server says why a provider of identities let nobody in. */
const reasonOf = (word) =>
  ({
    other_browser: t('access.signInTookTooLong'),
    denied: t('access.theProviderLetNobodyIn'),
    provider_away: t('access.theProviderDoesNotAnswer'),
    no_email: t('access.theProviderSaysNoEmail'),
    no_role: t('access.noGroupGivesARole'),
    email_taken: t('access.theEmailIsTaken'),
    disabled: t('access.youAreKeptOut'),
  })[word] ?? t('access.theProviderIsNotBelieved');

/** The way by a provider of identities, where there is one. */
function ByProvider() {
  const { data } = useLoad((signal) => read('/api/auth/ways', signal), []);
  const [word] = useState(() => new URLSearchParams(window.location.search).get('signIn'));
  useEffect(() => setQuery({ signIn: '' }), []);
  if (!data?.provider) return null;
  return html`
    <div class="card card-body stack">
      ${word &&
      html`
        <div class="banner bad" role="alert">
          <${Icon} name="warn" />
          <div class="body">${reasonOf(word)}</div>
        </div>
      `}
      <div class="row">
        <button class="button" type="button" onClick=${() => window.location.assign(data.provider.start)}>
          ${t('access.signInBy', { label: data.provider.label })}
        </button>
      </div>
    </div>
  `;
}

/** A field of such a form; the first one has the focus, so that one types at once. */
function Field({ label, type, value, onInput, autocomplete, isFirst, required = true }) {
  const input = useRef(null);
  useEffect(() => {
    if (isFirst) input.current.focus();
  }, []);
  return html`
    <label class="field">
      <span>${label}</span>
      <input
        ref=${input}
        class="input"
        type=${type}
        value=${value}
        required=${required}
        autocomplete=${autocomplete}
        onInput=${(event) => onInput(event.target.value)}
      />
    </label>
  `;
}

/** A form by itself in the middle of the page; sends once at a time. */
function Alone({ title, lead, confirm, send, children, other = null }) {
  const [state, setState] = useState({ busy: false, problem: undefined });
  const submit = async (event) => {
    event.preventDefault();
    if (state.busy) return;
    setState({ busy: true, problem: undefined });
    try {
      await send();
      setState({ busy: false, problem: undefined });
    } catch (problem) {
      setState({ busy: false, problem });
    }
  };
  return html`
    <main class="main" id="main">
      <div class="page alone">
        <header class="page-head"><div><h1>${title}</h1><p class="lead">${lead}</p></div></header>
        <form class="card card-body stack" onSubmit=${submit}>
          <${ProblemBanner} problem=${state.problem} />
          ${children}
          <div class="row">
            <button class="button primary" type="submit" aria-disabled=${state.busy ? 'true' : undefined}>
              ${confirm}
            </button>
          </div>
        </form>
        ${other}
      </div>
    </main>
  `;
}

export function SignInPage() {
  useTitle(t('access.signIn'));
  const [email, setEmail] = useState('');
  const [password, setPassword] = useState('');
  return html`
    <${Alone}
      title=${t('access.signIn')}
      lead=${t('access.whoeverLostTheWayIn')}
      confirm=${t('access.signIn')}
      send=${() => signIn(email, password)}
      other=${html`<${ByProvider} />`}
    >
      <${Field}
        label=${t('access.email')}
        type="email"
        value=${email}
        onInput=${setEmail}
        autocomplete="username"
        isFirst
      />
      <${Field}
        label=${t('access.password')}
        type="password"
        value=${password}
        onInput=${setPassword}
        autocomplete="current-password"
      />
    <//>
  `;
}

export function JoinPage() {
  useTitle(t('access.join'));
  // The secret leaves the address at once: nobody reads it over a shoulder, or in the history.
  const [secret] = useState(() => window.location.hash.slice(1));
  useEffect(() => window.history.replaceState(null, '', '/join'), []);
  const [email, setEmail] = useState('');
  const [name, setName] = useState('');
  const [password, setPassword] = useState('');
  const send = async () => {
    await join({ secret, email: email || undefined, name: name || undefined, password });
    navigate('/segments', { replace: true });
  };
  return html`
    <${Alone}
      title=${t('access.join')}
      lead=${t('access.chooseAPassword')}
      confirm=${t('access.join')}
      send=${send}
    >
      <${Field}
        label=${t('access.emailOfTheFirstAdmin')}
        type="email"
        value=${email}
        onInput=${setEmail}
        autocomplete="username"
        isFirst
        required=${false}
      />
      <${Field}
        label=${t('access.nameIfYouLike')}
        type="text"
        value=${name}
        onInput=${setName}
        autocomplete="name"
        required=${false}
      />
      <${Field}
        label=${t('access.newPassword')}
        type="password"
        value=${password}
        onInput=${setPassword}
        autocomplete="new-password"
      />
    <//>
  `;
}
