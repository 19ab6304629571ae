// Lists are made and filled by hand, what is typed is steered, and what is lost is told.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertSound, keepShot, openPage, startBrowser } from './browser.js';
import { call, fill, startPlatform } from './platform.js';

let platform;
let browser;

before(async () => {
  platform = await startPlatform();
  await fill(platform.address);
  const bought = { event: 'purchase', operator: 'gte', value: 15 };
  await call(platform.address, 'POST', '/api/segments', { id: 'often', name: 'Often', rules: bought });
  browser = await startBrowser();
});

after(async () => {
  await browser?.close();
  await platform?.stop();
});

/** Chooses a file of these bytes. */
const choose = (page, name, buffer) =>
  page.locator('input[type=file]').setInputFiles({ name, mimeType: 'text/csv', buffer });

test('a static list is created by hand, and filled from a file as a spreadsheet writes it', async () => {
  const { page, faults } = await openPage(browser, platform.address);
  await page.goto('/segments/new?blank=1');
  await page.getByLabel('Name', { exact: true }).fill('By hand');
  await page.getByLabel('Kind').selectOption('STATIC');
  await page.getByRole('button', { name: 'Create segment' }).click();
  await page.waitForURL('**/imports?segment=by-hand');
  // Windows-1252, semicolons, a heading of its own, spaces around ids, one that nobody has.
  await choose(
    page,
    'list.csv',
    Buffer.from('Name;Nummer\nMüller; c01 \nKöhler;c02\nNobody;x99\n', 'latin1'),
  );
  const file = page.getByRole('region', { name: 'The file' });
  await file.getByText('read as Windows-1252').waitFor();
  await file.getByRole('cell', { name: 'Müller' }).waitFor();
  await file.getByText('Choose the column with the user ids.').waitFor();
  assert.ok(await page.getByRole('button', { name: 'Try it' }).isDisabled());
  await file.getByLabel('The first row is a heading').check();
  await file.getByLabel('Nummer').check();
  await assertSound(page, 'the file');
  await keepShot(page, 'import-file-1280');
  await page.getByRole('button', { name: 'Try it' }).click();
  await page.getByText('Not known yet: x99.').waitFor();
  await page.getByRole('button', { name: 'Import 3 rows' }).click();
  await page.getByRole('heading', { name: 'What was done' }).waitFor();
  const { items } = await call(platform.address, 'GET', '/api/segments/by-hand/members');
  assert.deepEqual(items.toSorted(), ['c01', 'c02', 'x99'], 'no heading and no space came in');
  await choose(page, 'open.csv', Buffer.from('userId\nc01\n"c02\nc03\n'));
  await page.getByText('Line 3: a quotation mark is opened and never closed.').waitFor();
  assert.ok(await page.getByRole('button', { name: 'Try it' }).isDisabled());
  // To replace the members says first how many leave.
  await page.getByRole('button', { name: 'Replace', exact: true }).click();
  await choose(page, 'one.csv', Buffer.from('userId\nc03\n'));
  await page.getByRole('button', { name: 'Try it' }).click();
  await page.getByRole('button', { name: 'Import 1 row' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByText('Members who leave it: 3. Users who enter it: 1.').waitFor();
  await dialog.getByRole('button', { name: 'Import' }).click();
  await page.getByRole('heading', { name: 'What was done' }).waitFor();
  assert.deepEqual(faults, []);
  await page.context().close();
});

test('only operators that fit are offered, each with its help, and a name that was never seen is told', async () => {
  const { page } = await openPage(browser, platform.address);
  await page.goto('/segments/new?blank=1');
  await page.getByRole('button', { name: 'Add the first condition' }).click();
  await page.getByRole('menuitem', { name: 'Has a trait', exact: true }).click();
  await page.waitForTimeout(800);
  assert.equal(await page.locator('.condition [aria-invalid=true]').count(), 0, 'it is not born red');
  assert.equal(await page.locator('.condition .faults').count(), 0);
  await page.keyboard.type('country');
  const options = await page
    .getByRole('combobox', { name: 'Comparison' })
    .locator('option')
    .allTextContents();
  assert.ok(
    options.some((one) => one.includes('contains')) && !options.some((one) => one.includes('more than')),
    String(options),
  );
  await page.getByRole('combobox', { name: 'Trait' }).fill('contry');
  await page.getByRole('combobox', { name: 'Comparison' }).focus();
  await page.getByText('The value is exactly this.').waitFor();
  await page.getByRole('button', { name: 'country', exact: true }).click();
  assert.equal(await page.getByRole('combobox', { name: 'Trait' }).inputValue(), 'country');
  assert.equal(await page.getByText('never seen').count(), 0);
  await page.context().close();
});

test('without a connection nothing is said to be live, and a save says that nothing was saved', async () => {
  const { page } = await openPage(browser, platform.address);
  await page.goto('/segments/often/edit');
  await page.getByRole('region', { name: 'Preview' }).getByText('live', { exact: true }).waitFor();
  await page.context().setOffline(true);
  await page.getByRole('region', { name: 'Preview' }).getByText('no connection').waitFor();
  await page.getByLabel('Name', { exact: true }).fill('Often, offline');
  await page.getByRole('button', { name: 'Save changes' }).click();
  await page.getByText('Nothing was changed; try again').waitFor();
  await page.context().setOffline(false);
  await page.getByRole('region', { name: 'Preview' }).getByText('live', { exact: true }).waitFor();
  await page.context().close();
});

test('an explanation of the past is asked for and told in the zone that is chosen', async () => {
  const { page } = await openPage(browser, platform.address, {
    timezoneId: 'America/New_York',
    locale: 'en-US',
  });
  await page.goto('/users/c19?why=often');
  await page.getByText('as of now').waitFor();
  const asOf = page.getByLabel(/^As of, E[SD]T$/);
  const asked = page.waitForRequest((request) => request.url().includes('at=2025-01-15T17%3A00%3A05Z'));
  await asOf.fill('2025-01-15T12:00:05');
  await asked;
  await page.getByText(/as of Jan 15, 2025, 12:00:05.PM EST/).waitFor();
  assert.equal(await page.getByText(/ago/).count(), 0, 'nothing of the past is told from now');
  await page.getByLabel('Zone of times').selectOption('UTC');
  await page.getByText(/as of Jan 15, 2025, 0?5:00:05.PM UTC/).waitFor();
  await page.context().close();
});

test('an export is named after its segment', async () => {
  const { page } = await openPage(browser, platform.address);
  await page.goto('/segments/often/members');
  const download = page.waitForEvent('download');
  await page.getByRole('button', { name: 'Export all' }).click();
  await page.getByRole('menuitem', { name: 'CSV' }).click();
  assert.match((await download).suggestedFilename(), /^often-\d{4}-\d{2}-\d{2}\.csv$/);
  await page.context().close();
});
