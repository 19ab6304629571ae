// People in tables with chosen columns, found by a trait; who entered and left stands in a timeline and in the live feed.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { assertSound, keepShot, openPage, startBrowser } from './browser.js';
import { call, startPlatform } from './platform.js';

let platform;
let browser;

before(async () => {
  platform = await startPlatform();
  const events = [];
  for (let number = 0; number < 30; number += 1) {
    const userId = `p${String(number).padStart(2, '0')}`;
    const traits = {
      name: `Person ${number}`,
      email: `${number % 10}.person${number}@example.com`,
      plan: 'free',
    };
    events.push({ userId, eventType: 'identify', traits });
    for (let nth = 0; nth < number % 3; nth += 1)
      events.push({ userId, eventType: 'purchase', properties: { amount: 20 } });
  }
  await call(platform.address, 'POST', '/api/segments', {
    id: 'buyers',
    name: 'Buyers',
    rules: { event: 'purchase' },
  });
  await call(platform.address, 'POST', '/api/events', events);
  // The schema follows about a second later.
  for (let round = 0; round < 100; round += 1) {
    const { traits } = await call(platform.address, 'GET', '/api/schema');
    if (traits.length >= 3) break;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  browser = await startBrowser();
});

after(async () => {
  await browser?.close();
  await platform?.stop();
});

const rows = (page) => page.locator('table.people tbody tr');

async function hasRows(page, count) {
  for (let round = 0; round < 100 && (await rows(page).count()) !== count; round += 1)
    await page.waitForTimeout(100);
  assert.equal(await rows(page).count(), count);
}

test('users stand in a table with chosen columns, which stay', async () => {
  const { page, faults } = await openPage(browser, platform.address);
  await page.goto('/users');
  await page.getByRole('columnheader', { name: 'email' }).waitFor();
  await page.getByRole('cell', { name: 'Person 7', exact: true }).waitFor();
  await page.getByRole('button', { name: 'Columns' }).click();
  const dialog = page.getByRole('dialog', { name: 'Columns' });
  await dialog.getByLabel(/^totalSpent/).check();
  await dialog.getByLabel(/^name/).uncheck();
  await assertSound(page, 'columns');
  await dialog.getByRole('button', { name: 'Done' }).click();
  await page.getByRole('row', { name: /p05.*5\.person5@example\.com.*40/ }).waitFor();
  await page.reload();
  await page.getByRole('columnheader', { name: 'totalSpent' }).waitFor();
  assert.equal(await page.getByRole('columnheader', { name: 'name', exact: true }).count(), 0);
  await assertSound(page, 'users');
  await keepShot(page, 'people-1280');
  assert.deepEqual(faults, []);
  await page.context().close();
});

test('a person is found by the beginning of a trait, and by its whole', async () => {
  const { page } = await openPage(browser, platform.address);
  await page.goto('/users');
  await page.getByRole('combobox', { name: 'Search by' }).selectOption('email');
  await page
    .getByRole('searchbox', { name: 'Search by email' })
    .pressSequentially('7.person1', { delay: 20 });
  await page.getByRole('heading', { name: '1 user found' }).waitFor();
  await hasRows(page, 1);
  await page.getByRole('combobox', { name: 'Search by' }).selectOption('name');
  await page.getByRole('combobox', { name: 'How it fits' }).selectOption('equals');
  await page.getByRole('searchbox', { name: 'Search by name' }).fill('Person 2');
  await page.getByRole('link', { name: 'p02' }).waitFor();
  await hasRows(page, 1);
  // The address of a search can be passed on.
  await page.reload();
  await page.getByRole('link', { name: 'p02' }).waitFor();
  await page.getByRole('searchbox', { name: 'Search by name' }).fill('Nobody');
  await page.getByText('Nobody has such a value').waitFor();
  await page.context().close();
});

test('members have the same columns and search, and are exported with them', async () => {
  const { page } = await openPage(browser, platform.address);
  await page.goto('/segments/buyers/members');
  await hasRows(page, 20);
  await page.getByRole('cell', { name: '4.person4@example.com' }).waitFor();
  const downloading = page.waitForEvent('download');
  await page.getByRole('button', { name: 'Export all' }).click();
  await page.getByRole('menuitem', { name: 'CSV', exact: true }).click();
  const csv = await readFile(await (await downloading).path(), 'utf8');
  const lines = csv.trim().split('\r\n').sort();
  assert.equal(lines.length, 21);
  assert.ok(lines.includes('p04,Person 4,4.person4@example.com'), csv);
  assert.ok(lines.includes('userId,name,email'), csv);
  await page.getByRole('combobox', { name: 'Search by' }).selectOption('email');
  await page.getByRole('searchbox', { name: 'Search by email' }).fill('4.');
  await page.getByRole('heading', { name: '2 members found' }).waitFor();
  await hasRows(page, 2);
  await assertSound(page, 'members');
  await keepShot(page, 'members-table-1280');
  await page.context().close();
});

test('a timeline has entered and left between the events, and the live feed begins with the past', async () => {
  const { page, faults } = await openPage(browser, platform.address);
  await page.goto('/segments/buyers');
  const feed = page.getByRole('list', { name: 'Changes, newest first' });
  await feed.waitFor();
  assert.equal(await feed.getByRole('listitem').count(), 20, 'the last 20, before anything happens');
  await call(platform.address, 'POST', '/api/events', { userId: 'p00', eventType: 'purchase' });
  await feed.getByRole('link', { name: 'p00' }).waitFor();
  assert.equal(await feed.getByRole('listitem').count(), 21);
  await call(platform.address, 'PATCH', '/api/segments/buyers', {
    rules: { event: 'purchase', operator: 'gte', value: 9 },
  });
  await page.goto('/users/p01/timeline');
  const items = page.getByRole('region', { name: 'Timeline' }).getByRole('listitem');
  await items.filter({ hasText: 'left Buyers by an edit of the segment' }).waitFor();
  await items.filter({ hasText: 'entered Buyers' }).waitFor();
  const texts = (await items.allTextContents()).map((text) => text.replace(/\s+/g, ' '));
  const at = (word) => texts.findIndex((text) => text.includes(word));
  assert.ok(at('left') < at('entered') && at('entered') <= at('purchase'), String(texts));
  await page.getByRole('combobox', { name: 'What is shown' }).selectOption({ label: 'Entered and left' });
  await page.waitForFunction(() => document.querySelectorAll('.timeline li').length === 2);
  await assertSound(page, 'timeline with memberships');
  await keepShot(page, 'timeline-memberships-1280');
  assert.deepEqual(faults, []);
  await page.context().close();
});
