// A campaign from its launch to the mails in the sandbox, as the console shows them.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertSound, openPage, startBrowser } from './browser.js';
import { HANDS, speaker } from './hands.js';
import { startPlatform } from './platform.js';

let platform, browser;

before(async () => {
  [platform, browser] = await Promise.all([startPlatform(), startBrowser()]);
});

after(async () => {
  await browser?.close();
  await platform?.stop();
});

/** Asks the API, and expects success. */
async function ask(method, path, body) {
  const headers = { 'content-type': 'application/json' };
  const answer = await fetch(platform.address + path, {
    method,
    headers,
    body: body && JSON.stringify(body),
  });
  assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${await answer.clone().text()}`);
  return answer.json().catch(() => undefined);
}

test('a mail of a campaign is found in the sandbox', async () => {
  await ask('PUT', '/api/segments/pro', {
    name: 'Pro',
    rules: { field: 'plan', operator: 'eq', value: 'pro' },
  });
  const traits = { plan: 'pro', email: 'ann@example.org', firstName: 'Ann' };
  await ask('POST', '/api/events', { userId: 'ann', eventType: 'identify', traits });
  const mail = { subject: 'News for {{ user.firstName }}', body: '<p>Hello {{ user.firstName }}</p>' };
  await ask('POST', '/api/contents', { id: 'news', name: 'News', purpose: 'transactional', ...mail });
  await ask('POST', '/api/contents/news/approve');
  await ask('POST', '/api/campaigns', { id: 'first', name: 'First', segmentId: 'pro', contentId: 'news' });
  await ask('POST', '/api/campaigns/first/launch');

  const { page, faults } = await openPage(browser, platform.address);
  await page.goto('/campaigns/inbox');
  await page.getByText('News for Ann').click();
  await page.getByText('Hello Ann').waitFor();
  await page.goto('/campaign/first');
  await page.getByText('Completed').waitFor();
  assert.deepEqual(faults, []);
});

test('a campaign is made by keyboard, and a mail that is refused is mended and not made twice', async () => {
  const { page, faults } = await openPage(browser, platform.address, { language: 'de' });
  const say = speaker('de-DE');
  const { press, choose, type } = HANDS.keyboard(page);
  const label = (key) => page.getByLabel(say(`campaigns.${key}`));
  await page.goto('/campaigns/new');
  const name = page.getByLabel(say('common.name'), { exact: true });
  await name.waitFor();
  // One types at once.
  await page.keyboard.type('Frühling');
  assert.equal(await name.inputValue(), 'Frühling');
  await choose(label('toWhom'), 'pro');
  await choose(label('howOften'), 'entries');
  await type(label('subject'), 'Hallo');
  const mail = await label('mailInHtml').inputValue();
  await type(label('mailInHtml'), '<p>Hallo</p>');
  const save = page.getByRole('button', { name: say('campaigns.saveAndReview') });
  await press(save);
  await page.getByRole('alert').waitFor();
  await type(label('mailInHtml'), mail);
  await press(save);
  await page.getByRole('heading', { name: say('campaigns.whoGetsIt') }).waitFor();
  const { items } = await ask('GET', '/api/contents');
  assert.deepEqual(
    items.filter((one) => one.name === 'Frühling').map((one) => one.status),
    ['approved'],
  );
  await page.getByText(say('campaigns.membersNow')).waitFor();
  const made = (await ask('GET', '/api/campaigns')).items.find((one) => one.name === 'Frühling');
  assert.deepEqual(made.trigger, { on: 'entry', again: true });
  await assertSound(page, 'a campaign before it is launched');
  const here = page.getByRole('navigation', { name: say('shell.main') }).locator('[aria-current=page]');
  assert.equal((await here.textContent()).trim(), say('campaigns.campaigns'));
  await press(page.getByRole('link', { name: say('campaigns.campaigns') }).last());
  await page.getByRole('link', { name: 'Frühling' }).waitFor();
  assert.deepEqual(faults, []);
});
