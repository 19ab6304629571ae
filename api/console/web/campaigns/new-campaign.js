// A new campaign: to whom, what, and within which limits. The content is approved where the caller may do that.
import { html, useEffect, useRef, useState } from '../lib/html.js';
import { ask, path, read } from '../lib/api.js';
import { useLoad } from '../lib/load.js';
import { navigate } from '../lib/router.js';
import { may } from '../lib/session.js';
import { zone } from '../lib/settings.js';
import { ProblemBanner } from '../parts/feedback.js';
import { t } from '../texts/texts.js';

const BODY = `<p>${t('campaigns.greeting')}</p>
<p>…</p>
<p>{{ postal_address }} · <a href="{{ unsubscribe_url }}">${t('campaigns.unsubscribe')}</a></p>`;

/** The members of a campaign that recurs, in cron's words by the clock of the console's zone. */
const recurring = (frequency) => () => ({ frequency, timezone: zone.get() });

/** When a campaign is sent: the word, and what the campaign has for it. */
const SCHEDULES = {
  once: [t('campaigns.once'), () => ({})],
  daily: [t('campaigns.daily'), recurring('0 9 * * *')],
  weekly: [t('campaigns.weekly'), recurring('0 9 * * MON')],
  monthly: [t('campaigns.monthly'), recurring('0 9 1 * *')],
  entry: [t('campaigns.onEntry'), () => ({ trigger: { on: 'entry' } })],
  entries: [t('campaigns.onEachEntry'), () => ({ trigger: { on: 'entry', again: true } })],
  exit: [t('campaigns.onExit'), () => ({ trigger: { on: 'exit' } })],
  exits: [t('campaigns.onEachExit'), () => ({ trigger: { on: 'exit', again: true } })],
};

/** Keeps the mail: anew, or in the place of the one that was refused before. */
async function keepContent({ name, subject, body }, id) {
  const content = { name, subject, body };
  if (id === undefined) return (await ask('POST', '/api/contents', { body: content })).data.id;
  await ask('PUT', path`/api/contents/${id}`, { body: content });
  return id;
}

async function create(given, contentId) {
  if (may('content:approve')) await ask('POST', path`/api/contents/${contentId}/approve`);
  const caps = given.perDay ? [{ most: Number(given.perDay), per: 'day' }] : [];
  const quietHours = given.isQuiet ? { from: '21:00', to: '08:00' } : undefined;
  const [, schedule] = SCHEDULES[given.schedule];
  const { name, segmentId } = given;
  const campaign = { name, segmentId, contentId, caps, quietHours, ...schedule() };
  return (await ask('POST', '/api/campaigns', { body: campaign })).data;
}

export function NewCampaign() {
  const [given, setGiven] = useState({
    name: '',
    segmentId: '',
    subject: '',
    body: BODY,
    perDay: '',
    schedule: 'once',
    isQuiet: true,
  });
  const [problem, setProblem] = useState(/** @type {any} */ (undefined));
  const { data } = useLoad((signal) => read('/api/segments?status=ACTIVE&limit=1000', signal), []);
  const set = (name) => (event) => setGiven({ ...given, [name]: event.target.value });
  const first = useRef(null);
  useEffect(() => first.current.focus(), []);
  const content = useRef(undefined);
  const [isBusy, setBusy] = useState(false);
  const submit = async (event) => {
    event.preventDefault();
    if (isBusy) return;
    setBusy(true);
    try {
      content.current = await keepContent(given, content.current);
      navigate(`/campaign/${encodeURIComponent((await create(given, content.current)).id)}`);
    } catch (failed) {
      setProblem(failed);
      setBusy(false);
    }
  };
  const field = (text, control) => html`<label class="field"><span>${text}</span>${control}</label>`;
  return html`
    <form class="card card-body stack" onSubmit=${submit}>
      <${ProblemBanner} problem=${problem} />
      ${field(
        t('common.name'),
        html`
          <input
            class="input"
            ref=${first}
            required
            maxlength="200"
            value=${given.name}
            onInput=${set('name')}
          />
        `,
      )}
      ${field(
        t('campaigns.toWhom'),
        html`
          <select class="select" required value=${given.segmentId} onChange=${set('segmentId')}>
            <option value="">${t('campaigns.chooseASegment')}</option>
            ${data?.items.map((one) => html`<option value=${one.id}>${one.name}</option>`)}
          </select>
        `,
      )}
      ${field(
        t('campaigns.subject'),
        html`
          <input class="input" required maxlength="500" value=${given.subject} onInput=${set('subject')} />
        `,
      )}
      ${field(
        t('campaigns.mailInHtml'),
        html`
          <textarea class="input" rows="8" required value=${given.body} onInput=${set('body')}></textarea>
          <span class="small soft">${t('campaigns.mailShows')}</span>
        `,
      )}
      ${field(
        t('campaigns.howOften'),
        html`
          <select class="select" value=${given.schedule} onChange=${set('schedule')}>
            ${Object.entries(SCHEDULES).map(
              ([name, [text]]) => html`<option key=${name} value=${name}>${text}</option>`,
            )}
          </select>
        `,
      )}
      ${field(
        t('campaigns.mostPerDay'),
        html`<input class="input" type="number" min="1" value=${given.perDay} onInput=${set('perDay')} />`,
      )}
      <label class="checkbox">
        <input
          type="checkbox"
          checked=${given.isQuiet}
          onChange=${(event) => setGiven({ ...given, isQuiet: event.target.checked })}
        />
        <span>${t('campaigns.notAtNight')}</span>
      </label>
      <div class="row">
        <button class="button primary" type="submit">${t('campaigns.saveAndReview')}</button>
      </div>
    </form>
  `;
}
