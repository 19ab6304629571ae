// Typing key by key gives the rule that was typed, in the languages of browsers, and loses nothing in between.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { openPage, startBrowser } from './browser.js';
import { call, fill, startPlatform } from './platform.js';

let platform;
let browser;

before(async () => {
  platform = await startPlatform();
  await fill(platform.address);
  // The fields were seen to hold amounts with decimals, ages, yes and no.
  await call(platform.address, 'POST', '/api/events', [
    { userId: 'seen', eventType: 'purchase', properties: { amount: 499.99, category: 'shoes' } },
    { userId: 'seen', eventType: 'identify', traits: { age: 41, vip: true } },
  ]);
  browser = await startBrowser();
});

after(async () => {
  await browser?.close();
  await platform?.stop();
});

/** Presses each key by itself, as a keyboard does, with time for the page to draw in between. */
async function typeKeys(page, text) {
  const session = await page.context().newCDPSession(page);
  for (const key of text) {
    await session.send('Input.dispatchKeyEvent', { type: 'keyDown', key, text: key, unmodifiedText: key });
    await session.send('Input.dispatchKeyEvent', { type: 'keyUp', key });
    await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve, 20))));
  }
  await session.detach();
}

/** Empties a field by keyboard, and types into it. */
async function retype(page, field, text) {
  await field.focus();
  await page.keyboard.press('Control+a');
  await typeKeys(page, text);
}

async function rulesOf(page) {
  return JSON.parse(await page.getByRole('textbox', { name: 'Rules as JSON' }).inputValue());
}

/** The builder with rules in it, its JSON shown. */
async function openBuilder(locale, rules) {
  const { page, faults } = await openPage(browser, platform.address, { locale, language: 'en' });
  await page.goto('/segments/new?blank=1');
  const show = page.getByRole('button', { name: 'Show JSON' });
  if (await show.isVisible()) await show.click();
  await page.getByRole('textbox', { name: 'Rules as JSON' }).fill(JSON.stringify(rules));
  return { page, faults };
}

const BOUGHT = { event: 'purchase', measure: { fn: 'sum', of: 'amount' }, operator: 'gt', value: 1 };
const NUMBERS = {
  'en-US': {
    499.99: 499.99,
    '9.50': 9.5,
    '3,000': 3000,
    '-5': -5,
    '.5': 0.5,
    '1e3': 1000,
    '1,234.5': 1234.5,
  },
  'de-DE': { '499,99': 499.99, 499.99: 499.99, '9,50': 9.5, '3.000': 3000, '-5': -5, ',5': 0.5, '1e3': 1000 },
};
const REFUSED = { 'en-US': ['300,50', '300 €', '12a'], 'de-DE': ['1,2,3', '300 €', 'zehn'] };

for (const locale of ['en-US', 'de-DE']) {
  test(`numbers are the ones that were typed, in ${locale}`, async () => {
    const { page, faults } = await openBuilder(locale, BOUGHT);
    const value = page.getByRole('combobox', { name: 'Value' });
    for (const [text, number] of Object.entries(NUMBERS[locale])) {
      await retype(page, value, text);
      assert.equal(await value.inputValue(), text, 'the text stays as it is typed');
      assert.equal((await rulesOf(page)).value, number, text);
      await page.keyboard.press('Tab');
      assert.equal((await rulesOf(page)).value, number, `${text}, after the field was left`);
    }
    for (const text of REFUSED[locale]) {
      await retype(page, value, text);
      await page.keyboard.press('Tab');
      assert.equal(await value.inputValue(), text, 'what cannot be read stays to be mended');
      await page
        .locator('.refusal')
        .filter({ hasText: `“${text}”` })
        .waitFor();
      assert.ok(await page.getByRole('button', { name: 'Create segment' }).isDisabled());
      await retype(page, value, '7');
      assert.equal((await rulesOf(page)).value, 7, 'the field is still one for numbers');
      assert.equal(await page.locator('.refusal').count(), 0);
    }
    assert.deepEqual(faults, []);
    await page.context().close();
  });

  test(`the type follows what was seen of a field, in ${locale}`, async () => {
    const { page } = await openBuilder(locale, { field: 'age', operator: 'eq', value: '' });
    const value = page.getByRole('combobox', { name: 'Value' });
    await page.getByRole('button', { name: /compared as number/ }).waitFor();
    await retype(page, value, '41');
    assert.deepEqual(await rulesOf(page), { field: 'age', operator: 'eq', value: 41 });
    // A typing error does not turn the value into a text for good.
    await retype(page, value, '4x');
    await retype(page, value, '42');
    assert.equal((await rulesOf(page)).value, 42);
    await page
      .getByRole('textbox', { name: 'Rules as JSON' })
      .fill('{"field":"country","operator":"eq","value":""}');
    await page.getByRole('button', { name: /compared as text/ }).waitFor();
    await retype(page, value, '47');
    assert.equal((await rulesOf(page)).value, '47');
    await page.context().close();
  });
}

