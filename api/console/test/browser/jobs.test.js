// The ten jobs of a marketer, by mouse and by keyboard alone, in two languages.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { openPage, startBrowser } from './browser.js';
import { HANDS, speaker } from './hands.js';
import { call, startPlatform } from './platform.js';

const DAY = 86_400_000;
/** Who bought for how much, how many days ago. */
const PEOPLE = {
  de1: ['Greta Gross', 'DE', [300, 20], [300, 10]],
  de2: ['Hans Klein', 'DE', [250, 25], [250, 9]],
  de3: ['Ilse Wenig', 'DE', [100, 20], [100, 10]],
  de4: ['Jan Eben', 'DE', [300, 20], [300, 10], [300, 2]],
  de5: ['Karla Einmal', 'DE', [900, 20]],
  se1: ['Lars Ström', 'SE', [300, 20], [300, 10]],
};
const DECIMALS = { 'en-US': ['499.99', '559.5'], 'de-DE': ['499,99', '559,5'] };

let platform;
let browser;

before(async () => {
  platform = await startPlatform();
  const now = Date.now();
  const events = [];
  for (const [userId, [name, country, ...bought]] of Object.entries(PEOPLE)) {
    const traits = { name, country };
    events.push({ userId, eventType: 'identify', timestamp: now - 60 * DAY, traits });
    for (const [amount, ago] of bought)
      events.push({
        userId,
        eventType: 'purchase',
        timestamp: now - Number(ago) * DAY,
        properties: { amount },
      });
  }
  await call(platform.address, 'POST', '/api/events', events);
  await call(platform.address, 'POST', '/api/segments', {
    id: 'germans',
    name: 'Germans',
    rules: { field: 'country', operator: 'eq', value: 'DE' },
  });
  browser = await startBrowser();
});

after(async () => {
  await browser?.close();
  await platform?.stop();
});

const says = (locator, text) => locator.filter({ hasText: new RegExp(`^${text}$`) }).waitFor();

