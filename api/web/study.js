/**
 * The page of a study.
 * @module
 */

import { read, readAll } from './api.js';
import { recoloured, toast, toastError } from './chrome.js';
import { byId, el, fill, path, say } from './dom.js';
import { OPEN, SIGNS, ago, between, duration, ended, number, plain } from './format.js';
import { drawValues } from './intermediate.js';
import { follow } from './live.js';
import { Parallel } from './parallel.js';
import { points } from './plots.js';
import { progressBar } from './progress.js';
import { rounds } from './rounds.js';
import { dimensionsOf, place } from './space.js';
import { chooser, drawContour, drawHistory, drawImportance, drawPareto, drawSlice, goodScale, hideWithoutSearch, history } from './study_plots.js';
import { Trials } from './trials.js';
import { TrialsTable } from './trials_table.js';
import { leave, showVerbs } from './verbs.js';

const name = /** @type {string} */ (byId('study').dataset.study);
const url = path`/v1/studies/${name}`;
const trials = new Trials(name);
/** @type {any} */
let study = null;
/** @type {TrialsTable | null} */
let table = null;
let verbsOf = '';
const linkTo = (/** @type {number} */ trial) => path`/studies/${name}/trials/${trial}`;
points.open = (trial) => location.assign(linkTo(trial));
const parallel = new Parallel(byId('parallel'), shadeOf, (trial) => location.assign(linkTo(trial)));

/** @param {number} share */
function shadeOf(share) {
  const scale = goodScale();
  const next = Math.max(1, scale.findIndex(([at]) => at >= share));
  const [[from, a], [to, b]] = /** @type {[number, string][]} */ ([scale[next - 1], scale[next]]);
  return `color-mix(in srgb, ${b} ${(100 * (share - from)) / (to - from)}%, ${a})`;
}

function showHead() {
  const state = byId('state');
  state.dataset.state = study.state;
  fill(state, el('span', { 'aria-hidden': 'true' }, SIGNS[study.state]), ` ${study.state.toLowerCase()}`);
  const done = ended(study.trials);
  document.title = `${SIGNS[study.state]} ${done}/${study.n_trials} · ${name} · AlphaGrad`;
  fill(byId('progress'), progressBar(study.trials, study.n_trials));
  const open = OPEN.has(study.state);
  const counts = Object.entries(study.trials).filter(([s, n]) => s !== 'QUEUED' && n).map(([s, n]) => `${n} ${s.toLowerCase()}`);
  const facts = [
    ['trials', `${done} of ${study.n_trials}`], ['', counts.join(' · ')],
    [open ? 'left' : 'took', duration(open ? study.eta_seconds : between(study.started_at, study.finished_at))],
    ['task', study.spec.task || 'remote'], ['sampler', study.spec.sampler.type], ['pruner', study.spec.pruner.type],
    ['owner', study.owner], ['submitted', ago(study.created_at)],
  ];
  fill(byId('facts'), ...facts.filter(([, text]) => text).map(([term, text]) => el('div', {}, el('dt', {}, term), el('dd', {}, text))));
  const { best } = study;
  if (best) {
    const searched = Object.keys(dimensionsOf(study.spec));
    fill(byId('best'), el('span', { class: 'muted' }, 'best '), el('strong', {}, number(best.value)), ' in ', el('a', { href: linkTo(best.number) }, `trial ${best.number}`),
      el('span', { class: 'muted' }, searched.length ? ' with ' : ''), searched.map((p) => `${p} ${plain(best.params[p] ?? null)}`).join(', '));
  } else fill(byId('best'), el('span', { class: 'muted' }, study.best_trials.length ? `${study.best_trials.length} trials on the Pareto front` : 'no best trial yet'));
  // The buttons stay as they are while they mean the same, so that the focus stays too.
  const now = `${study.state} ${JSON.stringify(study.spec)}`;
  if (verbsOf !== now) {
    verbsOf = now;
    showVerbs(study, soon);
  }
}

