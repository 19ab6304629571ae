// One segment: how it is, how it moves, who is in it, what it was.
import { html, useEffect, useState } from '../lib/html.js';
import { ask, path, read } from '../lib/api.js';
import { count, dateMinute, dateTime, plural, relative, signed } from '../lib/format.js';
import { useLoad } from '../lib/load.js';
import { useSizes } from '../lib/sizes.js';
import { navigate } from '../lib/router.js';
import { toast, toastProblem } from '../lib/toast.js';
import { confirm } from '../parts/dialog.js';
import { Loading, ProblemBanner, StateBadge } from '../parts/feedback.js';
import { Icon } from '../parts/icon.js';
import { Menu } from '../parts/menu.js';
import { useTitle } from '../parts/shell.js';
import { Members } from '../segment/members.js';
import { Overlap } from '../segment/overlap.js';
import { Overview } from '../segment/overview.js';
import { Versions } from '../segment/versions.js';
import { Webhooks } from '../segment/webhooks.js';

const TABS = {
  overview: ['Overview', Overview],
  members: ['Members', Members],
  versions: ['Versions', Versions],
  overlap: ['Overlap', Overlap],
  webhooks: ['Webhooks', Webhooks],
};

export function SegmentPage({ id, tab = 'overview' }) {
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
  if (!segment)
    return html`
      <div class="page">
        ${problem
          ? html`
              <${ProblemBanner} problem=${problem} retry=${reload} />
              <p><a href="/segments">All segments</a></p>
            `
          : html`<${Loading} />`}
      </div>
    `;
  const base = `/segments/${encodeURIComponent(id)}`;
  const growth = sizes?.growth?.day;
  return html`
    <div class="page">
      <header class="page-head">
        <div>
          <nav class="crumbs" aria-label="Way back">
            <a href="/segments">Segments</a>
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
        <${Actions} segment=${segment} etag=${data.etag} reload=${reload} />
      </header>
      <${ProblemBanner} problem=${problem} />
      ${segment.faults?.length > 0 &&
      html`
        <div class="banner bad" role="alert">
          <${Icon} name="warn" />
          <div class="body">
            <strong>A newer version was stored by other ways and does not run.</strong> The version before is
            in force.
            <ul>
              ${segment.faults.map(
                (fault) => html`<li><code>${fault.pointer || '/'}</code> ${fault.message}</li>`,
              )}
            </ul>
          </div>
        </div>
      `}
      ${segment.effective === false &&
      segment.status === 'ACTIVE' &&
      html`
        <div class="banner">
          <${Icon} name="clock" />
          <div class="body">
            Version ${segment.version} is being computed over all history; until then the memberships of the
            version before are served.
          </div>
        </div>
      `}
      <dl class="tiles">
        <div class="tile">
          <dt>Members now</dt>
          <dd data-testid="size">${count(segment.size)}</dd>
          <dd class="under">exact, follows every event</dd>
        </div>
        ${growth &&
        html`
          <div class="tile">
            <dt title=${dateTime(growth.since)}>
              ${Date.now() - new Date(growth.since).getTime() > 23.9 * 3_600_000
                ? 'In a day'
                : `Since ${dateMinute(growth.since)}`}
            </dt>
            <dd class=${trend(growth)}>${signed(difference(growth))}</dd>
            <dd class="under">${count(growth.entered)} in, ${count(growth.left)} out</dd>
          </div>
        `}
        <div class="tile">
          <dt>Version</dt>
          <dd>${segment.version}</dd>
          <dd class="under">
            ${relative(segment.updatedAt)}
            ${segment.updatedBy ? ` by ${segment.updatedBy}` : ''}
          </dd>
        </div>
        <div class="tile">
          <dt>Kind</dt>
          <dd>${segment.type === 'STATIC' ? 'Static list' : 'By rules'}</dd>
          <dd class="under">${segment.owner ? `Owner ${segment.owner}` : 'No owner'}</dd>
        </div>
      </dl>
      <nav class="tabs" aria-label="Parts of the segment">
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
      <${Tab} segment=${segment} sizes=${sizes} etag=${data.etag} reload=${reload} />
    </div>
  `;
}

