// Charts: marks of edits, a breakdown by a trait, the size of a new rule over the past, and the last hour of the system.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertSound, keepShot, openPage, startBrowser } from './browser.js';
import { call, fill, startPlatform } from './platform.js';

let platform;
let browser;

before(async () => {
  platform = await startPlatform();
  await fill(platform.address);
  const bought = { event: 'purchase', operator: 'gte', value: 5 };
  await call(platform.address, 'POST', '/api/segments', { id: 'often', name: 'Often', rules: bought });
  await call(platform.address, 'PATCH', '/api/segments/often', { description: 'No edit of the rule' });
  await call(platform.address, 'PATCH', '/api/segments/often', { rules: { ...bought, value: 3 } });
  browser = await startBrowser();
});

after(async () => {
  await browser?.close();
  await platform?.stop();
});

test('a breakdown shows values, others and those without, which together are everybody', async () => {
  const { page, faults } = await openPage(browser, platform.address);
  await page.goto('/segments/often/breakdown?by=plan');
  const region = page.getByRole('region', { name: 'Breakdown' });
  await region.getByRole('row', { name: /No value/ }).waitFor();
  const counts = await region.locator('tbody tr td.number').allTextContents();
  const sum = counts.map((text) => Number.parseInt(text.trim(), 10)).reduce((all, one) => all + one, 0);
  // Those of the numbers 3 to 19 bought so often.
  assert.equal(sum, 17, String(counts));
  await region.getByRole('combobox', { name: 'Trait' }).selectOption('country');
  await region.getByRole('row', { name: /^SE/ }).waitFor();
  await page.waitForURL('**/breakdown?by=country');
  await assertSound(page, 'breakdown');
  await keepShot(page, 'breakdown-1280');
  assert.deepEqual(faults, []);
  await page.context().close();
});

test('the chart of a segment has a mark where its rule was edited', async () => {
  const { page } = await openPage(browser, platform.address);
  // Sizes of a while before the edit; the platform itself has none yet.
  await page.route('**/api/segments/often/size*', async (route) => {
    const answer = await (await route.fetch()).json();
    const at = (minutes) => new Date(Date.now() + minutes * 60_000).toISOString();
    const points = [-40, -20, 0, 1].map((minutes) => ({ at: at(minutes), size: 10, entered: 0, left: 0 }));
    await route.fulfill({ json: { ...answer, points } });
  });
  await page.goto('/segments/often');
  const edits = page.getByRole('list', { name: 'Edits' });
  await edits.getByText(/Version 3 by/).waitFor();
  assert.equal(await edits.getByRole('listitem').count(), 1);
  await keepShot(page, 'chart-marks-1280');
  await page.context().close();
});

test('a new rule shows how large it would have been', async () => {
  const { page, faults } = await openPage(browser, platform.address);
  await page.goto('/segments/new?blank=1');
  await page.getByRole('button', { name: 'Add the first condition' }).click();
  await page.getByRole('menuitem', { name: 'Did something', exact: true }).click();
  await page.keyboard.type('purchase');
  const card = page.getByRole('region', { name: 'Size over the past' });
  await card.getByRole('button', { name: '30 days' }).click();
  await card.getByText(/Exact, over \d+ events/).waitFor();
  // Everybody but c00 bought something by now.
  const said = await card.getByRole('group', { name: /^Size from/ }).getAttribute('aria-label');
  assert.match(said, /to 19 at/);
  await assertSound(page, 'the past of a rule');
  await keepShot(page, 'past-sizes-1280');
  assert.deepEqual(faults, []);
  await page.context().close();
});

test('the last hour of the system is there after a reload', async () => {
  const { page } = await openPage(browser, platform.address);
  let points = [];
  for (let round = 0; round < 300 && points.length < 2; round += 1) {
    ({ items: points } = await call(platform.address, 'GET', '/api/system/hour'));
    if (points.length < 2) await page.waitForTimeout(100);
  }
  await page.goto('/system');
  await page.getByRole('img', { name: /^Memory: now/ }).waitFor();
  await page.reload();
  await page.getByRole('img', { name: /^Memory: now/ }).waitFor();
  const line = await page
    .getByRole('img', { name: /^Memory: now/ })
    .locator('path')
    .last()
    .getAttribute('d');
  assert.ok(line.split('L').length >= points.length, 'at once there are the points of before');
  await page.context().close();
});
