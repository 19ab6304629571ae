// The calls of Segment's library for browsers. Each function stands alone, since it may run in another window than this one.
/** All kinds of call: first by somebody who has no name, then by two devices of one user. */
export async function makeCalls({ analytics, ids, traits, order }) {
  const { user, anonymous, old } = ids;
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
}

/** Many events at once. */
export const makeTicks = ({ analytics, ticks }) => Promise.all(ticks.map((n) => analytics.track('tick', { n })));

/** The settings of the library, which sends to an address and asks nobody for them. */
export function settingsFor(address) {
  const host = { apiHost: `${address.replace('http://', '')}/v1`, protocol: 'http' };
  return { writeKey: 'key', cdnSettings: { integrations: { 'Segment.io': host } } };
}
