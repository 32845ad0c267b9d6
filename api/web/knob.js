/**
 * The knob: α of the chosen layers on a log scale, sent to the running trial.
 * @module
 */

import { ApiError, writeAnswer } from './api.js';
import { acts, toastError } from './chrome.js';
import { inWords } from './commands.js';
import { el, fill, path, say } from './dom.js';
import { number, percent } from './format.js';
import { globPattern, globsFor } from './globs.js';

/**
 * @typedef {import('./instrument.js').Instrument} Instrument
 * @typedef {{id: number, layers: string, alpha: number | null, pin: boolean | null, state: string,
 *   step: number | null, reason: string | null, requested_at: string}} Command
 */

const LOWEST = -2; // decades of α that the slider spans
const HIGHEST = 5;
const MARK = { 0.1: '0.1', 1: '1', 10: '10', 100: '100', 1000: '1k', 10000: '10k' };

export class Knob {
  /**
   * @param {HTMLElement} host
   * @param {Instrument} instrument
   * @param {{study: string, number: number, scheduled: boolean, onSent: () => Promise<Command[]>,
   *   etag: () => string | null}} options
   */
  constructor(host, instrument, options) {
    this.instrument = instrument;
    this.options = options;
    this.url = path`/v1/studies/${options.study}/trials/${options.number}/alpha`;
    this.touched = false;
    this.glob = el('input', { id: 'layers-glob', placeholder: 'e.g. *.weight', spellcheck: 'false', autocomplete: 'off', 'aria-describedby': 'layers-chosen' });
    this.boxes = el('div', { class: 'layer-list', role: 'group', 'aria-label': 'Layers' });
    this.chosenText = el('p', { id: 'layers-chosen', class: 'muted small' });
    this.slider = el('input', { id: 'alpha-slider', type: 'range', min: LOWEST, max: HIGHEST, step: 0.01, value: 1 });
    this.exact = el('input', { id: 'alpha-exact', inputmode: 'decimal', autocomplete: 'off', 'aria-label': 'α, exactly' });
    this.ticks = el('div', { class: 'slider-ticks', 'aria-hidden': 'true' });
    this.now = el('div', { class: 'slider-now', 'aria-hidden': 'true' });
    this.send = el('button', { type: 'button', class: 'button primary wide' }, 'Set α');
    this.send.dataset.action = 'set';
    this.release = el('button', { type: 'button', class: 'button wide', title: 'Let schedulers move these layers again' }, 'Release');
    this.pin = el('input', { type: 'checkbox', id: 'pin' });
    this.pin.checked = options.scheduled;
    this.conflict = el('p', { class: 'notice', id: 'knob-conflict', role: 'alert', hidden: true });
    this.#build(host);
  }

