// People name events, properties and traits, and choose a currency: everybody reads and finds things by it.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertSound, keepShot, openPage, startBrowser } from './browser.js';
import { call, fill, startPlatform } from './platform.js';

let platform;
let browser;

before(async () => {
  platform = await startPlatform();
  await fill(platform.address);
  const rules = { event: 'purchase', measure: { fn: 'sum', of: 'amount' }, operator: 'gte', value: 500 };
  await call(platform.address, 'POST', '/api/segments', { id: 'spent', name: 'Spent much', rules });
  browser = await startBrowser();
});

after(async () => {
  await browser?.close();
  await platform?.stop();
});

test('a name and a description are given on the page of data', async () => {
  const { page, faults } = await openPage(browser, platform.address, { locale: 'en-US' });
  await page.goto('/events/data');
  await page.getByRole('button', { name: 'Name and description of purchase' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Name for people').pressSequentially('Paid order');
  await dialog.getByLabel('Description').pressSequentially('An order whose money has come.');
  await assertSound(page, 'the dialog of a name');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await page.getByText('Paid order', { exact: true }).waitFor();
  await page.getByText('An order whose money has come.').waitFor();
  await page.getByRole('button', { name: 'Properties of purchase' }).click();
  await page.getByRole('button', { name: 'Name and description of amount' }).click();
  await dialog.getByLabel('Name for people').pressSequentially('Order value');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await page.getByText('Order value', { exact: true }).waitFor();
  await assertSound(page, 'the page of data');
  // Who named what, and from what to what, stands in the audit log.
  for (const name of ['Value of the order', 'Order value']) {
    await page.getByRole('button', { name: 'Name and description of amount' }).click();
    await dialog.getByLabel('Name for people').fill(name);
    await dialog.getByRole('button', { name: 'Save' }).click();
    await page.getByText(name, { exact: true }).waitFor();
  }
  await page.goto('/audit?kind=label');
  await page.getByText('displayName: Order value → Value of the order').waitFor();
  await page.goto('/events/data');
  await keepShot(page, 'named-data');
  assert.deepEqual(faults, []);
  await page.context().close();
});

test('rules, the builder and the search have the names; what is stored does not', async () => {
  const { page } = await openPage(browser, platform.address, { locale: 'en-US' });
  await page.goto('/segments/spent');
  await page.getByText('sum of Order value of Paid order is at least 500').waitFor();
  await page.goto('/segments/spent/edit');
  const field = page.getByRole('combobox', { name: 'Property that is measured' });
  await page.waitForFunction(
    () => [...document.querySelectorAll('input')].some((one) => one.value === 'Order value'),
    undefined,
  );
  await field.click();
  assert.equal(await field.inputValue(), 'amount', 'whoever types sees the name that rules use');
  await page.keyboard.press('Escape');
  const event = page.getByRole('combobox', { name: 'Event', exact: true });
  await event.fill('paid');
  await page.getByRole('option', { name: /Paid order.*purchase/ }).click();
  assert.equal(await event.inputValue(), 'purchase');
  await page.goto('/segments');
  await page.getByRole('heading', { name: 'Segments' }).first().waitFor();
  await page.keyboard.press('Control+k');
  await page.getByRole('combobox', { name: 'Search everything' }).fill('money has come');
  await page.getByRole('option', { name: /Paid order/ }).click();
  await page.waitForURL('**/events/data?show=purchase');
  const stored = await call(platform.address, 'GET', '/api/segments/spent');
  assert.deepEqual([stored.rules.event, stored.rules.measure.of], ['purchase', 'amount']);
  await page.context().close();
});

test('amounts show the currency that is chosen, on every page and in the language of the person', async () => {
  const { page, faults } = await openPage(browser, platform.address, { locale: 'en-US' });
  await page.goto('/system');
  await page.getByRole('combobox', { name: 'Currency' }).selectOption('EUR');
  await page.getByText('Amounts are shown in EUR.').waitFor();
  await assertSound(page, 'the currency');
  await page.goto('/segments/spent');
  await page.getByText('sum of Order value of Paid order is at least €500.00').waitFor();
  await page.goto('/users/c05');
  await page.getByRole('region', { name: 'Computed traits' }).getByText('€500.00').waitFor();
  await page.goto('/users/c05/timeline');
  await page.getByText('€100.00').first().waitFor();
  await page.goto('/users/c05?why=spent');
  await page.getByText('found €500.00').waitFor();
  assert.deepEqual(faults, []);
  await page.context().close();
  const german = await openPage(browser, platform.address, { locale: 'de-DE' });
  await german.page.goto('/users/c05');
  await german.page.getByText('500,00\u00a0€').first().waitFor();
  await german.page.context().close();
  await call(platform.address, 'DELETE', '/api/vocabulary/currency');
});

test('the time zone of the platform is set after a question, and stands in the audit log', async () => {
  const { page, faults } = await openPage(browser, platform.address, { locale: 'en-US' });
  await page.goto('/system');
  const zone = page.getByRole('combobox', { name: 'Time zone' });
  const dialog = page.getByRole('dialog');
  await zone.selectOption('Europe/Berlin');
  await assertSound(page, 'the question about a time zone');
  await dialog.getByRole('button', { name: 'Cancel' }).click();
  assert.equal(await zone.inputValue(), 'UTC', 'nothing was changed');
  await zone.selectOption('Europe/Berlin');
  await dialog.getByLabel('Note').fill('We moved');
  await dialog.getByRole('button', { name: 'Set the time zone' }).click();
  await page.getByText('The time zone is Europe/Berlin.').waitFor();
  await page.getByText('set it on').waitFor();
  await assertSound(page, 'the time zone');
  await keepShot(page, 'time-zone');
  assert.equal((await call(platform.address, 'GET', '/api/timezone')).timezone, 'Europe/Berlin');
  await page.goto('/audit?kind=setting');
  await page.getByText('timezone: UTC → Europe/Berlin').waitFor();
  await page.getByRole('cell', { name: 'We moved' }).waitFor();
  assert.deepEqual(faults, []);
  await page.context().close();
  await call(platform.address, 'PUT', '/api/timezone', { timezone: 'UTC' });
});
