/**
 * Plots of a study's trials: history, contour, slice, Pareto front, importance.
 * @module
 */

import { read } from './api.js';
import { colour } from './chrome.js';
import { byId, el } from './dom.js';
import { escapeHtml, meanAndStd, number } from './format.js';
import { smooth } from './interpolate.js';
import { drawPlot } from './plots.js';
import { dimensionsOf } from './space.js';

/** @typedef {import('./trials.js').TrialOut} TrialOut */

/** Colours from bad to good, readable by everybody. */
export const GOOD = [[0, '#e9e3f2'], [0.35, '#9fb4dc'], [0.7, '#3f83b5'], [1, '#0b3c5d']];
const GOOD_DARK = [[0, '#2b2440'], [0.35, '#35528a'], [0.7, '#3f9bb5'], [1, '#e8f0a0']];

export function goodScale() {
  return getComputedStyle(document.documentElement).colorScheme.includes('dark') ? GOOD_DARK : GOOD;
}

/** Which objective is looked at, where there are several. */
export const history = { objective: 0 };

/** @param {any} study */
const directionOf = (study) => (study.spec.directions ? study.spec.directions[history.objective] : study.spec.direction);
/** @param {any} study */
const maximizes = (study) => directionOf(study) === 'maximize';
/** @param {TrialOut} trial @returns {number | null} */
const valueOf = (trial) => (trial.values ? trial.values[history.objective] : trial.value);
/** @param {TrialOut[]} trials @param {...string} params */
const completeOf = (trials, ...params) => trials.filter(
  (t) => t.state === 'COMPLETE' && valueOf(t) !== null && params.every((name) => t.params[name] !== undefined));

/** @param {TrialOut} trial */
function hover(trial) {
  const params = Object.entries(trial.params).filter(([, v]) => typeof v === 'number' || typeof v === 'string')
    .slice(0, 12).map(([name, v]) => `${escapeHtml(name)} ${typeof v === 'number' ? number(v) : escapeHtml(v)}`);
  return [`trial ${trial.number} · ${trial.state.toLowerCase()} · ${number(valueOf(trial))}`, ...params].join('<br>');
}

/** Values outside of what the better half spans hide the rest of a plot: a range without them. */
function focusRange(/** @type {number[]} */ values, /** @type {boolean} */ high) {
  if (values.length < 8) return undefined;
  const sorted = [...values].sort((a, b) => a - b);
  const [low, q1, q3, top] = [0, 0.25, 0.75, 1].map((q) => sorted[Math.round(q * (sorted.length - 1))]);
  const reach = 3 * (q3 - q1);
  if (!reach) return undefined;
  const from = high ? Math.max(low, q1 - reach) : low;
  const to = high ? top : Math.min(top, q3 + reach);
  return [from - 0.05 * (to - from), to + 0.05 * (to - from)];
}

/**
 * @param {any} study
 * @param {TrialOut[]} trials
 * @param {{mean: number, std: number | null, median: number} | null} spread Of trials that differ by
 *   their seeds alone: the median is drawn then, and not the best so far.
 */
export async function drawHistory(study, trials, spread) {
  const { objective } = history;
  const several = study.spec.directions;
  const direction = directionOf(study);
  const better = (/** @type {number} */ a, /** @type {number} */ b) => (direction === 'maximize' ? a > b : a < b);
  const groups = { COMPLETE: [], PRUNED: [], FAIL: [] };
  const best = { x: [], y: [] };
  let top = null;
  for (const trial of trials) {
    const value = valueOf(trial);
    if (trial.state in groups) groups[/** @type {keyof typeof groups} */ (trial.state)].push(trial);
    if (trial.state === 'COMPLETE' && trial.feasible && value !== null && (top === null || better(value, top))) {
      top = value;
      best.x.push(trial.number);
      best.y.push(value);
    }
  }
  if (top !== null && trials.length) {
    best.x.push(trials[trials.length - 1].number);
    best.y.push(top);
  }
  const values = trials.map(valueOf).filter((v) => v !== null);
  const range = focusRange(values, direction === 'maximize');
  const floor = range ? range[0] : Math.min(...values, ...(values.length ? [] : [0]));
  const marker = { COMPLETE: ['circle', 'complete'], PRUNED: ['diamond-open', 'pruned'], FAIL: ['x', 'fail'] };
  const traces = Object.entries(groups).map(([state, list]) => ({
    x: list.map((t) => t.number), y: list.map((t) => (state === 'FAIL' ? floor : valueOf(t))),
    mode: 'markers', type: 'scatter', name: state.toLowerCase(), customdata: list.map((t) => t.number),
    marker: { symbol: marker[state][0], color: colour(marker[state][1]), size: 8, line: { width: state === 'PRUNED' ? 1.5 : 0 } },
    text: list.map((t) => hover(t) + (t.error ? `<br>${escapeHtml(t.error)}` : '')), hovertemplate: '%{text}<extra></extra>',
  }));
  const line = spread ? { x: [0, trials.length - 1], y: [spread.median, spread.median], name: 'median' } : { ...best, name: 'best so far' };
  traces.push({ ...line, mode: 'lines', type: 'scatter', line: { shape: 'hv', color: colour('ink'), width: 1.5 }, hoverinfo: 'skip' });
  await drawPlot(byId('history'), traces, {
    x: 'trial', xwhole: trials.length, y: several ? `objective ${objective}` : 'value',
    layout: () => ({ showlegend: true }), yrange: range,
  }, trials.length ? `${groups.COMPLETE.length} complete, ${groups.PRUNED.length} pruned, ${groups.FAIL.length} failed`
    + inWords(spread, top) : 'no trial yet');
}

