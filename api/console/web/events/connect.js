// The first event: sent from here or by a sender that is copied from here, and seen as it comes in.
import { html, useState } from '../lib/html.js';
import { ask, read } from '../lib/api.js';
import { count } from '../lib/format.js';
import { useLoad } from '../lib/load.js';
import { toast, toastProblem } from '../lib/toast.js';
import { NotOffered } from '../parts/feedback.js';
import { Icon } from '../parts/icon.js';
import { Intake } from './intake.js';
import { t } from '../texts/texts.js';
import { TEST_EVENT, snippets } from './snippets.js';

const EVERY = 1000;

export function Connect() {
  const { data, problem, reload } = useLoad((signal) => read('/api/events/recent', signal), [], {
    every: EVERY,
  });
  return html`
    <div class="split">
      <div class="stack">
        <${TestEvent} onSent=${reload} />
        <${Snippets} base=${window.location.origin} />
        <${Demo} />
      </div>
      <section class="card" aria-label=${t('events.whatCameIn')}>
        <div class="card-head"><h2>${t('events.whatCameIn')}</h2></div>
        ${problem?.isMissingPath
          ? html`<${NotOffered} what=${t('events.aLookAtEvents')} />`
          : html`<${FirstEvents} recent=${data} />`}
      </section>
    </div>
  `;
}

function TestEvent({ onSent }) {
  const [isBusy, setBusy] = useState(false);
  const send = async () => {
    if (isBusy) return;
    setBusy(true);
    try {
      await ask('POST', '/api/events', { body: { ...TEST_EVENT, messageId: crypto.randomUUID?.() } });
      toast(t('events.theTestEventIsOnDisk'));
      onSent();
    } catch (problem) {
      toastProblem(problem);
    } finally {
      setBusy(false);
    }
  };
  return html`
    <section class="card" aria-label=${t('events.testEvent')}>
      <div class="card-head"><h2>${t('events.sendATestEvent')}</h2></div>
      <div class="card-body stack tight">
        <p class="soft">${t('events.itMakesAUserKnown', { user: TEST_EVENT.userId })}</p>
        <pre class="snippet" tabindex="0" aria-label=${t('events.theTestEvent')}>
          ${JSON.stringify(TEST_EVENT, null, 2)}
        </pre>
        <div class="row">
          <button
            type="button"
            class="button primary ${isBusy ? 'busy' : ''}"
            aria-disabled=${isBusy ? 'true' : undefined}
            onClick=${send}
          >
            ${t('events.sendIt')}
          </button>
        </div>
      </div>
    </section>
  `;
}

function Snippets({ base }) {
  const all = snippets(base);
  const [chosen, setChosen] = useState(all[0].id);
  const { name, text } = all.find((one) => one.id === chosen) ?? all[0];
  const copy = () =>
    navigator.clipboard.writeText(text).then(
      () => toast(t('events.theSnippetForNameIsCopied', { name })),
      () => toast(t('events.theBrowserDoesNotPermit'), { bad: true }),
    );
  return html`
    <section class="card" aria-label=${t('events.snippets')}>
      <div class="card-head">
        <h2>${t('events.orFromYourOwnCode')}</h2>
        <div class="segmented" role="group" aria-label=${t('shell.language')}>
          ${all.map(
            (one) => html`
              <button
                type="button"
                aria-pressed=${String(one.id === chosen)}
                onClick=${() => setChosen(one.id)}
              >
                ${one.name}
              </button>
            `,
          )}
        </div>
      </div>
      <div class="card-body stack tight">
        <pre class="snippet" tabindex="0" aria-label=${t('events.snippetFor', { name })}>${text}</pre>
        <div class="row">
          <button type="button" class="button small" onClick=${copy}>
            <${Icon} name="copy" />
            ${t('events.copy')}
          </button>
        </div>
      </div>
    </section>
  `;
}

/** The states in which something can be said of the demo. */
const TOLD = ['possible', 'loading', 'loaded', 'failed'];

function Demo() {
  const { data, reload } = useLoad((signal) => read('/api/demo', signal), [], { every: 2000 });
  if (!data || !TOLD.includes(data.state)) return null;
  const load = () => ask('POST', '/api/demo').then(reload, toastProblem);
  return html`
    <section class="card" aria-label=${t('events.demo')}>
      <div class="card-head"><h2>${t('events.orLookAroundFirst')}</h2></div>
      <div class="card-body stack tight">
        <p class="soft" role="status">${t(`events.demo.${data.state}`)} ${data.fault ?? ''}</p>
        ${data.state === 'loading' &&
        html`<progress aria-label=${t('events.theShopIsBeingFilled')}></progress>`}
        <div class="row">
          ${(data.state === 'possible' || data.state === 'failed') &&
          html`<button type="button" class="button" onClick=${load}>${t('events.loadTheDemo')}</button>`}
          ${data.state === 'loaded' &&
          html`<a class="button" href="/segments">${t('events.toItsSegments')}</a>`}
        </div>
      </div>
    </section>
  `;
}

const SHOWN = 5;

function FirstEvents({ recent }) {
  const items = recent?.items ?? [];
  if (items.length === 0) {
    return html`
      <p class="card-body muted row" role="status">
        <span class="dot warn"></span>${' '}
        ${t('events.waitingForTheFirst')}
      </p>
    `;
  }
  return html`
    <p class="card-body row" role="status">
      <span class="dot ${recent.accepted > 0 ? 'good' : 'bad'}"></span>
      <span>${t('events.comeIn', { accepted: count(recent.accepted), refused: count(recent.refused) })}</span>
    </p>
    <${Intake} items=${items.slice(0, SHOWN)} />
    <div class="card-foot row">
      <a class="small" href="/events">${t('events.allThatComesIn')}</a>
      <a class="small" href="/segments/new">${t('events.makeASegmentOfIt')}</a>
    </div>
  `;
}
