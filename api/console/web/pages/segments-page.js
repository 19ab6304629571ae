// All segments: what they are, how large, how they move.
import { html, useEffect, useState } from '../lib/html.js';
import { allSegments } from '../lib/effects.js';
import { useLoad } from '../lib/load.js';
import { navigate } from '../lib/router.js';
import { useSizes, useSizesOfDay } from '../lib/sizes.js';
import { sorted } from '../lib/sort.js';
import { hasWords, wordsOf } from '../lib/words.js';
import { Empty, Loading, ProblemBanner } from '../parts/feedback.js';
import { Icon } from '../parts/icon.js';
import { useTitle } from '../parts/shell.js';
import { BulkBar } from '../segments/bulk-bar.js';
import { COLUMNS, SegmentTable } from '../segments/table.js';
import { Toolbar } from '../segments/toolbar.js';
import { t } from '../texts/texts.js';

const EVERY = 5000; // milliseconds, where sizes are not told
const SHOWN = 100;
const FILTERS = ['q', 'status', 'type', 'owner', 'tag'];

/** True if a segment passes the filters. */
function fits(segment, { q, status, type, owner, tag }) {
  return (
    (!status || segment.status === status) &&
    (!type || segment.type === type) &&
    (!owner || segment.owner === owner) &&
    (!tag || (segment.tags ?? []).includes(tag)) &&
    hasWords(wordsOf(q ?? ''), [
      segment.name,
      segment.id,
      segment.owner,
      segment.description,
      ...(segment.tags ?? []),
    ])
  );
}

/** All segments with their sizes of now and of the last day. */
function useSegments() {
  const [isAbsent, setAbsent] = useState(false);
  const { data, problem, reload } = useLoad(allSegments, [], {
    every: isAbsent ? EVERY : undefined,
    keep: true,
  });
  const live = useSizes(undefined, reload);
  useEffect(() => setAbsent(live.isAbsent), [live.isAbsent]);
  return { all: data, problem, reload, live: live.sizes };
}

export function SegmentsPage({ query }) {
  useTitle(t('common.segments'));
  const { all, problem, reload, live } = useSegments();
  const [most, setMost] = useState(SHOWN);
  const [chosen, setChosen] = useState(() => new Set());
  /** @type {any} */
  const filter = Object.fromEntries(FILTERS.map((name) => [name, query.get(name)]));
  const sort = query.get('sort') ?? '';
  const found = (all ?? []).filter((one) => fits(one, filter));
  // Who asks for the order of growth asks for the growth of all.
  const wanted = sort.endsWith('day') ? found : sorted(found, sort, COLUMNS).slice(0, most);
  const ids = wanted.map((one) => one.id);
  const sizes = useSizesOfDay(ids, wanted.map((one) => one.version).join());
  const segments = found.map((one) => ({
    ...one,
    size: live[one.id] ?? one.size,
    // The growth of the server leaves out what edits did; sizes of now do not.
    growth: sizes[one.id]?.growth?.day?.net,
  }));
  const shown = sorted(segments, sort, COLUMNS).slice(0, most);
  const owners = [...new Set((all ?? []).map((one) => one.owner).filter(Boolean))].sort();
  const picked = segments.filter((one) => chosen.has(one.id));
  return html`
    <div class="page">
      <header class="page-head">
        <div>
          <h1>${t('common.segments')}</h1>
          <p class="lead">${t('segments.whoIsInThemFollowsEvery')}</p>
        </div>
        <div class="actions">
          <a class="button primary" href="/segments/new"><${Icon} name="plus" />${t('common.newSegment')}</a>
        </div>
      </header>
      <${Toolbar} filter=${filter} owners=${owners} query=${query} />
      <${ProblemBanner} problem=${problem} retry=${reload} />
      ${!all && !problem && html`<${Loading} lines=${6} />`}
      ${picked.length > 0 &&
      html`<${BulkBar} chosen=${picked} onClear=${() => setChosen(new Set())} reload=${reload} />`}
      ${all && found.length === 0 && html`<${Nothing} isFiltered=${FILTERS.some((name) => filter[name])} />`}
      ${shown.length > 0 &&
      html`
        <${SegmentTable}
          segments=${shown}
          sort=${sort}
          sizes=${sizes}
          chosen=${chosen}
          onChoose=${(next) => setChosen(new Set(next))}
        />
      `}
      ${found.length > most &&
      html`
        <div class="row">
          <button type="button" class="button" onClick=${() => setMost(most + SHOWN)}>
            ${t('common.showMore')}
          </button>
        </div>
      `}
    </div>
  `;
}

/** No segment fits, or there is none yet. */
function Nothing({ isFiltered }) {
  if (isFiltered)
    return html`
      <${Empty}
        icon="search"
        title=${t('segments.noSegmentFits')}
        action=${html`
          <button type="button" class="button" onClick=${() => navigate('/segments')}>
            ${t('segments.showAll')}
          </button>
        `}
      >
        ${t('segments.anotherWordOrStateMay')}
      <//>
    `;
  return html`
    <${Empty}
      icon="segments"
      title=${t('segments.theFirstSegmentIsAMinute')}
      action=${html`
        <a class="button primary" href="/segments/new">${t('common.newSegment')}</a>
        <a class="button" href="/events/connect">${t('segments.sendTheFirstEvent')}</a>
      `}
    >
      ${t('segments.describeWhoYouMeanByWhat')}
    <//>
  `;
}
