// The size that rules would have had over the past, computed when somebody asks.
import { html, useEffect, useState } from '../lib/html.js';
import { ask } from '../lib/api.js';
import { count, span } from '../lib/format.js';
import { parseJson } from '../rules/exact.js';
import { SizeChart } from '../parts/chart.js';
import { t } from '../texts/texts.js';

const DAY = 86_400_000;
const SPANS = {
  '7d': [t('pastSizes.week'), 7 * DAY],
  '30d': [t('pastSizes.30d'), 30 * DAY],
  '90d': [t('pastSizes.90d'), 90 * DAY],
};
const POINTS = 60;

/** `text` is the rules as JSON; the curve of others before them goes. */
export function PastSizes({ text }) {
  const [range, setRange] = useState(undefined);
  const [view, setView] = useState(/** @returns {{ curve?: any, problem?: any }} */ () => ({}));
  useEffect(() => setRange(undefined), [text]);
  useEffect(() => {
    setView({});
    if (!range) return undefined;
    const controller = new AbortController();
    const to = Date.now();
    const body = { rules: parseJson(text), from: to - SPANS[range][1], to, points: POINTS };
    ask('POST', '/api/segments/preview/sizes', { body, signal: controller.signal }).then(
      ({ data }) => setView({ curve: data }),
      (problem) => controller.signal.aborted || setView({ problem }),
    );
    return () => controller.abort();
  }, [range]);
  const { curve, problem } = view;
  return html`
    <section class="card" aria-label=${t('pastSizes.sizeOverThePast')}>
      <div class="card-head">
        <h2>${t('pastSizes.overThePast')}</h2>
        <div class="segmented" role="group" aria-label=${t('pastSizes.span')}>
          ${Object.entries(SPANS).map(
            ([name, [title]]) => html`
              <button type="button" aria-pressed=${String(name === range)} onClick=${() => setRange(name)}>
                ${title}
              </button>
            `,
          )}
        </div>
      </div>
      <div class="card-body" aria-live="polite">
        ${!range && html`<p class="muted small">${t('pastSizes.howLarge')}</p>`}
        ${range &&
        !curve &&
        !problem &&
        html`<progress aria-label=${t('pastSizes.theCurveIsComputed')}></progress>`}
        ${problem && html`<p class="small" role="alert">${problem.message}</p>`}
        ${curve &&
        html`
          <${SizeChart} points=${curve.points} />
          <p class="small muted">
            ${t('pastSizes.exactOver', {
              events: count(curve.events),
              time: span(curve.tookMilliseconds / 1000),
            })}
          </p>
        `}
      </div>
    </section>
  `;
}
