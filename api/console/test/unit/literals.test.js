// The lint that keeps texts in the catalogue finds them wherever they stand, and leaves alone what nobody reads.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Linter } from 'eslint';
import noLiteralText from '../../tools/no-literal-text.js';

const linter = new Linter();

/** The texts that the lint finds in code. */
const foundIn = (code) =>
  linter
    .verify(code, {
      plugins: { console: { rules: { 'no-literal-text': noLiteralText } } },
      rules: { 'console/no-literal-text': 'error' },
    })
    .map(({ message, fatal }) => (fatal ? assert.fail(message) : /“(.*)”/.exec(message)?.[1]));

test('texts of templates, attributes, branches, tables and messages are found', () => {
  const texts = {
    'html`<p>Some words</p>`': 'Some words',
    'html`<p title="Some words"></p>`': 'Some words',
    'html`<p>${yes ? t(`a`) : "left"}</p>`': 'left',
    'html`<p>${yes && `left ${count}`}</p>`': 'left',
    'html`<${Empty} title=${yes ? "none" : ""} />`': 'none',
    'html`<p class="a ${b}" aria-label=${`now ${c}`} />`': 'now',
    'const causes = { time: "by time" }': 'by time',
    'const column = { text: "size" }': 'size',
    'ask({ title: "Delete" })': 'Delete',
    'toast("done")': 'done',
    'useTitle("Users")': 'Users',
    'const name = yes ? "Week" : "90d"': 'Week',
    'throw new Fault("Nobody is there.")': 'Nobody is there.',
  };
  for (const [code, text] of Object.entries(texts)) assert.deepEqual(foundIn(code), [text], code);
});

test('names that code uses are no texts', () => {
  const codes = [
    't("users.open")',
    'html`<p class=${yes ? "button quiet" : "button"} />`',
    'html`<p class="a ${yes ? "quiet small" : ""}">${t("users.open")}</p>`',
    'html`<p>${state === "absent" ? t("a") : t("b")}</p>`',
    'event.key === "Enter"',
    'const headers = { accept: "text/event-stream, application/json" }',
    'const format = { text: "CSV", run }',
  ];
  for (const code of codes) assert.deepEqual(foundIn(code), [], code);
});
