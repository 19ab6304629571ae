// A campaign: who gets it and who does not, before it is launched; how far it is, after that.
import { html, useState } from '../lib/html.js';
import { ask, path, read } from '../lib/api.js';
import { dateMinute } from '../lib/format.js';
import { useLoad } from '../lib/load.js';
import { may } from '../lib/session.js';
import { CountList, StatusBadge } from '../campaigns/status.js';
import { confirm } from '../parts/dialog.js';
import { Loading, ProblemBanner } from '../parts/feedback.js';
import { useTitle } from '../parts/shell.js';
import { t } from '../texts/texts.js';

/** The acts that a status allows. */
const ACTS = {
  draft: ['launch', 'cancel'],
  scheduled: ['pause', 'cancel'],
  active: ['pause', 'cancel'],
  paused: ['resume', 'cancel'],
};

const WORDS = {
  launch: t('campaigns.launch'),
  pause: t('campaigns.pause'),
  resume: t('campaigns.resume'),
  cancel: t('campaigns.callOff'),
};

const sure = {
  launch: (campaign) =>
    confirm({
      title: t('campaigns.launch'),
      text: campaign.trigger ? t('campaigns.launchFollows') : t('campaigns.launchSends'),
      confirm: t('campaigns.launch'),
    }),
  cancel: () =>
    confirm({
      title: t('campaigns.callOff'),
      text: t('campaigns.callOffEnds'),
      confirm: t('campaigns.callOff'),
      danger: true,
    }),
};

export function CampaignPage({ id }) {
  const url = path`/api/campaigns/${id}`;
  const [failed, setFailed] = useState(/** @type {any} */ (undefined));
  const { data, problem, reload } = useLoad((signal) => read(url, signal), [id], { every: 1000 });
  useTitle(data?.name, t('campaigns.campaigns'));
  const act = async (name) => {
    try {
      if (sure[name] && !(await sure[name](data))) return;
      await ask('POST', `${url}/${name}`);
      setFailed(undefined);
      reload();
    } catch (error) {
      setFailed(error);
    }
  };
  const acts = may('campaign:launch') ? (ACTS[data?.status] ?? []) : [];
  return html`
    <div class="page">
      <header class="page-head">
        <div>
          <nav class="crumbs" aria-label=${t('common.wayBack')}>
            <a href="/campaigns">${t('campaigns.campaigns')}</a>
          </nav>
          <h1>${data?.name ?? id}</h1>
          ${data &&
          html`
            <p class="lead">
              <${StatusBadge} status=${data.status} />
              ${data.nextAt && html`${' '}${t('campaigns.nextAt', { at: dateMinute(data.nextAt) })}`}
            </p>
          `}
        </div>
        <div class="actions">
          ${acts.map(
            (name) => html`
              <button
                key=${name}
                type="button"
                class="button ${name === 'launch' ? 'primary' : ''}"
                onClick=${() => act(name)}
              >
                ${WORDS[name]}
              </button>
            `,
          )}
        </div>
      </header>
      <${ProblemBanner} problem=${failed ?? problem} />
      ${data?.fault &&
      html`
        <div class="banner bad" role="alert"><p>${t('campaigns.cannotGoOn', { fault: data.fault })}</p></div>
      `}
      ${!data && !problem && html`<${Loading} />`}
      ${data?.status === 'draft' && html`<${Review} url=${url} isTriggered=${Boolean(data.trigger)} />`}
      ${data && data.status !== 'draft' && html`<${Progress} campaign=${data} />`}
    </div>
  `;
}

/** Each member under exactly one reason. */
function Review({ url, isTriggered }) {
  const { data, problem, reload } = useLoad(
    () => ask('POST', `${url}/preview`).then((answer) => answer.data),
    [url],
  );
  return html`
    <section class="card card-body stack">
      <h2>${t('campaigns.whoGetsIt')}</h2>
      <${ProblemBanner} problem=${problem} retry=${reload} />
      ${!data && !problem && html`<${Loading} />`}
      ${data &&
      html`
        ${isTriggered && html`<p>${t('campaigns.membersNow')}</p>`}
        <p>${t('campaigns.reachableOfSize', { reachable: data.reachable, size: data.size })}</p>
        <${CountList}
          counts=${{ reachable: data.reachable, ...data.later, ...data.stopped }}
          samples=${data.samples}
        />
      `}
    </section>
  `;
}

/** Sends by state, and the reasons of those that were not made. */
function Progress({ campaign }) {
  const { suppressed: stopped = 0, ...stats } = campaign.stats;
  const all = Object.values(stats).reduce((sum, count) => sum + Number(count), Number(stopped));
  return html`
    <section class="card card-body stack">
      <h2>${t('campaigns.howFarItIs')}</h2>
      <p>${t('campaigns.planned', { count: all })}</p>
      <${CountList} counts=${stats} />
      ${Object.keys(campaign.suppressed ?? {}).length > 0 &&
      html`<h2>${t('campaigns.whoGotNothing')}</h2><${CountList} counts=${campaign.suppressed} />`}
    </section>
  `;
}
