/**
 * A look at a running trial: how |α·g̃|, what the tanh receives, is distributed in the chosen layers.
 * @module
 */

import { ApiError, read } from './api.js';
import { recoloured } from './chrome.js';
import { layerLine } from './colours.js';
import { byId, el, fill, say } from './dom.js';
import { number, percent } from './format.js';
import { globsFor } from './globs.js';
import { drawHistogram, shareAbove } from './histogram.js';

const HINT = 'The trial is asked, and answers before its next step.';

/**
 * @typedef {{step: number, edges: number[], counts: Record<string, number[]>,
 *   zeros: Record<string, number>, tau: Record<string, number>}} Answer
 */

export class Look {
  /**
   * @param {import('./instrument.js').Instrument} instrument
   * @param {string} url Of the trial.
   */
  constructor(instrument, url) {
    this.instrument = instrument;
    this.url = url;
    this.card = byId('look');
    this.asking = false;
    this.running = false;
    /** @type {(() => void)[]} */
    this.drawings = [];
    this.button = el('button', { type: 'button', class: 'button small', on: { click: () => this.#ask() } }, 'look now');
    this.of = el('span', { class: 'muted small' });
    this.said = el('p', { class: 'muted small', 'aria-live': 'polite' }, HINT);
    this.error = el('p', { class: 'notice bad', role: 'alert', hidden: true });
    this.grid = el('div', { class: 'look-grid', role: 'group', 'aria-label': 'Histograms', tabindex: 0 });
    fill(byId('look-tools'), this.of, this.button);
    fill(byId('look-body'), this.said, this.error, this.grid);
    const draw = () => {
      for (const one of this.drawings) one();
    };
    new ResizeObserver(draw).observe(this.grid);
    recoloured.add(draw);
  }

  /**
   * Follow the trial and the choice of layers.
   * @param {boolean} running Whether it runs, where it can be asked.
   */
  update(running) {
    this.running = running;
    const { chosen, names, trace } = this.instrument;
    // What was seen stays when the trial ends.
    this.card.hidden = !(running && trace.layers.length) && !this.drawings.length;
    this.button.disabled = !running;
    say(this.of, !running ? 'the trial runs no more' : !chosen.size || chosen.size === trace.layers.length ? 'at all layers'
      : chosen.size === 1 ? `at ${names[0]}` : `at ${chosen.size} layers`);
  }

  async #ask() {
    // The button is not disabled meanwhile: it would lose the focus.
    if (this.asking) return;
    this.asking = true;
    this.button.setAttribute('aria-busy', 'true');
    say(this.button, 'looking …');
    this.error.hidden = true;
    const { names, trace } = this.instrument;
    const wanted = names.length ? names : [...trace.layers];
    // One question, so that all are of one step: what one glob does not name is left out afterwards.
    const globs = globsFor(wanted, trace.layers);
    try {
      this.#show(wanted, await read(`${this.url}/alpha/histogram`, { layers: globs.length === 1 ? globs[0] : '*' }));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.error.hidden = false;
      say(this.error, `No look: ${error.message}.`);
    } finally {
      this.asking = false;
      this.button.removeAttribute('aria-busy');
      say(this.button, 'look now');
    }
  }

  /**
   * @param {string[]} wanted
   * @param {Answer} answer
   */
  #show(wanted, answer) {
    const found = wanted.filter((name) => answer.counts[name]);
    const without = wanted.filter((name) => !answer.counts[name]);
    say(this.said, `Taken at step ${answer.step.toLocaleString('en')}: |α·g̃| by number of entries; the outermost bars hold what lies beyond.${
      without.length ? ` No finite gradient but zeros: ${without.join(', ')}.` : ''}`);
    this.drawings = [];
    fill(this.grid, ...found.map((name) => this.#figure(name, answer)));
    for (const draw of this.drawings) draw();
  }

  /**
   * @param {string} name
   * @param {Answer} answer
   */
  #figure(name, answer) {
    const histogram = {
      edges: answer.edges, counts: answer.counts[name], tau: answer.tau[name],
      colour: layerLine(this.instrument.trace.layers.indexOf(name)).colour,
    };
    const words = inWords(histogram, answer.zeros[name]);
    const canvas = el('canvas', { role: 'img', 'aria-label': `${name}: ${words}` });
    this.drawings.push(() => drawHistogram(canvas, histogram));
    return el('figure', { data: { layer: name } }, el('figcaption', {}, name), canvas, el('p', { class: 'muted small', 'aria-hidden': 'true' }, words));
  }
}

/**
 * @param {import('./histogram.js').Histogram} histogram
 * @param {number} zeros
 */
function inWords(histogram, zeros) {
  const others = histogram.counts.reduce((a, b) => a + b, 0);
  const all = (zeros + others).toLocaleString('en');
  const share = shareAbove(histogram);
  const many = share === 0 ? 'none lies' : share < 0.0005 ? 'hardly any lie' : share === 1 ? 'all lie' : `about ${percent(share)} lie`;
  const above = `${many} above ${number(histogram.tau)}`;
  return zeros ? `${zeros.toLocaleString('en')} of ${all} entries are exactly 0; of the others ${above}`
    : `none of ${all} entries is exactly 0; ${above}`;
}
