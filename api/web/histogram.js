/**
 * One small histogram on a canvas: magnitudes on a log scale, the threshold of saturation marked.
 * @module
 */

import { colour } from './chrome.js';
import { number } from './format.js';

const HEIGHT = 104;
const TOP = 16;
const BOTTOM = 18;
const SIDE = 12;

/**
 * @typedef {{edges: number[], counts: number[], tau: number, colour: string}} Histogram
 */

/**
 * The share of entries above the threshold; within a bin they are taken as evenly spread.
 * @param {Histogram} histogram
 */
export function shareAbove({ edges, counts, tau }) {
  let [above, all] = [0, 0];
  for (const [i, count] of counts.entries()) {
    const [low, high] = [Math.log(edges[i]), Math.log(edges[i + 1])];
    above += count * Math.min(1, Math.max(0, (high - Math.log(tau)) / (high - low)));
    all += count;
  }
  return all ? above / all : NaN;
}

/**
 * Bars below the threshold are pale, those above it are not.
 * @param {HTMLCanvasElement} canvas
 * @param {Histogram} histogram
 */
export function drawHistogram(canvas, histogram) {
  const { edges, counts, tau } = histogram;
  const width = canvas.clientWidth;
  if (!width) return;
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(HEIGHT * ratio);
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d'));
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.font = '11px ui-sans-serif, system-ui, sans-serif';
  const [low, high] = [Math.log10(edges[0]), Math.log10(edges[edges.length - 1])];
  const x = (/** @type {number} */ at) => SIDE + ((Math.log10(at) - low) / (high - low)) * (width - 2 * SIDE);
  const floor = HEIGHT - BOTTOM;
  drawAxis(context, x, low, high, floor);
  const most = Math.max(1, ...counts);
  const bars = () => {
    for (const [i, count] of counts.entries()) {
      const size = count ? Math.max(1, (count / most) * (floor - TOP)) : 0;
      context.fillRect(x(edges[i]), floor - size, Math.max(1, x(edges[i + 1]) - x(edges[i]) - 0.5), size);
    }
  };
  context.fillStyle = histogram.colour;
  context.globalAlpha = 0.45;
  bars();
  context.globalAlpha = 1;
  const at = Math.min(width, Math.max(0, x(tau)));
  context.save();
  context.beginPath();
  context.rect(at, 0, width - at, floor);
  context.clip();
  context.clearRect(at, TOP, width - at, floor - TOP);
  bars();
  context.restore();
  drawThreshold(context, at, width, floor, tau);
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {(at: number) => number} x
 * @param {number} low
 * @param {number} high
 * @param {number} floor
 */
function drawAxis(context, x, low, high, floor) {
  context.strokeStyle = colour('line');
  context.fillStyle = colour('muted');
  context.textBaseline = 'top';
  context.textAlign = 'center';
  context.beginPath();
  context.moveTo(x(10 ** low), floor + 0.5);
  context.lineTo(x(10 ** high), floor + 0.5);
  for (let power = Math.ceil(low - 1e-9); power <= high + 1e-9; power++) {
    const at = Math.round(x(10 ** power)) + 0.5;
    context.moveTo(at, floor);
    context.lineTo(at, floor + 3);
    if (power % 2 === 0) context.fillText(number(10 ** power), at, floor + 5);
  }
  context.stroke();
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {number} at
 * @param {number} width
 * @param {number} floor
 * @param {number} tau
 */
function drawThreshold(context, at, width, floor, tau) {
  context.strokeStyle = colour('mark');
  context.fillStyle = colour('mark');
  context.setLineDash([3, 2]);
  context.beginPath();
  context.moveTo(at, TOP - 2);
  context.lineTo(at, floor);
  context.stroke();
  context.setLineDash([]);
  context.textBaseline = 'top';
  const label = `τ ${number(tau)}`;
  const half = context.measureText(label).width / 2;
  context.textAlign = 'center';
  context.fillText(label, Math.min(width - half, Math.max(half, at)), 1);
}
