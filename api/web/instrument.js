/**
 * The instrument: the heat map of saturation, layer by step, α lines above it and saturation lines
 * below it on the same steps. Layers are chosen, steps are zoomed, by pointer and by keyboard.
 * @module
 */

import { StepScale } from './axis.js';
import { recoloured } from './chrome.js';
import { shadeCss } from './colours.js';
import { el, fill, say } from './dom.js';
import { alphaY, drawCursor, drawScene } from './figure_draw.js';
import { layoutOf } from './figure_layout.js';
import { number, percent } from './format.js';
import { columnsOf, picture, toColumns } from './heatmap.js';

/** @typedef {import('./trace.js').Trace} Trace */

let count = 0;
const HINT = 'Click rows to choose layers; drag to zoom, double-click for the whole run.';

export class Instrument {
  /**
   * @param {HTMLElement} host
   * @param {HTMLElement} tools Where its buttons go.
   * @param {Trace} trace
   * @param {{onChoose: () => void, band: [number, number]}} options
   */
  constructor(host, tools, trace, { onChoose, band }) {
    this.trace = trace;
    this.band = band;
    this.onChoose = onChoose;
    /** @type {Set<number>} */
    this.chosen = new Set();
    /** @type {{step: number, label: string}[]} */
    this.marks = [];
    /** @type {[number, number] | null} */
    this.zoom = null;
    /** Whether only the end of the run is shown, as it grows. */
    this.tail = false;
    this.log = false;
    /** @type {{x: number, layer: number} | null} */
    this.cursor = null;
    /** How long the last drawing took, in ms. */
    this.drawn = 0;
    const summaryId = `instrument-summary-${count++}`;
    this.readout = el('p', { class: 'readout' }, HINT);
    this.spoken = el('p', { class: 'sr', 'aria-live': 'polite' });
    this.summary = el('p', { class: 'sr', id: summaryId });
    this.base = el('canvas', { class: 'figure-base' });
    this.over = el('canvas', { class: 'figure-over' });
    this.stage = el('div', {
      class: 'stage', tabindex: 0, role: 'application', 'aria-describedby': summaryId,
      'aria-label': 'α and saturation by layer and step. Left and right: steps. Up and down: layers. '
        + 'Space: choose the layer. Plus, minus and 0: zoom.',
    }, this.base, this.over);
    fill(host, this.readout, this.stage, colourBar(band), this.summary, this.spoken);
    this.#makeTools(tools);
    this.#listen();
    new ResizeObserver(() => this.draw()).observe(host);
    recoloured.add(() => this.draw());
    this.draw();
  }

  /** @param {HTMLElement} place */
  #makeTools(place) {
    const log = el('button', { type: 'button', class: 'button small', 'aria-pressed': 'false', title: 'Steps on a logarithmic scale' }, 'log steps');
    log.addEventListener('click', () => {
      this.log = !this.log;
      log.setAttribute('aria-pressed', String(this.log));
      this.draw();
    });
    this.whole = el('button', { type: 'button', class: 'button small', disabled: true }, 'whole run');
    this.whole.addEventListener('click', () => this.#zoomTo(null));
    this.latest = el('button', { type: 'button', class: 'button small', 'aria-pressed': 'false', title: 'Follow the last twentieth of the run' }, 'latest');
    this.latest.addEventListener('click', () => {
      this.zoom = null;
      this.tail = !this.tail;
      this.#showZoom();
    });
    fill(place, log, this.latest, this.whole);
  }

  /** The names of the chosen layers, in their order. */
  get names() {
    return [...this.chosen].sort((a, b) => a - b).map((layer) => this.trace.layers[layer]);
  }

  /**
   * Choose layers.
   * @param {Iterable<number>} layers
   */
  choose(layers) {
    this.chosen = new Set(layers);
    this.draw();
    this.onChoose();
  }

  /** @param {number} layer */
  toggle(layer) {
    const next = new Set(this.chosen);
    if (!next.delete(layer)) next.add(layer);
    this.choose(next);
  }

  /** Draw everything anew. */
  draw() {
    const started = performance.now();
    const host = this.stage.clientWidth;
    if (!host) return;
    const { trace } = this;
    const layout = layoutOf(host, trace.layers.length);
    this.layout = layout;
    const [first, last] = [trace.steps[0] ?? 0, trace.last ?? 100];
    const [low, high] = this.zoom || [this.tail ? last - (last - first) / 20 : first, last];
    const scale = new StepScale(low, high, layout.plot, this.log);
    this.scale = scale;
    const columns = columnsOf(trace.steps, scale);
    const layers = trace.layers.length;
    const saturationColumns = toColumns(trace.saturation, columns, layers, layout.plot);
    const many = trace.steps.length > layout.plot;
    const alphaColumns = many ? toColumns(trace.alpha, columns, layers, layout.plot) : new Float32Array(0);
    const scene = {
      trace, layout, scale, chosen: this.chosen, band: this.band, marks: this.marks,
      alphaRange: alphaRange(trace.alpha), alphaColumns, saturationColumns,
      image: picture(saturationColumns, layers, layout.plot),
    };
    this.scene = scene;
    drawScene(sized(this.base, layout), scene);
    this.stage.style.height = `${layout.height}px`;
    this.#drawCursor();
    this.#summarise();
    this.drawn = performance.now() - started;
  }

