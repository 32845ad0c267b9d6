/**
 * The list of studies.
 * @module
 */

import { ApiError, readAll } from './api.js';
import { badge } from './chrome.js';
import { byId, el, fill, path, say } from './dom.js';
import { OPEN, SIGNS, ago, duration, ended, number } from './format.js';
import { follow } from './live.js';
import { progressBar } from './progress.js';
import { rounds } from './rounds.js';

const GROUPS = { all: () => true, open: (/** @type {string} */ s) => OPEN.has(s), ended: (/** @type {string} */ s) => !OPEN.has(s) };
const list = byId('list');
const search = /** @type {HTMLInputElement} */ (byId('search'));
/** @type {any[]} */
let studies = [];
/** @type {keyof typeof GROUPS} */
let group = 'all';
/** Cards by study: they are changed in place, so that the focus stays. @type {Map<string, HTMLElement>} */
const cards = new Map();

function makeFilters() {
  const params = new URLSearchParams(location.search);
  search.value = params.get('q') || '';
  if ((params.get('state') || '') in GROUPS) group = /** @type {keyof typeof GROUPS} */ (params.get('state'));
  for (const name of /** @type {(keyof typeof GROUPS)[]} */ (Object.keys(GROUPS))) {
    const input = el('input', { type: 'radio', name: 'state', value: name, on: { change: () => { group = name; show(); } } });
    input.checked = name === group;
    byId('states').append(el('label', {}, input, el('span', {}, name)));
  }
  search.addEventListener('input', show);
  byId('filters').addEventListener('submit', (event) => event.preventDefault());
}

function wanted() {
  const text = search.value.trim().toLowerCase();
  return studies.filter((study) => GROUPS[group](study.state)
    && (!text || [study.name, study.spec.task, study.owner].some((part) => String(part || '').toLowerCase().includes(text))));
}

function show() {
  const query = new URLSearchParams({ ...(search.value && { q: search.value }), ...(group !== 'all' && { state: group }) });
  history.replaceState(null, '', query.size ? `?${query}` : location.pathname);
  list.removeAttribute('aria-busy');
  const running = studies.filter((study) => OPEN.has(study.state)).length;
  say(byId('summary'), studies.length ? `${studies.length} in all, ${running} open` : '');
  document.title = `${running ? `▶ ${running} open · ` : ''}Studies · AlphaGrad`;
  if (!studies.length) return fill(list, welcome());
  const shown = wanted();
  if (!shown.length) return fill(list, el('div', { class: 'empty' }, el('p', {}, 'No study fits the search.')));
  const wantedCards = shown.map((study) => card(study));
  // Left where they are if the order is the same, so that the focus and the scroll stay.
  if (list.children.length !== wantedCards.length || wantedCards.some((one, i) => list.children[i] !== one)) fill(list, ...wantedCards);
}

/** @param {any} study */
function card(study) {
  let place = cards.get(study.name);
  if (!place) {
    place = el('article', { class: 'study' });
    cards.set(study.name, place);
  }
  const text = JSON.stringify([study, OPEN.has(study.state) ? Date.now() : 0]);
  if (place.dataset.shown === text) return place;
  place.dataset.shown = text;
  let link = place.querySelector('a');
  if (!link) {
    link = el('a', { href: path`/studies/${study.name}` }, study.name);
    place.append(el('h2', {}, link));
  }
  const head = /** @type {HTMLElement} */ (place.firstElementChild);
  const done = ended(study.trials);
  const best = study.best ? number(study.best.value) : study.best_trials.length ? `${study.best_trials.length} on the front` : '–';
  const rest = [
    badge(study.state, SIGNS),
    progressBar(study.trials, study.n_trials),
    el('dl', { class: 'facts' },
      fact('trials', `${done} of ${study.n_trials}`),
      fact('best', best),
      fact(OPEN.has(study.state) ? 'left' : 'took', OPEN.has(study.state) ? duration(study.eta_seconds) : duration(secondsOf(study))),
      fact('task', study.spec.task || 'remote'),
      study.owner && fact('owner', study.owner),
      fact('submitted', ago(study.created_at))),
  ];
  place.replaceChildren(head, ...rest);
  return place;
}

/** @param {any} study */
function secondsOf(study) {
  return study.started_at && study.finished_at ? (Date.parse(study.finished_at) - Date.parse(study.started_at)) / 1000 : null;
}

/** @param {string} name @param {string} text */
function fact(name, text) {
  return el('div', {}, el('dt', {}, name), el('dd', {}, text));
}

function welcome() {
  return el('div', { class: 'empty' },
    el('h2', {}, 'No study yet'),
    el('p', {}, 'A study tunes a task: it tries parameters in trials, and shows α and saturation of every layer while they run.'),
    el('p', {}, el('a', { class: 'button primary', href: '/submit' }, 'Submit one by the form')),
    el('p', { class: 'muted' }, 'or from a shell:'),
    el('pre', { class: 'code' }, 'alphagrad submit studies/digits.toml --name first'));
}

const { refresh, soon } = rounds(async () => {
  try {
    studies = (await readAll('/v1/studies')).reverse();
    show();
  } catch (error) {
    if (!(error instanceof ApiError) || error.status || studies.length) throw error;
    fill(list, el('div', { class: 'empty' }, el('p', {}, 'The server does not answer.')));
  }
}, 500);

makeFilters();
refresh();
follow((event) => {
  if (event.kind !== 'trial.progress' && event.kind !== 'trial.knob') soon();
});
