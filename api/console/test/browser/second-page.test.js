// Rules of the second page, built by keyboard alone, by what the fields are called.
import assert from 'node:assert/strict';
import { readFile, readdir } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { assertSound, keepShot, openPage, startBrowser } from './browser.js';
import { HANDS, speaker } from './hands.js';
import { call, startPlatform } from './platform.js';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const say = speaker('en-US');
let platform;
let browser;

/** The events of six people; none lies near a midnight that the test may pass. */
function events() {
  const now = Date.now();
  const done = (userId, eventType, timestamp, properties = {}) => ({
    userId,
    eventType,
    timestamp,
    properties,
  });
  const order = (userId, number, ...names) =>
    done(userId, 'Order Completed', now - 20 * HOUR, {
      orderId: number,
      products: names.map((name, index) => ({ name, sku: `s${index}`, price: 20, quantity: 2 })),
    });
  const born = (userId, days, zip) => ({
    userId,
    eventType: 'identify',
    timestamp: now - 90 * DAY,
    traits: { zip, birthday: `1990${new Date(now + days * DAY).toISOString().slice(4, 10)}` },
  });
  return [
    born('ann', 2, '10115'),
    born('bob', 40, '80331'),
    born('cem', 80, '20095'),
    order('ann', 1, 'Headphones', 'Cable'),
    order('bob', 2, 'Cable'),
    order('cem', 3, 'Headphones'),
    done('cem', 'refund', now - 2 * HOUR, { order: 3, amount: 45 }),
    done('ann', 'add_to_cart', now - 5 * HOUR, { sku: 'a' }),
    done('ann', 'purchase', now - 4 * HOUR, { sku: 'a', amount: 10 }),
    done('bob', 'add_to_cart', now - 5 * HOUR, { sku: 'a' }),
    done('bob', 'purchase', now - 4 * HOUR, { sku: 'b', amount: 10 }),
    done('cem', 'add_to_cart', now - HOUR, { sku: 'a' }),
    done('cem', 'purchase', now - 100 * DAY, { sku: 'c', amount: 50 }),
  ];
}

before(async () => {
  platform = await startPlatform();
  await call(platform.address, 'POST', '/api/events', events());
  browser = await startBrowser();
});

after(async () => {
  await browser?.close();
  await platform?.stop();
});

/** Hands on the keyboard that find fields by their names. */
function builderHands(page) {
  const hands = HANDS.keyboard(page);
  const named = (role, key, members, nth) => {
    const name = say(key, members);
    return page.getByRole(role, { name, exact: true }).nth(nth);
  };
  const field = (key, { nth = 0, ...members } = {}) => named('combobox', key, members, nth);
  const number = (key, { nth = 0, ...members } = {}) => named('textbox', key, members, nth);
  return {
    add: async (kind) => {
      await hands.press(page.getByRole('button', { name: /^Add (the first )?condition$/ }));
      await hands.item(page.getByRole('menuitem', { name: say(`kinds.${kind}`), exact: true }));
    },
    press: (key, { nth = 0, ...members } = {}) => hands.press(named('button', key, members, nth)),
    type: (key, text, members) => hands.type(field(key, members), text),
    choose: (key, value, members) => hands.choose(field(key, members), value),
    number: (key, text, members) => hands.type(number(key, members), text),
  };
}

/** The rules as the page has them, once it has drawn these, or after a while. */
async function rulesOf(page, expected) {
  const json = page.getByRole('textbox', { name: say('jsonPane.rulesAsJson') });
  const isDrawn = async () => isDeepStrictEqual(JSON.parse((await json.inputValue()) || 'null'), expected);
  for (let left = 50; left > 0 && !(await isDrawn()); left -= 1) await page.waitForTimeout(20);
  return JSON.parse(await json.inputValue());
}

