// Calls of the REST API: JSON there and back, errors as Problem.
import { parseJson } from '../rules/exact.js';
import { sentenceOf } from './sentences.js';
import { createStore } from './store.js';
import { t } from '../texts/texts.js';

/** True if the server answers. */
export const connection = createStore({ up: true });

/** Counts the answers that say that one must sign in. */
export const signedOut = createStore(0);

/** An error as the server tells it (RFC 9457), or that it cannot be reached (status 0). */
export class Problem extends Error {
  constructor(status, body = {}) {
    const detail = body.detail || body.title || t('api.theServerAnsweredStatus', { status });
    super(sentenceOf({ code: body.code, message: detail }));
    /** The server's own words. */
    this.detail = detail;
    this.status = status;
    this.code = body.code || '';
    this.errors = Array.isArray(body.errors) ? body.errors : [];
    this.body = body;
  }

  /** True if this server does not have the requested resource at all. */
  get isMissingPath() {
    return (
      (this.status === 404 && this.code === 'unknown_path') || this.status === 405 || this.status === 501
    );
  }
}

/** The message of a call without a connection: a question is asked again, a change is not repeated by itself. */
const unreachable = (isQuestion) =>
  new Problem(0, {
    code: 'unreachable',
    detail: isQuestion ? t('api.theServerCannotBeReachedThe') : t('api.theServerCannotBeReachedNothing'),
  });

/** Fetches, and notes whether the server answers. `isQuestion` says that nothing is changed by it. */
export async function reach(url, init, isQuestion) {
  try {
    const response = await fetch(url, init);
    if (!connection.get().up) connection.set({ up: true });
    return response;
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    connection.set({ up: false });
    throw unreachable(isQuestion);
  }
}

/** Who makes changes, as the audit log shows it. */
export const author = {
  get() {
    try {
      return localStorage.getItem('audience.author') || 'console';
    } catch {
      return 'console';
    }
  },
  set(name) {
    try {
      localStorage.setItem('audience.author', name);
    } catch {
      // Without storage the name lasts as long as the default.
    }
  },
};

/** UTF-8 text as the bytes that a header takes. */
export function headerText(text) {
  return String.fromCharCode(...new TextEncoder().encode(text));
}

/** A path with its parts encoded: path`/api/segments/${id}`. */
export function path(texts, ...values) {
  return String.raw({ raw: texts }, ...values.map((value) => encodeURIComponent(value)));
}

/** `?a=1&b=2` of those members that have a value; a list gives one pair each. */
export function query(members) {
  const pairs = new URLSearchParams();
  for (const [name, value] of Object.entries(members)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== undefined && one !== null && one !== '') pairs.append(name, one);
    }
  }
  const text = pairs.toString();
  return text ? `?${text}` : '';
}

/**
 * Asks the server.
 * @param {string} method
 * @param {string} url
 * @param {{body?: unknown, text?: string, type?: string, etag?: string, signal?: AbortSignal, headers?: object}} [options]
 * @returns {Promise<{status: number, data: any, etag: string | null}>}
 */
export async function ask(method, url, options = {}) {
  const headers = { accept: 'application/json', ...options.headers };
  let body = options.text;
  if (options.body !== undefined) body = JSON.stringify(options.body);
  if (body !== undefined) headers['content-type'] = options.type ?? 'application/json';
  if (options.etag) headers['if-match'] = options.etag;
  if (method !== 'GET') headers['x-author'] = headerText(author.get());
  const init = { method, headers, body, signal: options.signal, cache: /** @type {const} */ ('no-store') };
  const response = await reach(url, init, method === 'GET');
  const text = await response.text();
  if (!response.ok) {
    const problem = new Problem(response.status, parse(text) ?? {});
    if (['sign_in', 'not_known'].includes(problem.code)) signedOut.set(signedOut.get() + 1);
    throw problem;
  }
  return { status: response.status, data: parse(text), etag: response.headers.get('etag') };
}

/** The answer to a GET. */
export async function read(url, signal) {
  return (await ask('GET', url, { signal })).data;
}

function parse(text) {
  if (!text) return undefined;
  try {
    return parseJson(text);
  } catch {
    return undefined;
  }
}
