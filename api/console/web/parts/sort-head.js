// The head of a column that orders its list.
import { html } from '../lib/html.js';
import { setQuery } from '../lib/router.js';
import { nextSort, parseSort } from '../lib/sort.js';
import { Icon } from './icon.js';

const SAID = { 1: 'ascending', '-1': 'descending' };

/** A head whose click orders by `column`; `first` is the direction that is asked for first, such as `-size`. */
export function SortHead({ sort, column, first = column, className = '', children }) {
  const now = parseSort(sort);
  const isOwn = now.column === column;
  const icon = now.direction === 1 ? 'up' : 'down';
  return html`
    <th scope="col" class=${className} aria-sort=${isOwn ? SAID[now.direction] : undefined}>
      <button
        type="button"
        class="sort ${isOwn ? 'on' : ''}"
        onClick=${() => setQuery({ sort: nextSort(sort, column, first) })}
      >
        ${children}
        ${isOwn && html`<${Icon} name=${icon} />`}
      </button>
    </th>
  `;
}
