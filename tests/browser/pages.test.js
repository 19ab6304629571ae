// Every page in both themes and at both widths: it shows what it is for, nothing fails, axe finds nothing serious.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertSound, keepShot, openPage, startBrowser } from './browser.js';
import { call, fill, startPlatform } from './platform.js';

let platform;
let browser;

const RULES = {
  logic: 'OR',
  conditions: [
    { event: 'purchase', where: [{ field: 'category', operator: 'in', value: ['shoes', 'books'] }], operator: 'gte', value: 2, within: '60d' },
    { logic: 'NOT', conditions: [{ sequence: [{ event: 'page_view' }, { event: 'purchase', maxGap: '3d' }], within: { ago: ['30d', '10d'] } }, { field: 'plan', operator: 'ne', value: 'free' }] },
    { rank: { by: { event: 'purchase', measure: { fn: 'sum', of: 'amount' } } }, percent: 10, among: { field: 'country', operator: 'eq', value: 'NO' } },
    { sample: { salt: 'exp', from: 0, to: 99 } },
    { segment: 'list' },
  ],
};

before(async () => {
  platform = await startPlatform();
  await fill(platform.address);
  await call(platform.address, 'POST', '/api/segments', { id: 'list', name: 'A list', type: 'STATIC', members: ['c01', 'c02'] });
  await call(platform.address, 'POST', '/api/segments', { id: 'all-kinds', name: 'All kinds of conditions', tags: ['one', 'two'], rules: RULES });
  await call(platform.address, 'PATCH', '/api/segments/all-kinds', { description: 'With a second version' });
  browser = await startBrowser();
});

after(async () => {
  await browser?.close();
  await platform?.stop();
});

const PAGES = {
  segments: ['/segments', 'Segments', 'All kinds of conditions'],
  segment: ['/segments/all-kinds', 'All kinds of conditions', 'Any of'],
  members: ['/segments/all-kinds/members', 'All kinds of conditions', 'c05'],
  versions: ['/segments/all-kinds/versions', 'All kinds of conditions', 'Version 2'],
  overlap: ['/segments/all-kinds/overlap?with=list', 'All kinds of conditions', 'A list'],
  webhooks: ['/segments/all-kinds/webhooks', 'All kinds of conditions', 'ebhook'],
  new: ['/segments/new?blank=1', 'New segment', 'Add the first condition'],
  templates: ['/segments/new', 'New segment', 'Blank segment'],
  edit: ['/segments/all-kinds/edit', 'Edit All kinds of conditions', 'Random share'],
  users: ['/users', 'Users', 'Open'],
  user: ['/users/c05?why=all-kinds', 'c05', 'Computed traits'],
  timeline: ['/users/c05/timeline', 'c05', 'amount'],
  traits: ['/traits', 'Computed traits', 'totalSpent'],
  trait: ['/traits/totalSpent', 'totalSpent', 'sum of'],
  imports: ['/imports?segment=list', 'Imports', 'Choose a CSV file'],
  audit: ['/audit', 'Audit', 'audit'],
  system: ['/system', 'System', 'engine'],
  nowhere: ['/nowhere', 'There is no such page', 'To the segments'],
};

for (const width of [1280, 390]) {
  for (const colorScheme of ['light', 'dark']) {
    test(`pages at ${width}, ${colorScheme}`, async (context) => {
      for (const [name, [url, heading, text]] of Object.entries(PAGES)) {
        await context.test(name, async () => {
          const { page, faults } = await openPage(browser, platform.address, { viewport: { width, height: 844 }, colorScheme });
          await page.goto(url);
          await page.getByRole('heading', { name: heading }).first().waitFor();
          await page.getByText(text).first().waitFor();
          assert.match(await page.title(), /Audience Manager$/);
          await page.waitForLoadState('load');
          await keepShot(page, `${name}-${width}-${colorScheme}`);
          await assertSound(page, name);
          assert.deepEqual(faults, [], `${name}: what failed`);
          await page.context().close();
        });
      }
    });
  }
}

test('the theme that is chosen stays, whatever the system has', async () => {
  const { page } = await openPage(browser, platform.address, { colorScheme: 'light' });
  await page.goto('/segments');
  await page.getByRole('button', { name: /System theme/ }).click();
  await page.getByRole('button', { name: /^Light theme/ }).click();
  await page.reload();
  await page.getByRole('button', { name: /^Dark theme/ }).waitFor();
  assert.equal(await page.evaluate(() => getComputedStyle(document.body).colorScheme), 'dark');
  await page.context().close();
});

test('a failure shows the words of the server, and goes when the server answers again', async () => {
  const { page } = await openPage(browser, platform.address);
  await page.route('**/api/segments?*', (route) => route.fulfill({ status: 503, contentType: 'application/problem+json', body: JSON.stringify({ code: 'store_unavailable', detail: 'the catalogue cannot be reached' }) }));
  await page.goto('/segments');
  await page.getByText('the catalogue cannot be reached').waitFor();
  await page.unroute('**/api/segments?*');
  await page.getByText('All kinds of conditions').waitFor();
  assert.equal(await page.getByText('the catalogue cannot be reached').count(), 0);
  await page.context().close();
});
