// Charts as small SVG: sizes over time, and a spark of them.
import { html, useLayoutEffect, useRef, useState } from '../lib/html.js';
import {
  compact,
  count,
  dateMinute,
  onlyDate,
  shortClock,
  shortTime,
  signed,
  zoneName,
} from '../lib/format.js';
import { t } from '../texts/texts.js';

const time = (point) => new Date(point.at).getTime();

/** A line without axes. */
export function Sparkline({ points, label }) {
  if (!points || points.length < 2)
    return html`<span class="muted small" aria-label=${t('chart.noHistoryYet')}>–</span>`;
  const values = points.map((point) => point.size);
  const low = Math.min(...values);
  const range = Math.max(...values) - low || 1;
  const start = time(points[0]);
  const span = time(points.at(-1)) - start || 1;
  const place = (point) =>
    `${(((time(point) - start) / span) * 96).toFixed(1)} ${(23 - ((point.size - low) / range) * 20).toFixed(1)}`;
  const line = `M${points.map(place).join('L')}`;
  return html`
    <svg
      class="spark"
      viewBox="0 0 96 26"
      role="img"
      aria-label=${label ?? t('chart.fromTo', { from: count(values[0]), to: count(values.at(-1)) })}
    >
      <path class="area" d="${line}L96 26L0 26Z" />
      <path d=${line} />
    </svg>
  `;
}

/** The last hour of a rate, as wide as there is room. */
export function Trend({ points, title, say }) {
  const values = points.map((point) => point.size);
  const high = Math.max(...values, 0) || 1;
  const start = points.length > 0 ? time(points[0]) : 0;
  const span = (points.length > 0 ? time(points.at(-1)) - start : 0) || 1;
  const place = (point) =>
    `${(((time(point) - start) / span) * 100).toFixed(2)} ${(58 - (point.size / high) * 54).toFixed(2)}`;
  const line = `M${points.map(place).join('L')}`;
  return html`
    <section class="card" aria-label=${title}>
      <div class="card-head">
        <h2>${title}</h2>
        <span class="small muted number">
          ${points.length > 1 ? t('chart.most', { value: say(Math.max(...values)) }) : ''}
        </span>
      </div>
      <div class="card-body">
        ${points.length < 2
          ? html`<p class="muted small trend">${t('chart.theCurveBegins')}</p>`
          : html`
              <svg
                class="spark trend"
                viewBox="0 0 100 60"
                preserveAspectRatio="none"
                role="img"
                aria-label=${t('chart.nowMost', {
                  title,
                  now: say(values.at(-1)),
                  most: say(Math.max(...values)),
                })}
              >
                <path class="area" d="${line}L100 60L0 60Z" />
                <path d=${line} />
              </svg>
            `}
      </div>
    </section>
  `;
}

/** Round numbers that cover low to high. */
export function ticks(low, high, wanted = 4) {
  if (low === high) return [low];
  const rough = (high - low) / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = Math.max(
    1,
    [1, 2, 5, 10].map((factor) => factor * power).find((one) => one >= rough) ?? 10 * power,
  );
  const first = Math.floor(low / step) * step;
  const all = [];
  for (let value = first; value < high + step; value += step) all.push(value);
  return all;
}

const DAY = 24 * 3_600_000;

/** Instants below a chart, as parts of its span, each with its words: as many as there is room for, none twice. */
export function instants(start, span, room) {
  const steps = room < 480 ? 2 : room < 720 ? 3 : 4;
  const say = span > 3 * DAY ? onlyDate : span > DAY / 2 ? shortTime : shortClock;
  const all = Array.from({ length: steps + 1 }, (_, step) => step / steps).map((part) => ({
    part,
    text: say(start + span * part),
  }));
  return all.filter((one, index) => all.findIndex((other) => other.text === one.text) === index);
}

const HEIGHT = 240;
const LEFT = 48;
const RIGHT = 8;
const TOP = 10;
const BASE = 168;

/** The pixels that an element has: a chart is drawn in them, so that words keep their size. */
function useRoom(element) {
  const [room, setRoom] = useState(640);
  useLayoutEffect(() => {
    const observer = new ResizeObserver(([entry]) =>
      setRoom(Math.max(240, Math.round(entry.contentRect.width))),
    );
    observer.observe(element.current.parentElement);
    return () => observer.disconnect();
  }, []);
  return room;
}

/** Who entered above a line, who left below it. */
function Flows({ points, x, width }) {
  // Changes of the first point came before the drawn span.
  const flows = points.slice(1);
  const most = Math.max(1, ...flows.map((point) => Math.max(point.entered ?? 0, point.left ?? 0)));
  const tall = (value) => ((value ?? 0) / most) * 22;
  return flows.map(
    (one) =>
      html`
        <rect
          class="in"
          x=${x(one) - width / 2}
          y=${198 - tall(one.entered)}
          width=${width}
          height=${tall(one.entered)}
        />
        <rect class="out" x=${x(one) - width / 2} y=${198} width=${width} height=${tall(one.left)} />
      `,
  );
}

/** Pixels that the name of a mark takes. */
const NAME_WIDTH = 22;

