// A page asks for little: one script and one style sheet that are kept for good, and one answer for all sizes.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { openPage, startBrowser } from './browser.js';
import { call, fill, startPlatform } from './platform.js';

const SEGMENTS = 40;
/** Requests of a page at its first visit, with those of the API. */
const MOST = 16;

let platform;
let browser;

before(async () => {
  platform = await startPlatform();
  await fill(platform.address);
  for (let number = 0; number < SEGMENTS; number += 1) {
    const rules = { event: 'purchase', operator: 'gte', value: 1 + (number % 19) };
    const body = { id: `s${number}`, name: `Segment ${number}`, rules };
    await call(platform.address, 'POST', '/api/segments', body);
  }
  browser = await startBrowser();
});

after(async () => {
  await browser?.close();
  await platform?.stop();
});

/** The requests of a page until it has been quiet for a moment. */
async function requestsOf(page, url, text) {
  const asked = [];
  const note = (request) => asked.push(new URL(request.url()).pathname);
  page.on('request', note);
  await page.goto(url);
  await page.getByText(text).first().waitFor();
  await page.waitForTimeout(700);
  page.off('request', note);
  return asked;
}

const PAGES = {
  '/segments': 'Segment 1',
  '/segments/s1': 'purchase',
  '/segments/s1/edit': 'Preview',
  '/segments/new': 'Blank segment',
  '/users': 'c01',
  '/users/c05': 'c05',
  '/traits': 'totalSpent',
  '/audit': 's39',
  '/system': 'engine',
};

test('no page asks for more than a few things', async () => {
  for (const [url, text] of Object.entries(PAGES)) {
    const { page } = await openPage(browser, platform.address);
    const asked = await requestsOf(page, url, text);
    const files = asked.filter((path) => path.startsWith('/console/'));
    assert.ok(asked.length <= MOST, `${url} asks for ${asked.length} things: ${asked.join(' ')}`);
    assert.ok(files.length <= 5, `${url} asks for ${files.join(' ')}`);
    await page.context().close();
  }
});

test('the sizes of a whole list are one request, and another for the young ones', async () => {
  const { page } = await openPage(browser, platform.address);
  const asked = await requestsOf(page, '/segments', 'Segment 1');
  const together = asked.filter((path) => path === '/api/sizes').length;
  assert.ok(together >= 1 && together <= 2, asked.join(' '));
  assert.equal(asked.filter((path) => path.endsWith('/size')).length, 0, asked.join(' '));
  await page.context().close();
});

test('what a browser has once it does not ask for again', async () => {
  const { page } = await openPage(browser, platform.address);
  await page.goto('/segments');
  await page.getByText('Segment 1').first().waitFor();
  await page.goto('/traits');
  await page.getByText('totalSpent').first().waitFor();
  const again = await page.evaluate(() =>
    performance
      .getEntriesByType('resource')
      .filter((one) => one.name.includes('/console/') && /** @type {any} */ (one).transferSize > 0)
      .map((one) => one.name),
  );
  assert.deepEqual(again, []);
  const [script] = /"\/console\/app-[0-9a-f]{16}\.js"/.exec(await (await page.request.get('/')).text()) ?? [];
  assert.ok(script, 'the page names its script by its bytes');
  const response = await page.request.get(script.slice(1, -1));
  assert.equal(response.headers()['cache-control'], 'public, max-age=31536000, immutable');
  await page.context().close();
});

/** Milliseconds until a page shows its own content, at a first visit. */
const LIMITS = { loopback: { latency: 0, most: 500 }, 'at 100 ms': { latency: 100, most: 1500 } };
/** A debug build puts the script together at each request, and a machine of tests has other work: the limits hold for both. */
const SLOWER = Number(process.env.AUDIENCE_SLOWER ?? 3);

/** The bytes that came for a page, and when its text was there: counted by the browser from the moment it was asked for. */
async function visit(url, text, latency) {
  const { page } = await openPage(browser, platform.address);
  const session = await page.context().newCDPSession(page);
  await session.send('Network.enable');
  const network = { offline: false, latency, downloadThroughput: -1, uploadThroughput: -1 };
  await session.send('Network.emulateNetworkConditions', network);
  const seen = { bytes: 0, requests: 0 };
  session.on('Network.loadingFinished', ({ encodedDataLength }) => {
    seen.bytes += encodedDataLength;
  });
  session.on('Network.requestWillBeSent', () => {
    seen.requests += 1;
  });
  await page.addInitScript((wanted) => {
    const look = () => {
      if (document.querySelector('main')?.innerText.includes(wanted))
        Object.assign(window, { seenAt: performance.now() });
      else requestAnimationFrame(look);
    };
    look();
  }, text);
  await page.goto(url);
  const at = await page.waitForFunction(() => /** @type {any} */ (window).seenAt);
  const milliseconds = Math.round(await at.jsonValue());
  await page.waitForTimeout(500);
  await page.context().close();
  return { milliseconds, ...seen };
}

test('the first content of a page is there at once', async (context) => {
  for (const [name, { latency, most }] of Object.entries(LIMITS)) {
    for (const [url, text] of Object.entries(PAGES)) {
      const visits = [];
      for (let nth = 0; nth < 3; nth += 1) visits.push(await visit(url, text, latency));
      const best = visits.reduce((one, other) => (other.milliseconds < one.milliseconds ? other : one));
      context.diagnostic(
        `${name} ${url}: ${best.milliseconds} ms, ${best.requests} requests, ${best.bytes} bytes`,
      );
      assert.ok(best.milliseconds <= most * SLOWER, `${url} ${name}: ${best.milliseconds} ms`);
    }
  }
});