  /** @param {HTMLElement} host */
  #build(host) {
    for (const [alpha, label] of Object.entries(MARK)) {
      const tick = el('span', {}, label);
      tick.style.left = `${percentAt(Number(alpha))}%`;
      this.ticks.append(tick);
    }
    const small = (/** @type {string} */ text, /** @type {() => void} */ what) =>
      el('button', { type: 'button', class: 'button small', on: { click: what } }, text);
    fill(host,
      el('div', { class: 'field-row' },
        el('label', { class: 'field grow' }, el('span', {}, 'Layers'), this.glob)),
      this.boxes,
      el('div', { class: 'layer-tools' }, this.chosenText, small('all', () => this.#all()), small('none', () => this.instrument.choose([]))),
      el('div', { class: 'alpha-head' }, el('label', { for: 'alpha-slider' }, 'α'), this.exact),
      el('div', { class: 'slider' }, this.now, this.slider, this.ticks),
      el('label', { class: 'check' }, this.pin, ' pin: keep schedulers off'),
      el('div', { class: 'field-row' }, this.send, this.release),
      this.conflict);
    this.slider.addEventListener('input', () => this.#set(10 ** Number(this.slider.value), 'slider'));
    this.exact.addEventListener('input', () => this.#set(Number(this.exact.value.replace(',', '.')), 'exact'));
    this.exact.addEventListener('keydown', (event) => {
      if (event.key === 'Enter') this.send.click();
    });
    this.glob.addEventListener('input', () => this.#match());
    this.glob.addEventListener('blur', () => this.#showGlob());
    acts(this.send, () => this.#send({ alpha: this.alpha, ...(this.pin.checked ? { pin: true } : {}) }));
    acts(this.release, () => this.#send({ pin: false }));
    this.#set(10, 'start');
  }

  #all() {
    this.instrument.choose(this.instrument.trace.layers.keys());
  }

  #match() {
    const { layers } = this.instrument.trace;
    const pattern = this.glob.value.trim() && globPattern(this.glob.value.trim());
    this.instrument.choose(pattern ? [...layers.keys()].filter((i) => pattern.test(layers[i])) : []);
  }

  #showGlob() {
    this.glob.value = globsFor(this.instrument.names, this.instrument.trace.layers).join(' ');
  }

  /**
   * @param {number} alpha
   * @param {'slider' | 'exact' | 'start' | 'now'} by
   */
  #set(alpha, by) {
    const good = alpha > 0 && Number.isFinite(alpha);
    this.exact.setAttribute('aria-invalid', String(!good));
    if (good) this.alpha = by === 'exact' || by === 'now' ? alpha : Number(alpha.toPrecision(3));
    if (by === 'slider' || by === 'exact') this.touched = true;
    if (by !== 'exact') this.exact.value = String(Number(this.alpha?.toPrecision(4)));
    if (by !== 'slider' && good) this.slider.value = String(Math.log10(alpha));
    this.slider.setAttribute('aria-valuetext', `α ${number(this.alpha, 3)}`);
    this.#sayWhat();
  }

  #sayWhat() {
    const count = this.instrument.chosen.size;
    const layers = count === 1 ? this.instrument.names[0] : `${count} layers`;
    say(this.send, count ? `Set α = ${number(this.alpha, 3)} for ${layers}` : 'Choose layers first');
    this.send.disabled = !count || this.exact.getAttribute('aria-invalid') === 'true' || !this.running;
    this.release.disabled = !count || !this.running;
  }

  /**
   * Follow the trial and the choice of layers.
   * @param {boolean} running
   */
  update(running) {
    this.running = running;
    const { trace, chosen } = this.instrument;
    if (this.boxes.childElementCount !== trace.layers.length) this.#listLayers();
    for (const [i, box] of [...this.boxes.querySelectorAll('input')].entries()) box.checked = chosen.has(i);
    if (document.activeElement !== this.glob) this.#showGlob(); // what is typed there stays
    this.glob.readOnly = false;
    const layers = [...chosen];
    const alphas = layers.map((layer) => trace.alphaNow(layer)).filter((alpha) => alpha > 0);
    say(this.chosenText, !trace.layers.length ? 'No layers yet.'
      : !layers.length ? `none of ${trace.layers.length} chosen: click rows of the heat map, or here`
        : `${layers.length} of ${trace.layers.length} · α now ${spread(alphas)} · saturation ${percent(trace.saturationNow(layers))}`);
    this.now.replaceChildren(...[...new Set(alphas)].slice(0, 40).map((alpha) => {
      const dot = el('i', {});
      dot.style.left = `${percentAt(alpha)}%`;
      return dot;
    }));
    // Until it is touched, the slider stands where the chosen layers are.
    if (!this.touched && alphas.length) this.#set(alphas[0], 'now');
    else this.#sayWhat();
  }

  #listLayers() {
    fill(this.boxes, ...this.instrument.trace.layers.map((name, layer) => {
      const box = el('input', { type: 'checkbox', on: { change: () => this.instrument.toggle(layer) } });
      return el('label', { class: 'check' }, box, ' ', name);
    }));
  }

  /** @param {{alpha?: number, pin?: boolean}} change */
  async #send(change) {
    this.conflict.hidden = true;
    this.touched = true; // what is about to be sent stays, whatever happens to α meanwhile
    const globs = globsFor(this.instrument.names, this.instrument.trace.layers);
    // What is on the screen now; each command's own tag is what the next one follows.
    let etag = this.options.etag();
    for (const [sent, layers] of globs.entries()) {
      try {
        ({ etag } = await writeAnswer('PATCH', this.url, { layers, ...change }, etag ? { 'If-Match': etag } : {}));
      } catch (error) {
        const commands = await this.options.onSent();
        if (!(error instanceof ApiError) || error.status !== 412) return toastError(error);
        return this.#sayConflict(commands, sent, globs.length);
      }
    }
    await this.options.onSent();
    this.touched = false;
  }

  /**
   * @param {Command[]} commands
   * @param {number} sent So many commands of ours went out before.
   * @param {number} all
   */
  #sayConflict(commands, sent, all) {
    const latest = commands.at(-1);
    this.conflict.hidden = false;
    fill(this.conflict, 'Somebody else turned the knob meanwhile: ',
      latest && el('strong', {}, `${latest.layers} ${inWords(latest)}`), latest && ` (command ${commands.length}). `,
      sent ? `${sent} of your ${all} commands went out before it. ` : 'Yours was not sent. ', 'Send again to turn it all the same.');
  }
}

/** @param {number} alpha */
function percentAt(alpha) {
  const share = (Math.log10(alpha) - LOWEST) / (HIGHEST - LOWEST);
  return 100 * Math.min(1, Math.max(0, share));
}

/** @param {number[]} values */
function spread(values) {
  if (!values.length) return '–';
  const [low, high] = [Math.min(...values), Math.max(...values)];
  return high - low < 1e-6 * high ? number(low, 3) : `${number(low, 3)} to ${number(high, 3)}`;
}
