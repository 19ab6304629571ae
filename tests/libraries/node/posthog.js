import { PostHog } from 'posthog-node';
import { address, half, ids, order, ticks, traits } from './part.js';

const { user, anonymous, old } = ids;
const options = { host: address, flushAt: 7, flushInterval: 200, fetchRetryCount: 30, fetchRetryDelay: 200 };
const posthog = new PostHog('key', options);
posthog.on('error', (error) => console.error(error));
posthog.capture({ distinctId: anonymous, event: 'viewed' });
posthog.identify({ distinctId: user, properties: { $set: traits, $anon_distinct_id: anonymous } });
posthog.capture({ distinctId: user, event: '$pageview', properties: { $current_url: '/home' } });
posthog.capture({ distinctId: user, event: '$screen', properties: { $screen_name: 'Main' } });
posthog.groupIdentify({ groupType: 'company', groupKey: 'g1', properties: { size: 3 }, distinctId: user });
posthog.capture({ distinctId: old, event: 'before' });
posthog.alias({ distinctId: user, alias: old });
posthog.capture({ distinctId: user, event: 'order', properties: { ...order, $set: { bought: true } } });
await posthog.flush();
await half();
for (const n of ticks) posthog.capture({ distinctId: user, event: 'tick', properties: { n } });
await posthog.shutdown();