/** Marks with their names, each before the line at the end of the chart; of marks too close together the last has one. */
function Marks({ marks, x, end }) {
  const positions = marks.map(x);
  const hasRoom = (index) =>
    positions.every((other, at) => at <= index || other - positions[index] >= NAME_WIDTH);
  return marks.map((mark, index) => {
    const isAtEnd = positions[index] > end - NAME_WIDTH;
    const [side, anchor] = isAtEnd ? [-3, 'end'] : [3, 'start'];
    return html`
      <line class="mark" x1=${positions[index]} x2=${positions[index]} y1=${TOP} y2=${BASE} />
      ${hasRoom(index) &&
      html`
        <text class="axis" x=${positions[index] + side} y=${TOP + 9} text-anchor=${anchor}>${mark.name}</text>
      `}
    `;
  });
}

/** The marks that lie within the span of points. */
const within = (marks, start, span) =>
  marks.filter((mark) => time(mark) >= start && time(mark) <= start + span);

/** Sizes as an area, with who entered and left below; `marks` are instants with a short name and a text. */
export function SizeChart({ points, marks: edits = [] }) {
  const [at, setAt] = useState(undefined);
  const element = useRef(null);
  const room = useRoom(element);
  const values = points.map((point) => point.size);
  const marks = ticks(Math.min(...values), Math.max(...values));
  const [low, high] = marks.length > 1 ? [marks[0], marks.at(-1)] : [marks[0] - 1, marks[0] + 1];
  const start = time(points[0]);
  const span = time(points.at(-1)) - start || 1;
  const x = (point) => LEFT + ((time(point) - start) / span) * (room - LEFT - RIGHT);
  const y = (value) => BASE - ((value - low) / (high - low)) * (BASE - TOP);
  const line = `M${points.map((point) => `${x(point).toFixed(1)} ${y(point.size).toFixed(1)}`).join('L')}`;
  const width = Math.max(1, Math.min(10, ((room - LEFT - RIGHT) / points.length) * 0.6));
  const nearest = (clientX) => {
    const box = element.current.getBoundingClientRect();
    const wanted = ((clientX - box.left) / box.width) * room;
    return points.reduce(
      (best, point, index) =>
        Math.abs(x(point) - wanted) < Math.abs(x(points[best]) - wanted) ? index : best,
      0,
    );
  };
  const onKeyDown = (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    setAt(Math.max(0, Math.min(points.length - 1, (at ?? points.length - 1) + step)));
  };
  const point = points[at];
  const shown = within(edits, start, span);
  const told = (one) => t('chart.sizeAt', { size: count(one.size), at: shortTime(one.at) });
  const [from, to] = [told(points[0]), told(points.at(-1))];
  const say = t('chart.sizeFromTo', { from, to, zone: zoneName(points.at(-1).at) });
  return html`
    <div
      class="chart"
      tabindex="0"
      role="group"
      aria-label=${say}
      onKeyDown=${onKeyDown}
      onBlur=${() => setAt(undefined)}
      onPointerMove=${(event) => setAt(nearest(event.clientX))}
      onPointerLeave=${() => setAt(undefined)}
    >
      <svg ref=${element} viewBox="0 0 ${room} ${HEIGHT}" aria-hidden="true">
        ${marks.map(
          (mark) =>
            html`
              <line class="grid" x1=${LEFT} x2=${room - RIGHT} y1=${y(mark)} y2=${y(mark)} />
              <text class="axis" x=${LEFT - 8} y=${y(mark) + 4} text-anchor="end">${compact(mark)}</text>
            `,
        )}
        <path class="area" d="${line}L${x(points.at(-1))} ${BASE}L${LEFT} ${BASE}Z" />
        <path class="line" d=${line} />
        <${Flows} points=${points} x=${x} width=${width} />
        <${Marks} marks=${shown} x=${x} end=${room - RIGHT} />
        ${instants(start, span, room).map(
          ({ part, text }) =>
            html`
              <text
                class="axis"
                x=${LEFT + part * (room - LEFT - RIGHT)}
                y=${HEIGHT - 4}
                text-anchor=${part === 0 ? 'start' : part === 1 ? 'end' : 'middle'}
              >
                ${text}
              </text>
            `,
        )}
        ${point &&
        html`
          <line class="cursor" x1=${x(point)} x2=${x(point)} y1=${TOP} y2="222" />
          <circle class="point" cx=${x(point)} cy=${y(point.size)} r="4" />
        `}
      </svg>
      <div class="visually-hidden" aria-live="polite">
        ${point && `${shortTime(point.at)}: ${count(point.size)}`}
      </div>
      ${point &&
      html`
        <div class="chart-tip" style=${{ left: `${Math.max(14, Math.min(86, (x(point) / room) * 100))}%` }}>
          <strong>${count(point.size)}</strong> · ${dateMinute(point.at)}<br />
          ${t('chart.inOut', { entered: signed(point.entered ?? 0), left: count(point.left ?? 0) })}
        </div>
      `}
      ${shown.length > 0 &&
      html`
        <ul class="chart-marks small muted" aria-label=${t('chart.edits')}>
          ${shown.map((mark) => html`<li key=${mark.at}>${mark.text}, ${dateMinute(mark.at)}</li>`)}
        </ul>
      `}
    </div>
  `;
}
