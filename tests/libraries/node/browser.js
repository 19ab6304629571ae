// Segment's library for browsers, in the window of jsdom: of another origin, so that it asks first.
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { JSDOM } from 'jsdom';
import { makeCalls, makeTicks, settingsFor } from './browser-calls.js';
import { address, arrived, half, ids, order, ticks, traits } from './part.js';

const library = createRequire(import.meta.url).resolve('@segment/analytics-next/dist/umd/index.js');
const options = { url: 'https://shop.example/home', runScripts: 'outside-only', pretendToBeVisual: true };
const { window } = new JSDOM('<!doctype html><title>Shop</title>', options);
window.eval(await readFile(library, 'utf8'));
const [analytics] = await window.AnalyticsNext.AnalyticsBrowser.load(settingsFor(address));
await makeCalls({ analytics, ids, traits, order });
await half();
await makeTicks({ analytics, ticks });
await arrived(ticks.length + 7);
window.close();
