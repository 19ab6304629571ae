// Every link of every page leads somewhere, and so does every address that the README gives.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { openPage, startBrowser } from './browser.js';
import { call, fill, startPlatform } from './platform.js';

/** More pages are not walked: those of users and segments are alike. */
const MOST = 80;

let platform;
let browser;

before(async () => {
  platform = await startPlatform();
  await fill(platform.address, 4);
  await call(platform.address, 'POST', '/api/segments', {
    id: 'one',
    name: 'One',
    tags: ['a tag'],
    rules: { conditions: [{ event: 'purchase' }, { segment: 'list' }] },
    status: 'DRAFT',
  }).catch(() => undefined);
  await call(platform.address, 'POST', '/api/segments', {
    id: 'list',
    name: 'A list',
    type: 'STATIC',
    members: ['c01'],
  });
  await call(platform.address, 'POST', '/api/segments', {
    id: 'two',
    name: 'Two',
    tags: ['a tag'],
    rules: { conditions: [{ event: 'purchase' }, { segment: 'list' }] },
  });
  browser = await startBrowser();
});

after(async () => {
  await browser?.close();
  await platform?.stop();
});

test('every link of every page', async () => {
  const { page, faults } = await openPage(browser, platform.address);
  const seen = new Set(['/']);
  const left = ['/'];
  const outside = new Set();
  for (let walked = 0; left.length > 0 && walked < MOST; walked += 1) {
    const url = left.shift();
    await page.goto(url);
    await page.locator('main h1, main h2').first().waitFor();
    await page.waitForTimeout(150);
    assert.equal(await page.getByText('There is no such page').count(), 0, url);
    assert.equal(await page.getByText('Not found', { exact: true }).count(), 0, url);
    const links = await page
      .locator('a[href]')
      .evaluateAll((all) => all.map((one) => /** @type {HTMLAnchorElement} */ (one).href));
    for (const link of links) {
      const to = new URL(link);
      if (to.origin !== new URL(platform.address).origin) continue;
      const path = to.pathname + to.search;
      if (/^\/(docs|metrics|openapi\.json|api|schemas)/.test(to.pathname)) outside.add(path);
      else if (!seen.has(path)) {
        seen.add(path);
        left.push(path);
      }
    }
  }
  assert.ok(seen.size > 20, `few pages were found: ${[...seen].join(' ')}`);
  assert.ok(outside.has('/docs'));
  for (const path of outside) {
    const response = await page.request.get(path);
    assert.equal(response.status(), 200, path);
  }
  assert.deepEqual(faults, []);
  await page.context().close();
});

test('every address that the README and the guides give', async () => {
  const root = new URL('../../../../', import.meta.url);
  const texts = await Promise.all(
    ['README.md', 'docs/running.md', 'docs/definitions.md', 'docs/events.md', 'docs/rules.md'].map((file) =>
      readFile(new URL(file, root), 'utf8'),
    ),
  );
  const found = [...texts.join('\n').matchAll(/https?:\/\/(?:localhost|127\.0\.0\.1):808\d(\/[\w/.-]*)?/g)];
  const paths = [...new Set(found.map(([, path = '/']) => path.replace(/\.$/, '')))];
  assert.ok(paths.length > 0);
  for (const path of paths) {
    const response = await fetch(platform.address + path, { headers: { accept: 'text/html' } });
    // An address that is only posted to is there, too.
    assert.ok([200, 405].includes(response.status), `${path} answers ${response.status}`);
  }
});
