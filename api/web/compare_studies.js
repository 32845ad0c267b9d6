/**
 * Studies side by side: what their trials reached, and how soon.
 * @module
 */

import { read, readAll } from './api.js';
import { badge, recoloured, toast, toastError } from './chrome.js';
import { SERIES } from './colours.js';
import { byId, el, fill, path } from './dom.js';
import { OPEN, SIGNS, duration, ended, meanAndStd, number } from './format.js';
import { follow } from './live.js';
import { drawPlot } from './plots.js';
import { rounds } from './rounds.js';
import { sideBySide } from './side_by_side.js';
import { chooser } from './study_plots.js';

const MOST = 8;
/** So many trials of each study are read for the plot of values. */
const VALUES = 1000;

/** @type {string[]} */
let names = [];
/** What `/v1/compare` says of each. @type {any[]} */
let compared = [];
/** The values of complete trials, by study. @type {Map<string, number[]>} */
const values = new Map();
const differing = /** @type {HTMLInputElement} */ (byId('differing'));
const select = /** @type {HTMLSelectElement} */ (byId('add-study'));

const { refresh, soon } = rounds(async () => {
  const before = new Map(compared.map((one) => [one.name, one.trials.COMPLETE]));
  compared = names.length ? (await read('/v1/compare', { study: names })).studies : [];
  await Promise.all(compared.filter((one) => before.get(one.name) !== one.trials.COMPLETE).map(async ({ name }) => {
    const trials = await readAll(path`/v1/studies/${name}/trials`, { state: 'COMPLETE' }, VALUES);
    values.set(name, trials.slice(0, VALUES).map((t) => t.value).filter((v) => v !== null));
  }));
  show();
}, 1000);

/** @param {string[]} wanted */
function choose(wanted) {
  names = [...new Set(wanted)];
  if (names.length > MOST) toast(`At most ${MOST} studies fit side by side.`, 'bad');
  names = names.slice(0, MOST);
  const query = new URLSearchParams(names.map((name) => ['study', name]));
  history.replaceState(null, '', query.size ? `?${query}` : location.pathname);
  document.title = `${names.length ? `${names.join(' · ')} · ` : ''}Compare · AlphaGrad`;
  refresh().catch(toastError);
}

function show() {
  if (compared.length) showTable();
  else fill(byId('table'), el('div', { class: 'empty' }, el('p', {}, 'Choose a study above; or follow “Compare” on a study\'s page.')));
  showPlots().catch(toastError);
}

function showTable() {
  const found = (/** @type {any} */ { at, best }) => at[best.indexOf(best.at(-1))];
  sideBySide(byId('table'), compared, {
    head: ({ name }) => ({ name, href: path`/studies/${name}`, remove: () => choose(names.filter((other) => other !== name)) }),
    rows: [
      ['state', (one) => badge(one.state, SIGNS)],
      ['task', (one) => one.task || 'remote'],
      ['trials ended', (one) => ended(one.trials)],
      ['best', (one) => number(one.best?.value)],
      ['found by trial', (one) => number(found(one.by_trial))],
      ['found after', (one) => duration(found(one.by_time))],
      ['mean ± std', ({ spread }) => (spread ? meanAndStd(spread) : '–')],
      ['median', ({ spread }) => number(spread?.median)],
    ],
    params: (one) => one.params,
    differing: differing.checked,
  });
}

async function showPlots() {
  await drawPlot(byId('values'), compared.map(({ name }, i) => {
    const x = values.get(name) || [];
    return {
      type: 'box', orientation: 'h', x, y: x.map(() => name), name, boxpoints: 'all', jitter: 0.5, pointpos: 0, fillcolor: 'rgba(0,0,0,0)',
      marker: { color: SERIES[i], size: 5, opacity: 0.7 }, line: { color: SERIES[i], width: 1.5 },
    };
  }).reverse(), { x: 'value', y: '' }, compared.map(({ name }) => `${name}: ${(values.get(name) || []).length} complete trials`).join('; ') || 'no study is chosen');
  const along = chooser('best-tools', 'x axis', ['by trial', 'by time'], 'by trial', () => showPlots().catch(toastError));
  await drawPlot(byId('best'), compared.map((one, i) => {
    const { at, best } = along === 'by trial' ? one.by_trial : one.by_time;
    return { x: at, y: best, type: 'scatter', mode: 'lines', name: one.name, line: { shape: 'hv', color: SERIES[i], width: 2 } };
  }), { x: along === 'by trial' ? 'trial' : 'seconds', y: 'best so far', layout: () => ({ showlegend: compared.length > 1 }) },
  compared.map((one) => `${one.name}: ${number(one.best?.value)}`).join('; ') || 'no study is chosen');
}

async function start() {
  const studies = (await readAll('/v1/studies')).reverse();
  fill(select, ...studies.map((study) => el('option', { value: study.name }, study.name)));
  differing.addEventListener('change', show);
  byId('add-form').addEventListener('submit', (event) => {
    event.preventDefault();
    if (select.value) choose([...names, select.value]);
  });
  choose(new URLSearchParams(location.search).getAll('study'));
  follow((event) => {
    if (event.kind === 'trial.progress' || event.kind === 'trial.knob') return;
    if (compared.some((one) => OPEN.has(one.state) && (event.kind === 'tick' || one.name === event.study))) soon();
  });
}

recoloured.add(() => showPlots().catch(toastError));
start().catch(toastError);