  #summarise() {
    const { trace } = this;
    if (!trace.steps.length) {
      say(this.summary, 'No steps were recorded yet.');
      return;
    }
    const layers = trace.layers.map((name, layer) => `${name}: α ${number(trace.alphaNow(layer), 3)}, `
      + `saturation ${percent(trace.saturationNow([layer]))}`);
    say(this.summary, `${trace.layers.length} layers, steps ${trace.steps[0]} to ${trace.last}. At the end: ${layers.slice(0, 20).join('; ')}.`);
  }

  #drawCursor(/** @type {[number, number] | null} */ dragged = null) {
    if (this.layout) drawCursor(sized(this.over, this.layout), this.layout, this.cursor, dragged);
  }

  /** @param {[number, number] | null} range */
  #zoomTo(range) {
    this.zoom = range;
    this.tail = false;
    this.#showZoom();
  }

  #showZoom() {
    this.whole.disabled = !this.zoom && !this.tail;
    this.latest.setAttribute('aria-pressed', String(this.tail));
    this.cursor = null;
    this.draw();
  }

  /** The row that the cursor is on. */
  #row() {
    if (!this.cursor || !this.scale || !this.layout) return -1;
    const step = this.scale.step(this.cursor.x - this.layout.left);
    const next = this.trace.rowAt(step);
    return Math.min(next, this.trace.steps.length - 1);
  }

  /** What stands at the cursor, as text. */
  #text() {
    const row = this.#row();
    if (row < 0) return '';
    const { trace, cursor } = this;
    const step = `step ${trace.steps[row].toLocaleString('en')}`;
    const layer = cursor?.layer ?? -1;
    if (layer < 0) return step;
    return `${step} · ${trace.layers[layer]} · α ${number(trace.alpha[row][layer])} · saturation ${percent(trace.saturation[row][layer])}`;
  }

  #listen() {
    const { stage } = this;
    /** @type {number | null} */
    let from = null;
    const place = (/** @type {PointerEvent | MouseEvent} */ event) => {
      const box = stage.getBoundingClientRect();
      return { x: event.clientX - box.left, y: event.clientY - box.top };
    };
    const clamp = (/** @type {number} */ x) => {
      const { left, plot } = /** @type {import('./figure_layout.js').Layout} */ (this.layout);
      return Math.min(left + plot, Math.max(left, x));
    };
    stage.addEventListener('pointermove', (event) => {
      if (!this.layout) return;
      const at = place(event);
      this.cursor = { x: clamp(at.x), layer: this.#layerAt(at.x, at.y) };
      say(this.readout, this.#text() || HINT);
      this.#drawCursor(from !== null && Math.abs(at.x - from) > 5 ? [from, clamp(at.x)] : null);
    });
    stage.addEventListener('pointerleave', () => {
      this.cursor = null;
      say(this.readout, HINT);
      this.#drawCursor();
    });
    stage.addEventListener('pointerdown', (event) => {
      if (event.button === 0 && this.layout) from = clamp(place(event).x);
    });
    stage.addEventListener('pointerup', (event) => {
      if (from === null || !this.layout || !this.scale) return;
      const at = place(event);
      const to = clamp(at.x);
      const { left } = this.layout;
      if (Math.abs(to - from) > 5 && event.pointerType !== 'touch') {
        this.#zoomTo([this.scale.step(Math.min(from, to) - left), this.scale.step(Math.max(from, to) - left)]);
      } else {
        const layer = this.#layerAt(at.x, at.y);
        if (layer >= 0) this.toggle(layer);
      }
      from = null;
    });
    stage.addEventListener('dblclick', () => this.#zoomTo(null));
    stage.addEventListener('keydown', (event) => this.#key(event));
    stage.addEventListener('focus', () => {
      if (!this.cursor && this.layout && stage.matches(':focus-visible')) {
        this.cursor = { x: this.layout.left + this.layout.plot, layer: 0 };
        this.#drawCursor();
      }
    });
    stage.addEventListener('blur', () => {
      this.cursor = null;
      this.#drawCursor();
    });
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const { layout, scale, trace } = this;
    if (!layout || !scale || !trace.layers.length || event.ctrlKey || event.metaKey || event.altKey) return;
    this.cursor ??= { x: layout.left + layout.plot, layer: 0 };
    const { cursor } = this;
    const move = event.shiftKey ? 40 : 8;
    const middle = scale.step(cursor.x - layout.left);
    const span = scale.high - scale.low;
    const keys = {
      ArrowLeft: () => { cursor.x = Math.max(layout.left, cursor.x - move); },
      ArrowRight: () => { cursor.x = Math.min(layout.left + layout.plot, cursor.x + move); },
      ArrowUp: () => { cursor.layer = Math.max(0, cursor.layer - 1); },
      ArrowDown: () => { cursor.layer = Math.min(trace.layers.length - 1, cursor.layer + 1); },
      Home: () => { cursor.x = layout.left; },
      End: () => { cursor.x = layout.left + layout.plot; },
      ' ': () => this.toggle(cursor.layer),
      Enter: () => this.toggle(cursor.layer),
      Escape: () => this.choose([]),
      '+': () => this.#zoomTo([Math.max(0, middle - span / 4), middle + span / 4]),
      '-': () => this.#zoomTo(null),
      0: () => this.#zoomTo(null),
    };
    const act = keys[/** @type {keyof typeof keys} */ (event.key)];
    if (!act) return;
    event.preventDefault();
    act();
    this.#drawCursor();
    const chosen = this.chosen.has(cursor.layer) ? ' · chosen' : '';
    say(this.readout, this.#text() || HINT);
    say(this.spoken, this.#text() + chosen);
  }

  /**
   * The layer at a place: a row of the heat map, or the nearest line above it.
   * @param {number} x
   * @param {number} y
   */
  #layerAt(x, y) {
    const { layout, scene, trace } = this;
    if (!layout || !scene) return -1;
    const row = Math.floor((y - layout.heat.top) / layout.rowHeight);
    if (y >= layout.heat.top && row < trace.layers.length) return row;
    if (y > layout.alpha.top + layout.alpha.height + 6 || x < layout.left) return -1;
    const at = this.#row();
    if (at < 0) return -1;
    const toY = alphaY(scene.alphaRange, layout.alpha);
    let nearest = -1;
    let distance = 12;
    trace.alpha[at].forEach((alpha, layer) => {
      const away = Math.abs(toY(alpha) - y) - (this.chosen.has(layer) ? 0.5 : 0);
      if (away < distance) {
        distance = away;
        nearest = layer;
      }
    });
    return nearest;
  }
}

/**
 * A canvas of the layout's size in the screen's own pixels.
 * @param {HTMLCanvasElement} canvas
 * @param {import('./figure_layout.js').Layout} layout
 */
function sized(canvas, layout) {
  const ratio = window.devicePixelRatio || 1;
  const [width, height] = [Math.round(layout.width * ratio), Math.round(layout.height * ratio)];
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width;
    canvas.height = height;
    canvas.style.width = `${layout.width}px`;
    canvas.style.height = `${layout.height}px`;
  }
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d'));
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  return context;
}

/**
 * The range of all α, a little wider, at least a factor of ten.
 * @param {Float32Array[]} rows
 * @returns {[number, number]}
 */
function alphaRange(rows) {
  let [low, high] = [Infinity, 0];
  for (const row of rows) {
    for (const alpha of row) {
      if (alpha > 0) {
        if (alpha < low) low = alpha;
        if (alpha > high) high = alpha;
      }
    }
  }
  if (!high) return [1, 100];
  const wider = Math.max(1.25, Math.sqrt(10 / (high / low)));
  return [low / wider, high * wider];
}

/**
 * The colours' meaning, with the band in which saturation is wanted.
 * @param {[number, number]} band
 */
function colourBar(band) {
  const place = (/** @type {number} */ s) => 100 * Math.sqrt(s);
  const scale = el('div', { class: 'colourbar-scale' });
  const stops = Array.from({ length: 33 }, (_, i) => `${shadeCss((i / 32) ** 2)} ${(100 * i) / 32}%`);
  scale.style.background = `linear-gradient(90deg, ${stops.join(',')})`;
  const target = el('div', { class: 'colourbar-band', title: 'where saturation is wanted' });
  target.style.left = `${place(band[0])}%`;
  target.style.width = `${place(band[1]) - place(band[0])}%`;
  const ticks = [0, band[0], band[1], 0.5, 1].map((s) => {
    const tick = el('span', {}, percent(s));
    tick.style.left = `${place(s)}%`;
    return tick;
  });
  return el('div', { class: 'colourbar' },
    el('span', { class: 'muted' }, 'saturation'),
    el('div', { class: 'colourbar-body' }, scale, target, el('div', { class: 'colourbar-ticks' }, ...ticks)));
}
