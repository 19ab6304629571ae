// The exact number of users that two segments share.
import { html, useState } from '../lib/html.js';
import { path, query, read } from '../lib/api.js';
import { count, percent } from '../lib/format.js';
import { useLoad } from '../lib/load.js';
import { setQuery } from '../lib/router.js';
import { Empty, Loading, NotOffered, ProblemBanner } from '../parts/feedback.js';
import { t } from '../texts/texts.js';

const MOST = 10;

export function Overlap({ segment }) {
  const [chosen, setChosen] = useState(() =>
    new URLSearchParams(window.location.search)
      .getAll('with')
      .flatMap((text) => text.split(','))
      .filter(Boolean)
      .slice(0, MOST),
  );
  const { data: all } = useLoad((signal) => read('/api/segments?status=ACTIVE&limit=1000', signal), []);
  const { data, problem } = useLoad(
    async (signal) =>
      chosen.length === 0
        ? { with: [] }
        : read(path`/api/segments/${segment.id}/overlap` + query({ with: chosen }), signal),
    [segment.id, chosen],
    { every: 5000, keep: true },
  );
  const names = Object.fromEntries((all?.items ?? []).map((one) => [one.id, one.name]));
  const set = (next) => {
    setChosen(next);
    setQuery({ with: next.join(',') });
  };
  const others = (all?.items ?? []).filter((one) => one.id !== segment.id && !chosen.includes(one.id));
  return html`
    <section class="card" aria-label=${t('overlap.overlap')}>
      <div class="card-head">
        <h2>${t('overlap.usersSharedWithOtherSegments')}</h2>
        <select
          class="select narrow-max"
          aria-label=${t('overlap.compareWith')}
          value=""
          disabled=${chosen.length >= MOST}
          onChange=${(event) => event.target.value && set([...chosen, event.target.value])}
        >
          <option value="">${t('overlap.compareWith2')}</option>
          ${others.map((one) => html`<option value=${one.id}>${one.name}</option>`)}
        </select>
      </div>
      ${problem?.isMissingPath
        ? html`<${NotOffered} what=${t('overlap.overlap')} />`
        : problem
          ? html`<div class="card-body"><${ProblemBanner} problem=${problem} /></div>`
          : chosen.length === 0
            ? html`
                <${Empty} icon="segments" title=${t('overlap.chooseASegmentToCompareWith')}>
                  ${t('overlap.theCountsAreExactAndFollow')}
                <//>
              `
            : !data
              ? html`<div class="card-body"><${Loading} /></div>`
              : html`
                  <ul class="list">
                    ${data.with.map(
                      (one) =>
                        html`
                          <li key=${one.segmentId}>
                            <${Pair}
                              name=${segment.name}
                              other=${names[one.segmentId] ?? one.segmentId}
                              counts=${one}
                              onDrop=${() => set(chosen.filter((id) => id !== one.segmentId))}
                            />
                          </li>
                        `,
                    )}
                  </ul>
                `}
    </section>
  `;
}

function Pair({ name, other, counts, onDrop }) {
  const { both, either, onlyThis, onlyOther } = counts;
  const part = (value) => ({ width: `${either > 0 ? (100 * value) / either : 0}%` });
  return html`
    <div class="stack tight">
      <div class="spread">
        <a class="title" href="/segments/${encodeURIComponent(counts.segmentId)}">${other}</a>
        <span class="row">
          <span class="muted small">${t('overlap.bothOfBothTogether', { both: percent(both, either) })}</span>
          <button type="button" class="button quiet small" onClick=${onDrop}>${t('overlap.remove')}</button>
        </span>
      </div>
      <div
        class="bar overlap"
        role="img"
        aria-label=${t('overlap.onlythisOnlyInNameBothIn', {
          onlyThis: count(onlyThis),
          name,
          both: count(both),
          onlyOther: count(onlyOther),
          other,
        })}
      >
        <span class="this" style=${part(onlyThis)}></span>
        <span class="both" style=${part(both)}></span>
        <span class="other" style=${part(onlyOther)}></span>
      </div>
      <dl class="overlap-counts">
        <div>
          <dt><i class="key this"></i>${t('overlap.onlyHere')}</dt>
          <dd class="number">${count(onlyThis)}</dd>
        </div>
        <div>
          <dt><i class="key both"></i>${t('overlap.inBoth')}</dt>
          <dd class="number">${count(both)}</dd>
        </div>
        <div>
          <dt><i class="key other"></i>${t('overlap.onlyThere')}</dt>
          <dd class="number">${count(onlyOther)}</dd>
        </div>
      </dl>
    </div>
  `;
}
