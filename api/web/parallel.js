/**
 * Parallel coordinates on a canvas: a line a trial, an axis a parameter; a drag along an axis keeps
 * the lines that pass there.
 *
 * Plotly's own are drawn with code that is made at run time, which the page's policy forbids.
 * @module
 */

import { logTicks, niceTicks } from './axis.js';
import { colour, recoloured } from './chrome.js';
import { el, fill, say } from './dom.js';
import { fitted } from './figure_layout.js';
import { number } from './format.js';
import { place } from './space.js';

const [TOP, BOTTOM, HEIGHT] = [34, 14, 300];

/**
 * @typedef {{name: string, dimension: import('./space.js').Dimension, low: number, high: number}} Axis
 * @typedef {{number: number, values: number[], shade: number}} Line
 */

export class Parallel {
  /**
   * @param {HTMLElement} host
   * @param {(shade: number) => string} shadeOf A colour for 0 (worst) to 1 (best).
   * @param {(number: number) => void} open
   */
  constructor(host, shadeOf, open) {
    this.shadeOf = shadeOf;
    this.open = open;
    /** @type {Axis[]} */
    this.axes = [];
    /** @type {Line[]} */
    this.lines = [];
    /** Kept ranges by axis, as places from 0 to 1. @type {Map<number, [number, number]>} */
    this.kept = new Map();
    this.canvas = el('canvas', { role: 'img' });
    this.words = el('p', { class: 'plot-words' });
    this.clear = el('button', { type: 'button', class: 'button small', hidden: true, on: { click: () => { this.kept.clear(); this.draw(); } } }, 'all trials');
    this.host = host;
    this.frame = el('div', { class: 'scroll plot-body' }, this.canvas);
    fill(host, this.frame, el('div', { class: 'tools' }, this.words, this.clear));
    new ResizeObserver(() => this.draw()).observe(host);
    recoloured.add(() => this.draw());
    this.#listen();
  }

  /**
   * @param {Axis[]} axes
   * @param {Line[]} lines
   */
  set(axes, lines) {
    this.axes = axes;
    this.lines = lines;
    this.draw();
  }

