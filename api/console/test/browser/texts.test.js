// Every word of a page comes from the catalogue, or from the server: the texts of the catalogue are put in brackets, and each
// page is read for words that stand in none.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { openPage, startBrowser } from './browser.js';
import { call, fill, startPlatform } from './platform.js';

let platform;
let browser;

before(async () => {
  platform = await startPlatform();
  await fill(platform.address);
  const rules = {
    logic: 'OR',
    conditions: [
      {
        event: 'purchase',
        where: [{ field: 'amount', operator: 'gte', value: 5 }],
        operator: 'gte',
        value: 2,
      },
      { event: ['purchase', 'refund'], operator: 'eq', value: 0, within: '30d' },
      {
        sequence: [{ event: 'visit' }, { event: 'purchase', maxGap: '3d' }],
        within: { ago: ['30d', '10d'] },
      },
      { rank: { by: { event: 'purchase', measure: { fn: 'sum', of: 'amount' } } }, percent: 10 },
      { logic: 'NOT', conditions: [{ field: 'plan', operator: 'ne', value: 'free' }, { segment: 'list' }] },
    ],
  };
  const list = { id: 'list', name: 'list', type: 'STATIC', members: ['c01', 'c02'] };
  await call(platform.address, 'POST', '/api/segments', list);
  await call(platform.address, 'POST', '/api/segments', { id: 'kinds', name: 'kinds', tags: ['one'], rules });
  await call(platform.address, 'PATCH', '/api/segments/kinds', { description: 'second' });
  await call(platform.address, 'POST', '/api/webhooks', { url: 'https://example.org/', segments: ['kinds'] });
  browser = await startBrowser();
});

after(async () => {
  await browser?.close();
  await platform?.stop();
});

const CATALOGUE = 'const chosen = CATALOGUES[LANGUAGE] ?? en;';
const BRACKETED = `const bracketed = (text) =>
  typeof text === 'string'
    ? '\u27e6' + text + '\u27e7'
    : Object.fromEntries(Object.entries(text).map(([form, one]) => [form, bracketed(one)]));
const chosen = Object.fromEntries(Object.entries(en).map(([key, text]) => [key, bracketed(text)]));`;

/** Members of answers that the console says in words of its own. */
const SAID = new Set(['change', 'cause', 'status', 'type', 'action', 'state', 'logic', 'kind', 'code']);

/** The words in the values of an answer. */
function wordsOf(value, words = new Set()) {
  if (typeof value === 'string') for (const word of value.match(/\p{L}+/gu) ?? []) words.add(word);
  else if (value !== null && typeof value === 'object') {
    for (const [name, one] of Object.entries(value)) {
      if (!SAID.has(name)) wordsOf(one, words);
      // The names of a user's traits, of an event's properties and of the server's parts are data.
      if (/^(traits|computedTraits|properties|values|components)$/.test(name))
        wordsOf(Object.keys(one ?? {}), words);
    }
  }
  return words;
}

/** Names that are the same in every language, units, and parts of dates. */
const NAMES =
  /^(Audience|Manager|Ctrl|Alt|K|JSON|NDJSON|CSV|UTC|GMT|URL|API|D|English|Deutsch|Abc|T|F|s|h|min|ms|B|kB|MB|GB|k|AM|PM|Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec|curl|Browser|Node|Python|test|console|fn|of|sum|avg)$/;

/** The texts of a page, shown or spoken, that are in no brackets. */
const readPage = (page) =>
  page.evaluate(() => {
    const texts = [];
    // The names of currencies are the browser's own, in the language of the person.
    const isCode = (node) =>
      node.closest('pre, code, textarea, script, noscript, style, time, option[data-code]');
    const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walk.nextNode()) {
      const parent = walk.currentNode.parentElement;
      if (parent && !isCode(parent)) texts.push(walk.currentNode.nodeValue ?? '');
    }
    for (const name of ['aria-label', 'title', 'placeholder', 'alt'])
      for (const element of document.querySelectorAll(`[${name}]`))
        texts.push(element.getAttribute(name) ?? '');
    return texts;
  });

function bare(text) {
  let rest = text;
  for (let last = ''; last !== rest;) {
    last = rest;
    rest = rest.replace(/\u27e6[^\u27e6\u27e7]*\u27e7/g, ' ');
  }
  return rest;
}

/** A page whose texts are in brackets, with the words that the server has answered to it. */
async function bracketedPage() {
  const { page } = await openPage(browser, platform.address);
  const words = new Set();
  await page.route(/\/console\/app[^/]*\.js$/, async (route) => {
    const response = await route.fetch();
    const script = await response.text();
    assert.ok(script.includes(CATALOGUE), 'the catalogue is chosen as this test expects');
    await route.fulfill({ response, body: script.replace(CATALOGUE, BRACKETED) });
  });
  page.on('response', async (response) => {
    if (!response.headers()['content-type']?.includes('json')) return;
    wordsOf(await response.json().catch(() => undefined), words);
  });
  return { page, words };
}

/** The texts of a page that are neither from the catalogue nor from the server. */
async function strangersOf(page, words) {
  const isKnown = (word) => words.has(word) || NAMES.test(word);
  return (await readPage(page))
    .map((text) => [text, (bare(text).match(/\p{L}+/gu) ?? []).filter((word) => !isKnown(word))])
    .filter(([, strange]) => strange.length > 0)
    .map(([text]) => text.trim());
}

const PAGES = [
  '/segments',
  '/segments/kinds',
  '/segments/list',
  '/segments/kinds/members',
  '/segments/list/members',
  '/segments/kinds/breakdown',
  '/segments/kinds/versions',
  '/segments/kinds/overlap?with=list',
  '/segments/kinds/pipeline',
  '/segments/kinds/webhooks',
  '/segments/kinds/edit',
  '/segments/new?blank=1',
  '/segments/new',
  '/users',
  '/users?by=country&q=XX',
  '/users?q=nobody',
  '/users/c05?why=kinds',
  '/users/c05/timeline',
  '/traits',
  '/traits/new',
  '/traits/totalSpent',
  '/events',
  '/events/data',
  '/events/connect',
  '/imports?segment=list',
  '/audit',
  '/system',
  '/nowhere',
];

test('no page has a word of its own', async (context) => {
  for (const url of PAGES) {
    await context.test(url, async () => {
      const { page, words } = await bracketedPage();
      await page.goto(url);
      await page.locator('h1, h2').first().waitFor();
      await page.waitForTimeout(1200);
      assert.deepEqual(await strangersOf(page, words), [], url);
      await page.context().close();
    });
  }
});

test('the test finds a word that stands in no catalogue', async () => {
  const { page, words } = await bracketedPage();
  await page.goto('/segments');
  await page.locator('h1, h2').first().waitFor();
  await page.evaluate(() => document.querySelector('h1')?.append(' Foreign'));
  assert.deepEqual(await strangersOf(page, words), ['Foreign']);
  await page.context().close();
});
