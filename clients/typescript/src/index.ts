/** A client of Audience Manager: its whole API, and a sender of events. */
export { ApiError, AudienceManager } from './client.js';
export type { ClientOptions } from './client.js';
export type { StreamEvent, TextBody } from './operations.js';
export { EventSender } from './sender.js';
export type { RefusedEvent, SenderOptions } from './sender.js';
export type * from './types.js';
