// A list of things that the API has: a failure, a wait, nothing yet, or a table of them.
import { html } from '../lib/html.js';
import { navigate } from '../lib/router.js';
import { Loading, ProblemBanner } from './feedback.js';

/**
 * The loaded items, which `children` draws, or `empty` if there are none.
 * @param {{ data: any, problem: any, reload: () => void, empty: any, children: (items: any[]) => any }} given
 */
export function Found({ data, problem, reload, empty, children }) {
  return html`
    <${ProblemBanner} problem=${problem} retry=${reload} />
    ${!data && !problem && html`<${Loading} />`}
    ${data?.items.length === 0 && empty}
    ${data?.items.length > 0 && children(data.items)}
  `;
}

const classes = (names = []) => names.join(' ') || undefined;

/**
 * A table with a column after the other; `name` has the classes of a column's cells, `tone` more of those below the head.
 * @param {object} given
 * @param {any[]} given.items
 * @param {{ head: any, name?: string[], tone?: string[], cell: (item: any) => any }[]} given.columns
 * @param {(item: any) => string} given.keyOf
 * @param {(item: any) => string} [given.to] where a click on a row leads
 */
export function Listing({ items, columns, keyOf, to }) {
  const row = (item) => ({
    key: keyOf(item),
    ...(to && {
      class: 'link',
      onClick: (event) => !event.target.closest('a') && navigate(to(item)),
    }),
  });
  return html`
    <div class="table-wrap">
      <table>
        <thead>
          <tr>
            ${columns.map(({ head, name }) => html`<th scope="col" class=${classes(name)}>${head}</th>`)}
          </tr>
        </thead>
        <tbody>
          ${items.map(
            (item) => html`
              <tr ...${row(item)}>
                ${columns.map(
                  ({ cell, name = [], tone = [] }) =>
                    html`<td class=${classes([...name, ...tone])}>${cell(item)}</td>`,
                )}
              </tr>
            `,
          )}
        </tbody>
      </table>
    </div>
  `;
}
