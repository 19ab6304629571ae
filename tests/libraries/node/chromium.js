// Segment's library for browsers, in a page of Chromium: of another origin, and loaded anew before the second part, so that the
// user is the one whom the browser has kept.
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import path from 'node:path';
import { chromium } from 'playwright-core';
import { makeCalls, makeTicks, settingsFor } from './browser-calls.js';
import { address, arrived, half, ids, order, ticks, traits } from './part.js';

const umd = path.dirname(createRequire(import.meta.url).resolve('@segment/analytics-next/dist/umd/index.js'));
const PAGE = '<!doctype html><meta charset="utf-8"><title>Shop</title><script src="/lib/index.js"></script>';

/** The shop: its page, and the files of the library below `/lib/`. */
const shop = createServer(async (request, response) => {
  const { pathname } = new URL(request.url, 'http://shop');
  const isLibrary = pathname.startsWith('/lib/');
  const body = isLibrary ? await readFile(path.join(umd, path.basename(pathname))).catch(() => undefined) : PAGE;
  response.writeHead(body === undefined ? 404 : 200, { 'content-type': isLibrary ? 'text/javascript' : 'text/html' });
  response.end(body);
});
await new Promise((resolve) => shop.listen(0, '127.0.0.1', resolve));

const browser = await chromium.launch({
  executablePath: process.env.AUDIENCE_CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking', '--disable-component-update'],
});
const page = await browser.newPage();
/** The library, as the page that is loaded has it. */
const load = () =>
  page.evaluateHandle(
    async (settings) => (await globalThis.AnalyticsNext.AnalyticsBrowser.load(settings))[0],
    settingsFor(address),
  );
await page.goto(`http://127.0.0.1:${shop.address().port}/home`);
await page.evaluate(makeCalls, { analytics: await load(), ids, traits, order });
await page.reload();
const analytics = await load();
await half();
await page.evaluate(makeTicks, { analytics, ticks });
await arrived(ticks.length + 7);
await browser.close();
shop.close();
