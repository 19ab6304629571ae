// Tables as files that spreadsheets and programs read.

/** A cell as CSV has it; one that a spreadsheet would compute is kept as text. */
function cell(value) {
  const text = value === undefined || value === null ? '' : String(value);
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** Rows as CSV, with the names of the columns first. */
export const csvOf = (columns, rows) =>
  [columns, ...rows].map((row) => `${row.map(cell).join(',')}\r\n`).join('');

/** Objects as NDJSON: one a line. */
export const ndjsonOf = (items) => items.map((one) => `${JSON.stringify(one)}\n`).join('');