/**
 * @param {{mean: number, std: number | null, median: number} | null} spread
 * @param {number | null} top
 */
function inWords(spread, top) {
  if (spread) return `; mean ${meanAndStd(spread)}, median ${number(spread.median)}`;
  return top === null ? '' : `; the best value is ${number(top)}`;
}

/**
 * A select of names, made once.
 * @param {string} host
 * @param {string} label
 * @param {string[]} names
 * @param {string | undefined} first
 * @param {() => void} change
 */
export function chooser(host, label, names, first, change) {
  const place = byId(host);
  let select = /** @type {HTMLSelectElement | null} */ (place.querySelector(`select[aria-label="${label}"]`));
  if (!select) {
    select = el('select', { 'aria-label': label, on: { change } }, ...names.map((name) => el('option', { value: name }, name)));
    if (first) select.value = first;
    place.append(select);
  }
  return select.value;
}

/** @param {any} study @param {TrialOut[]} trials @param {() => void} again */
export async function drawContour(study, trials, again) {
  const space = dimensionsOf(study.spec);
  const names = Object.keys(space).filter((name) => space[name].type !== 'categorical');
  const logs = names.filter((name) => space[name].log);
  const place = byId('contour');
  if (byId('contour-card').hidden) return;
  const [firstX, firstY] = [...logs, ...names.filter((n) => !logs.includes(n))];
  const x = chooser('contour-tools', 'x axis', names, firstX, again);
  const y = chooser('contour-tools', 'y axis', names, firstY, again);
  const done = completeOf(trials, x, y);
  const values = done.map((t) => /** @type {number} */ (valueOf(t)));
  const points = {
    x: done.map((t) => t.params[x]), y: done.map((t) => t.params[y]), mode: 'markers', type: 'scatter', customdata: done.map((t) => t.number),
    text: done.map(hover), hovertemplate: '%{text}<extra></extra>',
    marker: { color: values, colorscale: goodScale(), reversescale: !maximizes(study), size: 8, line: { color: colour('panel'), width: 1 } },
  };
  const [cmin, cmax] = focusRange(values, maximizes(study)) || [Math.min(...values), Math.max(...values)];
  Object.assign(points.marker, { cmin, cmax });
  const field = done.length >= 4 && x !== y ? smooth(points.x, points.y, values, space[x], space[y]) : null;
  const shades = field && {
    type: 'contour', x: field.x, y: field.y, z: field.z, colorscale: goodScale(), reversescale: !maximizes(study), showscale: false,
    hoverinfo: 'skip', zmin: cmin, zmax: cmax, zauto: false, autocontour: false, line: { width: 0.5, color: colour('line') },
    contours: { start: cmin, end: cmax, size: (cmax - cmin) / 14 || 1 }, opacity: 0.85,
  };
  await drawPlot(place, shades ? [shades, points] : [points], { x, y, xlog: space[x].log, ylog: space[y].log, xspan: /** @type {[number, number]} */ ([space[x].low, space[x].high]) },
    done.length ? `${done.length} complete trials; dark is ${getComputedStyle(document.documentElement).colorScheme.includes('dark') ? 'worse, light better' : 'better'}` : 'no complete trial yet');
}

