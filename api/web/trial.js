/**
 * The page of a trial.
 * @module
 */

import { read, readAnswer } from './api.js';
import { toastError } from './chrome.js';
import { marksOf, showCommands } from './commands.js';
import { byId, el, fill, path, say } from './dom.js';
import { SIGNS, between, clock, duration, number, plain } from './format.js';
import { Instrument } from './instrument.js';
import { Knob } from './knob.js';
import { follow } from './live.js';
import { Log } from './log.js';
import { Look } from './look.js';
import { rounds } from './rounds.js';
import { MetricPlot, ValuePlot } from './trial_plots.js';
import { Trace } from './trace.js';

const WIDE = 1200; // rows of the trace in a first look
const { study, number: numberText } = /** @type {{study: string, number: string}} */ (byId('trial').dataset);
const place = Number(numberText);
const url = path`/v1/studies/${study}/trials/${place}`;
const trace = new Trace();
const log = new Log(study, place);
const valuePlot = new ValuePlot(url);
const metricPlot = new MetricPlot(url);
/** @type {any} */
let trial = null;
/** @type {import('./knob.js').Command[]} */
let commands = [];
/** @type {string | null} */
let etag = null;

let knob = /** @type {Knob | null} */ (null);
let instrument = /** @type {Instrument | null} */ (null);
let look = /** @type {Look | null} */ (null);
/** Whether whoever runs the trial cannot be asked. */
let remote = false;

async function readTrial() {
  const before = trial;
  trial = await read(url);
  if (before && before.attempt !== trial.attempt) {
    showParams(); // an exploit changes them
    await readWhole();
  }
  showHead();
  if (!before || before.attempt !== trial.attempt || before.state !== trial.state) await showAttempts();
}

function showHead() {
  const badge = byId('state');
  badge.dataset.state = trial.state;
  fill(badge, el('span', { 'aria-hidden': 'true' }, SIGNS[trial.state]), ` ${trial.state.toLowerCase()}`);
  document.title = `${SIGNS[trial.state]} ${trial.value === null ? trial.state.toLowerCase() : number(trial.value)} · ${study} / ${place} · AlphaGrad`;
  const facts = [
    ['value', trial.values ? trial.values.map((/** @type {number} */ v) => number(v)).join(', ') : number(trial.value)],
    ['step', trace.last === null ? '–' : trace.last.toLocaleString('en')],
    ['took', duration(between(trial.started_at, trial.finished_at))],
    ['attempt', String(trial.attempt)],
    ['seed', String(trial.seed)],
  ];
  fill(byId('facts'), ...facts.map(([name, value]) => el('div', {}, el('dt', {}, name), el('dd', {}, value))));
  const error = byId('trial-error');
  error.hidden = !trial.error;
  error.classList.toggle('bad', trial.state === 'FAIL');
  say(error, trial.error || '');
}

function showParams() {
  fill(byId('params'), el('table', { class: 'pairs' }, el('tbody', {}, ...Object.entries(trial.params).map(
    ([name, value]) => el('tr', {}, el('th', { scope: 'row' }, name), el('td', {}, plain(value)))))));
}

async function showAttempts() {
  const { items } = await read(`${url}/attempts`);
  fill(byId('attempts'), el('div', { class: 'scroll' }, el('table', { class: 'rows' },
    el('thead', {}, el('tr', {}, ...['#', 'worker', 'started', 'took', 'outcome'].map((h) => el('th', { scope: 'col' }, h)))),
    el('tbody', {}, ...items.map((/** @type {any} */ one) => el('tr', {},
      el('td', {}, one.attempt), el('td', {}, one.worker), el('td', {}, clock(one.started_at)),
      el('td', {}, duration(between(one.started_at, one.finished_at))),
      el('td', {}, one.outcome || 'running', one.error && el('div', { class: 'muted small' }, one.error))))))));
}

async function readWhole() {
  trace.steps = [];
  trace.take(await read(`${url}/alpha`, { max_steps: WIDE }));
  instrument?.draw();
}

async function readTrace() {
  if (trace.full) return readWhole();
  const answer = await read(`${url}/alpha`, { max_steps: WIDE, after_step: trace.last });
  if (trace.last !== null && answer.layers.length !== trace.layers.length) return readWhole();
  if (trace.take(answer)) instrument?.draw();
}

async function readCommands() {
  const answer = await readAnswer(`${url}/knobs`);
  // An answer that was overtaken knows fewer of them.
  if (answer.body.items.length < commands.length) return;
  commands = answer.body.items;
  etag = answer.etag;
  if (instrument) {
    instrument.marks = marksOf(commands);
    instrument.draw();
  }
}

function showKnob() {
  knob?.update(trial.state === 'RUNNING');
  look?.update(trial.state === 'RUNNING' && !remote);
  say(byId('knob-scope'), trial.state === 'RUNNING' ? '' : `turns in a running trial; this one is ${trial.state.toLowerCase()}`);
  showCommands(byId('knobs'), commands, trace);
}

const { refresh, soon } = rounds(async () => {
  await readTrial();
  await Promise.all([readTrace(), readCommands(), valuePlot.update(trial), metricPlot.update(trial), log.update()]);
  showHead();
  showKnob();
}, 500);

/** The band that the trial's own scheduler aims at, or the schedulers' default. */
function band() {
  const { alpha_band_low: low = 0.05, alpha_band_high: high = 0.25 } = trial.params;
  return /** @type {[number, number]} */ ([low, high]);
}

async function start() {
  trial = await read(url);
  showHead();
  showParams();
  instrument = new Instrument(byId('instrument'), byId('instrument-tools'), trace, { onChoose: showKnob, band: band() });
  knob = new Knob(byId('knob'), instrument, {
    study, number: place, scheduled: Boolean(trial.params.alpha_rule && trial.params.alpha_rule !== 'constant'),
    etag: () => etag,
    onSent: async () => {
      await readCommands();
      showKnob();
      return commands;
    },
  });
  look = new Look(instrument, url);
  await Promise.all([showAttempts(), showNeighbours()]);
  await refresh();
  // For who looks from the console, and for tests.
  Object.assign(window, { alphagrad: { trace, instrument, knob, look } });
  follow((event) => {
    if (event.kind === 'tick' ? trial.state === 'RUNNING' || trial.state === 'WAITING' : event.study === study && event.trial === place) soon();
  }, { study });
}

async function showNeighbours() {
  const link = (/** @type {number} */ to, /** @type {string} */ text) => el('a', { href: path`/studies/${study}/trials/${to}` }, text);
  const { trials, spec } = await read(path`/v1/studies/${study}`);
  remote = spec.engine === 'remote';
  const { QUEUED: _, ...started } = trials;
  const more = place + 1 < Object.values(started).reduce((/** @type {number} */ a, /** @type {any} */ b) => a + b, 0);
  fill(byId('neighbours'), place > 0 && link(place - 1, '← previous'), ' ', more && link(place + 1, 'next →'),
    (place > 0 || more) && ' · ', el('a', { href: `/compare?trial=${encodeURIComponent(`${study}/${place}`)}` }, 'compare'));
}

start().catch(toastError);
