// One segment: how it is, how it moves, who is in it, what it was.
import { html, useEffect, useState } from '../lib/html.js';
import { ask, path, read } from '../lib/api.js';
import { count, dateMinute, dateTime, relative, signed } from '../lib/format.js';
import { useLoad } from '../lib/load.js';
import { useSizes } from '../lib/sizes.js';
import { Fault, Loading, ProblemBanner, StateBadge } from '../parts/feedback.js';
import { Icon } from '../parts/icon.js';
import { useTitle } from '../parts/shell.js';
import { Actions } from '../segment/actions.js';
import { Breakdown } from '../segment/breakdown.js';
import { Members } from '../segment/members.js';
import { Overlap } from '../segment/overlap.js';
import { Overview } from '../segment/overview.js';
import { Pipeline } from '../segment/pipeline.js';
import { SegmentVersions } from '../segment/versions.js';
import { Webhooks } from '../segment/webhooks.js';
import { t } from '../texts/texts.js';

const TABS = {
  overview: [t('segment.overview'), Overview],
  members: [t('common.members'), Members],
  breakdown: [t('breakdown.breakdown'), Breakdown],
  versions: [t('segment.versions'), SegmentVersions],
  overlap: [t('segment.overlap'), Overlap],
  pipeline: [t('pipeline.pipeline'), Pipeline],
  webhooks: [t('common.webhooks'), Webhooks],
};

export function SegmentPage({ id, tab = 'overview', query }) {
  const [isAbsent, setAbsent] = useState(false);
  const { data, problem, reload } = useLoad(
    (signal) => ask('GET', path`/api/segments/${id}`, { signal }),
    [id],
    { every: isAbsent ? 5000 : undefined },
  );
  const live = useSizes(id, reload);
  useEffect(() => setAbsent(live.isAbsent), [live.isAbsent]);
  const { data: sizes } = useLoad((signal) => read(path`/api/segments/${id}/size`, signal), [id], {
    every: 15_000,
  });
  const segment = data && { ...data.data, size: live.sizes[id] ?? data.data.size };
  const [title, Tab] = TABS[tab] ?? TABS.overview;
  // On a narrow screen the tab may stand outside.
  useEffect(() => {
    document.querySelector('.tabs [aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'nearest' });
  }, [tab, segment === undefined]);
  useTitle(tab === 'overview' ? '' : title, segment?.name ?? id);
  if (!segment) return html`<${Absent} problem=${problem} reload=${reload} />`;
  return html`
    <div class="page">
      <${Header} segment=${segment} etag=${data.etag} reload=${reload} />
      <${ProblemBanner} problem=${problem} />
      <${Banners} segment=${segment} />
      <${Tiles} segment=${segment} growth=${sizes?.growth?.day} />
      <${Tabs} segment=${segment} tab=${tab} />
      <${Tab} segment=${segment} sizes=${sizes} etag=${data.etag} reload=${reload} asked=${query.get('by')} />
    </div>
  `;
}

/** Nothing to show yet, or the reason why there is nothing. */
function Absent({ problem, reload }) {
  if (!problem) return html`<div class="page"><${Loading} /></div>`;
  return html`
    <div class="page">
      <${ProblemBanner} problem=${problem} retry=${reload} />
      <p><a href="/segments">${t('segment.allSegments')}</a></p>
    </div>
  `;
}

function Header({ segment, etag, reload }) {
  return html`
    <header class="page-head">
      <div>
        <nav class="crumbs" aria-label=${t('common.wayBack')}>
          <a href="/segments">${t('common.segments')}</a>
          <span>/</span>
          <span>${segment.id}</span>
        </nav>
        <div class="row">
          <h1>${segment.name}</h1>
          <${StateBadge} state=${segment.status} />
          ${(segment.tags ?? []).map(
            (tag) => html`<a class="tag" href="/segments?tag=${encodeURIComponent(tag)}">${tag}</a>`,
          )}
        </div>
        ${segment.description && html`<p class="lead">${segment.description}</p>`}
      </div>
      <${Actions} segment=${segment} etag=${etag} reload=${reload} />
    </header>
  `;
}

/** Warnings: parts that are out of order, or not done yet. */
function Banners({ segment }) {
  return html`
    ${segment.faults?.length > 0 &&
    html`
      <div class="banner bad" role="alert">
        <${Icon} name="warn" />
        <div class="body">
          <strong>${t('segment.aNewerVersionWasStoredBy')}</strong>${' '}
          ${t('segment.theVersionBeforeIsInForce')}
          <ul>${segment.faults.map((fault) => html`<li><${Fault} ...${fault} /></li>`)}</ul>
        </div>
      </div>
    `}
    ${segment.effective === false &&
    segment.status === 'ACTIVE' &&
    html`
      <div class="banner">
        <${Icon} name="clock" />
        <div class="body">
          ${t('segment.versionVersionIsBeingComputedOver', { version: segment.version })}
        </div>
      </div>
    `}
  `;
}

function Tiles({ segment, growth }) {
  return html`
    <dl class="tiles">
      <div class="tile">
        <dt>${t('segment.membersNow')}</dt>
        <dd data-testid="size">${count(segment.size)}</dd>
        <dd class="under">${t('segment.exactFollowsEveryEvent')}</dd>
      </div>
      ${growth &&
      html`
        <div class="tile">
          <dt title=${dateTime(growth.since)}>
            ${Date.now() - new Date(growth.since).getTime() > 23.9 * 3_600_000
              ? t('segment.inADay')
              : t('segment.sinceSince', { since: dateMinute(growth.since) })}
          </dt>
          <dd class=${trend(growth)}>${signed(growth.net)}</dd>
          <dd class="under">
            ${t('segment.enteredInLeftOut', { entered: count(growth.entered), left: count(growth.left) })}
          </dd>
        </div>
      `}
      <div class="tile">
        <dt>${t('segment.version')}</dt>
        <dd>${segment.version}</dd>
        <dd class="under">
          ${relative(segment.updatedAt)}
          ${segment.updatedBy ? ` ${t('segment.byUpdatedby', { updatedBy: segment.updatedBy })}` : ''}
        </dd>
      </div>
      <div class="tile">
        <dt>${t('common.kind')}</dt>
        <dd>${segment.type === 'STATIC' ? t('common.staticList') : t('common.byRules')}</dd>
        <dd class="under">
          ${segment.owner ? t('segment.ownerOwner', { owner: segment.owner }) : t('segment.noOwner')}
        </dd>
      </div>
    </dl>
  `;
}

function Tabs({ segment, tab }) {
  const base = `/segments/${encodeURIComponent(segment.id)}`;
  return html`
    <nav class="tabs" aria-label=${t('segment.partsOfTheSegment')}>
      ${Object.entries(TABS)
        .filter(([name]) => name !== 'versions' || segment.type)
        .map(
          ([name, [text]]) =>
            html`
              <a
                href=${name === 'overview' ? base : `${base}/${name}`}
                aria-current=${name === tab ? 'page' : undefined}
              >
                ${text}
              </a>
            `,
        )}
    </nav>
  `;
}

const trend = (growth) => (growth.net > 0 ? 'up' : growth.net < 0 ? 'down' : '');
