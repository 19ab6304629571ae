// Every page in both themes and at both widths: it shows what it is for, nothing fails, axe finds nothing serious.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertSound, keepShot, openPage, startBrowser } from './browser.js';
import { call, fill, startPlatform } from './platform.js';

let platform;
let browser;

const RULES = {
  logic: 'OR',
  conditions: [
    {
      event: 'purchase',
      where: [{ field: 'category', operator: 'in', value: ['shoes', 'books'] }],
      operator: 'gte',
      value: 2,
      within: '60d',
    },
    {
      logic: 'NOT',
      conditions: [
        {
          sequence: [{ event: 'page_view' }, { event: 'purchase', maxGap: '3d' }],
          within: { ago: ['30d', '10d'] },
        },
        { field: 'plan', operator: 'ne', value: 'free' },
      ],
    },
    {
      rank: { by: { event: 'purchase', measure: { fn: 'sum', of: 'amount' } } },
      percent: 10,
      among: { field: 'country', operator: 'eq', value: 'NO' },
    },
    { sample: { salt: 'exp', from: 0, to: 99 } },
    { segment: 'list' },
  ],
};

before(async () => {
  platform = await startPlatform();
  await fill(platform.address);
  await fetch(`${platform.address}/v1/track`, { method: 'POST', body: JSON.stringify({ userId: 'c01' }) });
  await call(platform.address, 'POST', '/api/segments', {
    id: 'list',
    name: 'A list',
    type: 'STATIC',
    members: ['c01', 'c02'],
  });
  await call(platform.address, 'POST', '/api/segments', {
    id: 'all-kinds',
    name: 'All kinds of conditions',
    tags: ['one', 'two'],
    rules: RULES,
  });
  await call(platform.address, 'PATCH', '/api/segments/all-kinds', { description: 'With a second version' });
  browser = await startBrowser();
});

after(async () => {
  await browser?.close();
  await platform?.stop();
});

const PAGES = {
  segments: ['/segments', 'Segments', 'All kinds of conditions'],
  segment: ['/segments/all-kinds', 'All kinds of conditions', 'Any of'],
  members: ['/segments/all-kinds/members', 'All kinds of conditions', 'c05'],
  breakdown: ['/segments/all-kinds/breakdown', 'All kinds of conditions', 'Members by'],
  versions: ['/segments/all-kinds/versions', 'All kinds of conditions', 'Version 2'],
  overlap: ['/segments/all-kinds/overlap?with=list', 'All kinds of conditions', 'A list'],
  pipeline: ['/segments/all-kinds/pipeline', 'All kinds of conditions', 'What the rule becomes'],
  webhooks: ['/segments/all-kinds/webhooks', 'All kinds of conditions', 'ebhook'],
  new: ['/segments/new?blank=1', 'New segment', 'Add the first condition'],
  templates: ['/segments/new', 'New segment', 'Blank segment'],
  edit: ['/segments/all-kinds/edit', 'Edit All kinds of conditions', 'Random share'],
  users: ['/users', 'Users', 'Open'],
  user: ['/users/c05?why=all-kinds', 'c05', 'Computed traits'],
  timeline: ['/users/c05/timeline', 'c05', 'amount'],
  traits: ['/traits', 'Computed traits', 'totalSpent'],
  trait: ['/traits/totalSpent', 'totalSpent', 'sum of'],
  campaigns: ['/campaigns', 'Campaigns', 'New campaign'],
  newCampaign: ['/campaigns/new', 'Campaigns', 'Save and review'],
  sandbox: ['/campaigns/inbox', 'Campaigns', 'No mail yet'],
  events: ['/events', 'Events', 'accepted'],
  refused: ['/events/refused', 'Events', '/v1/track'],
  data: ['/events/data', 'Events', 'purchase'],
  connect: ['/events/connect', 'Events', 'Send a test event'],
  imports: ['/imports?segment=list', 'Imports', 'Choose a CSV file'],
  audit: ['/audit', 'Audit', 'Every change'],
  system: ['/system', 'System', 'engine'],
  nowhere: ['/nowhere', 'There is no such page', 'To the segments'],
};

