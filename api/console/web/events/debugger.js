// The last events as they come in, accepted and refused.
import { html, useState } from '../lib/html.js';
import { read } from '../lib/api.js';
import { count } from '../lib/format.js';
import { useLoad } from '../lib/load.js';
import { Empty, Loading, ProblemBanner } from '../parts/feedback.js';
import { Icon } from '../parts/icon.js';
import { t } from '../texts/texts.js';
import { Intake } from './intake.js';

const EVERY = 1000;
const OUTCOMES = { all: t('events.all'), accepted: t('events.accepted'), refused: t('events.refused') };

export function Debugger() {
  const [isPaused, setPaused] = useState(false);
  const [outcome, setOutcome] = useState('all');
  const [held, setHeld] = useState(undefined);
  const {
    data: newest,
    problem,
    reload,
  } = useLoad((signal) => read('/api/events/recent', signal), [], {
    every: EVERY,
  });
  const data = isPaused ? held : newest;
  if (problem && !data) return html`<${ProblemBanner} problem=${problem} retry=${reload} />`;
  if (!data) return html`<${Loading} />`;
  const shown = data.items.filter((item) => outcome === 'all' || item.outcome === outcome);
  const pause = () => {
    setHeld(newest);
    setPaused(!isPaused);
  };
  return html`
    <section class="card" aria-label=${t('events.asTheyComeIn')}>
      <div class="card-head">
        <h2 class="row">
          <span class="dot ${isPaused ? 'warn' : 'good'}"></span>
          ${t('events.acceptedRefused', { accepted: count(data.accepted), refused: count(data.refused) })}
        </h2>
        <div class="row">
          <div class="segmented" role="group" aria-label=${t('events.whichEvents')}>
            ${Object.entries(OUTCOMES).map(
              ([name, text]) => html`
                <button
                  type="button"
                  aria-pressed=${String(name === outcome)}
                  onClick=${() => setOutcome(name)}
                >
                  ${text}
                </button>
              `,
            )}
          </div>
          <button type="button" class="button quiet small" onClick=${pause}>
            <${Icon} name=${isPaused ? 'play' : 'pause'} />
            ${isPaused ? t('events.goOn') : t('events.hold')}
          </button>
        </div>
      </div>
      ${shown.length === 0
        ? html`
            <${Empty}
              icon="event"
              title=${outcome === 'refused' ? t('events.noEventWasRefused') : t('events.noEventYet')}
              action=${outcome !== 'refused' &&
              html`<a class="button" href="/events/connect">${t('events.sendTheFirst')}</a>`}
            >
              ${t('events.theLast50')}
            <//>
          `
        : html`<${Intake} items=${shown} />`}
    </section>
  `;
}
