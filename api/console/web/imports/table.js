// A file of ids as people have it: which encoding, which columns, which rows.
import { t } from '../texts/texts.js';

/** Names of the column of ids in exports of many products, in lower case and without separators; the first found counts. */
const ID_NAMES = [
  'userid',
  'customerid',
  'distinctid',
  'externalid',
  'clientid',
  'profileid',
  'contactid',
  'memberid',
  'subscriberid',
  'personid',
  'visitorid',
  'uid',
  'user',
  'customer',
  'users',
  'id',
];

/** The column whose name is most that of ids, or -1. */
function columnOfIds(cells) {
  const ranks = cells.map((cell) => ID_NAMES.indexOf(cell.toLowerCase().replace(/[\s_.-]/g, '')));
  const best = Math.min(...ranks.filter((rank) => rank >= 0));
  return Number.isFinite(best) ? ranks.indexOf(best) : -1;
}
const DELIMITERS = [',', ';', '\t', '|'];
/** @type {[string, number[]][]} */
const MARKS = [
  ['utf-8', [0xef, 0xbb, 0xbf]],
  ['utf-16le', [0xff, 0xfe]],
  ['utf-16be', [0xfe, 0xff]],
];
const NAMES = {
  'utf-8': 'UTF-8',
  'utf-16le': 'UTF-16',
  'utf-16be': 'UTF-16',
  'windows-1252': 'Windows-1252',
};

/**
 * The text of a file, in the encoding that its bytes have.
 * @param {Uint8Array} bytes
 * @returns {{ text: string, encoding: string }}
 */
export function decode(bytes) {
  const marked = MARKS.find(([, mark]) => mark.every((byte, index) => bytes[index] === byte));
  if (marked) return { text: new TextDecoder(marked[0]).decode(bytes), encoding: NAMES[marked[0]] };
  try {
    return { text: new TextDecoder('utf-8', { fatal: true }).decode(bytes), encoding: NAMES['utf-8'] };
  } catch {
    // Spreadsheets in western Europe write this if they do not write UTF-8; all bytes are valid in it.
    return { text: new TextDecoder('windows-1252').decode(bytes), encoding: NAMES['windows-1252'] };
  }
}

/** The separator of the cells: the candidate that the first line has most of. */
export function delimiterOf(text) {
  const first = text.slice(0, text.search(/\r?\n|$/)).replace(/"[^"]*"/g, '');
  const counts = DELIMITERS.map((delimiter) => first.split(delimiter).length);
  return DELIMITERS[counts.indexOf(Math.max(...counts))];
}

/**
 * @typedef {object} Row
 * @property {number} line where it begins in the file, from 1
 * @property {string[]} cells
 */

/**
 * Reads rows of cells; a cell in quotes may hold anything. Empty lines are no rows.
 * @returns {{ rows: Row[], fault?: string }} the fault says in which line what is wrong
 */
export function readRows(text, delimiter) {
  const rows = [];
  let line = 1;
  let at = 0;
  const quoted = () => {
    const opened = line;
    let cell = '';
    for (at += 1; ;) {
      const end = text.indexOf('"', at);
      if (end < 0) return { fault: t('table.lineOpenedAQuotationMarkIs', { opened }) };
      const part = text.slice(at, end);
      line += part.split('\n').length - 1;
      cell += part;
      at = end + 1;
      if (text[at] !== '"') return { cell };
      cell += '"';
      at += 1;
    }
  };
  while (at < text.length) {
    /** @type {Row} */
    const row = { line, cells: [] };
    for (;;) {
      let cell = '';
      if (text[at] === '"') {
        const read = quoted();
        if (read.fault !== undefined) return { rows, fault: read.fault };
        cell = read.cell ?? '';
      }
      const from = at;
      while (at < text.length && text[at] !== delimiter && text[at] !== '\n' && text[at] !== '\r') at += 1;
      row.cells.push(cell + text.slice(from, at));
      if (text[at] !== delimiter) break;
      at += 1;
    }
    if (text[at] === '\r') at += 1;
    if (text[at] === '\n') at += 1;
    line += 1;
    if (row.cells.some((cell) => cell.trim() !== '')) rows.push(row);
  }
  return { rows };
}

/** The members of a JSON list, or of one under `members`, as rows of one cell. */
function rowsOfJson(text) {
  try {
    const json = JSON.parse(text);
    const list = Array.isArray(json) ? json : json?.members;
    if (!Array.isArray(list)) return { rows: [], fault: t('table.theJsonIsNoListOf') };
    return {
      rows: list.map((one, index) => ({
        line: index + 1,
        cells: [typeof one === 'object' ? '' : String(one)],
      })),
    };
  } catch (error) {
    return { rows: [], fault: t('table.theFileIsNotJsonMessage', { message: error.message }) };
  }
}

/**
 * @typedef {object} Table
 * @property {string} encoding
 * @property {Row[]} rows
 * @property {string} [fault]
 * @property {number} width columns of the widest row
 * @property {boolean} hasHeading whether the first row names the columns
 * @property {number | undefined} column the one with the ids, where that is plain
 */

/**
 * A file as a table.
 * @param {string} name
 * @param {Uint8Array} bytes
 * @returns {Table}
 */
export function readTable(name, bytes) {
  const { text, encoding } = decode(bytes);
  const { rows, fault } = /\.json$/i.test(name) ? rowsOfJson(text) : readRows(text, delimiterOf(text));
  const width = rows.reduce((most, row) => Math.max(most, row.cells.length), 0);
  const named = columnOfIds(rows[0]?.cells ?? []);
  const hasHeading = named >= 0;
  return {
    encoding,
    rows,
    fault,
    width,
    hasHeading,
    column: hasHeading ? named : width === 1 ? 0 : undefined,
  };
}

/**
 * The ids of a column, without the spaces around them, each with its line.
 * @param {Table} table
 * @returns {{ ids: string[], lines: number[], trimmed: number }}
 */
export function idsOf({ rows }, column, hasHeading) {
  const ids = [];
  const lines = [];
  let trimmed = 0;
  for (const row of hasHeading ? rows.slice(1) : rows) {
    const cell = row.cells[column] ?? '';
    const id = cell.trim();
    if (id !== cell) trimmed += 1;
    ids.push(id);
    lines.push(row.line);
  }
  return { ids, lines, trimmed };
}
