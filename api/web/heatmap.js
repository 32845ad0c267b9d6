/**
 * The heat map's numbers and pixels: one column a pixel, one row a layer.
 * @module
 */

import { TABLE, shade } from './colours.js';

/** @typedef {import('./trace.js').Trace} Trace */
/** @typedef {import('./axis.js').StepScale} StepScale */

/**
 * A trace brought to pixels: means over the rows that share a column; a column without one holds
 * what came before, NaN before the first.
 * @param {Float32Array[]} rows
 * @param {number[]} columns Each row's column; not decreasing.
 * @param {number} layers
 * @param {number} width
 * @returns {Float32Array} Layer after layer, `width` numbers each.
 */
export function toColumns(rows, columns, layers, width) {
  const out = new Float32Array(layers * width).fill(NaN);
  const sums = new Float64Array(layers);
  const counts = new Uint32Array(layers);
  for (let row = 0; row < rows.length;) {
    const column = columns[row];
    sums.fill(0);
    counts.fill(0);
    let next = row;
    for (; next < rows.length && columns[next] === column; next++) {
      const values = rows[next];
      for (let layer = 0; layer < layers; layer++) {
        const value = values[layer];
        if (value === value) {
          sums[layer] += value;
          counts[layer]++;
        }
      }
    }
    const until = next < rows.length ? Math.min(columns[next], width) : Math.min(column + 1, width);
    for (let layer = 0; layer < layers; layer++) {
      const mean = counts[layer] ? sums[layer] / counts[layer] : NaN;
      for (let x = Math.max(0, column); x < until; x++) out[layer * width + x] = mean;
    }
    row = next;
  }
  return out;
}

/**
 * Each row's column on a scale; rows outside of it are before 0 or behind its end.
 * @param {number[]} steps
 * @param {StepScale} scale
 */
export function columnsOf(steps, scale) {
  return steps.map((step) => Math.min(scale.width - (step <= scale.high ? 1 : 0), Math.floor(scale.x(step))));
}

/**
 * A picture with one pixel a column and layer.
 * @param {Float32Array} saturation As `toColumns` gives it.
 * @param {number} layers
 * @param {number} width
 */
export function picture(saturation, layers, width) {
  const canvas = document.createElement('canvas');
  canvas.width = width;
  canvas.height = Math.max(1, layers);
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d'));
  const image = context.createImageData(canvas.width, canvas.height);
  const pixels = image.data;
  for (let i = 0; i < saturation.length; i++) {
    const value = saturation[i];
    if (value !== value) continue; // clear
    const place = 3 * shade(value);
    pixels[4 * i] = TABLE[place];
    pixels[4 * i + 1] = TABLE[place + 1];
    pixels[4 * i + 2] = TABLE[place + 2];
    pixels[4 * i + 3] = 255;
  }
  context.putImageData(image, 0, 0);
  return canvas;
}