test('a field that nothing was seen of takes numbers and texts, one after the other', async () => {
  const { page } = await openBuilder('en-US', { field: 'unheardOf', operator: 'eq', value: '' });
  const value = page.getByRole('combobox', { name: 'Value' });
  for (const [text, meant] of Object.entries({
    9.5: 9.5,
    Oslo: 'Oslo',
    '-3': -3,
    '2026-01-05': '2026-01-05',
  })) {
    await retype(page, value, text);
    assert.equal((await rulesOf(page)).value, meant, text);
  }
  await page.context().close();
});

test('a pair, a list, a rank and a share take decimals key by key', async () => {
  const { page } = await openBuilder('de-DE', { field: 'age', operator: 'between', value: [1, 2] });
  await retype(page, page.getByRole('combobox', { name: 'Value, low' }), '-1,5');
  await retype(page, page.getByRole('combobox', { name: 'Value, high' }), '1.000,25');
  assert.deepEqual((await rulesOf(page)).value, [-1.5, 1000.25]);
  const json = page.getByRole('textbox', { name: 'Rules as JSON' });
  await json.fill('{"field":"age","operator":"in","value":[]}');
  await page.getByRole('combobox', { name: 'Value' }).focus();
  await typeKeys(page, '1,5');
  await page.keyboard.press('Enter');
  await typeKeys(page, '2; 3.000');
  await page.keyboard.press('Enter');
  // The page draws after the key, not with it.
  await page.getByRole('button', { name: 'Remove 3000' }).waitFor();
  assert.deepEqual((await rulesOf(page)).value, [1.5, 2, 3000]);
  await json.fill('{"rank":{"by":"totalSpent"},"percent":10}');
  await retype(page, page.getByRole('textbox', { name: 'How many' }), '0,5');
  assert.equal((await rulesOf(page)).percent, 0.5);
  await json.fill('{"sample":{"salt":"s","from":0,"to":99}}');
  await retype(page, page.getByRole('textbox', { name: 'Percent of users' }), '12,5');
  assert.deepEqual((await rulesOf(page)).sample, { salt: 's', from: 0, to: 1249 });
  await page.context().close();
});

test('a duration stays as it is typed, and half of one is refused and not made tenfold', async () => {
  const { page } = await openBuilder('en-US', { event: 'purchase', within: '30d' });
  const amount = page.getByRole('textbox', { name: 'Window, amount' });
  await retype(page, amount, '7');
  assert.equal((await rulesOf(page)).within, '7d');
  await retype(page, amount, '1.5');
  await page.keyboard.press('Tab');
  assert.equal(await amount.inputValue(), '1.5');
  await page.locator('.refusal').filter({ hasText: 'not a whole number' }).waitFor();
  assert.notEqual((await rulesOf(page)).within, '15d');
  await retype(page, amount, '120');
  assert.equal((await rulesOf(page)).within, '120d');
  await page.context().close();
});

test('a date that is half typed is not written over while the preview follows', async () => {
  const { page } = await openBuilder('en-US', {
    event: 'purchase',
    within: { from: '2020-03-04T00:00:00Z' },
  });
  const from = page.getByLabel('Window, from, UTC');
  await from.focus();
  await page.keyboard.press('Delete');
  await page.waitForTimeout(1500);
  assert.equal(await from.inputValue(), '', 'the month that was taken out stays out');
  await typeKeys(page, '05');
  assert.equal((await rulesOf(page)).within.from, '2020-05-04T00:00:00Z');
  await page.context().close();
});

test('parameters of a template are numbers that are typed key by key', async () => {
  const { page } = await openPage(browser, platform.address, { locale: 'de-DE', language: 'en' });
  await page.goto('/segments/new');
  const numeric = page
    .locator('button.template')
    .filter({ hasText: /High value/ })
    .first();
  await numeric.click();
  const field = page.getByRole('dialog').locator('input[inputmode=decimal]').first();
  await retype(page, field, '499,99');
  assert.equal(await field.inputValue(), '499,99');
  await page.getByRole('button', { name: 'Open in the builder' }).click();
  const show = page.getByRole('button', { name: 'Show JSON' });
  await page.getByRole('button', { name: /JSON$/ }).waitFor();
  if (await show.isVisible()) await show.click();
  assert.match(await page.getByRole('textbox', { name: 'Rules as JSON' }).inputValue(), /499\.99/);
  await page.context().close();
});

test('a filter of the audit log keeps the spaces that are typed', async () => {
  const { page } = await openPage(browser, platform.address);
  await page.goto('/audit');
  await page.getByLabel('Author').focus();
  await typeKeys(page, 'Ada Lovelace');
  assert.equal(await page.getByLabel('Author').inputValue(), 'Ada Lovelace');
  assert.equal(new URL(page.url()).searchParams.get('author'), 'Ada Lovelace');
  await page.context().close();
});