for (const width of [1280, 390]) {
  for (const colorScheme of ['light', 'dark']) {
    test(`pages at ${width}, ${colorScheme}`, async (context) => {
      for (const [name, [url, heading, text]] of Object.entries(PAGES)) {
        await context.test(name, async () => {
          const { page, faults } = await openPage(browser, platform.address, {
            viewport: { width, height: 844 },
            colorScheme,
          });
          await page.goto(url);
          await page.getByRole('heading', { name: heading }).first().waitFor();
          await page.getByText(text).first().waitFor();
          assert.match(await page.title(), /Audience Manager$/);
          await page.waitForLoadState('load');
          await keepShot(page, `${name}-${width}-${colorScheme}`);
          await assertSound(page, name);
          assert.deepEqual(faults, [], `${name}: what failed`);
          await page.context().close();
        });
      }
    });
  }
}

test('the theme that is chosen stays, whatever the system has', async () => {
  const { page } = await openPage(browser, platform.address, { colorScheme: 'light' });
  await page.goto('/segments');
  await page.getByRole('button', { name: /System theme/ }).click();
  await page.getByRole('button', { name: /^Light theme/ }).click();
  await page.reload();
  await page.getByRole('button', { name: /^Dark theme/ }).waitFor();
  assert.equal(await page.evaluate(() => getComputedStyle(document.body).colorScheme), 'dark');
  await page.context().close();
});

test('a failure shows the words of the server, and goes when the server answers again', async () => {
  const { page } = await openPage(browser, platform.address);
  await page.route('**/api/segments?*', (route) =>
    route.fulfill({
      status: 503,
      contentType: 'application/problem+json',
      body: JSON.stringify({ code: 'store_unavailable', detail: 'the catalogue cannot be reached' }),
    }),
  );
  await page.goto('/segments');
  await page.getByText('the catalogue cannot be reached').waitFor();
  await page.unroute('**/api/segments?*');
  await page.getByText('All kinds of conditions').waitFor();
  assert.equal(await page.getByText('the catalogue cannot be reached').count(), 0);
  await page.context().close();
});

test('a webhook is made, edited and paused, and the audit log says so', async () => {
  const { page } = await openPage(browser, platform.address);
  await page.goto('/segments/all-kinds/webhooks');
  await page.getByRole('button', { name: 'Add webhook' }).first().click();
  await page.getByLabel('URL').fill('https://example.org/first');
  await page.getByRole('dialog').getByRole('button', { name: 'Add webhook' }).click();
  await page.getByRole('button', { name: 'I have kept it' }).click();
  await page.getByRole('button', { name: 'Webhook', exact: true }).click();
  await page.getByRole('menuitem', { name: 'Edit…' }).click();
  await page.getByLabel('URL').fill('https://example.org/second');
  await page.getByLabel('Left').uncheck();
  await page.getByLabel('Active: changes are sent').uncheck();
  await page.getByRole('button', { name: 'Save webhook' }).click();
  await page.getByText('https://example.org/second').waitFor();
  await page.getByText('Paused: it was told to').waitFor();
  const {
    items: [hook],
  } = await (await fetch(`${platform.address}/api/webhooks`)).json();
  assert.deepEqual(
    [hook.url, hook.changes, hook.status, hook.segments],
    ['https://example.org/second', ['entered'], 'PAUSED', ['all-kinds']],
  );
  await page.goto('/audit?kind=webhook');
  await page.getByText('url: https://example.org/first → https://example.org/second').waitFor();
  await page.getByText('changes: entered, left → entered').waitFor();
  await page.getByRole('link', { name: 'https://example.org/second' }).first().click();
  await page.getByText('Paused: it was told to').waitFor();
  await page.context().close();
});