const difference = (growth) => growth.net;
const trend = (growth) => (difference(growth) > 0 ? 'up' : difference(growth) < 0 ? 'down' : '');

const DONE = {
  revive: 'is back; it is inactive until it is activated',
  activate: 'is active',
  deactivate: 'is inactive',
  archive: 'is archived',
};

function Actions({ segment, etag, reload }) {
  const [busy, setBusy] = useState(false);
  const base = path`/api/segments/${segment.id}`;
  const act = async (action, question) => {
    const answer = question ? await confirm(question) : { note: '' };
    if (!answer) return;
    setBusy(true);
    try {
      const body = answer.note ? { body: { note: answer.note } } : {};
      if (action === 'delete') await ask('DELETE', base, { etag });
      else if (action === 'revive')
        await ask('POST', `${base}/rollback`, { etag, body: { version: segment.version } });
      else await ask('POST', `${base}/${action}`, { etag, ...body });
      toast(action === 'delete' ? `Deleted “${segment.name}”.` : `“${segment.name}” ${DONE[action]}.`);
      if (action === 'delete') navigate('/segments');
      else reload();
    } catch (problem) {
      toastProblem(problem);
    }
    setBusy(false);
  };
  const isActive = segment.status === 'ACTIVE';
  const isArchived = segment.status === 'ARCHIVED';
  const items = [
    segment.type === 'STATIC' && {
      text: 'Import members',
      icon: 'import',
      run: () => navigate(`/imports?segment=${encodeURIComponent(segment.id)}`),
    },
    segment.type !== 'STATIC' && {
      text: 'Duplicate',
      icon: 'copy',
      run: () => navigate(`/segments/new?copy=${encodeURIComponent(segment.id)}`),
    },
    {
      text: 'Its audit log',
      icon: 'audit',
      run: () => navigate(`/audit?kind=segment&id=${encodeURIComponent(segment.id)}`),
    },
    null,
    !isArchived && {
      text: 'Archive…',
      icon: 'archive',
      run: () =>
        act('archive', {
          title: `Archive “${segment.name}”?`,
          text: 'All members leave it, and it takes no more edits until it is brought back. Its versions stay.',
          confirm: 'Archive',
          note: true,
        }),
    },
    {
      text: 'Delete…',
      icon: 'trash',
      danger: true,
      run: () =>
        act('delete', {
          title: `Delete “${segment.name}”?`,
          text: `Its ${plural(segment.size ?? 0, 'member')} leave it. This cannot be undone; to keep it, archive it instead.`,
          confirm: 'Delete',
          danger: true,
        }),
    },
  ].filter((item) => item !== false);
  return html`
    <div class="actions">
      ${isActive
        ? html`
            <button
              type="button"
              class="button"
              disabled=${busy}
              onClick=${() =>
                act('deactivate', {
                  title: `Deactivate “${segment.name}”?`,
                  text: `Its ${plural(segment.size ?? 0, 'member')} leave it until it is activated again.`,
                  confirm: 'Deactivate',
                  note: true,
                })}
            >
              <${Icon} name="pause" />Deactivate
            </button>
          `
        : isArchived
          ? html`
              <button type="button" class="button primary" disabled=${busy} onClick=${() => act('revive')}>
                <${Icon} name="undo" />Bring back
              </button>
            `
          : html`
              <button type="button" class="button" disabled=${busy} onClick=${() => act('activate')}>
                <${Icon} name="play" />Activate
              </button>
            `}
      ${!isArchived &&
      html`
        <a class="button primary" href="/segments/${encodeURIComponent(segment.id)}/edit">
          <${Icon} name="edit" />Edit
        </a>
      `}
      <${Menu} label="More" items=${items} quiet=${false} />
    </div>
  `;
}
