// A marketer's day in one go, from the first condition to an import.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertSound, keepShot, openPage, startBrowser } from './browser.js';
import { call, fill, startPlatform } from './platform.js';

let platform;
let browser;

before(async () => {
  platform = await startPlatform();
  await fill(platform.address);
  browser = await startBrowser();
});

after(async () => {
  await browser?.close();
  await platform?.stop();
});

/** Waits until an element says just this. */
const says = (locator, text) => locator.filter({ hasText: new RegExp(`^${text}$`) }).waitFor();

const preview = (page) => page.getByRole('region', { name: 'Preview' });
const previewSize = (page) => preview(page).locator('.preview-size .number');
const size = (page) => page.getByTestId('size');

/** A part of the scenario: each needs the one before, so that the first that fails ends it, by its name. */
async function step(name, act) {
  try {
    await act();
  } catch (error) {
    throw new Error(`where ${name}: ${error.message}`, { cause: error });
  }
}

test('a segment from its first condition to its versions, a user explained, a file imported', async () => {
  const { page, faults } = await openPage(browser, platform.address);
  await step('the builder shows the exact size while conditions are put together', async () => {
    await page.goto('/segments');
    await page.getByRole('link', { name: 'New segment' }).first().click();
    await page.getByRole('button', { name: /Blank segment/ }).click();
    await page.getByLabel('Name', { exact: true }).fill('Frequent buyers');
    await page.getByRole('button', { name: 'Add the first condition' }).click();
    await page.getByRole('menuitem', { name: 'Did something', exact: true }).click();
    const condition = page.locator('.condition').first();
    // The field has the focus, and suggests what the data has.
    await page.keyboard.type('purch');
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('Enter');
    assert.equal(await condition.getByRole('combobox', { name: 'Event' }).inputValue(), 'purchase');
    await condition.getByRole('combobox', { name: 'Window', exact: true }).selectOption({ label: 'ever' });
    // Those of the numbers 1 to 19 bought at all.
    await says(previewSize(page), '19');
    await condition.getByRole('combobox', { name: 'Value' }).fill('15');
    await says(previewSize(page), '5');
    await keepShot(page, 'scenario-builder');
    await assertSound(page, 'builder');
  });
  await step('the JSON follows the form, and the form the JSON', async () => {
    await page.getByRole('button', { name: 'Show JSON' }).click();
    const json = page.getByRole('textbox', { name: 'Rules as JSON' });
    assert.deepEqual(JSON.parse(await json.inputValue()), { event: 'purchase', operator: 'gte', value: 15 });
    await json.fill(JSON.stringify({ event: 'purchase', operator: 'gte', value: 10 }));
    await says(previewSize(page), '10');
    assert.equal(await page.getByRole('combobox', { name: 'Value' }).inputValue(), '10');
  });
  await step('a number with more digits than a browser counts with is kept through the form', async () => {
    const json = page.getByRole('textbox', { name: 'Rules as JSON' });
    await json.fill('{"event":"purchase","operator":"gte","value":12345678901234567.5}');
    await says(previewSize(page), '0');
    await page.getByRole('combobox', { name: 'Comparison' }).selectOption('lt');
    await page.waitForFunction(() =>
      /** @type {any} */ (document.querySelector('.json-pane textarea')).value.includes('"lt"'),
    );
    assert.match(await json.inputValue(), /"value": 12345678901234567\.5\n/);
    await json.fill(JSON.stringify({ event: 'purchase', operator: 'gte', value: 10 }));
    await says(previewSize(page), '10');
  });
  await step('a condition is dragged before another', async () => {
    const json = page.getByRole('textbox', { name: 'Rules as JSON' });
    const plan = { field: 'plan', operator: 'exists' };
    const bought = { event: 'purchase', operator: 'gte', value: 10 };
    await json.fill(JSON.stringify({ conditions: [plan, bought] }));
    await page
      .locator('.condition')
      .nth(1)
      .locator('.grip')
      .dragTo(page.locator('.condition').nth(0), { targetPosition: { x: 200, y: 3 } });
    await page.waitForFunction(() =>
      /** @type {any} */ (document.querySelector('.json-pane textarea')).value.includes('\n'),
    );
    assert.deepEqual(JSON.parse(await json.inputValue()), { conditions: [bought, plan] });
    await json.fill(JSON.stringify(bought));
    await says(previewSize(page), '10');
  });
  await step('conditions are grouped by keyboard, and a fault stands at its node', async () => {
    await page.getByRole('combobox', { name: 'Event' }).focus();
    await page.keyboard.press('Alt+Enter');
    await page.keyboard.type('refund');
    await page.keyboard.press('Alt+ArrowRight');
    assert.equal(await page.locator('.condition-body.is-group .condition').count(), 1);
    await page.keyboard.press('Alt+Backspace');
    await page.locator('.condition-body.is-group').getByRole('button', { name: 'Remove group' }).click();
    await page.getByRole('button', { name: 'Undo' }).click();
    await page.getByRole('button', { name: 'Redo' }).click();
    const json = page.getByRole('textbox', { name: 'Rules as JSON' });
    await json.fill(
      JSON.stringify({
        conditions: [{ segment: 'absent' }, { event: 'purchase', operator: 'gte', value: 10 }],
      }),
    );
    await page.locator('.condition[data-pointer="/conditions/0"] .faults').waitFor();
    assert.equal(await page.locator('.condition[data-pointer="/conditions/1"] .faults').count(), 0);
    await json.fill(JSON.stringify({ event: 'purchase', operator: 'gte', value: 10 }));
    await says(previewSize(page), '10');
  });
  await step('saved, it has those members, and others arrive without a reload', async () => {
    await page.getByRole('button', { name: 'Create segment' }).click();
    await page.waitForURL('**/segments/frequent-buyers');
    await says(size(page), '10');
    await page.getByRole('link', { name: 'Members' }).click();
    await page.getByRole('link', { name: 'c10', exact: true }).waitFor();
    const bought = Array.from({ length: 10 }, () => ({
      userId: 'newcomer',
      eventType: 'purchase',
      properties: { amount: 5 },
    }));
    await call(platform.address, 'POST', '/api/events', bought);
    await page.getByRole('link', { name: 'newcomer', exact: true }).waitFor();
    await says(size(page), '11');
  });
  await step('the live feed says who enters', async () => {
    await page.getByRole('link', { name: 'Overview' }).click();
    const live = page.getByRole('region', { name: 'Live changes' });
    await live.getByText('live', { exact: true }).waitFor();
    await call(
      platform.address,
      'POST',
      '/api/events',
      Array.from({ length: 5 }, () => ({ userId: 'c09', eventType: 'purchase', properties: { amount: 5 } })),
    );
    await live.getByRole('link', { name: 'c09' }).waitFor();
    await says(size(page), '12');
    await keepShot(page, 'scenario-segment');
  });
  await step('an edit of the threshold shows who would leave, and takes effect', async () => {
    await page.getByRole('link', { name: 'Edit', exact: true }).first().click();
    await page.getByRole('combobox', { name: 'Value' }).fill('15');
    await says(preview(page).locator('dd.down'), '−7');
    await page.getByLabel('Note for the history').fill('only the most frequent');
    await page.getByRole('button', { name: 'Save changes' }).click();
    await page.waitForURL('**/segments/frequent-buyers');
    await says(size(page), '5');
  });
  await step('two versions are compared, and the first comes back', async () => {
    await page.getByRole('link', { name: 'Versions' }).click();
    await page.getByText('only the most frequent').waitFor();
    const differences = page.getByRole('region', { name: 'Differences' });
    await differences.getByText('did purchase at least 15 times').waitFor();
    await page.getByRole('button', { name: 'Roll back' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Roll back' }).click();
    await says(size(page), '12');
    await keepShot(page, 'scenario-versions');
  });
  await step('someone else saves in between: it is told, and nothing is lost', async () => {
    await page.getByRole('link', { name: 'Edit', exact: true }).first().click();
    await page.getByRole('combobox', { name: 'Value' }).fill('12');
    await call(platform.address, 'PATCH', '/api/segments/frequent-buyers', { description: 'by another' });
    await page.getByRole('button', { name: 'Save changes' }).click();
    const dialog = page.getByRole('dialog', { name: 'Someone else saved this segment' });
    await dialog.waitFor();
    await assertSound(page, 'conflict');
    await keepShot(page, 'scenario-conflict');
    await dialog.getByRole('button', { name: 'Save mine over theirs' }).click();
    await page.waitForURL('**/segments/frequent-buyers');
    await says(size(page), '9');
  });
  await step('why a user is in it, and why another is not', async () => {
    await page.goto('/users');
    await page.getByRole('searchbox').fill('c15');
    await page.getByRole('link', { name: 'c15' }).click();
    await page.getByRole('button', { name: 'Why in Frequent buyers?' }).click();
    await page.getByText('Member', { exact: true }).waitFor();
    await page.getByText(/found 15/).waitFor();
    await page.getByRole('button', { name: 'Show events' }).click();
    await assertSound(page, 'explanation');
    await keepShot(page, 'scenario-explain');
    await page.goto('/users/c03?why=frequent-buyers');
    await page.getByText('Not a member').waitFor();
  });
  await step('a file with faulty rows says what would become of each, then what became', async () => {
    await call(platform.address, 'POST', '/api/segments', {
      id: 'list',
      name: 'A list',
      type: 'STATIC',
      members: ['c01'],
    });
    await page.goto('/imports?segment=list');
    const rows = ['userId', 'c01', 'c02', 'c03', 'x'.repeat(300), 'c02'];
    await page
      .locator('input[type=file]')
      .setInputFiles({ name: 'members.csv', mimeType: 'text/csv', buffer: Buffer.from(rows.join('\n')) });
    await page.getByRole('button', { name: 'Try it' }).click();
    const faulty = page.getByRole('region', { name: 'Faulty rows' });
    await faulty.getByText('xxxxxxxx').waitFor();
    await keepShot(page, 'scenario-import');
    assert.equal(
      (await call(platform.address, 'GET', '/api/segments/list')).size,
      1,
      'trying changes nothing',
    );
    await page.getByRole('button', { name: /^Import / }).click();
    await page.getByRole('heading', { name: 'What was done' }).waitFor();
    assert.equal((await call(platform.address, 'GET', '/api/segments/list')).size, 3);
    await assertSound(page, 'import');
  });
  await step('the audit log has all of it', async () => {
    await page.goto('/audit');
    await page.getByRole('table').getByText('rolled back').waitFor();
    await page.getByRole('cell', { name: 'only the most frequent', exact: true }).waitFor();
  });
  assert.deepEqual(faults, []);
});
