/**
 * Drawing of the instrument onto its canvas.
 * @module
 */

import { logTicks, shortStep } from './axis.js';
import { colour } from './chrome.js';
import { layerLine } from './colours.js';
import { fitted } from './figure_layout.js';
import { number, percent } from './format.js';

/**
 * @typedef {import('./figure_layout.js').Layout} Layout
 * @typedef {import('./axis.js').StepScale} StepScale
 * @typedef {import('./trace.js').Trace} Trace
 * @typedef {{trace: Trace, layout: Layout, scale: StepScale, chosen: Set<number>, band: [number, number],
 *   marks: {step: number, label: string}[], alphaRange: [number, number],
 *   alphaColumns: Float32Array, saturationColumns: Float32Array, image: HTMLCanvasElement}} Scene
 */

/**
 * Draw everything but the cursor.
 * @param {CanvasRenderingContext2D} context
 * @param {Scene} scene
 */
export function drawScene(context, scene) {
  const { layout } = scene;
  const font = '12px ui-sans-serif, system-ui, sans-serif';
  context.clearRect(0, 0, layout.width, layout.height);
  context.font = font;
  context.lineWidth = 1;
  drawAxis(context, scene);
  drawAlpha(context, scene);
  drawHeat(context, scene);
  drawSaturation(context, scene);
  drawMarks(context, scene);
}

/** @param {CanvasRenderingContext2D} context @param {Scene} scene */
function drawAxis(context, { layout, scale }) {
  context.fillStyle = colour('muted');
  context.strokeStyle = colour('grid');
  context.textBaseline = 'top';
  context.textAlign = 'center';
  for (const tick of scale.ticks()) {
    const x = Math.round(layout.left + scale.x(tick)) + 0.5;
    context.beginPath();
    for (const panel of [layout.alpha, layout.lines]) {
      context.moveTo(x, panel.top);
      context.lineTo(x, panel.top + panel.height);
    }
    context.moveTo(x, layout.axis);
    context.lineTo(x, layout.axis + 4);
    context.stroke();
    context.fillText(shortStep(tick), x, layout.axis + 6);
  }
  context.textAlign = 'left';
  context.fillText('step', 2, layout.axis + 6);
}

/**
 * @param {[number, number]} range
 * @param {{top: number, height: number}} panel
 */
export function alphaY(range, panel) {
  const low = Math.log10(range[0]);
  const span = Math.log10(range[1]) - low;
  return (/** @type {number} */ alpha) => panel.top + panel.height * (1 - (Math.log10(alpha) - low) / span);
}

/** @param {CanvasRenderingContext2D} context @param {Scene} scene */
function drawAlpha(context, scene) {
  const { layout, alphaRange, chosen, trace } = scene;
  const y = alphaY(alphaRange, layout.alpha);
  context.textBaseline = 'middle';
  context.textAlign = 'right';
  for (const tick of logTicks(...alphaRange)) {
    const at = Math.round(y(tick)) + 0.5;
    context.strokeStyle = colour('grid');
    context.beginPath();
    context.moveTo(layout.left, at);
    context.lineTo(layout.left + layout.plot, at);
    context.stroke();
    context.fillStyle = colour('muted');
    context.fillText(number(tick, 3), layout.left - 6, at);
  }
  title(context, layout, layout.alpha, 'α');
  drawLines(context, scene, layout.alpha, scene.alphaColumns, trace.alpha, y, true);
  // The α of the chosen layers, or of all where they are few, at the lines' ends.
  const named = chosen.size ? [...chosen] : layout.layers <= 8 ? [...Array(layout.layers).keys()] : [];
  const ends = new Map(); // layers of one α share a label
  for (const layer of named) {
    const alpha = trace.alphaNow(layer);
    if (alpha > 0 && !ends.has(alpha)) ends.set(alpha, layer);
  }
  let above = -Infinity;
  context.textAlign = 'left';
  for (const alpha of [...ends.keys()].sort((a, b) => b - a)) {
    above = Math.max(y(alpha), above + 12);
    if (above > layout.alpha.top + layout.alpha.height + 6) break;
    context.fillStyle = ends.size > 1 ? layerLine(ends.get(alpha)).colour : colour('ink');
    context.fillText(number(alpha, 3), layout.left + layout.plot + 8, above);
  }
}

