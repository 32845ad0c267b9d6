/**
 * The value curve and the metrics of a trial.
 * @module
 */

import { ApiError, read } from './api.js';
import { SERIES } from './colours.js';
import { byId, el, fill } from './dom.js';
import { escapeHtml, number } from './format.js';
import { drawPlot } from './plots.js';

const POINTS = 1000;

/** What the trial reported. */
export class ValuePlot {
  /** @param {string} url */
  constructor(url) {
    this.url = url;
    this.place = byId('value-plot');
  }

  async update(/** @type {any} */ trial) {
    let series = { steps: [], values: [] };
    try {
      series = await read(`${this.url}/reports`);
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 404) throw error;
    }
    await drawPlot(this.place, [{
      x: series.steps, y: series.values, mode: 'lines+markers', name: 'value', line: { color: SERIES[0], width: 2 }, marker: { size: 5 },
    }], { x: 'step', y: 'reported value' },
    series.steps.length ? `${series.steps.length} reports, the last ${number(series.values.at(-1))}`
      : trial.state === 'RUNNING' ? 'nothing was reported yet' : 'nothing was reported');
  }
}

/** The recorded metrics, one at a time. */
export class MetricPlot {
  /** @param {string} url */
  constructor(url) {
    this.url = url;
    this.place = byId('metric-plot');
    this.select = el('select', { 'aria-label': 'Metric', on: { change: () => this.#draw() } });
  }

  async update(/** @type {any} */ trial) {
    const names = trial.metrics || [];
    if (this.select.options.length !== names.length) {
      const before = this.select.value;
      fill(this.select, ...names.map((/** @type {string} */ name) => el('option', { value: name }, name)));
      if (names.includes(before)) this.select.value = before;
      if (!this.select.isConnected) byId('metric-tools').append(this.select);
    }
    await this.#draw();
  }

  async #draw() {
    const name = this.select.value;
    if (!name) return drawPlot(this.place, [], { x: 'step', y: '' }, 'nothing was recorded');
    const { metrics } = await read(`${this.url}/metrics`, { names: name, max_steps: POINTS });
    const { steps, values } = metrics[name];
    await drawPlot(this.place, [{ x: steps, y: values, mode: 'lines', name: escapeHtml(name), line: { color: SERIES[2], width: 1.5 } }],
      { x: 'step', y: name }, steps.length ? `${name}: ${steps.length} values, the last ${number(values.at(-1))}` : 'no values yet');
  }
}
