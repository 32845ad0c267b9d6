/**
 * Requests to `/v1`: reads go by the session's cookie, writes carry the key.
 *
 * The key is kept in sessionStorage, so that it goes with the tab; never in a URL.
 * @module
 */

import { askForKey } from './dialogs.js';

const KEY = 'alphagrad-key';

/** A refused request: `problem` is its RFC 9457 body, `status` 0 where no server answered. */
export class ApiError extends Error {
  /**
   * @param {number} status
   * @param {{detail?: string, type?: string, errors?: {field: string, value: any, message: string}[]}} problem
   * @param {number} [retryAfter] Seconds.
   */
  constructor(status, problem, retryAfter = 0) {
    super(problem.detail || `the server answered ${status}`);
    this.retryAfter = retryAfter;
    this.status = status;
    this.problem = problem;
    this.errors = problem.errors || [];
  }
}

/** Whoever wants to know whether the server answers. @type {Set<(up: boolean) => void>} */
export const contact = new Set();

/**
 * @param {string} url
 * @param {RequestInit} init
 */
async function call(url, init) {
  let answer;
  try {
    answer = await fetch(url, { credentials: 'same-origin', ...init });
  } catch (error) {
    if (init.signal?.aborted) throw error;
    for (const tell of contact) tell(false);
    throw new ApiError(0, { detail: 'the server does not answer' });
  }
  for (const tell of contact) tell(answer.status !== 503);
  if (!answer.ok) {
    const problem = await answer.json().catch(() => ({}));
    throw new ApiError(answer.status, problem, Number(answer.headers.get('retry-after')) || 1);
  }
  return answer;
}

/**
 * Read something; a session that has ended leads to the login page.
 * @param {string} url
 * @param {Record<string, any>} [query] Lists are repeated; what is null is left out.
 * @param {{signal?: AbortSignal}} [options]
 * @returns {Promise<any>}
 */
export async function read(url, query = {}, options = {}) {
  return (await readAnswer(url, query, options)).body;
}

/**
 * As `read`, with the answer's entity tag.
 * @param {string} url
 * @param {Record<string, any>} [query]
 * @param {{signal?: AbortSignal}} [options]
 * @param {number} [tries] So often in all, where the server asks for patience.
 * @returns {Promise<{body: any, etag: string | null}>}
 */
export async function readAnswer(url, query = {}, options = {}, tries = 4) {
  try {
    const answer = await call(url + queryOf(query), { headers: { Accept: 'application/json' }, ...options });
    return { body: await answer.json(), etag: answer.headers.get('etag') };
  } catch (error) {
    if (error instanceof ApiError && error.status === 401) {
      location.assign(`/login?next=${encodeURIComponent(location.pathname + location.search)}`);
      await new Promise(() => {}); // the page is about to go
    }
    if (error instanceof ApiError && error.status === 429 && tries > 1) {
      await new Promise((resolve) => { window.setTimeout(resolve, 1000 * Math.min(30, error.retryAfter)); });
      return readAnswer(url, query, options, tries - 1);
    }
    throw error;
  }
}

/** @param {Record<string, any>} query */
function queryOf(query) {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== null && one !== undefined && one !== '') params.append(name, one);
    }
  }
  const text = params.toString();
  return text && `?${text}`;
}

/**
 * Read all pages of a list, or up to so many items.
 * @param {string} url
 * @param {Record<string, any>} [query]
 * @param {number} [most]
 */
export async function readAll(url, query = {}, most = Infinity) {
  /** @type {any[]} */
  const items = [];
  let token = null;
  do {
    const page = await read(url, { page_size: 500, ...query, page_token: token });
    items.push(...page.items);
    token = page.next_page_token;
  } while (token && items.length < most);
  return items;
}

/**
 * Change something; asks for the key where the tab has none, or a wrong one.
 * @param {'POST' | 'PATCH' | 'DELETE'} method
 * @param {string} url
 * @param {any} [body]
 * @param {Record<string, string>} [headers]
 * @returns {Promise<any>}
 */
export async function write(method, url, body, headers = {}) {
  return (await writeAnswer(method, url, body, headers)).body;
}

/**
 * As `write`, with the answer's entity tag.
 * @param {'POST' | 'PATCH' | 'DELETE'} method
 * @param {string} url
 * @param {any} [body]
 * @param {Record<string, string>} [headers]
 * @returns {Promise<{body: any, etag: string | null}>}
 */
export async function writeAnswer(method, url, body, headers = {}) {
  // The same for all tries of one write, so that it is done once.
  const once = method !== 'DELETE' ? { 'Idempotency-Key': randomKey() } : {};
  let key = sessionStorage.getItem(KEY);
  let why = '';
  for (;;) {
    if (!key) {
      key = await askForKey(why);
      if (!key) throw new ApiError(401, { detail: 'nothing was changed: a key is needed for that' });
    }
    try {
      const answer = await call(url, {
        method,
        headers: {
          ...headers, ...once, Authorization: `Bearer ${key}`,
          ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
        },
        body: body === undefined ? undefined : JSON.stringify(body),
      });
      sessionStorage.setItem(KEY, key);
      return { body: answer.status === 204 ? null : await answer.json(), etag: answer.headers.get('etag') };
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 401) throw error;
      sessionStorage.removeItem(KEY);
      key = null;
      why = 'This is not the key.';
    }
  }
}

function randomKey() {
  // crypto.randomUUID is there on secure origins alone.
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, '0')).join('');
}

/** Whether this tab has a key, right or wrong. */
export function hasKey() {
  return sessionStorage.getItem(KEY) !== null;
}