test('sizes are told, not asked for', async () => {
  const { page } = await openPage(browser, platform.address);
  await call(platform.address, 'POST', '/api/segments', {
    id: 'told',
    name: 'Told',
    rules: { event: 'told' },
  });
  let asked = 0;
  await page.route('**/api/segments?*', (route) => {
    asked += 1;
    return route.continue();
  });
  await page.goto('/segments?q=told');
  const size = page.getByRole('row', { name: /Told/ }).locator('strong');
  await size.getByText('0', { exact: true }).waitFor();
  const askedBefore = asked;
  for (const user of ['t1', 't2', 't3'])
    await call(platform.address, 'POST', '/api/events', { userId: user, eventType: 'told' });
  await size.getByText('3', { exact: true }).waitFor();
  assert.equal(asked, askedBefore, 'the list was not asked for again');
  // An edit by somebody else shows by itself, too.
  await call(platform.address, 'PATCH', '/api/segments/told', { name: 'Told again' });
  await page.getByText('Told again').waitFor();
  await page.context().close();
});

test('the name for the history is there on a narrow screen', async () => {
  const { page } = await openPage(browser, platform.address, { viewport: { width: 390, height: 844 } });
  await page.goto('/segments');
  await page.getByRole('button', { name: /^Your name/ }).click();
  await page.getByRole('dialog').getByLabel('Your name, for the history').fill('Ada');
  await assertSound(page, 'the name');
  await page.getByRole('button', { name: 'Done' }).click();
  await page.getByRole('button', { name: 'Your name: Ada; change' }).waitFor();
  assert.equal(await page.evaluate(() => localStorage.getItem('audience.author')), 'Ada');
  await page.context().close();
});

test('every place is reached on a narrow screen, in the longest language too', async () => {
  const { page, faults } = await openPage(browser, platform.address, {
    viewport: { width: 390, height: 844 },
    language: 'de',
  });
  await page.goto('/events');
  const bar = page.getByRole('navigation', { name: 'Hauptmenü' });
  const more = bar.getByRole('button', { name: 'Mehr' });
  await more.waitFor();
  assert.equal(await bar.getByRole('link').count(), 4);
  await more.click();
  assert.equal(await bar.getByRole('link').count(), 9);
  for (const link of await bar.getByRole('link').all()) {
    const { x, width } = await link.boundingBox();
    assert.ok(x >= 0 && x + width <= 390, await link.textContent());
    assert.ok(await link.evaluate((one) => one.scrollWidth <= one.clientWidth), await link.textContent());
  }
  assert.equal(
    await bar
      .locator('[aria-current=page]')
      .textContent()
      .then((text) => text.trim()),
    'Ereignisse',
  );
  await assertSound(page, 'the places');
  await page.keyboard.press('Escape');
  assert.equal(await more.getAttribute('aria-expanded'), 'false');
  await more.click();
  await bar.getByRole('link', { name: 'System' }).click();
  await page.getByRole('heading', { name: 'System', exact: true }).waitFor();
  assert.equal(await more.getAttribute('aria-expanded'), 'false');
  assert.deepEqual(faults, []);
  await page.context().close();
});

test('every kind of condition is put together by hand, with its faults beside it', async () => {
  const { page, faults } = await openPage(browser, platform.address);
  await page.goto('/segments/new?blank=1');
  const kinds = [
    'Did something',
    'Did not do something',
    'Has a trait',
    'Did things in order',
    'Is in a segment',
    'Is among the top',
    'Random share',
    'Group of conditions',
  ];
  for (const [index, kind] of kinds.entries()) {
    // As long as a person presses: the faults of the condition that is left must not move the button meanwhile.
    await page
      .getByRole('button', { name: index === 0 ? 'Add the first condition' : 'Add condition' })
      .last()
      .click({ delay: 200 });
    await page.getByRole('menuitem', { name: kind, exact: true }).click();
  }
  await page.getByText('Not complete yet: 7 faults.').waitFor();
  // Both steps of the sequence lack the same, which its condition says once.
  assert.equal(await page.getByText('Something has to be filled in here.').count(), 6);
  await assertSound(page, 'faults');
  assert.deepEqual(faults, []);
  await page.context().close();
});
