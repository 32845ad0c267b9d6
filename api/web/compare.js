/**
 * Trials side by side.
 * @module
 */

import { ApiError, read, readAll } from './api.js';
import { badge, recoloured, toast, toastError } from './chrome.js';
import { SERIES } from './colours.js';
import { byId, el, fill, gathered, path } from './dom.js';
import { SIGNS, between, duration, number } from './format.js';
import { Instrument } from './instrument.js';
import { follow } from './live.js';
import { drawPlot } from './plots.js';
import { sideBySide } from './side_by_side.js';
import { Trace } from './trace.js';
import { chooser } from './study_plots.js';

const MOST = 8;
const ROWS = 800;

/**
 * @typedef {{study: string, number: number, url: string, trial: any, trace: Trace, reports: any,
 *   card: HTMLElement | null, figure: Instrument | null}} Compared
 */
/** @type {Compared[]} */
let compared = [];
const differing = /** @type {HTMLInputElement} */ (byId('differing'));
const studySelect = /** @type {HTMLSelectElement} */ (byId('add-study'));
const trialSelect = /** @type {HTMLSelectElement} */ (byId('add-trial'));
const nameOf = (/** @type {Compared} */ one) => `${one.study} / ${one.number}`;

/** @param {string} text As in `study/3`. */
async function add(text) {
  const [study, digits] = [text.slice(0, text.lastIndexOf('/')), text.slice(text.lastIndexOf('/') + 1)];
  const at = Number(digits);
  if (!study || !/^\d+$/.test(digits) || compared.some((one) => one.study === study && one.number === at)) return;
  if (compared.length >= MOST) {
    toast(`At most ${MOST} trials fit side by side.`, 'bad');
    return;
  }
  /** @type {Compared} */
  const one = { study, number: at, url: path`/v1/studies/${study}/trials/${at}`, trial: null, trace: new Trace(), reports: { steps: [], values: [] }, card: null, figure: null };
  compared.push(one);
  try {
    await load(one);
  } catch (error) {
    compared = compared.filter((other) => other !== one);
    throw error;
  }
}

/** @param {Compared} one */
async function load(one) {
  if (one.trial?.finished_at) return;
  const before = one.trial;
  const trial = await read(one.url); // before its trace, of which the last rows would be missing
  const readTrace = (/** @type {number | null} */ after) => read(`${one.url}/alpha`, { max_steps: ROWS, after_step: after });
  const last = before && before.attempt !== trial.attempt ? null : one.trace.last;
  let [trace, reports] = await Promise.all([readTrace(last), read(`${one.url}/reports`, { max_steps: ROWS })]);
  if (last !== null && trace.layers.length !== one.trace.layers.length) trace = await readTrace(null);
  else if (last === null) one.trace.steps = [];
  Object.assign(one, { trial, reports });
  if (one.trace.take(trace)) one.figure?.draw();
}

function remember() {
  const query = new URLSearchParams(compared.map((one) => ['trial', `${one.study}/${one.number}`]));
  history.replaceState(null, '', query.size ? `?${query}` : location.pathname);
  document.title = `${compared.length ? `${compared.map(nameOf).join(' · ')} · ` : ''}Compare · AlphaGrad`;
}

/** @param {Compared} one */
function remove(one) {
  compared = compared.filter((other) => other !== one);
  one.card?.remove();
  show();
}

function show() {
  remember();
  if (!compared.length) {
    fill(byId('table'), el('div', { class: 'empty' }, el('p', {}, 'Choose a study and a trial above; or follow “compare” on a trial\'s page.')));
  } else showTable();
  showPlots().catch(toastError);
  for (const one of compared) if (!one.card) showFigure(one);
}

function showTable() {
  sideBySide(byId('table'), compared, {
    head: (one) => ({ name: nameOf(one), href: path`/studies/${one.study}/trials/${one.number}`, remove: () => remove(one) }),
    rows: [
      ['state', (one) => badge(one.trial.state, SIGNS)],
      ['value', (one) => (one.trial.values ? one.trial.values.map((/** @type {number} */ v) => number(v)).join(', ') : number(one.trial.value))],
      ['took', (one) => duration(between(one.trial.started_at, one.trial.finished_at))],
      ['steps', (one) => (one.trace.last === null ? '–' : one.trace.last.toLocaleString('en'))],
    ],
    params: (one) => one.trial.params,
    differing: differing.checked,
  });
}

