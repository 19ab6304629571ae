// The result of an import, or of its trial.
import { html } from '../lib/html.js';
import { count } from '../lib/format.js';
import { ProblemBanner } from '../parts/feedback.js';
import { many, t } from '../texts/texts.js';

const SHOWN = 200;

function rowsOf({ result, state }, trimmed) {
  const isDone = state === 'done';
  return [
    [t('result.rowsRead'), result.received],
    [t('result.spacesCutOff'), trimmed || undefined],
    [t('result.fit'), result.accepted],
    [t('result.idsOfKnownUsers'), result.known],
    [t('result.idsOfNobodyKnownYet'), result.unknown],
    [isDone ? t('common.added') : t('result.wouldBeAdded'), result.added],
    [isDone ? t('common.removed') : t('result.wouldBeRemoved'), result.removed],
    [t('result.noChange'), result.unchanged],
    [t('result.twiceInTheFile'), result.duplicates],
    [t('result.faulty'), result.rejectedCount ?? result.rejected?.length],
    [t('result.usersWhoWouldEnter'), result.entered],
    [t('result.usersWhoWouldLeave'), result.left],
  ].filter(([, value]) => value !== undefined);
}

export function Result({ run, trimmed }) {
  const { result, problem } = run;
  if (problem && !result) return html`<${ProblemBanner} problem=${problem} />`;
  if (!result) return html`<p class="muted">${t('result.chooseAListAndAFile')}</p>`;
  return html`
    ${problem && html`<${ProblemBanner} problem=${problem} />`}
    <dl class="facts">
      ${rowsOf(run, trimmed).map(
        ([text, value]) => html`
          <dt>${text}</dt>
          <dd class="number ${text === t('result.faulty') && value > 0 ? 'bad-text' : ''}">
            <strong>${count(value)}</strong>
          </dd>
        `,
      )}
    </dl>
    ${result.sampleUnknown?.length > 0 &&
    html`<${Unknown} names=${result.sampleUnknown} total=${result.unknown} />`}
  `;
}

/** Some of the ids that nobody known has: they count as soon as such a user comes. */
function Unknown({ names, total }) {
  const shown = names.slice(0, 5);
  const more = total - shown.length;
  return html`
    <p class="small warn-text" role="status">
      ${t('result.notKnownYetValueMore', {
        value: shown.join(', '),
        more: more > 0 ? ` ${t('result.andMoreOthers', { more: count(more) })}` : '',
      })}
    </p>
  `;
}

export function Rejected({ result }) {
  const total = result.rejectedCount ?? result.rejected.length;
  return html`
    <section class="card" aria-label=${t('result.faultyRows')}>
      <div class="card-head">
        <h2>${many('count.faultyRow', total)}</h2>
        ${total > result.rejected.length &&
        html`
          <span class="small muted">
            ${t('result.theFirstCount', { count: count(result.rejected.length) })}
          </span>
        `}
      </div>
      <div class="table-wrap tall">
        <table>
          <thead>
            <tr>
              <th scope="col" class="end">${t('result.line')}</th>
              <th scope="col">${t('result.value')}</th>
              <th scope="col">${t('result.whatIsWrong')}</th>
            </tr>
          </thead>
          <tbody>${result.rejected.slice(0, SHOWN).map((one) => html`<${Fault} ...${one} />`)}</tbody>
        </table>
      </div>
    </section>
  `;
}

function Fault({ row, value, message }) {
  return html`
    <tr>
      <td class="end number">${count(row)}</td>
      <td class="mono">
        ${value ? String(value).slice(0, 80) : html`<span class="muted">${t('result.none')}</span>`}
      </td>
      <td>${message}</td>
    </tr>
  `;
}
