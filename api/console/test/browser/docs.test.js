// The page at /docs: every operation and schema of the description, each with an example, and no reference left over.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { keepShot, openPage, startBrowser } from './browser.js';
import { startPlatform } from './platform.js';

const METHODS = ['get', 'post', 'put', 'patch', 'delete'];

let platform;
let browser;
let spec;

before(async () => {
  platform = await startPlatform();
  spec = await (await fetch(`${platform.address}/openapi.json`)).json();
  browser = await startBrowser();
});

after(async () => {
  await browser?.close();
  await platform?.stop();
});

test('the page shows every operation and every schema of the description', async () => {
  const { page, faults } = await openPage(browser, platform.address);
  await page.goto('/docs');
  await page.locator('.schema').last().waitFor({ state: 'attached' });
  const ids = (kind) => page.$$eval(kind, (found) => found.map((one) => one.id).sort());
  const operations = Object.values(spec.paths).flatMap((item) =>
    METHODS.filter((method) => item[method]).map((method) => item[method].operationId),
  );
  assert.deepEqual(await ids('.operation'), operations.sort());
  const schemas = Object.keys(spec.components.schemas).map((name) => `schema-${name}`);
  assert.deepEqual(await ids('.schema'), schemas.sort());
  const bare = await page.$$eval('.schema', (found) =>
    found.filter((one) => !one.querySelector('pre')).map((one) => one.id),
  );
  assert.deepEqual(bare, [], 'schemas without an example');
  const text = await page.textContent('main');
  for (const sign of ['$ref', 'undefined', '[object'])
    assert.ok(!text.includes(sign), `${sign} stands in the page`);
  assert.deepEqual(faults, []);
  await page.context().close();
});

test('a body behind a reference is described, and a link opens what it leads to', async () => {
  const { page, faults } = await openPage(browser, platform.address);
  await page.goto('/docs#replaceMembers');
  const operation = page.locator('#replaceMembers');
  await operation.locator('h3', { hasText: 'Body' }).waitFor({ state: 'visible' });
  const text = await operation.textContent();
  assert.ok(text.includes('application/json') && text.includes('text/csv'), text);
  await operation.locator('a[href="#schema-Members"]').first().click();
  await page.locator('#schema-Members pre').waitFor({ state: 'visible' });
  await keepShot(page, 'docs');
  assert.deepEqual(faults, []);
  await page.context().close();
});