async function showPlots() {
  const line = (/** @type {Compared} */ one, /** @type {any} */ x, /** @type {any} */ y) => ({
    x, y, type: 'scatter', mode: 'lines', name: nameOf(one), line: { color: SERIES[compared.indexOf(one)], width: 2 },
  });
  const legend = () => ({ showlegend: compared.length > 1 });
  const along = chooser('means-tools', 'x axis', ['by step', 'by share of the run'], 'by step', () => showPlots().catch(toastError));
  const share = along !== 'by step';
  const xs = (/** @type {number[]} */ steps) => (share ? steps.map((step) => step / (steps.at(-1) || 1)) : steps);
  const x = share ? 'share of the run' : 'step';
  await drawPlot(byId('values'), compared.map((one) => line(one, xs(one.reports.steps), one.reports.values)), { x, y: 'reported value', layout: legend },
    compared.map((one) => `${nameOf(one)}: ${number(one.reports.values.at(-1))}`).join('; ') || 'no trial is chosen');
  const what = chooser('means-tools', 'quantity', ['saturation', 'α'], 'saturation', () => showPlots().catch(toastError));
  const mean = (/** @type {Float32Array} */ row) => {
    const measured = [...row].filter((v) => v === v);
    if (!measured.length) return null;
    const sum = measured.reduce((a, b) => a + (what === 'α' ? Math.log(b) : b), 0) / measured.length;
    return what === 'α' ? Math.exp(sum) : sum;
  };
  await drawPlot(byId('means'), compared.map((one) => line(one, xs(one.trace.steps), (what === 'α' ? one.trace.alpha : one.trace.saturation).map(mean))),
    { x, y: what === 'α' ? 'α, geometric mean' : 'saturation', ylog: what === 'α', layout: legend },
    compared.map((one) => `${nameOf(one)}: ${one.trace.steps.length} samples`).join('; ') || 'no trial is chosen');
}

/** @param {Compared} one */
function showFigure(one) {
  const tools = el('div', { class: 'tools' });
  const host = el('div', {});
  one.card = el('section', { class: 'card', 'aria-label': `α and saturation of ${nameOf(one)}` }, el('header', { class: 'card-head' }, el('h2', {}, nameOf(one)), tools), host);
  byId('figures').append(one.card);
  const { alpha_band_low: low = 0.05, alpha_band_high: high = 0.25 } = one.trial.params;
  one.figure = new Instrument(host, tools, one.trace, { onChoose: () => {}, band: [low, high] });
}

async function showTrials() {
  const trials = studySelect.value ? await readAll(path`/v1/studies/${studySelect.value}/trials`, {}, 1000) : [];
  fill(trialSelect, ...trials.map((t) => el('option', { value: t.number }, `${t.number} · ${t.state.toLowerCase()} · ${number(t.value)}`)));
}

async function start() {
  const studies = (await readAll('/v1/studies')).reverse();
  fill(studySelect, ...studies.map((study) => el('option', { value: study.name }, study.name)));
  const wanted = new URLSearchParams(location.search).getAll('trial');
  if (wanted.length) studySelect.value = wanted[0].slice(0, wanted[0].lastIndexOf('/'));
  studySelect.addEventListener('change', () => showTrials().catch(toastError));
  differing.addEventListener('change', show);
  byId('add-form').addEventListener('submit', (event) => {
    event.preventDefault();
    add(`${studySelect.value}/${trialSelect.value}`).then(show, toastError);
  });
  await showTrials();
  for (const text of wanted) await add(text).catch(toastError);
  show();
  follow((event) => {
    const mine = compared.some((one) => !one.trial.finished_at && (event.kind === 'tick' || (one.study === event.study && one.number === event.trial)));
    if (mine) soon();
  });
}

const soon = gathered(async () => {
  try {
    await Promise.all(compared.map(load));
    show();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
  }
}, 1000);
recoloured.add(() => showPlots().catch(toastError));
start().catch(toastError);
