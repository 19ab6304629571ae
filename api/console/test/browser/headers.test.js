// The console and /docs by TLS, in a browser that holds them to what their headers say.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { openPage, startBrowser } from './browser.js';
import { startPlatform } from './platform.js';

let platform;
let browser;

before(async () => {
  platform = await startPlatform(['--tls', 'auto']);
  browser = await startBrowser();
});

after(async () => {
  await browser?.close();
  await platform?.stop();
});

/** A page that trusts the certificate of its own, and what it was forbidden. */
async function open() {
  const opened = await openPage(browser, platform.address, { ignoreHTTPSErrors: true });
  await opened.page.addInitScript(() => {
    globalThis.forbidden = [];
    document.addEventListener('securitypolicyviolation', (event) => {
      globalThis.forbidden.push(`${event.violatedDirective} ${event.blockedURI}`);
    });
  });
  return opened;
}

const forbidden = (page) => page.evaluate(() => globalThis.forbidden);

test('no page asks for what its policy forbids', async () => {
  const { page, faults } = await open();
  assert.match(platform.address, /^https:/);
  for (const [path, shown] of [
    ['/', 'Segments'],
    ['/segments/new', 'New segment'],
    ['/system', 'System'],
    ['/access', 'Members'],
  ]) {
    const answer = await page.goto(path);
    const policy = (await answer.headerValue('content-security-policy')) ?? '';
    assert.match(policy, /script-src 'self'.*require-trusted-types-for 'script'/, path);
    await page.getByText(shown, { exact: true }).first().waitFor();
    assert.deepEqual(await forbidden(page), [], path);
  }
  await page.goto('/docs');
  await page.locator('.schema').last().waitFor({ state: 'attached' });
  assert.deepEqual(await forbidden(page), [], '/docs');
  const family = await page.evaluate(() => getComputedStyle(document.body).fontFamily);
  assert.match(family, /system-ui/, 'its style is taken');
  assert.deepEqual(faults, []);
});

test('a script that somebody slips in does not run', async () => {
  const { page } = await open();
  await page.goto('/');
  await page.getByText('Segments', { exact: true }).first().waitFor();
  await page.evaluate(() => {
    try {
      const script = document.createElement('script');
      script.setAttribute('src', 'data:text/javascript,globalThis.ran=true');
      document.body.append(script);
    } catch {
      // A browser that knows trusted types refuses the text itself, and tells it all the same.
    }
  });
  await page.waitForFunction(() => globalThis.forbidden.length > 0);
  assert.equal(await page.evaluate(() => globalThis.ran), undefined);
});