/** @param {CanvasRenderingContext2D} context @param {Scene} scene */
function drawSaturation(context, scene) {
  const { layout, band, trace } = scene;
  // As in the colours: a square root, so that the band is not a sliver.
  const y = (/** @type {number} */ s) => layout.lines.top + layout.lines.height * (1 - Math.sqrt(Math.max(0, s)));
  context.fillStyle = colour('band');
  context.fillRect(layout.left, y(band[1]), layout.plot, y(band[0]) - y(band[1]));
  context.textBaseline = 'middle';
  context.textAlign = 'right';
  context.fillStyle = colour('muted');
  for (const tick of [0, ...band, 1]) context.fillText(percent(tick), layout.left - 6, y(tick));
  title(context, layout, layout.lines, layout.narrow ? 'S' : 'saturation');
  drawLines(context, scene, layout.lines, scene.saturationColumns, trace.saturation, y, false);
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {Layout} layout
 * @param {{top: number, height: number}} panel
 * @param {string} text
 */
function title(context, layout, panel, text) {
  context.fillStyle = colour('ink');
  context.textAlign = 'left';
  context.fillText(text, 2, panel.top + 7);
  context.textAlign = 'right';
}

/**
 * All layers' lines: those not chosen thin and grey, the chosen ones in their colours.
 * @param {CanvasRenderingContext2D} context
 * @param {Scene} scene
 * @param {{top: number, height: number}} panel
 * @param {Float32Array} columns
 * @param {Float32Array[]} rows
 * @param {(value: number) => number} y
 * @param {boolean} held Whether a value holds until the next one.
 */
function drawLines(context, scene, panel, columns, rows, y, held) {
  const { layout, chosen, trace, scale } = scene;
  const all = layout.layers;
  const coloured = chosen.size ? chosen : all <= 8 ? new Set(Array(all).keys()) : new Set();
  context.save();
  context.beginPath();
  context.rect(layout.left, panel.top - 3, layout.plot, panel.height + 6);
  context.clip();
  context.lineJoin = 'round';
  const few = rows.length <= layout.plot;
  const line = (/** @type {number} */ layer) => {
    if (few) pointsLine(context, scale, layout.left, trace.steps, rows, layer, y, held);
    else columnLine(context, layout, columns, layer, y);
  };
  context.strokeStyle = colour('faint');
  context.beginPath();
  for (let layer = 0; layer < all; layer++) if (!coloured.has(layer)) line(layer);
  context.stroke();
  for (const layer of coloured) {
    const style = layerLine(layer);
    context.strokeStyle = style.colour;
    context.setLineDash(style.dash);
    context.lineWidth = chosen.size ? 2 : 1.5;
    context.beginPath();
    line(layer);
    context.stroke();
  }
  context.restore();
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {StepScale} scale
 * @param {number} left
 * @param {number[]} steps
 * @param {Float32Array[]} rows
 * @param {number} layer
 * @param {(value: number) => number} y
 * @param {boolean} held
 */
function pointsLine(context, scale, left, steps, rows, layer, y, held) {
  let before = NaN;
  for (let row = 0; row < rows.length; row++) {
    const value = rows[row][layer];
    if (value === value) {
      const x = left + scale.x(steps[row]);
      if (before !== before) context.moveTo(x, y(value));
      else if (held && value !== before) context.lineTo(x, y(before));
      context.lineTo(x, y(value));
    }
    before = value;
  }
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {Layout} layout
 * @param {Float32Array} columns
 * @param {number} layer
 * @param {(value: number) => number} y
 */
function columnLine(context, layout, columns, layer, y) {
  let drawing = false;
  for (let x = 0; x < layout.plot; x++) {
    const value = columns[layer * layout.plot + x];
    if (value === value) {
      if (drawing) context.lineTo(layout.left + x + 0.5, y(value));
      else context.moveTo(layout.left + x + 0.5, y(value));
    }
    drawing = value === value;
  }
}

/** @param {CanvasRenderingContext2D} context @param {Scene} scene */
function drawHeat(context, { layout, image, trace, chosen }) {
  const { heat, left, plot, rowHeight } = layout;
  context.fillStyle = colour('well');
  context.fillRect(left, heat.top, plot, heat.height);
  context.imageSmoothingEnabled = false;
  context.drawImage(image, left, heat.top, plot, heat.height);
  context.textBaseline = 'middle';
  const every = Math.ceil(12 / rowHeight);
  // Where there is little room, what all names begin with is left out.
  const shared = layout.narrow ? sharedStart(trace.layers) : 0;
  trace.layers.forEach((name, layer) => {
    const top = heat.top + layer * rowHeight;
    const middle = top + rowHeight / 2;
    if (chosen.has(layer)) {
      context.fillStyle = colour('accent-soft');
      context.fillRect(0, top, left - 4, rowHeight - 1);
    }
    const style = layerLine(layer);
    context.fillStyle = style.colour;
    context.fillRect(2, top + 1, 3, Math.max(2, rowHeight - 3));
    if (layer % every) return;
    context.fillStyle = chosen.has(layer) ? colour('ink') : colour('muted');
    context.textAlign = 'left';
    context.fillText(fitted(context, name.slice(shared), left - 18), 11, middle);
    if (!layout.narrow) {
      context.fillText(percent(trace.saturationNow([layer])), left + plot + 8, middle);
    }
  });
  context.strokeStyle = colour('panel');
  if (rowHeight >= 12) {
    context.beginPath();
    for (let layer = 1; layer < layout.layers; layer++) {
      const at = heat.top + layer * rowHeight - 0.5;
      context.moveTo(left, at);
      context.lineTo(left + plot, at);
    }
    context.stroke();
  }
}

/** @param {string[]} names */
function sharedStart(names) {
  const first = names[0] || '';
  for (let dot = first.lastIndexOf('.'); dot > 0; dot = first.lastIndexOf('.', dot - 1)) {
    if (names.every((name) => name.startsWith(first.slice(0, dot + 1)))) return dot + 1;
  }
  return 0;
}

/** @param {CanvasRenderingContext2D} context @param {Scene} scene */
function drawMarks(context, { layout, marks, scale }) {
  context.textBaseline = 'bottom';
  context.textAlign = 'center';
  context.setLineDash([3, 3]);
  let before = -Infinity;
  for (const mark of marks) {
    if (mark.step < scale.low || mark.step > scale.high) continue;
    const x = Math.round(layout.left + scale.x(mark.step)) + 0.5;
    context.strokeStyle = colour('mark');
    context.beginPath();
    context.moveTo(x, layout.alpha.top);
    context.lineTo(x, layout.axis);
    context.stroke();
    if (x - before < 16) continue;
    before = x;
    context.fillStyle = colour('mark');
    context.fillText(mark.label, x, layout.alpha.top - 3);
  }
  context.setLineDash([]);
}

/**
 * The cursor, on a canvas of its own.
 * @param {CanvasRenderingContext2D} context
 * @param {Layout} layout
 * @param {{x: number, layer: number} | null} cursor
 * @param {[number, number] | null} dragged
 */
export function drawCursor(context, layout, cursor, dragged) {
  context.clearRect(0, 0, layout.width, layout.height);
  if (dragged) {
    context.fillStyle = colour('accent-soft');
    context.fillRect(Math.min(...dragged), layout.alpha.top, Math.abs(dragged[1] - dragged[0]), layout.axis - layout.alpha.top);
  }
  if (!cursor) return;
  context.strokeStyle = colour('ink');
  context.globalAlpha = 0.6;
  context.beginPath();
  context.moveTo(Math.round(cursor.x) + 0.5, layout.alpha.top);
  context.lineTo(Math.round(cursor.x) + 0.5, layout.axis);
  context.stroke();
  if (cursor.layer >= 0) {
    context.globalAlpha = 1;
    context.strokeRect(layout.left - 0.5, layout.heat.top + cursor.layer * layout.rowHeight - 0.5, layout.plot + 1, layout.rowHeight);
  }
}
