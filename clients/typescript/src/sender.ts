import { AudienceManager, ApiError } from './client.js';
import type { ClientOptions } from './client.js';
import type { Event, Rejected } from './types.js';

/** An event that was refused, with the reason. */
export interface RefusedEvent {
  event: Event;
  code: string;
  /** JSON pointer into the event. */
  pointer: string;
  message: string;
}

/** How a sender gathers, sends and tries again. */
export interface SenderOptions extends ClientOptions {
  /** Events of a request at most: 500 by default. */
  batchEvents?: number;
  /** Milliseconds after which what was gathered is sent: 1,000 by default. */
  flushMilliseconds?: number;
  /** Events that wait at most: 10,000 by default. */
  maxWaiting?: number;
  /** The first wait before another attempt, in milliseconds: 200 by default; it doubles up to `maxBackoffMilliseconds`. */
  backoffMilliseconds?: number;
  /** The longest wait before another attempt: 30,000 by default. */
  maxBackoffMilliseconds?: number;
  /** Called with events that the server refused: they will never be taken. By default they are written to the console. */
  onRefused?: (events: RefusedEvent[]) => void;
  /** Called before each wait for another attempt. */
  onRetry?: (error: unknown, waitMilliseconds: number) => void;
}

/** A request that is yet to be answered: repeated as it is, under the same key. */
interface Batch {
  key: string;
  events: Event[];
}

/** Bytes of a request, from which on it is sent without more events. */
const BATCH_BYTES = 512 * 1024;
/** Bytes that a browser sends while a page is left, at most. */
const KEEPALIVE_BYTES = 60 * 1024;

/**
 * Sends events in batches, in their order, until each is accepted or refused.
 *
 * Every event gets a `messageId`, and every batch an `Idempotency-Key`; a batch that fails is sent again as it is. So each
 * event counts once, also when an answer is lost or the server is killed in between. Memory is bounded: `send` throws when
 * `maxWaiting` events wait.
 */
export class EventSender {
  readonly #options: SenderOptions;
  readonly #client: AudienceManager;
  readonly #waiting: { event: Event; bytes: number }[] = [];
  #batch: Batch | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #running: Promise<void> | undefined;
  #isClosed = false;
  #wake: (() => void) | undefined;
  #giveUp = false;

  constructor(options: SenderOptions) {
    this.#options = options;
    this.#client = new AudienceManager(options);
    globalThis.addEventListener?.('pagehide', this.#onPageHide);
  }

  /** Events that are not yet accepted or refused. */
  get waiting(): number {
    return this.#waiting.length + (this.#batch?.events.length ?? 0);
  }

  /** Takes an event, to be sent soon. */
  send(event: Event): void {
    if (this.#isClosed) throw new Error('The sender is closed');
    const most = this.#options.maxWaiting ?? 10_000;
    if (this.waiting >= most) throw new Error(`${most} events wait to be sent; the server does not take them`);
    const whole = { ...event, messageId: event.messageId ?? crypto.randomUUID() };
    this.#waiting.push({ event: whole, bytes: JSON.stringify(whole).length });
    if (this.#waiting.length >= this.#batchEvents) this.#start();
    else this.#timer ??= setTimeout(() => this.#start(), this.#options.flushMilliseconds ?? 1_000);
  }

  /** Sends what waits; returns once each of it is accepted or refused. */
  async flush(): Promise<void> {
    while (this.waiting > 0 && !this.#giveUp) await this.#start();
  }

  /** Sends what waits and takes no more. After `timeoutMilliseconds` the rest is given up: it returns how many that are. */
  async close(timeoutMilliseconds = 10_000): Promise<number> {
    this.#isClosed = true;
    const late = setTimeout(() => {
      this.#giveUp = true;
      this.#wake?.();
    }, timeoutMilliseconds);
    await this.flush();
    clearTimeout(late);
    globalThis.removeEventListener?.('pagehide', this.#onPageHide);
    return this.waiting;
  }

  get #batchEvents(): number {
    return Math.min(this.#options.batchEvents ?? 500, 10_000);
  }

  /** Begins to send, unless that is under way. */
  #start(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #run(): Promise<void> {
    let wait = this.#options.backoffMilliseconds ?? 200;
    while (!this.#giveUp) {
      this.#batch ??= this.#gather();
      if (!this.#batch) return;
      try {
        await this.#attempt(this.#batch);
        wait = this.#options.backoffMilliseconds ?? 200;
      } catch (error) {
        const least = 1_000 * (error instanceof ApiError ? (error.retryAfterSeconds ?? 0) : 0);
        // Spread, so that senders that failed together do not come back together.
        const rest = Math.max(least, wait * (0.5 + Math.random() / 2));
        this.#options.onRetry?.(error, rest);
        await this.#rest(rest);
        wait = Math.min(2 * wait, this.#options.maxBackoffMilliseconds ?? 30_000);
      }
    }
  }

  /** The next events that go together. */
  #gather(): Batch | undefined {
    let count = 0;
    for (let bytes = 0; count < this.#batchEvents && bytes < BATCH_BYTES; count += 1) {
      const next = this.#waiting[count];
      if (!next) break;
      bytes += next.bytes;
    }
    if (count === 0) return undefined;
    return { key: crypto.randomUUID(), events: this.#waiting.splice(0, count).map(({ event }) => event) };
  }

  /** Sends a batch; it is done unless this throws, and then it is to be sent again as it is. */
  async #attempt({ key, events }: Batch): Promise<void> {
    try {
      const { rejected } = await this.#client.sendEvents(events, { idempotencyKey: key });
      this.#refuse(events, rejected);
    } catch (error) {
      if (!(error instanceof ApiError) || isPassing(error)) throw error;
      if (error.status === 413 && events.length > 1) {
        // Too large together: halves go one after the other, each under a key of its own.
        const half = Math.ceil(events.length / 2);
        const rest = events.slice(half).map((event) => ({ event, bytes: JSON.stringify(event).length }));
        this.#waiting.unshift(...rest);
        this.#batch = { key: crypto.randomUUID(), events: events.slice(0, half) };
        return;
      }
      const whole = { code: error.code, pointer: '', message: error.message };
      const all = events.map((_, index) => ({ index, ...whole }));
      this.#refuse(events, error.rejected.length > 0 ? error.rejected : all);
    }
    this.#batch = undefined;
  }

  #refuse(events: Event[], rejected: Rejected[]): void {
    const refused = rejected.flatMap(({ index, code, pointer, message }) => {
      const event = events[index];
      return event ? [{ event, code, pointer, message }] : [];
    });
    if (refused.length === 0) return;
    if (this.#options.onRefused) this.#options.onRefused(refused);
    else console.error('The server refuses events', refused);
  }

  #rest(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** A page that is left: the browser sends what fits, and the server counts what comes again once. */
  readonly #onPageHide = (): void => {
    const { baseUrl, headers } = this.#options;
    let events = [...(this.#batch?.events ?? []), ...this.#waiting.map(({ event }) => event)];
    while (events.length > 0 && JSON.stringify(events).length > KEEPALIVE_BYTES) {
      events = events.slice(0, Math.floor(events.length / 2));
    }
    if (events.length === 0) return;
    void fetch(`${baseUrl.replace(/\/$/, '')}/api/events`, {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/json' },
      body: JSON.stringify(events),
      keepalive: true,
    }).catch(() => undefined);
  };
}

/** Whether another attempt may succeed: the server is busy, away, or still at the first attempt. */
function isPassing({ status }: ApiError): boolean {
  return status >= 500 || status === 408 || status === 409 || status === 429;
}