/** A job needs the page, the hand, the words, and the places that the previous jobs led to. */
function jobsOf({ page, hand, say, locale }) {
  const id = `loyal-${locale.toLowerCase()}-${hand.name}`;
  const { press, item, choose, pick, type } = hand;
  const button = (key, members) => page.getByRole('button', { name: say(key, members), exact: true });
  const size = page.getByTestId('size');
  const previewSize = page.locator('.preview-size .number');
  const condition = (index) => page.locator('.condition').nth(index);
  const part = (index, role, key, members) =>
    condition(index).getByRole(role, { name: say(key, members), exact: true });
  const label = (key) => say('windowField.window') && say(key, { label: say('windowField.window') });
  const add = async (kind) => {
    const isFirst = (await page.locator('.condition').count()) === 0;
    await press(button(isFirst ? 'ruleGroup.addTheFirstCondition' : 'ruleGroup.addCondition'));
    await item(page.getByRole('menuitem', { name: say(kind), exact: true }));
  };
  const [most, less] = DECIMALS[locale];

  return {
    'a segment is built by hand': async () => {
      await page.goto('/segments/new?blank=1');
      await type(page.getByLabel(say('common.name'), { exact: true }), id);
      await add('kinds.didSomething');
      await type(part(0, 'combobox', 'eventNames.event'), 'purchase');
      await type(part(0, 'combobox', 'valueField.value'), '2');
      await add('kinds.didNotDoSomething');
      await type(part(1, 'combobox', 'eventNames.event'), 'purchase');
      await type(condition(1).getByRole('textbox', { name: label('durationField.labelAmount') }), '7');
      await add('kinds.didSomething');
      await type(part(2, 'combobox', 'eventNames.event'), 'purchase');
      await choose(part(2, 'combobox', 'behaviour.measure'), 'sum');
      await type(part(2, 'combobox', 'behaviour.propertyThatIsMeasured'), 'amount');
      await choose(part(2, 'combobox', 'tests.comparison'), 'gt');
      await type(part(2, 'combobox', 'valueField.value'), most);
      await choose(part(2, 'combobox', 'windowField.window'), 'ever');
      await add('kinds.hasATrait');
      await type(part(3, 'combobox', 'common.trait'), 'country');
      await type(part(3, 'combobox', 'valueField.value'), 'DE');
      await says(previewSize, '2');
      await press(button('builder.createSegment'));
      await page.waitForURL(`**/segments/${id}`);
      await says(size, '2');
    },
    'a threshold is edited, with its effect before': async () => {
      await press(page.locator('.page-head').getByRole('link', { name: say('actions.edit'), exact: true }));
      await type(part(2, 'combobox', 'valueField.value'), less);
      await says(page.locator('.preview-change dd.down'), '−1');
      await press(button('common.saveChanges'));
      await page.waitForURL(`**/segments/${id}`);
      await says(size, '1');
    },
    'why somebody is in it': async () => {
      await page.goto(`/segments/${id}/members`);
      await press(page.locator('a[href*="/users/de1?why="]').first());
      await page.locator('.explanation .badge.good').waitFor();
      await page.locator('.explanation .verdict', { hasText: '600' }).first().waitFor();
    },
    'why somebody is not': async () => {
      await page.goto('/users/de2');
      await choose(page.locator('main select').first(), id);
      await page.locator('.explanation .badge').first().waitFor();
      await page.locator('.explanation .verdict .mark.no').first().waitFor();
      assert.equal(await page.locator('.explanation .badge.good').count(), 0);
    },
    'an edit is rolled back': async () => {
      await page.goto(`/segments/${id}/versions`);
      await press(page.locator('.versions .button:not(.quiet)').first());
      await page.getByRole('dialog').getByText('1 → 2').waitFor();
      await press(page.getByRole('dialog').locator('button[type=submit]'));
      await says(size, '2');
    },
    'a list is imported from a file with faulty rows': async () => {
      const list = `list-${id}`;
      const body = { id: list, name: list, type: 'STATIC', members: [] };
      await call(platform.address, 'POST', '/api/segments', body);
      await page.goto(`/imports?segment=${list}`);
      const rows = ['userId', 'de1', 'x'.repeat(300), 'de2'];
      const buffer = Buffer.from(rows.join('\n'));
      await page
        .locator('input[type=file]')
        .setInputFiles({ name: 'list.csv', mimeType: 'text/csv', buffer });
      await press(button('imports.tryIt'));
      await page.locator('table', { hasText: 'xxxxxxxx' }).last().waitFor();
      await press(page.locator('main .button.primary').last());
      await until(async () => (await call(platform.address, 'GET', `/api/segments/${list}`)).size === 2);
    },
    'a template is adapted': async () => {
      await page.goto('/segments/new');
      await press(page.locator('.templates button, .template').nth(1));
      await press(button('newSegment.openInTheBuilder'));
      const name = `template-${id}`;
      await type(page.getByLabel(say('common.name'), { exact: true }), name);
      await press(button('builder.createSegment'));
      await page.waitForURL(`**/segments/${name}`);
      await size.waitFor();
    },
    'growth and overlap are looked at': async () => {
      await page.goto(`/segments/${id}`);
      await page.locator('.tile dd.up, .tile dd:not(.under)').nth(1).waitFor();
      await press(page.locator('.tabs a[href$="/overlap"]'));
      await pick(page.getByRole('combobox', { name: say('overlap.compareWith') }), 'Germans');
      await page.getByText(say('overlap.inBoth')).first().waitFor();
    },
    'members are exported': async () => {
      await page.goto(`/segments/${id}/members`);
      const [download] = await Promise.all([
        page.waitForEvent('download'),
        press(page.locator('[aria-haspopup=menu]', { hasText: /export/i }).last()).then(() =>
          item(page.getByRole('menuitem', { name: 'CSV', exact: true })),
        ),
      ]);
      assert.match(download.suggestedFilename(), new RegExp(`^${id}-\\d{4}-\\d{2}-\\d{2}\\.csv$`));
      assert.match(await readFile(await download.path(), 'utf8'), /de1[^]*de2/);
    },
    'a person is found': async () => {
      await page.goto('/users');
      await type(page.locator('main input[type=search]').first(), 'de4');
      // The list of everybody goes first: a click on a row that is just being replaced reaches nobody.
      await until(async () => (await page.getByRole('link', { name: 'de1', exact: true }).count()) === 0);
      await press(page.getByRole('link', { name: 'de4', exact: true }));
      await page.waitForURL('**/users/de4');
      await page.getByText('Jan Eben').first().waitFor();
    },
  };
}

async function until(is) {
  for (let left = 100; left > 0; left -= 1) {
    if (await is()) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert.fail('it did not come to be');
}

for (const locale of ['en-US', 'de-DE']) {
  for (const [name, handOf] of Object.entries(HANDS)) {
    test(`the jobs by ${name}, in ${locale}`, async (context) => {
      const { page, faults } = await openPage(browser, platform.address, { locale });
      page.setDefaultTimeout(15_000);
      const jobs = jobsOf({ page, hand: { name, ...handOf(page) }, say: speaker(locale), locale });
      for (const [job, act] of Object.entries(jobs)) await context.test(job, act);
      assert.deepEqual(faults, []);
      await page.context().close();
    });
  }
}
