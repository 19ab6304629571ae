// Access: the first admin, signing in and out, members, keys, and what a viewer is not shown.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertSound, openPage, startBrowser } from './browser.js';
import { startPlatform } from './platform.js';

const PASSWORD = 'four plain words here';

let platform;
let browser;

before(async () => {
  platform = await startPlatform();
  browser = await startBrowser();
});

after(async () => {
  await browser?.close();
  await platform?.stop();
});

/** Invites somebody on the page of members; gives the link. */
async function invite(page, email, role) {
  await page.getByRole('textbox', { name: 'E-mail address' }).fill(email);
  await page.getByRole('combobox', { name: 'Role', exact: true }).selectOption({ label: role });
  await page.getByRole('button', { name: 'Invite', exact: true }).click();
  const link = await page.getByRole('textbox', { name: 'Link of the invitation' }).inputValue();
  await page.getByRole('button', { name: 'Done' }).click();
  return link;
}

async function join(page, link) {
  await page.goto(link);
  await page.waitForFunction(() => window.location.hash === '', undefined, { timeout: 5000 });
  await page.getByLabel('New password').fill(PASSWORD);
  await page.getByRole('button', { name: 'Take the invitation' }).click();
  await page.getByRole('heading', { name: 'Segments' }).first().waitFor();
}

test('from an open console to members with roles', async () => {
  const { page } = await openPage(browser, platform.address, {});
  await page.goto('/access');
  await page.getByText('Nobody is asked to sign in').waitFor();
  await page.getByText('Nobody is a member yet').waitFor();
  await assertSound(page, 'access, open');
  const link = await invite(page, 'ann@example.org', 'Marketing Admin');
  await join(page, link);
  await page.getByRole('button', { name: 'Sign out' }).waitFor();
  assert.equal(await page.getByText('Nobody is asked to sign in').count(), 0);

  await page.goto('/access/keys');
  await page.getByRole('textbox', { name: 'Name of the key' }).fill('shop');
  await page.getByRole('button', { name: 'Make a key' }).click();
  assert.match(await page.getByRole('textbox', { name: 'The key', exact: true }).inputValue(), /^amw_/);
  await page.getByRole('button', { name: 'Done' }).click();
  await page.getByRole('cell', { name: 'shop' }).waitFor();
  await assertSound(page, 'keys');
  await page.goto('/access/sessions');
  await page.getByText('this one').waitFor();

  await page.goto('/access');
  const forBob = await invite(page, 'bob@example.org', 'Viewer');
  const { page: other } = await openPage(browser, platform.address, {});
  await join(other, forBob);
  const places = await other.getByRole('navigation').first().getByRole('link').allTextContents();
  const names = places.map((name) => name.trim());
  const shown = ['Segments', 'Users', 'Traits', 'Campaigns', 'Access'];
  assert.deepEqual(names, shown, 'a viewer is shown what a viewer may');

  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByRole('heading', { name: 'Sign in' }).waitFor();
  await assertSound(page, 'sign-in');
  // By keyboard alone, from the first key on; a wrong password is typed anew where it stands.
  await page.keyboard.type('ann@example.org');
  await page.keyboard.press('Tab');
  await page.keyboard.type('a wrong password');
  await page.keyboard.press('Enter');
  await page.getByText('do not fit').waitFor();
  await page.keyboard.press('Control+a');
  await page.keyboard.type(PASSWORD);
  await page.keyboard.press('Enter');
  await page.getByRole('button', { name: 'Sign out' }).waitFor();
});
