// Acts that move members say whom before they are done.
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
  await call(platform.address, 'POST', '/api/segments', {
    id: 'uses',
    name: 'Uses often',
    rules: { segment: 'often' },
  });
  await call(platform.address, 'POST', '/api/segments', {
    id: 'without',
    name: 'Without often',
    rules: { logic: 'NOT', conditions: [{ segment: 'uses' }] },
  });
  const spent = { field: 'totalSpent', operator: 'gte', value: 1000 };
  await call(platform.address, 'POST', '/api/segments', { id: 'spenders', name: 'Spenders', rules: spent });
  browser = await startBrowser();
});

after(async () => {
  await browser?.close();
  await platform?.stop();
});

const says = (locator, text) => locator.filter({ hasText: text }).first().waitFor();
const sizeOf = async (id) => (await call(platform.address, 'GET', `/api/segments/${id}`)).size;

async function hasSize(id, size) {
  for (let round = 0; round < 100 && (await sizeOf(id)) !== size; round += 1) {
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert.equal(await sizeOf(id), size, id);
}

test('a segment that others use is deactivated only after the effect is shown, by name', async () => {
  const { page, faults } = await openPage(browser, platform.address);
  await page.goto('/segments/often');
  const users = page.getByRole('region', { name: 'Used by' });
  await users.getByRole('link', { name: 'Uses often' }).waitFor();
  await users.getByRole('link', { name: 'Without often' }).waitFor();
  await page.getByRole('button', { name: 'Deactivate' }).click();
  const dialog = page.getByRole('dialog', { name: 'Deactivate “Often”?' });
  const effects = dialog.getByRole('list', { name: 'Who enters and leaves' });
  // Users 15 to 19 of 20 bought so often.
  await says(effects.getByRole('listitem').filter({ hasText: 'Uses often' }), '5 → 0');
  const filled = effects.getByRole('listitem').filter({ hasText: 'Without often' });
  await says(filled, '15 → 20');
  await says(filled, /\+5 enter.*c15/);
  await assertSound(page, 'effect');
  await keepShot(page, 'effect-1280');
  await dialog.getByRole('button', { name: 'Cancel' }).click();
  assert.equal(await sizeOf('uses'), 5, 'nothing was done');
  await page.getByRole('button', { name: 'Deactivate' }).click();
  await says(effects.getByRole('listitem'), 'Uses often');
  await dialog.getByRole('button', { name: 'Deactivate' }).click();
  await hasSize('without', 20);
  await hasSize('uses', 0);
  await page.getByRole('button', { name: 'Activate' }).click();
  await says(page.getByRole('dialog').getByRole('listitem').filter({ hasText: 'Uses often' }), '0 → 5');
  await page.getByRole('dialog').getByRole('button', { name: 'Activate' }).click();
  await hasSize('without', 15);
  assert.deepEqual(faults, []);
  await page.context().close();
});

test('an edit of a segment that others use, and a rollback, show who moves in all of them', async () => {
  const { page } = await openPage(browser, platform.address);
  await page.goto('/segments/often/edit');
  await page.getByRole('combobox', { name: 'Value' }).fill('10');
  await page.getByRole('button', { name: 'Save changes' }).click();
  const dialog = page.getByRole('dialog');
  await says(dialog.getByRole('listitem').filter({ hasText: 'Without often' }), '15 → 10');
  await dialog.getByRole('button', { name: 'Save changes' }).click();
  await hasSize('without', 10);
  await page.goto('/segments/often/versions');
  await page.getByRole('button', { name: 'Roll back' }).last().click();
  await says(dialog.getByRole('listitem').filter({ hasText: 'Uses often' }), '10 → 5');
  await says(dialog.getByRole('listitem').filter({ hasText: 'Uses often' }), /−5 leave.*c1[0-4]/);
  await dialog.getByRole('button', { name: 'Roll back' }).click();
  await hasSize('without', 15);
  await page.context().close();
});

test('an edit of a computed trait shows who enters and leaves the segments that use it', async () => {
  // As shipped it adds several properties, which has no form.
  await call(platform.address, 'PUT', '/api/traits/totalSpent', {
    event: 'purchase',
    measure: { fn: 'sum', of: 'amount' },
  });
  const { page } = await openPage(browser, platform.address);
  await page.goto('/traits/totalSpent');
  await page.getByRole('region', { name: 'Used by' }).getByRole('link', { name: 'Spenders' }).waitFor();
  await page.getByRole('combobox', { name: 'Measure', exact: true }).selectOption('count');
  await page.getByRole('button', { name: 'Save changes' }).click();
  const dialog = page.getByRole('dialog', { name: 'Change “totalSpent”?' });
  await says(dialog.getByRole('listitem').filter({ hasText: 'Spenders' }), '10 → 0');
  await assertSound(page, 'effect of a trait');
  await keepShot(page, 'effect-trait');
  await dialog.getByRole('button', { name: 'Cancel' }).click();
  assert.equal(await sizeOf('spenders'), 10);
  await page.context().close();
});
