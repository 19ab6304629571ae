import RudderAnalytics from '@rudderstack/rudder-sdk-node';
import { address, half, ids, order, ticks, traits } from './part.js';

const { user, anonymous, old } = ids;
const options = { dataPlaneUrl: address, flushAt: 7, flushInterval: 200, retryCount: 8 };
const analytics = new RudderAnalytics('key', options);
analytics.track({ anonymousId: anonymous, event: 'viewed' });
analytics.identify({ userId: user, anonymousId: anonymous, traits });
analytics.page({ userId: user, name: 'Home', properties: { url: '/home' } });
analytics.screen({ userId: user, name: 'Main' });
analytics.group({ userId: user, groupId: 'g1', traits: { size: 3 } });
analytics.track({ anonymousId: old, event: 'before' });
analytics.alias({ previousId: old, userId: user });
analytics.track({ userId: user, event: 'order', properties: order });
await analytics.flush();
await half();
for (const n of ticks) analytics.track({ userId: user, event: 'tick', properties: { n } });
await analytics.flush();
