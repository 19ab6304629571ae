// Messages of libraries that were refused, kept whole: the reason, the place, and what was sent.
import { html, useState } from '../lib/html.js';
import { query, read } from '../lib/api.js';
import { bytes, dateTime, relative } from '../lib/format.js';
import { useLoad } from '../lib/load.js';
import { Empty, Loading, ProblemBanner } from '../parts/feedback.js';
import { Pager } from '../people/pager.js';
import { t } from '../texts/texts.js';
import { memberOf } from './intake.js';

const PAGE = 50;

export function RefusedMessages() {
  const [cursors, setCursors] = useState([undefined]);
  const cursor = cursors.at(-1);
  const load = (signal) => read(`/api/events/refused${query({ cursor, limit: PAGE })}`, signal);
  const { data, problem, reload } = useLoad(load, [cursor], { keep: true });
  if (problem && !data) return html`<${ProblemBanner} problem=${problem} retry=${reload} />`;
  if (!data) return html`<${Loading} />`;
  if (data.items.length === 0 && cursors.length === 1) {
    return html`
      <section class="card">
        <${Empty} icon="check" title=${t('events.noMessageWasRefused')}>${t('events.refusedAreKept')}<//>
      </section>
    `;
  }
  return html`
    <section class="card" aria-label=${t('events.refusedMessages')}>
      <div class="card-head"><p class="small soft">${t('events.refusedAreKept')}</p></div>
      <div class="table-wrap">
        <table>
          <thead>
            <tr>
              <th>${t('events.came')}</th>
              <th>${t('events.path')}</th>
              <th>${t('events.reason')}</th>
              <th class="number">${t('events.size')}</th>
            </tr>
          </thead>
          <tbody>${data.items.map((item) => html`<${Message} key=${item.id} item=${item} />`)}</tbody>
        </table>
      </div>
      <${Pager} cursors=${cursors} onChange=${setCursors} next=${data.nextCursor} />
    </section>
  `;
}

function Message({ item }) {
  const member = memberOf(item.fault.pointer);
  return html`
    <tr>
      <td><time datetime=${item.at} title=${relative(item.at)}>${dateTime(item.at)}</time></td>
      <td><code>${item.source}</code></td>
      <td>
        ${member && html`<code>${member}</code>`}${' '}
        ${item.fault.message}
        <details class="small">
          <summary>${t('events.whatWasSent')}</summary>
          ${!item.isWhole && html`<p class="muted">${t('events.onlyTheBeginning')}</p>`}
          <pre tabindex="0">${laidOut(item.text)}</pre>
        </details>
      </td>
      <td class="number">${bytes(item.bytes)}</td>
    </tr>
  `;
}

/** JSON in lines, or the text as it is. */
function laidOut(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
