import { Operations } from './operations.js';
import type { Call, StreamEvent, TextBody } from './operations.js';
import type { Fault, Problem, Rejected } from './types.js';

/** How a client reaches an instance. */
export interface ClientOptions {
  /** The address of the instance: `http://127.0.0.1:8081`. */
  baseUrl: string;
  /** Headers of every call, such as `authorization`. */
  headers?: Record<string, string>;
  /** Milliseconds after which a call is given up; 30,000 by default. A stream has no such limit. */
  timeoutMilliseconds?: number;
  /** Another `fetch` than the platform's. */
  fetch?: typeof fetch;
}

/** An answer that says why not, in the server's words. */
export class ApiError extends Error {
  readonly status: number;
  /** A stable word for programs. */
  readonly code: string;
  readonly errors: Fault[];
  /** Events that are durable all the same. */
  readonly accepted: number;
  readonly rejected: Rejected[];
  /** Seconds after which the server asks to be tried again. */
  readonly retryAfterSeconds?: number;

  constructor(status: number, problem: Partial<Problem>, retryAfter: string | null) {
    super(problem.detail ?? problem.title ?? `The server answered ${status}`);
    this.name = 'ApiError';
    this.status = status;
    this.code = problem.code ?? '';
    this.errors = problem.errors ?? [];
    this.accepted = problem.accepted ?? 0;
    this.rejected = problem.rejected ?? [];
    const seconds = Number(retryAfter);
    if (retryAfter !== null && Number.isFinite(seconds)) this.retryAfterSeconds = seconds;
  }
}

/** A client of the whole API: one method for each operation. A call that fails is not repeated. */
export class AudienceManager extends Operations {
  readonly #options: ClientOptions;

  constructor(options: ClientOptions) {
    super();
    this.#options = options;
  }

  protected async call<T>(call: Call): Promise<T> {
    const signal = AbortSignal.timeout(this.#options.timeoutMilliseconds ?? 30_000);
    const response = await this.#send(call, 'application/json, text/csv;q=0.9, */*;q=0.1', signal);
    const text = await response.text();
    const isJson = response.headers.get('content-type')?.startsWith('application/json');
    return (isJson ? JSON.parse(text) : text || undefined) as T;
  }

  protected async *follow(call: Call): AsyncIterable<StreamEvent> {
    const giveUp = new AbortController();
    try {
      const response = await this.#send(call, 'text/event-stream', giveUp.signal);
      if (response.body) yield* streamEvents(response.body);
    } finally {
      giveUp.abort();
    }
  }

  async #send(call: Call, accept: string, signal: AbortSignal): Promise<Response> {
    const { baseUrl, headers: common, fetch: own } = this.#options;
    const url = new URL(baseUrl.replace(/\/$/, '') + call.path);
    for (const [name, value] of Object.entries(call.query ?? {})) {
      for (const one of Array.isArray(value) ? value : [value]) {
        if (one !== undefined && one !== null) url.searchParams.append(name, String(one));
      }
    }
    const headers: Record<string, string> = { accept, ...common };
    for (const [name, value] of Object.entries(call.headers ?? {})) {
      if (value !== undefined && value !== null) headers[name] = headerText(String(value));
    }
    const init: RequestInit = { method: call.method, headers, signal };
    if (call.body !== undefined) {
      const isText = isTextBody(call.body);
      headers['content-type'] = isText ? (call.body as TextBody).mediaType : 'application/json';
      init.body = isText ? (call.body as TextBody).text : JSON.stringify(call.body);
    }
    const response = await (own ?? fetch)(url, init);
    if (!response.ok) {
      const problem = await response.json().catch(() => ({}));
      throw new ApiError(response.status, problem, response.headers.get('retry-after'));
    }
    return response;
  }
}

/** UTF-8 text as the bytes that a header takes. */
const headerText = (text: string) => String.fromCharCode(...new TextEncoder().encode(text));

function isTextBody(body: unknown): body is TextBody {
  return typeof body === 'object' && body !== null && 'mediaType' in body && 'text' in body;
}

/** Reads server-sent events; what is only there to keep the connection open is passed over. */
async function* streamEvents(body: ReadableStream<Uint8Array>): AsyncGenerator<StreamEvent> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = '';
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      rest += decoder.decode(value, { stream: true }).replaceAll('\r', '');
      for (let end = rest.indexOf('\n\n'); end >= 0; end = rest.indexOf('\n\n')) {
        const event = streamEvent(rest.slice(0, end));
        rest = rest.slice(end + 2);
        if (event) yield event;
      }
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

function streamEvent(block: string): StreamEvent | undefined {
  const found = { id: '', event: 'message' };
  const data: string[] = [];
  for (const line of block.split('\n')) {
    const [, name, value] = /^(\w+): ?(.*)$/.exec(line) ?? [];
    if (name === 'data') data.push(value ?? '');
    else if (name === 'id' || name === 'event') found[name] = value ?? '';
  }
  return data.length > 0 ? { ...found, data: JSON.parse(data.join('\n')) } : undefined;
}
