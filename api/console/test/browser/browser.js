// The browser of a test: Chromium without a window, and what every page is asked.
import assert from 'node:assert/strict';
import { mkdir, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { chromium } from 'playwright-core';

const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const shots = process.env.AUDIENCE_SCREENSHOTS;

/** A headless browser; `AUDIENCE_CHROMIUM` names another than Debian's. */
export function startBrowser() {
  return chromium.launch({
    executablePath: process.env.AUDIENCE_CHROMIUM ?? '/usr/bin/chromium',
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
}

/**
 * A page in the browser's language, or in the `language` that was chosen before. Its faults are kept: what a script throws,
 * and what the policy of the console forbids.
 * @param {any} browser
 * @param {string} address
 * @param {any} [options] of the context
 */
export async function openPage(browser, address, { language, ...options } = {}) {
  const context = await browser.newContext({
    baseURL: address,
    viewport: { width: 1280, height: 800 },
    ...options,
  });
  // Long, for machines whose host gives them little: nothing waits for it that passes.
  context.setDefaultTimeout(30_000);
  if (language)
    await context.addInitScript((name) => localStorage.setItem('audience.language', name), language);
  const page = await context.newPage();
  const faults = [];
  page.on('pageerror', (error) => faults.push(String(error.stack ?? error)));
  page.on('console', (message) => {
    if (message.type() === 'error' && !message.text().startsWith('Failed to load resource'))
      faults.push(message.text());
  });
  return { page, faults };
}

/** Nothing that axe calls serious or critical, and nothing wider than the screen. */
export async function assertSound(page, name) {
  // The policy of the console keeps foreign scripts out of a page, but not those of its developer.
  await page.evaluate(axe);
  const found = await page.evaluate(async () => {
    const { violations } = await globalThis.axe.run(document, { resultTypes: ['violations'] });
    return violations
      .filter((one) => one.impact === 'serious' || one.impact === 'critical')
      .map(
        (one) =>
          `${one.id}: ${one.nodes.map((node) => `${node.target.join(' ')} (${node.any[0]?.message ?? one.help})`).join('; ')}`,
      );
  });
  assert.deepEqual(found, [], `${name}: what axe finds`);
  const over = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  assert.ok(over <= 0, `${name} is ${over} pixels wider than the screen`);
}

/** Keeps what a page looks like, where AUDIENCE_SCREENSHOTS names a directory. */
export async function keepShot(page, name) {
  if (!shots) return;
  await mkdir(shots, { recursive: true });
  await page.screenshot({ path: `${shots}/${name}.png`, fullPage: true });
}
