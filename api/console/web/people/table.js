// People in a table: their ids, and the columns beside them.
import { html } from '../lib/html.js';
import { dateTime } from '../lib/format.js';
import { nameOf, shown, titleOf } from '../lib/vocabulary.js';
import { looksLikeTime } from '../user/traits.js';
import { t } from '../texts/texts.js';

/** Users of the server with the values of the columns; `why` is the segment that each may be asked about. */
export function PeopleTable({ users, columns, why }) {
  return html`
    <div class="table-wrap">
      <table class="people">
        <thead>
          <tr>
            <th scope="col">${t('people.user')}</th>
            ${columns.map(
              (column) => html`
                <th scope="col" key=${column} title=${titleOf('trait', column)}>
                  ${nameOf('trait', column)}
                </th>
              `,
            )}
            ${why && html`<th scope="col"><span class="visually-hidden">${t('people.why')}</span></th>`}
          </tr>
        </thead>
        <tbody>
          ${users.map(
            (user) => html`<${Row} key=${user.userId} user=${user} columns=${columns} why=${why} />`,
          )}
        </tbody>
      </table>
    </div>
  `;
}

function Row({ user, columns, why }) {
  const to = `/users/${encodeURIComponent(user.userId)}`;
  return html`
    <tr>
      <td><a class="title" href=${to}>${user.userId}</a></td>
      ${columns.map(
        (column) => html`<td key=${column}><${Value} name=${column} value=${user.values?.[column]} /></td>`,
      )}
      ${why &&
      html`
        <td class="end">
          <a
            class="small muted"
            href="${to}?why=${encodeURIComponent(why)}"
            aria-label=${t('people.whyIsUserInIt', { user: user.userId })}
          >
            ${t('people.whyQuestion')}
          </a>
        </td>
      `}
    </tr>
  `;
}

function Value({ name, value }) {
  if (value === undefined) return html`<span class="muted">–</span>`;
  return looksLikeTime(name, value) ? dateTime(value) : shown('trait', name, value);
}