const BUILT = {
  'a day of the calendar, in their own zone': {
    size: 3,
    rules: {
      event: 'Order Completed',
      operator: 'gte',
      value: 1,
      within: { calendar: 'day', from: -1, to: 0, zone: 'user' },
    },
    async build(hand) {
      await hand.add('didSomething');
      await hand.type('eventNames.event', 'Order Completed');
      await hand.choose('windowField.window', 'calendar');
      await hand.choose('windowField.unit', 'day');
      await hand.number('windowField.unitsBackToTheLast', '0');
      await hand.number('windowField.unitsBackToTheFirst', '1');
      await hand.choose('zoneField.timeZone', 'user');
    },
  },
  'a birthday': {
    size: 1,
    rules: { field: 'birthday', operator: 'anniversary', value: { from: 0, to: 3, zone: 'user' } },
    async build(hand) {
      await hand.add('hasItsAnniversary');
      await hand.type('common.trait', 'birthday');
      await hand.choose('anniversaryField.labelWhen', 'today', { label: 'Value' });
      await hand.choose('anniversaryField.labelWhen', 'next', { label: 'Value' });
      await hand.number('anniversaryField.labelLastDay', '3', { label: 'Value' });
    },
  },
  'a line of an order that was not refunded': {
    size: 1,
    rules: {
      event: 'Order Completed',
      each: 'products',
      where: { field: 'item.name', operator: 'eq', value: 'Headphones' },
      measure: { fn: 'sum', of: ['item.price', 'item.quantity'] },
      operator: 'gte',
      value: 30,
      within: '30d',
      unless: { event: 'refund', same: ['orderId', 'order'] },
    },
    async build(hand) {
      await hand.add('didSomething');
      await hand.type('eventNames.event', 'Order Completed');
      // The list that was seen stands there at once.
      await hand.press('behaviour.addLines');
      await hand.choose('behaviour.measure', 'sum');
      await hand.type('behaviour.propertyThatIsMeasured', 'item.price');
      await hand.press('measureField.timesAnotherProperty');
      await hand.type('measureField.factor', 'item.quantity', { index: 2 });
      await hand.type('valueField.value', '30');
      await hand.press('filters.where');
      await hand.type('filters.property', 'item.name');
      await hand.type('valueField.value', 'Headphones', { nth: 1 });
      await hand.press('unless.add');
      await hand.type('eventNames.event', 'refund', { nth: 1 });
      await hand.type('unless.sameValueOf', 'orderId');
      await hand.press('unless.otherNameThere');
      await hand.type('unless.itsNameThere', 'order');
    },
  },
  'money of shops with other words, refunds negative': {
    size: 2,
    rules: {
      event: ['purchase', 'refund'],
      measure: { fn: 'sum', of: { firstOf: ['revenue', 'amount'], minus: 'refund' } },
      operator: 'gte',
      value: 10,
      within: '200d',
    },
    async build(hand) {
      await hand.add('didSomething');
      await hand.type('eventNames.event', 'purchase');
      await hand.press('eventNames.orAnotherEvent');
      await hand.type('eventNames.labelIndex', 'refund', { label: say('eventNames.event'), index: 2 });
      await hand.choose('behaviour.measure', 'sum');
      await hand.type('behaviour.propertyThatIsMeasured', 'revenue');
      await hand.press('measureField.orElseAnotherProperty');
      await hand.type('measureField.choice', 'amount', { index: 2 });
      await hand.press('measureField.addMinus');
      await hand.type('measureField.negativeEvent', 'refund');
      await hand.type('valueField.value', '10');
      const label = say('windowField.window');
      await hand.number('durationField.labelAmount', '200', { label });
    },
  },
  'a cart that was left': {
    size: 1,
    rules: {
      sequence: [{ event: 'add_to_cart' }, { not: { event: 'purchase' }, for: '2h' }],
      same: 'sku',
      within: '30d',
    },
    async build(hand) {
      await hand.add('didOneThingAndNotAnother');
      await hand.press('sequence.addSame');
      await hand.type('sequence.sameValueOf', 'sku', { index: 1 });
      await hand.type('eventNames.event', 'add_to_cart');
      await hand.type('eventNames.event', 'purchase', { nth: 1 });
      const label = say('sequence.stepIndexForHowLong', { index: 2 });
      await hand.number('durationField.labelAmount', '2', { label });
    },
  },
  'two amounts side by side': {
    size: 2,
    rules: {
      left: { event: 'purchase', measure: { fn: 'sum', of: 'amount' }, within: '2mo' },
      operator: 'gt',
      right: { field: 'refunded' },
    },
    async build(hand) {
      await hand.add('comparesTwoValues');
      await hand.choose('behaviour.measure', 'sum');
      await hand.type('behaviour.propertyThatIsMeasured', 'amount');
      await hand.type('eventNames.event', 'purchase');
      await hand.choose('windowField.window', 'last');
      const label = say('windowField.window');
      await hand.choose('durationField.labelUnit', 'mo', { label });
      await hand.number('durationField.labelAmount', '2', { label });
      await hand.choose('compare.secondValue', 'trait');
      await hand.type('compare.labelTrait', 'refunded', { label: say('compare.secondValue') });
    },
  },
  'the beginning of a text, one of several, in any case': {
    size: 2,
    rules: { field: 'zip', operator: 'starts_with', value: ['10', '80'] },
    async build(hand) {
      await hand.add('hasATrait');
      await hand.type('common.trait', 'zip');
      await hand.choose('tests.comparison', 'starts_with');
      await hand.type('valueField.value', '10');
      await hand.press('valueField.orAnotherText');
      await hand.type('valueField.value', '80,');
    },
  },
};