/** @param {any} study @param {TrialOut[]} trials @param {() => void} again */
export async function drawSlice(study, trials, again) {
  const space = dimensionsOf(study.spec);
  const names = Object.keys(space);
  if (byId('slice-card').hidden) return;
  const name = chooser('slice-tools', 'parameter', names, names[0], again);
  const done = completeOf(trials, name);
  const values = done.map((t) => /** @type {number} */ (valueOf(t)));
  const choice = space[name].type === 'categorical';
  await drawPlot(byId('slice'), [{
    x: done.map((t) => (choice ? escapeHtml(JSON.stringify(t.params[name])) : t.params[name])), y: values, mode: 'markers', type: 'scatter', customdata: done.map((t) => t.number),
    text: done.map(hover), hovertemplate: '%{text}<extra></extra>',
    marker: { color: done.map((t) => t.number), colorscale: [[0, colour('faint')], [1, colour('accent')]], size: 8, opacity: 0.9 },
  }], { x: name, y: 'value', xlog: space[name].log, xspan: choice ? undefined : /** @type {[number, number]} */ ([space[name].low, space[name].high]), yrange: focusRange(values, maximizes(study)) },
  done.length ? `value by ${name}; later trials in stronger colour` : 'no complete trial yet');
}

/**
 * Hide what shows the parameters that are searched, where there are none, or not enough. Before
 * anything is drawn, since a plot keeps the width that it has then.
 * @param {any} study
 */
export function hideWithoutSearch(study) {
  const dimensions = Object.values(dimensionsOf(study.spec));
  byId('contour-card').hidden = dimensions.filter(({ type }) => type !== 'categorical').length < 2;
  for (const card of ['slice-card', 'parallel-card', 'importance-card']) byId(card).hidden = !dimensions.length;
}

/** @param {any} study @param {TrialOut[]} trials */
export async function drawPareto(study, trials) {
  const { directions } = study.spec;
  byId('pareto-card').hidden = !directions;
  if (!directions) return;
  const front = new Set(study.best_trials.map((/** @type {TrialOut} */ t) => t.number));
  const done = trials.filter((t) => t.state === 'COMPLETE' && t.values);
  const group = (/** @type {TrialOut[]} */ list, /** @type {string} */ name, /** @type {any} */ marker) => ({
    x: list.map((t) => t.values?.[0]), y: list.map((t) => t.values?.[1]), mode: 'markers', type: 'scatter', name, marker, customdata: list.map((t) => t.number),
    text: list.map((t) => `trial ${t.number}: ${(t.values || []).map((v) => number(v)).join(', ')}`), hovertemplate: '%{text}<extra></extra>',
  });
  await drawPlot(byId('pareto'), [
    group(done.filter((t) => !front.has(t.number)), 'others', { color: colour('faint'), size: 7 }),
    group(done.filter((t) => front.has(t.number)), 'front', { color: colour('complete'), size: 10, symbol: 'diamond' }),
  ], { x: `objective 0 (${directions[0]})`, y: `objective 1 (${directions[1]})`, layout: () => ({ showlegend: true }) },
  `${front.size} of ${done.length} trials are beaten by no other${directions.length > 2 ? '; the first two objectives are shown' : ''}`);
}

/** @param {string} url @param {() => void} again */
export async function drawImportance(url, again) {
  if (byId('importance-card').hidden) return;
  const evaluator = chooser('importance-tools', 'evaluator', ['ped-anova', 'fanova'], 'ped-anova', again);
  const answer = await read(`${url}/importance`, { evaluator, objective: history.objective });
  const shares = Object.entries(answer.importances).sort((a, b) => a[1] - b[1]);
  await drawPlot(byId('importance'), [{
    type: 'bar', orientation: 'h', x: shares.map(([, share]) => share), y: shares.map(([name]) => escapeHtml(name)),
    marker: { color: colour('running') }, text: shares.map(([, share]) => `${Math.round(100 * share)} %`), textposition: 'auto', hoverinfo: 'skip',
  }], { x: 'share', y: '', layout: () => ({ bargap: 0.35 }) },
  shares.length ? [...shares].reverse().map(([name, share]) => `${name} ${Math.round(100 * share)} %`).join(', ') : 'needs at least 4 complete trials of different values');
}
