// The chosen file: how it was read, its first rows, and which column has the ids.
import { html, useState } from '../lib/html.js';
import { bytes } from '../lib/format.js';
import { Icon } from '../parts/icon.js';
import { many, t } from '../texts/texts.js';

const SHOWN = 5;
const MOST_COLUMNS = 12;

export function FileField({ file, onChange }) {
  const [isOver, setOver] = useState(false);
  const onDrop = (event) => {
    event.preventDefault();
    setOver(false);
    if (event.dataTransfer.files[0]) onChange(event.dataTransfer.files[0]);
  };
  const onDragOver = (event) => {
    event.preventDefault();
    setOver(true);
  };
  return html`
    <label
      class="drop-zone ${isOver ? 'over' : ''}"
      onDragOver=${onDragOver}
      onDragLeave=${() => setOver(false)}
      onDrop=${onDrop}
    >
      <${Icon} name="import" />
      <input
        class="visually-hidden"
        type="file"
        accept=".csv,.txt,.json,text/csv,application/json"
        onChange=${(event) => event.target.files[0] && onChange(event.target.files[0])}
      />
      ${file
        ? html`
            <strong>${file.name}</strong>
            <span class="small muted">${t('fileCard.sizeChooseAnother', { size: bytes(file.size) })}</span>
          `
        : html`
            <strong>${t('fileCard.chooseACsvFileOrDrop')}</strong>
            <span class="small muted">${t('fileCard.oneUserIdALineOr')}</span>
          `}
    </label>
  `;
}

/** The way a file was read; `layout` is the column of the ids and whether the first row is a heading. */
export function FilePreview({ table, layout, onLayout }) {
  if (table.fault)
    return html`
      <div class="banner bad" role="alert"><${Icon} name="warn" /><div class="body">${table.fault}</div></div>
    `;
  if (table.rows.length === 0)
    return html`<p class="bad-text" role="alert">${t('fileCard.theFileHasNoRows')}</p>`;
  const setHeading = (event) => onLayout({ ...layout, hasHeading: event.target.checked });
  return html`
    <section class="stack tight" aria-label=${t('fileCard.theFile')}>
      <p class="small muted">
        ${t('fileCard.countReadAsEncodingEncoding2', {
          count: many('count.row', table.rows.length),
          encoding: table.encoding,
          encoding2: table.encoding === 'Windows-1252' ? t('fileCard.sinceItIsNotUtf8') : '',
        })}
      </p>
      ${layout.column === undefined &&
      html`<p class="small warn-text" role="alert">${t('fileCard.chooseTheColumnWithTheUser')}</p>`}
      <${Rows} table=${table} layout=${layout} onColumn=${(column) => onLayout({ ...layout, column })} />
      <label class="checkbox small">
        <input type="checkbox" checked=${layout.hasHeading} onChange=${setHeading} />
        ${t('fileCard.theFirstRowIsAHeading')}
      </label>
    </section>
  `;
}

function Rows({ table, layout, onColumn }) {
  const columns = Array.from({ length: Math.min(table.width, MOST_COLUMNS) }, (_, index) => index);
  const tone = (column) => (column === layout.column ? 'chosen' : '');
  const name = (column) =>
    (layout.hasHeading ? table.rows[0].cells[column] : '') ||
    t('fileCard.columnColumn', { column: column + 1 });
  const body = (layout.hasHeading ? table.rows.slice(1) : table.rows).slice(0, SHOWN);
  return html`
    <div class="table-wrap">
      <table class="file-rows">
        <thead>
          <tr>
            <th scope="col" class="end">${t('fileCard.line')}</th>
            ${columns.map(
              (column) => html`
                <th scope="col" class=${tone(column)}>
                  <label class="checkbox">
                    <input
                      type="radio"
                      name="id-column"
                      checked=${column === layout.column}
                      onChange=${() => onColumn(column)}
                    />
                    ${name(column)}
                  </label>
                </th>
              `,
            )}
          </tr>
        </thead>
        <tbody>
          ${body.map(
            (row) => html`
              <tr key=${row.line}>
                <td class="end number muted">${row.line}</td>
                ${columns.map(
                  (column) =>
                    html`<td class="mono ${tone(column)}">${(row.cells[column] ?? '').slice(0, 60)}</td>`,
                )}
              </tr>
            `,
          )}
        </tbody>
      </table>
    </div>
  `;
}