function showParallel() {
  const space = dimensionsOf(study.spec);
  const valued = trials.all.filter((t) => t.state === 'COMPLETE' && (t.value !== null || t.values));
  const valueOf = (/** @type {import('./trials.js').TrialOut} */ t) => t.value ?? /** @type {number[]} */ (t.values)[history.objective];
  const values = valued.map(valueOf);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const axes = Object.entries(space).map(([param, dimension]) => {
    const ends = dimension.type === 'categorical' ? [0, (dimension.choices || []).length - 1] : [place(dimension, dimension.low), place(dimension, dimension.high)];
    return { name: param, dimension, low: ends[0], high: ends[1] };
  });
  axes.push({ name: 'value', dimension: { type: 'float' }, low, high });
  const up = (study.spec.directions?.[history.objective] ?? study.spec.direction) === 'maximize';
  const ranks = [...values].sort((a, b) => (up ? a - b : b - a));
  parallel.set(axes, valued.map((trial, i) => ({
    number: trial.number,
    values: axes.map((axis) => {
      const at = axis.name === 'value' && axis.dimension.type === 'float' && !axis.dimension.high ? values[i] : place(axis.dimension, trial.params[axis.name]);
      return axis.high > axis.low ? (at - axis.low) / (axis.high - axis.low) : 0.5;
    }),
    // By rank, so that one bad trial does not make all others look the same.
    shade: ranks.indexOf(values[i]) / Math.max(1, ranks.length - 1),
  })));
}

async function showExploits() {
  byId('exploits-card').hidden = false;
  const items = await readAll(`${url}/exploits`);
  const changed = (/** @type {any} */ one) => Object.entries(one.new_params).map(([p, v]) => `${p} ${plain(one.source_params[p] ?? null)} → ${plain(v)}`).join(', ');
  fill(byId('exploits'), !items.length ? el('p', { class: 'muted' }, 'nobody yet') : el('table', { class: 'rows' },
    el('thead', {}, el('tr', {}, ...['member', 'at step', 'with', 'took over', 'with', 'and went on with'].map((h) => el('th', { scope: 'col' }, h)))),
    el('tbody', {}, ...items.map((/** @type {any} */ one) => el('tr', {},
      el('td', {}, el('a', { href: linkTo(one.trial) }, one.trial)), el('td', {}, one.step), el('td', {}, number(one.score)),
      el('td', {}, el('a', { href: linkTo(one.source) }, one.source)), el('td', {}, number(one.source_score)), el('td', {}, changed(one)))))));
}

let complete = -1;
/** Of the values, where nothing is searched. @type {any} */
let spread = null;

async function showTrials() {
  const all = trials.all;
  table?.update(all);
  const more = (study.trials.COMPLETE || 0) !== complete;
  if (more && byId('slice-card').hidden) [{ spread }] = (await read('/v1/compare', { study: name })).studies;
  await Promise.all([drawHistory(study, all, spread), drawContour(study, all, showTrials), drawSlice(study, all, showTrials), drawPareto(study, all)]);
  showParallel();
  await drawValues(url, all, study);
  if (more) {
    complete = study.trials.COMPLETE || 0;
    await drawImportance(url, () => { complete = -1; showTrials().catch(toastError); });
  }
  if (study.spec.population) await showExploits();
}

function prepare() {
  hideWithoutSearch(study);
  const searched = Object.keys(dimensionsOf(study.spec));
  table = new TrialsTable(name, searched, study.spec.directions?.length || 1);
  const warnings = sessionStorage.getItem('alphagrad-warnings');
  sessionStorage.removeItem('alphagrad-warnings');
  if (warnings) toast(`Submitted. But:\n${warnings}`, 'bad');
  say(byId('spec'), JSON.stringify(study.spec, null, 2));
  if (study.spec.directions) {
    const names = study.spec.directions.map((/** @type {string} */ d, /** @type {number} */ i) => `objective ${i} (${d})`);
    const change = () => {
      history.objective = names.indexOf(chooser('history-tools', 'objective', names, names[0], change));
      complete = -1; // importance is of the objective too
      showTrials().catch(toastError);
    };
    chooser('history-tools', 'objective', names, names[0], change);
  }
}

const { refresh, soon } = rounds(async () => {
  study = await read(url);
  if (!table) prepare();
  showHead();
  await trials.update(study);
  await showTrials();
}, 600);

refresh().then(() => {
  follow((event) => {
    if (event.study && event.study !== name) return;
    if (event.kind === 'tick' && study && !OPEN.has(study.state)) return;
    if (event.kind === 'trial.progress' || event.kind === 'trial.knob') return;
    if (typeof event.trial === 'number') trials.dirty.add(event.trial);
    if (event.kind === 'study.deleted') leave();
    else soon();
  }, { study: name });
});
recoloured.add(() => { if (study) showTrials().catch(toastError); });