test('rules of the second page are built by keyboard, and count whom they mean', async () => {
  await call(platform.address, 'POST', '/api/traits', { name: 'refunded', event: 'refund' });
  const { page, faults } = await openPage(browser, platform.address);
  await page.goto('/segments/new?blank=1');
  await page.getByRole('button', { name: say('builder.showJson') }).click();
  const hand = builderHands(page);
  for (const [name, { rules, size, build }] of Object.entries(BUILT)) {
    try {
      await build(hand);
      assert.deepEqual(await rulesOf(page, rules), rules);
      await page
        .locator('.preview-size .number')
        .filter({ hasText: new RegExp(`^${size}$`) })
        .waitFor();
      // An answer of before is grey until the next one is there.
      await page.locator('.preview [aria-busy="false"]').waitFor();
      await assertSound(page, name);
      await keepShot(page, `second-page-${name.replaceAll(/\W+/g, '-')}`);
      await hand.press('ruleGroup.removeCondition');
    } catch (error) {
      throw new Error(`${name}: ${error.message}`, { cause: error });
    }
  }
  assert.deepEqual(faults, []);
  await page.context().close();
});

const conformance = new URL('../../../../tests/conformance/', import.meta.url);

/** The distinct values of a kind in the timelines of the second page. */
async function everyOne(kind) {
  const names = (await readdir(conformance)).filter((name) => /^2-.*\.ndjson$/.test(name));
  const texts = await Promise.all(names.map((name) => readFile(new URL(name, conformance), 'utf8')));
  const lines = texts.flatMap((text) => text.split('\n').filter(Boolean));
  return lines.map((line) => JSON.parse(line)[kind]).filter((one) => one !== undefined);
}