  /** @param {number} i */
  #x(i) {
    return 50 + (i * (this.width - 100)) / Math.max(1, this.axes.length - 1);
  }

  /** @param {Line} line */
  #isKept(line) {
    for (const [axis, [low, high]] of this.kept) {
      const at = line.values[axis];
      if (!(at >= low && at <= high)) return false;
    }
    return true;
  }

  draw() {
    const kept = this.lines.filter((line) => this.#isKept(line));
    this.#describe(kept.length);
    const room = this.frame.clientWidth;
    if (!room) return;
    this.width = Math.max(room, this.axes.length * 92);
    const ratio = window.devicePixelRatio || 1;
    this.canvas.width = this.width * ratio;
    this.canvas.height = HEIGHT * ratio;
    this.canvas.style.width = `${this.width}px`;
    this.canvas.style.height = `${HEIGHT}px`;
    const context = /** @type {CanvasRenderingContext2D} */ (this.canvas.getContext('2d'));
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.font = '12px ui-sans-serif, system-ui, sans-serif';
    const y = (/** @type {number} */ v) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - v);
    const stroke = (/** @type {Line} */ line) => {
      context.beginPath();
      let drawing = false;
      line.values.forEach((v, i) => {
        if (v !== v) drawing = false;
        else if (drawing) context.lineTo(this.#x(i), y(v));
        else {
          context.moveTo(this.#x(i), y(v));
          drawing = true;
        }
      });
      context.stroke();
    };
    context.strokeStyle = colour('grid');
    for (const line of this.lines) if (!kept.includes(line)) stroke(line);
    context.globalAlpha = kept.length > 200 ? 0.45 : 0.85;
    context.lineWidth = 1.4;
    for (const line of [...kept].sort((a, b) => a.shade - b.shade)) {
      context.strokeStyle = this.shadeOf(line.shade);
      stroke(line);
    }
    context.globalAlpha = 1;
    context.lineWidth = 1;
    this.axes.forEach((axis, i) => this.#axis(context, axis, i, y));
  }

  /** @param {number} kept */
  #describe(kept) {
    const names = this.axes.map((axis) => axis.name).join(', ');
    const text = this.lines.length ? `${kept} of ${this.lines.length} complete trials over ${names}; drag along an axis to keep some` : 'no complete trial yet';
    say(this.words, text);
    this.canvas.setAttribute('aria-label', text);
    this.clear.hidden = !this.kept.size;
    this.host.classList.toggle('empty-plot', !this.lines.length);
  }

  /**
   * @param {CanvasRenderingContext2D} context
   * @param {Axis} axis
   * @param {number} i
   * @param {(v: number) => number} y
   */
  #axis(context, axis, i, y) {
    const x = Math.round(this.#x(i)) + 0.5;
    context.strokeStyle = colour('muted');
    context.beginPath();
    context.moveTo(x, y(0));
    context.lineTo(x, y(1));
    context.stroke();
    context.fillStyle = colour('ink');
    context.textAlign = i === 0 ? 'left' : i === this.axes.length - 1 ? 'right' : 'center';
    const edge = i === 0 ? 0 : i === this.axes.length - 1 ? this.width : x;
    context.fillText(fitted(context, axis.name, 120), edge, 14);
    context.textAlign = i === this.axes.length - 1 ? 'right' : 'left';
    context.fillStyle = colour('muted');
    for (const [at, text] of ticksOf(axis)) {
      if (at < -0.001 || at > 1.001) continue;
      const label = fitted(context, text, 80);
      const left = context.textAlign === 'right' ? x - 6 : x + 6;
      const wide = context.measureText(label).width;
      context.fillStyle = colour('panel');
      context.globalAlpha = 0.75;
      context.fillRect(context.textAlign === 'right' ? left - wide - 1 : left - 1, y(at) - 8, wide + 2, 15);
      context.globalAlpha = 1;
      context.fillStyle = colour('muted');
      context.fillText(label, left, y(at) + 4);
    }
    const kept = this.kept.get(i);
    if (!kept) return;
    context.fillStyle = colour('accent-soft');
    context.strokeStyle = colour('accent');
    context.fillRect(x - 8, y(kept[1]), 16, y(kept[0]) - y(kept[1]));
    context.strokeRect(x - 8, y(kept[1]), 16, y(kept[0]) - y(kept[1]));
  }

  #listen() {
    /** @type {{axis: number, from: number} | null} */
    let drag = null;
    const at = (/** @type {PointerEvent} */ event) => {
      const box = this.canvas.getBoundingClientRect();
      const share = 1 - (event.clientY - box.top - TOP) / (HEIGHT - TOP - BOTTOM);
      return { x: event.clientX - box.left, share: Math.min(1, Math.max(0, share)) };
    };
    this.canvas.addEventListener('pointerdown', (event) => {
      const { x, share } = at(event);
      const axis = this.axes.findIndex((_, i) => Math.abs(this.#x(i) - x) < 18);
      if (axis < 0) return;
      drag = { axis, from: share };
      this.canvas.setPointerCapture(event.pointerId);
    });
    this.canvas.addEventListener('pointermove', (event) => {
      if (!drag) return;
      const { share } = at(event);
      if (Math.abs(share - drag.from) > 0.02) this.kept.set(drag.axis, [Math.min(share, drag.from), Math.max(share, drag.from)]);
      this.draw();
    });
    this.canvas.addEventListener('pointerup', (event) => {
      if (drag && Math.abs(at(event).share - drag.from) <= 0.02) this.kept.delete(drag.axis);
      drag = null;
      this.draw();
    });
  }
}

/**
 * @param {Axis} axis
 * @returns {[number, string][]}
 */
function ticksOf({ dimension, low, high }) {
  const share = (/** @type {number} */ v) => (high > low ? (v - low) / (high - low) : 0.5);
  if (dimension.type === 'categorical') {
    return (dimension.choices || []).map((choice, i) => [share(i), typeof choice === 'string' ? choice : JSON.stringify(choice)]);
  }
  if (dimension.log) return logTicks(10 ** low, 10 ** high).map((tick) => [share(place(dimension, tick)), number(tick, 3)]);
  return niceTicks(low, high, 5).map((tick) => [share(tick), number(tick, 3)]);
}
