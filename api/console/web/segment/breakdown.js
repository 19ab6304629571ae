// The members of a segment by the value of a trait: the most frequent values, and the rest.
import { html } from '../lib/html.js';
import { path, query, read } from '../lib/api.js';
import { count, percent } from '../lib/format.js';
import { nameOf, shown } from '../lib/vocabulary.js';
import { useLoad } from '../lib/load.js';
import { setQuery } from '../lib/router.js';
import { Loading, ProblemBanner } from '../parts/feedback.js';
import { useColumns } from '../people/columns.js';
import { many, t } from '../texts/texts.js';

const SHOWN = 12;

export function Breakdown({ segment, asked }) {
  const { columns, fields } = useColumns();
  const field = asked || columns?.[0] || fields[0]?.value;
  const load = async (signal) =>
    field &&
    read(path`/api/segments/${segment.id}/breakdown` + query({ trait: field, limit: SHOWN }), signal);
  const { data, problem, reload } = useLoad(load, [segment.id, segment.version, field], { keep: true });
  return html`
    <section class="card" aria-label=${t('breakdown.breakdown')}>
      <div class="card-head">
        <h2>
          ${field
            ? t('breakdown.membersByField', { field: nameOf('trait', field) })
            : t('breakdown.membersByATrait')}
        </h2>
        <select
          class="select narrow-max"
          aria-label=${t('breakdown.trait')}
          value=${field}
          onChange=${(event) => setQuery({ by: event.target.value })}
        >
          ${[...new Set([field, ...fields.map((one) => one.value)])]
            .filter(Boolean)
            .map((name) => html`<option value=${name}>${nameOf('trait', name)}</option>`)}
        </select>
      </div>
      <div class="card-body">
        ${problem
          ? html`<${ProblemBanner} problem=${problem} retry=${reload} />`
          : !field && columns
            ? html`<p class="muted">${t('breakdown.noTraitIsKnown')}</p>`
            : data
              ? html`<${Bars} data=${data} field=${field} />`
              : html`<${Loading} />`}
      </div>
    </section>
  `;
}

function Bars({ data, field }) {
  const lines = [
    ...data.items.map((item) => ({ text: shown('trait', field, item.value), count: item.count })),
    ...(data.rest > 0 ? [{ text: t('breakdown.otherValues'), count: data.rest, isOther: true }] : []),
    ...(data.missing > 0 ? [{ text: t('breakdown.noValue'), count: data.missing, isOther: true }] : []),
  ];
  const most = Math.max(1, ...lines.map((line) => line.count));
  if (lines.length === 0) return html`<p class="muted">${t('breakdown.nobodyIsInItNow')}</p>`;
  return html`
    <table class="breakdown">
      <caption class="small muted">
        ${many('breakdown.members', data.size)}
        ${data.differentValues !== undefined
          ? `, ${many('breakdown.differentValues', data.differentValues)}`
          : ''}
      </caption>
      <thead class="visually-hidden">
        <tr>
          <th scope="col">${t('breakdown.value')}</th>
          <th scope="col">${t('breakdown.share')}</th>
          <th scope="col">${t('breakdown.membersHead')}</th>
        </tr>
      </thead>
      <tbody>
        ${lines.map(
          (line) => html`
            <tr key=${`${line.isOther} ${line.text}`}>
              <th scope="row" class=${line.isOther ? 'muted' : ''}>${line.text}</th>
              <td>
                <div class="bar" aria-hidden="true">
                  <span
                    class=${line.isOther ? 'other' : ''}
                    style=${{ width: `${(100 * line.count) / most}%` }}
                  ></span>
                </div>
              </td>
              <td class="end number">
                ${count(line.count)}${' '}
                <span class="muted">${percent(line.count, data.size)}</span>
              </td>
            </tr>
          `,
        )}
      </tbody>
    </table>
  `;
}
