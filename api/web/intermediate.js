/**
 * Intermediate values: a line a trial.
 * @module
 */

import { read } from './api.js';
import { colour } from './chrome.js';
import { byId } from './dom.js';
import { drawPlot } from './plots.js';

/** The best trial, and so many of the latest. */
const MOST = 40;
const POINTS = 100;
/** Those of trials that have ended do not change. @type {Map<number, {steps: number[], values: number[]}>} */
const known = new Map();

/**
 * @param {string} url The study's.
 * @param {import('./trials.js').TrialOut[]} trials
 * @param {any} study
 */
export async function drawValues(url, trials, study) {
  const shown = trials.slice(-MOST);
  const best = trials.find((t) => t.number === study.best?.number);
  if (best && !shown.includes(best)) shown.unshift(best);
  const series = await Promise.all(shown.map(async (trial) => {
    const found = known.get(trial.number) || await read(`${url}/trials/${trial.number}/reports`, { max_steps: POINTS });
    if (trial.finished_at) known.set(trial.number, found);
    return found;
  }));
  const colours = { COMPLETE: 'complete', PRUNED: 'pruned', FAIL: 'fail', RUNNING: 'running' };
  const traces = shown.map((trial, i) => ({
    x: series[i].steps, y: series[i].values, mode: series[i].steps.length > 1 ? 'lines' : 'markers', type: 'scatter', name: `trial ${trial.number}`, customdata: series[i].steps.map(() => trial.number),
    line: { width: trial === best ? 3 : 1.2, color: trial === best ? colour('ink') : colour(colours[/** @type {keyof typeof colours} */ (trial.state)] || 'waiting') },
    opacity: trial === best ? 1 : 0.7, hovertemplate: `trial ${trial.number} (${trial.state.toLowerCase()}): %{y:.4g} at step %{x}<extra></extra>`,
  })).filter((trace) => trace.x.length);
  traces.sort((a, b) => a.line.width - b.line.width);
  await drawPlot(byId('values'), traces, { x: 'step', y: 'reported value' },
    traces.length ? `${traces.length} trials${trials.length > MOST ? `, the latest of ${trials.length}` : ''}; the best is the thick line, pruned ones are orange` : 'nothing was reported yet');
}
