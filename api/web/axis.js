/**
 * Scales and their ticks.
 * @module
 */

/**
 * Round places within a range.
 * @param {number} low
 * @param {number} high
 * @param {number} count About so many.
 */
export function niceTicks(low, high, count) {
  if (!(high > low)) return [low];
  const rough = (high - low) / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5, 10].find((m) => m * power >= rough) || 10);
  const ticks = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) ticks.push(i * step);
  return ticks;
}

/**
 * Decades within a range, with 2 and 5 in between where there are few.
 * @param {number} low
 * @param {number} high
 */
export function logTicks(low, high) {
  const ticks = [];
  const few = Math.log10(high / low) < 2.2;
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++) {
    for (const m of few ? [1, 2, 5] : [1]) {
      const tick = m * 10 ** power;
      if (tick >= low * 0.999 && tick <= high * 1.001) ticks.push(tick);
    }
  }
  return ticks;
}

/**
 * A step as an axis names it: 0, 500, 12k, 3.4M.
 * @param {number} step
 */
export function shortStep(step) {
  if (step >= 1e6) return `${+(step / 1e6).toPrecision(3)}M`;
  if (step >= 1e4) return `${+(step / 1e3).toPrecision(4)}k`;
  return `${+step.toPrecision(6)}`;
}

/** Steps to pixels, straight or by logarithm. */
export class StepScale {
  /**
   * @param {number} low
   * @param {number} high
   * @param {number} width
   * @param {boolean} log
   */
  constructor(low, high, width, log) {
    this.low = low;
    this.high = Math.max(high, low + 1);
    this.width = width;
    this.log = log;
    this.from = this.bend(this.low);
    this.span = this.bend(this.high) - this.from;
  }

  /** @param {number} step */
  bend(step) {
    return this.log ? Math.log1p(Math.max(0, step)) : step;
  }

  /** @param {number} step */
  x(step) {
    return ((this.bend(step) - this.from) / this.span) * this.width;
  }

  /** @param {number} x */
  step(x) {
    const bent = this.from + (x / this.width) * this.span;
    return this.log ? Math.expm1(bent) : bent;
  }

  ticks() {
    const count = this.width / 90;
    if (!this.log) return niceTicks(this.low, this.high, count);
    return [...(this.low <= 0 ? [0] : []), ...logTicks(Math.max(1, this.low), this.high)];
  }
}
