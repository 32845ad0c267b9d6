/**
 * Scattered values brought to a grid, for a contour plot.
 * @module
 */

const SIZE = 64;
/** So far from every trial, as a share of an axis, nothing is said. */
const REACH = 0.25;

/**
 * Weighted means of the points, near ones first (a Gaussian of the distance on the axes' own scale).
 * @param {number[]} xs
 * @param {number[]} ys
 * @param {number[]} values
 * @param {import('./space.js').Dimension} dx
 * @param {import('./space.js').Dimension} dy
 */
export function smooth(xs, ys, values, dx, dy) {
  const [toX, fromX] = unit(dx);
  const [toY, fromY] = unit(dy);
  const points = values.map((value, i) => [toX(xs[i]), toY(ys[i]), value]);
  // Wider where there are few points, so that one is not an island.
  const width = 0.55 / Math.sqrt(values.length);
  const grid = Array.from({ length: SIZE }, (_, i) => i / (SIZE - 1));
  const z = grid.map((gy) => grid.map((gx) => {
    let weights = 0;
    let sum = 0;
    let nearest = Infinity;
    for (const [px, py, value] of points) {
      const away = ((px - gx) ** 2 + (py - gy) ** 2) / (width * width);
      const weight = Math.exp(-0.5 * Math.min(away, 60)) + 1e-9 / (1 + away);
      nearest = Math.min(nearest, away);
      weights += weight;
      sum += weight * value;
    }
    return nearest * width * width < REACH * REACH ? sum / weights : null;
  }));
  return { x: grid.map(fromX), y: grid.map(fromY), z };
}

/** @param {import('./space.js').Dimension} dimension */
function unit(dimension) {
  const bend = dimension.log ? Math.log : Number;
  const [low, high] = [bend(/** @type {number} */ (dimension.low)), bend(/** @type {number} */ (dimension.high))];
  const span = high - low || 1;
  return [
    (/** @type {number} */ v) => (bend(v) - low) / span,
    (/** @type {number} */ u) => (dimension.log ? Math.exp(low + u * span) : low + u * span),
  ];
}
