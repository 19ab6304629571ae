// The first events: sent from the page and by a copied snippet, seen as they come in, refused ones with the reason, and what
// they look like; an empty instance takes the demo.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { assertSound, keepShot, openPage, startBrowser } from './browser.js';
import { call, startPlatform } from './platform.js';

let platform;
let browser;

before(async () => {
  platform = await startPlatform();
  browser = await startBrowser();
});

after(async () => {
  await browser?.close();
  await platform?.stop();
});

test('the first page leads to the first event, which is seen as it comes in', async () => {
  const { page, faults } = await openPage(browser, platform.address);
  await page.goto('/segments');
  await page.getByRole('link', { name: 'Send the first event' }).click();
  await page.getByText('Waiting for the first event').waitFor();
  await assertSound(page, 'connect');
  await page.getByRole('button', { name: 'Send it' }).click();
  const list = page.getByRole('list', { name: 'Events, newest first' });
  await list.getByRole('link', { name: 'test-user' }).waitFor();
  await page.getByText('1 accepted so far').waitFor();
  assert.equal(await page.evaluate(() => document.activeElement?.textContent?.trim()), 'Send it');
  const { items } = await call(platform.address, 'GET', '/api/users/test-user/events');
  assert.deepEqual(
    items.map((event) => event.eventType),
    ['test'],
  );
  await keepShot(page, 'connect-1280');
  assert.deepEqual(faults, []);
  await page.context().close();
});

test('the snippet for curl works as it is copied', async () => {
  const { page } = await openPage(browser, platform.address, {
    permissions: ['clipboard-read', 'clipboard-write'],
  });
  await page.goto('/events/connect');
  await page.getByRole('region', { name: 'Snippets' }).getByRole('button', { name: 'Copy' }).click();
  const command = await page.evaluate(() => navigator.clipboard.readText());
  assert.ok(command.includes(platform.address), command);
  await promisify(execFile)('sh', ['-c', command]);
  await page.getByRole('link', { name: 'user123' }).waitFor();
  for (const language of ['Browser', 'Node', 'Python']) {
    await page.getByRole('button', { name: language, exact: true }).click();
    const snippet = await page.getByLabel(`Snippet for ${language}`).textContent();
    assert.ok(snippet.includes(platform.address), snippet);
  }
  await page.context().close();
});

test('a refused event shows the reason and the member that it is about', async () => {
  const { page, faults } = await openPage(browser, platform.address);
  await page.goto('/events');
  await fetch(`${platform.address}/api/events`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify([{ userId: 'u1', eventType: 'visit', timestamp: 'yesterday' }]),
  });
  const refused = page.getByRole('listitem').filter({ hasText: 'Refused:' });
  await refused.getByText('timestamp', { exact: true }).waitFor();
  await refused.getByText('"yesterday"').first().waitFor();
  await page.getByRole('button', { name: 'Accepted', exact: true }).click();
  assert.equal(await refused.count(), 0);
  await page.getByRole('button', { name: 'Refused', exact: true }).click();
  await refused.first().waitFor();
  await assertSound(page, 'debugger');
  await keepShot(page, 'events-live-1280');
  assert.deepEqual(faults, []);
  await page.context().close();
});

test('a refused message of a library is kept, with what was sent', async () => {
  const { page, faults } = await openPage(browser, platform.address);
  await page.goto('/events/refused');
  await page.getByText('No message was refused').waitFor();
  const nameless = { type: 'track', userId: 'ann', properties: { total: 3 } };
  await fetch(`${platform.address}/v1/track`, { method: 'POST', body: JSON.stringify(nameless) });
  await page.reload();
  const row = page.getByRole('row').filter({ hasText: '/v1/track' });
  await row.getByText("a track's `event` is missing").waitFor();
  await row.getByText('What was sent').click();
  await row.getByText('"total": 3').waitFor();
  await assertSound(page, 'refused');
  await keepShot(page, 'events-refused-1280');
  assert.deepEqual(faults, []);
  await page.context().close();
});

test('the data page says where text is in a number', async () => {
  const amounts = [10, 20, 30.5, 'none', 'none'];
  await call(
    platform.address,
    'POST',
    '/api/events',
    amounts.map((amount) => ({ userId: 'u2', eventType: 'order', properties: { amount, coupon: true } })),
  );
  const { page, faults } = await openPage(browser, platform.address);
  await page.goto('/events/data');
  const row = page.getByRole('row').filter({ hasText: 'order' }).first();
  await row.getByText('1 property of mixed types').waitFor();
  await row.getByText('5', { exact: true }).first().waitFor();
  await page.getByRole('button', { name: 'Properties of order' }).click();
  await page.getByText('text in a number: 2').waitFor();
  await assertSound(page, 'data');
  await keepShot(page, 'events-data-1280');
  assert.deepEqual(faults, []);
  await page.context().close();
});

test('the demo is loaded from the page', async () => {
  const { page } = await openPage(browser, platform.address);
  await page.goto('/events/connect');
  await page.getByRole('button', { name: 'Load the demo' }).click();
  await page.getByText('The shop is being filled').waitFor();
  await page.getByRole('link', { name: 'To its segments' }).click({ timeout: 120_000 });
  await page.getByRole('link', { name: 'Cart abandoners' }).waitFor();
  await page.context().close();
});
