// The words of the templates: those of the server in English, and the same in each other language.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { test } from 'node:test';

import { categoryText, defaultsOf, parameterText, templateWords } from '../../web/rules/templates.js';
import { texts as de } from '../../web/texts/de.js';
import { texts as en } from '../../web/texts/en.js';

const gallery = new URL('../../../http/src/templates/gallery/', import.meta.url);
const templates = readdirSync(gallery).map((name) =>
  JSON.parse(readFileSync(new URL(name, gallery), 'utf8')),
);

/** Every text of a template with its key. */
function* textsOf({ id, name, description, category, parameters }) {
  yield [`template.${id}.name`, name];
  yield [`template.${id}.description`, description];
  yield [`template.category.${category}`, category];
  for (const one of parameters) yield [`template.${id}.parameter.${one.name}`, one.title];
}

test('every template of the server has its words in both languages, and no others are there', () => {
  assert.ok(templates.length >= 19, `only ${templates.length} templates were found`);
  const expected = Object.fromEntries(templates.flatMap((template) => [...textsOf(template)]));
  const found = Object.fromEntries(Object.entries(en).filter(([key]) => key.startsWith('template.')));
  assert.deepEqual(found, expected);
  for (const key of Object.keys(expected)) {
    assert.ok(de[key], key);
    // Some words are the same in German; a sentence is not.
    if (key.endsWith('.description')) assert.notEqual(de[key], en[key], key);
  }
});

test('the words of a template have its values, and one that is not known those of the server', () => {
  const template = templates.find(({ id }) => id === 'high-value');
  const otherwise = { name: 'A name', description: 'A description' };
  assert.deepEqual(templateWords(template, { ...defaultsOf(template), window: '1d' }, otherwise), {
    name: 'High value: 1000 or more in 1 day',
    description: 'Customers who spent at least 1000 within the last 1 day.',
  });
  const unknown = { ...template, id: 'of-tomorrow' };
  assert.deepEqual(templateWords(unknown, defaultsOf(unknown), otherwise), otherwise);
  assert.equal(parameterText(unknown, { name: 'window', title: 'A title' }), 'A title');
  assert.equal(categoryText('A category'), 'A category');
});
