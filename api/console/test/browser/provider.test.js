// The button of a provider of identities: where it leads, and what the page says when it leads nowhere.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertSound, keepShot, openPage, startBrowser } from './browser.js';
import { startPlatform } from './platform.js';

/** Nobody listens there. */
const NOBODY = 'http://127.0.0.1:9';

let platform;
let browser;

before(async () => {
  const roles = ['--oidc-label', 'Example ID', '--oidc-roles', '*=viewer'];
  platform = await startPlatform([
    '--auth',
    'required',
    '--public-url',
    NOBODY,
    '--oidc-issuer',
    NOBODY,
    ...roles,
  ]);
  browser = await startBrowser();
});

after(async () => {
  await browser?.close();
  await platform?.stop();
});

for (const colorScheme of ['light', 'dark'])
  for (const width of [1280, 390])
    test(`a provider that does not answer is told, ${colorScheme} at ${width}`, async () => {
      const { page, faults } = await openPage(browser, platform.address, {
        colorScheme,
        viewport: { width, height: 800 },
      });
      await page.goto('/segments');
      const button = page.getByRole('button', { name: 'Sign in with Example ID' });
      await button.click();
      await page.getByText('The service that signs you in does not answer').waitFor();
      assert.equal(new URL(page.url()).search, '', 'the word leaves the address');
      await button.waitFor();
      await assertSound(page, 'sign-in by a provider');
      await keepShot(page, `provider-${colorScheme}-${width}`);
      assert.deepEqual(faults, []);
    });

test('every word has a sentence', async () => {
  const { page } = await openPage(browser, platform.address, {});
  const said = new Set();
  const words = ['other_browser', 'denied', 'no_email', 'no_role', 'email_taken', 'disabled', 'not_provided'];
  for (const word of words) {
    await page.goto(`/?signIn=${word}`);
    said.add(await page.getByRole('alert').textContent());
  }
  assert.equal(said.size, words.length, [...said].join('\n'));
});