test('a segment of every rule of the second page opens in forms, and stays as it is', async () => {
  // A trait that is edited later comes with its first definition.
  const definitions = (await everyOne('trait')).filter((one) => one.event).reverse();
  const traits = new Map(definitions.map((one) => [one.name, one]));
  for (const one of traits.values()) await call(platform.address, 'POST', '/api/traits', one);
  const rules = new Map((await everyOne('segment')).map((one) => [JSON.stringify(one.rules), one.rules]));
  const conditions = [...rules.values()].filter((one) => one !== undefined);
  assert.ok(conditions.length > 100, `only ${conditions.length} rules were found`);
  for (let from = 0; from < conditions.length; from += 60) {
    const body = {
      id: `all-${from}`,
      name: 'All',
      rules: { logic: 'OR', conditions: conditions.slice(from, from + 60) },
    };
    await call(platform.address, 'POST', '/api/segments', { ...body, type: 'DYNAMIC' });
    const { page, faults } = await openPage(browser, platform.address);
    await page.goto(`/segments/all-${from}/edit`);
    await page.getByText(say('builder.noChanges'), { exact: true }).waitFor();
    assert.equal(await page.locator('[data-kind="unknown"]').count(), 0);
    assert.equal(await page.locator('.condition [aria-invalid="true"]').count(), 0);
    assert.ok((await page.locator('.condition').count()) >= body.rules.conditions.length);
    assert.deepEqual(faults, []);
    await page.context().close();
  }
});

test('an explanation says what counts, what undid the rest, and why time alone changes it', async () => {
  const { rules } = BUILT['a line of an order that was not refunded'];
  const kept = { id: 'kept', name: 'Kept', type: 'DYNAMIC', status: 'ACTIVE', rules };
  await call(platform.address, 'POST', '/api/segments', kept);
  const { page, faults } = await openPage(browser, platform.address);
  await page.goto('/users/ann?why=kept');
  await page.getByText(/when an event is older than 30 days/).waitFor();
  await page.getByRole('button', { name: 'Show events' }).click();
  // An order has its lines below it.
  await page.locator('.evidence .props-lines li').filter({ hasText: 'Cable' }).waitFor();
  await page.goto('/users/cem?why=kept');
  await page.getByRole('button', { name: 'Show events' }).click();
  await page.getByText(/^undone by refund on /).waitFor();
  await assertSound(page, 'an explanation with what undid an order');
  assert.deepEqual(faults, []);
  await page.context().close();
});

test('a fault stands at the field that it is of', async () => {
  const { page } = await openPage(browser, platform.address);
  await page.goto('/segments/new?blank=1');
  await page.getByRole('button', { name: say('builder.showJson') }).click();
  const json = page.getByRole('textbox', { name: say('jsonPane.rulesAsJson') });
  const faulty = {
    'zoneField.labelName': { event: 'purchase', within: { calendar: 'day', from: 0, zone: 'Mars' } },
    'behaviour.list': { event: 'purchase', each: 'item.x' },
    'unless.sameValueOf': { event: 'purchase', unless: { event: 'refund', same: '' } },
    'filters.property': { event: 'purchase', where: { field: '', operator: 'eq', value: 1 } },
    'measureField.whichOne': {
      event: 'purchase',
      measure: { fn: 'last', of: 'sku', nth: 101 },
      operator: 'exists',
    },
    'measureField.choice': {
      event: 'purchase',
      measure: { fn: 'sum', of: { firstOf: ['amount', ''] } },
    },
    'measureField.negativeEvent': {
      event: 'purchase',
      measure: { fn: 'sum', of: { firstOf: ['amount', 'total'], minus: '' } },
    },
    'compare.labelTrait': { left: { field: '' }, operator: 'gt', right: { field: 'zip' } },
    'anniversaryField.labelLastDay': {
      field: 'birthday',
      operator: 'anniversary',
      value: { from: 1, to: 400 },
    },
  };
  for (const [key, rules] of Object.entries(faulty)) {
    await json.fill(JSON.stringify(rules));
    const members = {
      index: 2,
      label: { zoneField: 'Time zone', compare: 'First value' }[key.split('.')[0]] ?? 'Value',
    };
    const name = say(key, members);
    await page.locator(`.condition [aria-label="${name}"][aria-invalid="true"]`).waitFor();
    assert.equal(await page.locator('.condition [aria-invalid="true"]').count(), 1, key);
    assert.equal(await page.locator('.condition .faults li').count(), 1, key);
  }
  await page.context().close();
});
