// Lists: ordered, found, kept as views, changed together, taken back; the search over everything; the audit log.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { assertSound, keepShot, openPage, startBrowser } from './browser.js';
import { call, fill, startPlatform } from './platform.js';

let platform;
let browser;

before(async () => {
  platform = await startPlatform();
  await fill(platform.address);
  for (const [id, name, owner, value] of [
    ['few', 'Bought often', 'Ada', 15],
    ['many', 'Bought ever', 'Ben', 1],
    ['some', 'Bought sometimes', 'Ada', 5],
  ]) {
    const rules = { event: 'purchase', operator: 'gte', value };
    await call(platform.address, 'POST', '/api/segments', { id, name, owner, tags: [`tag-${id}`], rules });
  }
  await call(platform.address, 'POST', '/api/segments', {
    id: 'uses',
    name: 'Uses often',
    rules: { segment: 'few' },
  });
  browser = await startBrowser();
});

after(async () => {
  await browser?.close();
  await platform?.stop();
});

const names = (page) => page.locator('tbody a.title').allTextContents();
const status = async (id) => (await call(platform.address, 'GET', `/api/segments/${id}`)).status;
const until = async (is, what) => {
  for (let left = 100; left > 0; left -= 1) {
    if (await is()) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert.fail(what);
};

test('columns order, words and owners find, and a view keeps all of it', async () => {
  const { page, faults } = await openPage(browser, platform.address);
  await page.goto('/segments');
  await page.getByRole('button', { name: 'Size' }).click();
  await page
    .getByRole('columnheader', { name: 'Size' })
    .and(page.locator('[aria-sort=descending]'))
    .waitFor();
  assert.deepEqual(await names(page), ['Bought ever', 'Bought sometimes', 'Bought often', 'Uses often']);
  await page.getByRole('button', { name: 'Size' }).press('Enter');
  await page.locator('th[aria-sort=ascending]').waitFor();
  await page.getByRole('searchbox', { name: 'Search segments' }).fill('tag- bought');
  await page.getByRole('combobox', { name: 'Owner' }).selectOption('Ada');
  await until(async () => (await names(page)).join() === 'Bought often,Bought sometimes', 'those of Ada');
  await page.getByRole('button', { name: 'Views' }).click();
  await page.getByRole('menuitem', { name: 'Save this view…' }).click();
  await page.getByLabel('Name', { exact: true }).fill('Mine');
  await page.keyboard.press('Enter');
  await page.getByRole('button', { name: 'Mine' }).waitFor();
  await page.goto('/segments');
  await page.getByRole('link', { name: 'Bought ever' }).waitFor();
  await page.getByRole('button', { name: 'Views' }).click();
  await page.getByRole('menuitem', { name: 'Mine' }).click();
  await until(async () => (await names(page)).join() === 'Bought often,Bought sometimes', 'the view');
  assert.equal(await page.getByRole('searchbox', { name: 'Search segments' }).inputValue(), 'tag- bought');
  await assertSound(page, 'list');
  assert.deepEqual(faults, []);
  await page.context().close();
});

test('several are deactivated after one question with every effect, and the message takes it back', async () => {
  const { page, faults } = await openPage(browser, platform.address);
  await page.goto('/segments');
  await page.getByRole('checkbox', { name: 'Choose Bought often' }).check();
  await page.getByRole('checkbox', { name: 'Choose Bought ever' }).check();
  await page.getByRole('button', { name: 'Deactivate…' }).click();
  const dialog = page.getByRole('dialog', { name: 'Deactivate 2 segments?' });
  const effects = dialog.getByRole('list', { name: 'Who enters and leaves' });
  await effects.getByText('5 → 0').first().waitFor();
  await effects.getByText('19 → 0').waitFor();
  // The one that uses a chosen one loses its members too.
  await effects.locator('li', { hasText: 'Uses often' }).getByText('5 → 0').waitFor();
  await assertSound(page, 'several');
  await keepShot(page, 'lists-several');
  await dialog.getByRole('button', { name: 'Deactivate' }).click();
  await page.getByText('2 segments are inactive now.').waitFor();
  assert.deepEqual([await status('few'), await status('many')], ['INACTIVE', 'INACTIVE']);
  await page.getByRole('button', { name: 'Undo' }).click();
  await page.getByText('It is undone.').waitFor();
  assert.deepEqual([await status('few'), await status('many')], ['ACTIVE', 'ACTIVE']);
  assert.deepEqual(faults, []);
  await page.context().close();
});

test('an archived segment and an edit are taken back from their messages', async () => {
  const { page } = await openPage(browser, platform.address);
  await page.goto('/segments/some');
  await page.getByRole('button', { name: 'More' }).click();
  await page.getByRole('menuitem', { name: 'Archive…' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Archive' }).click();
  await page.getByRole('button', { name: 'Undo' }).click();
  await until(async () => (await status('some')) === 'ACTIVE', 'active again');
  await page.goto('/segments/some/edit');
  await page.getByRole('combobox', { name: 'Value' }).fill('7');
  await page.getByRole('button', { name: 'Save changes' }).click();
  await page.getByRole('button', { name: 'Undo' }).click();
  const value = async () => (await call(platform.address, 'GET', '/api/segments/some')).rules.value;
  await until(async () => (await value()) === 5, 'the threshold of before');
  await page.context().close();
});

test('Ctrl K finds segments, traits, users and pages by words', async () => {
  const { page, faults } = await openPage(browser, platform.address);
  await page.goto('/system');
  await page.getByRole('heading', { name: 'System' }).first().waitFor();
  for (const [words, url] of [
    ['often bought', '**/segments/few'],
    ['totalSp', '**/traits/totalSpent'],
    ['c07', '**/users/c07'],
    ['audit', '**/audit'],
  ]) {
    await page.keyboard.press('Control+k');
    await page.getByRole('combobox', { name: 'Search everything' }).pressSequentially(words);
    await page.getByRole('option').first().waitFor();
    await page
      .getByRole('option', { name: new RegExp(words.split(' ')[0], 'i') })
      .first()
      .waitFor();
    await assertSound(page, 'search');
    await page.keyboard.press('Enter');
    await page.waitForURL(url);
  }
  assert.deepEqual(faults, []);
  await page.context().close();
});

test('the audit log shows before and after in words, has days, and is kept as a file', async () => {
  const { page, faults } = await openPage(browser, platform.address);
  const rules = { event: 'purchase', operator: 'gte', value: 2 };
  await call(platform.address, 'PATCH', '/api/segments/many', { rules });
  await page.goto('/audit?id=many');
  await page.getByRole('button', { name: 'Before and after' }).first().click();
  await page.getByText('− did purchase').waitFor();
  await page.getByText('+ did purchase at least 2 times').waitFor();
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    (async () => {
      await page.getByRole('button', { name: 'Export' }).click();
      await page.getByRole('menuitem', { name: 'CSV' }).click();
    })(),
  ]);
  assert.match(download.suggestedFilename(), /^audit-\d{4}-\d{2}-\d{2}\.csv$/);
  const text = await readFile(await download.path(), 'utf8');
  assert.match(text, /^at,author,action,kind,id,version,note,before,after\r\n/);
  assert.match(text, /,updated,segment,many,/);
  const tomorrow = new Date(Date.now() + 86_400_000).toISOString().slice(0, 10);
  await page.getByLabel('From', { exact: true }).fill(tomorrow);
  await page.getByText('No change fits').waitFor();
  await page
    .getByLabel('From', { exact: true })
    .fill(new Date(Date.now() - 86_400_000).toISOString().slice(0, 10));
  await page.getByLabel('To', { exact: true }).fill(tomorrow);
  await page.getByRole('row', { name: /many/ }).first().waitFor();
  await assertSound(page, 'audit');
  assert.deepEqual(faults, []);
  await page.context().close();
});
