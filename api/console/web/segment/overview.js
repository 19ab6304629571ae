// The current movement of a segment, and its rules.
import { html, useState } from '../lib/html.js';
import { zoneName } from '../lib/format.js';
import { useLoad } from '../lib/load.js';
import { sizesOver } from '../lib/sizes.js';
import { SizeChart } from '../parts/chart.js';
import { Loading, NotOffered, ProblemBanner } from '../parts/feedback.js';
import { RuleOutline } from '../parts/rule-outline.js';
import { UsedBy } from '../parts/used-by.js';
import { useEdits } from './edits.js';
import { LiveFeed } from './live-feed.js';
import { t } from '../texts/texts.js';

const SPANS = {
  '1h': [t('overview.hour'), 3_600_000],
  '24h': [t('overview.day'), 86_400_000],
  '7d': [t('overview.week'), 604_800_000],
  '90d': [t('overview.90days'), 7_776_000_000],
};

export function Overview({ segment }) {
  return html`
    <div class="split">
      <div class="stack">
        <${Growth} segment=${segment} />
        ${segment.type !== 'STATIC' &&
        html`
          <section class="card" aria-label=${t('overview.rules')}>
            <div class="card-head">
              <h2>${t('overview.usersAreInItWhen')}</h2>
              ${segment.status !== 'ARCHIVED' &&
              html`
                <a class="small" href="/segments/${encodeURIComponent(segment.id)}/edit">
                  ${t('overview.edit')}
                </a>
              `}
            </div>
            <div class="card-body"><${RuleOutline} rules=${segment.rules} /></div>
          </section>
        `}
        <${UsedBy} segment=${segment.id} version=${segment.version} />
      </div>
      <${LiveFeed} segment=${segment} />
    </div>
  `;
}

function Growth({ segment }) {
  const [span, setSpan] = useState('24h');
  const marks = useEdits(segment);
  const { data, problem } = useLoad(
    (signal) => sizesOver(SPANS[span][1], segment, signal),
    [segment.id, span],
    { every: 10_000, keep: true },
  );
  const body = () => {
    if (problem?.isMissingPath) return html`<${NotOffered} what=${t('overview.theHistoryOfSizes')} />`;
    if (problem) return html`<${ProblemBanner} problem=${problem} />`;
    if (!data) return html`<${Loading} lines=${5} />`;
    if (data.points.length < 2) return html`<p class="muted">${t('overview.theCurveBegins')}</p>`;
    return html`<${SizeChart} points=${data.points} marks=${marks} />`;
  };
  return html`
    <section class="card" aria-label=${t('overview.sizeOverTime')}>
      <div class="card-head">
        <div>
          <h2>${t('overview.sizeOverTime')}</h2>
          <span class="small muted">${t('overview.timesIn', { zone: zoneName() })}</span>
        </div>
        <div class="segmented" role="group" aria-label=${t('overview.span')}>
          ${Object.entries(SPANS).map(
            ([name, [text]]) =>
              html`
                <button type="button" aria-pressed=${String(name === span)} onClick=${() => setSpan(name)}>
                  ${text}
                </button>
              `,
          )}
        </div>
      </div>
      <div class="card-body">${body()}</div>
    </section>
  `;
}
