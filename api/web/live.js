/**
 * What happens on the server, as it happens: server-sent events, or polling where they cannot be had.
 *
 * A subscriber is called with an event, or with `{kind: 'tick'}` when it should look for itself:
 * after a gap, and every two seconds while there is no stream.
 * @module
 */

import { contact } from './api.js';
import { byId, say } from './dom.js';

const KINDS = [
  'study.submitted', 'study.changed', 'study.deleted', 'trial.started', 'trial.progress',
  'trial.knob', 'trial.ended', 'trial.retried',
];
const POLL = 2000;
const RETRY_STREAM = 30000;
const HIDDEN = 20000;

/** @typedef {{kind: string, id?: number, study?: string, trial?: number | null, [more: string]: any}} LiveEvent */

/** @type {Set<(event: LiveEvent) => void>} */
const subscribers = new Set();
/** @type {EventSource | null} */
let source = null;
let lastId = '';
let poll = 0;
let retry = 0;
let hiding = 0;
let opened = false;
let url = '/v1/events';

/**
 * Follow the server's events.
 * @param {(event: LiveEvent) => void} subscriber
 * @param {{study?: string}} [options] Those of one study only.
 */
export function follow(subscriber, options = {}) {
  subscribers.add(subscriber);
  if (options.study) url = `/v1/studies/${encodeURIComponent(options.study)}/events`;
  if (!source && !poll) open();
}

/** @param {LiveEvent} event */
function tell(event) {
  for (const subscriber of subscribers) subscriber(event);
}

/** @param {'live' | 'polling' | 'connecting' | 'gone'} state */
function show(state) {
  const place = byId('connection');
  place.dataset.state = state;
  say(place, { live: 'live', polling: 'polling', connecting: 'connecting', gone: 'no server' }[state]);
}

function open() {
  window.clearTimeout(retry);
  source?.close();
  // A new EventSource sends no Last-Event-ID; the query says it.
  source = new EventSource(lastId ? `${url}?after=${encodeURIComponent(lastId)}` : url);
  source.onopen = () => {
    window.clearInterval(poll);
    poll = 0;
    show('live');
    banner(true);
    // Between the page's first reads and now something may have happened.
    if (opened || !lastId) tell({ kind: 'tick' });
    opened = true;
  };
  source.onerror = () => {
    if (source?.readyState === EventSource.CLOSED) {
      source = null;
      startPolling();
      retry = window.setTimeout(open, RETRY_STREAM);
    } else {
      show('connecting'); // the browser tries again by itself, with Last-Event-ID
      startPolling();
    }
  };
  for (const kind of KINDS) {
    source.addEventListener(kind, (message) => {
      lastId = message.lastEventId || lastId;
      tell({ kind, ...JSON.parse(message.data) });
    });
  }
}

function startPolling() {
  if (poll) return;
  if (byId('connection').dataset.state !== 'gone') show('polling');
  poll = window.setInterval(() => {
    if (!document.hidden) tell({ kind: 'tick' });
  }, POLL);
}

let up = true;

/** @param {boolean} now */
function banner(now) {
  if (now === up) return;
  up = now;
  const place = byId('banner');
  place.hidden = now;
  say(place, now ? '' : 'The server does not answer. What you see is from before; the page tries again by itself.');
  if (!now) show('gone');
  else if (poll) show('polling');
  if (!now) startPolling();
  if (now && poll) tell({ kind: 'tick' });
}
contact.add(banner);

// A browser allows few connections to one server: a tab that nobody looks at gives its own back.
document.addEventListener('visibilitychange', () => {
  window.clearTimeout(hiding);
  if (document.hidden) {
    hiding = window.setTimeout(() => {
      source?.close();
      source = null;
    }, HIDDEN);
  } else comeBack();
});

function comeBack() {
  if (!subscribers.size || source) return;
  open();
  tell({ kind: 'tick' });
}

// The browser may keep a page that one leaves, and show it again as it was.
addEventListener('pagehide', () => {
  window.clearTimeout(retry);
  source?.close();
  source = null;
});
addEventListener('pageshow', (event) => {
  if (event.persisted) comeBack();
});
