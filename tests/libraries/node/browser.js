// Segment's library for browsers, in the window of jsdom: of another origin, so that it asks first.
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { setTimeout } from 'node:timers/promises';
import { JSDOM } from 'jsdom';
import { address, half, ids, order, ticks, traits } from './part.js';

const { user, anonymous, old } = ids;
const library = createRequire(import.meta.url).resolve('@segment/analytics-next/dist/umd/index.js');
const options = { url: 'https://shop.example/home', runScripts: 'outside-only', pretendToBeVisual: true };
const { window } = new JSDOM('<!doctype html><title>Shop</title>', options);
window.eval(await readFile(library, 'utf8'));
const host = { apiHost: `${address.replace('http://', '')}/v1`, protocol: 'http' };
const settings = { writeKey: 'key', cdnSettings: { integrations: { 'Segment.io': host } } };
const [analytics] = await window.AnalyticsNext.AnalyticsBrowser.load(settings);
analytics.setAnonymousId(old);
await analytics.track('before');
await analytics.alias(user, old);
analytics.setAnonymousId(anonymous);
await analytics.track('viewed');
await analytics.identify(user, traits);
await analytics.page('Home', { url: '/home' });
await analytics.screen('Main');
await analytics.group('g1', { size: 3 });
await analytics.track('order', order);
await half();
await Promise.all(ticks.map((n) => analytics.track('tick', { n })));
// The library tries again for as long as the page is there.
for (let tries = 0; tries < 100; tries++) {
  const profile = await fetch(`${address}/api/users/${user}`).then((answer) => answer.json(), () => ({}));
  if (profile.eventCount >= ticks.length + 7) break;
  await setTimeout(200);
}
window.close();
