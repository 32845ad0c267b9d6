/**
 * A trial's α trace as it grows: rows are appended, or all of them replaced.
 * @module
 */

/** A trace in the browser is fetched anew, thinned, when it has grown to so many rows. */
const MOST_ROWS = 3000;

/**
 * @typedef {{layers: string[], steps: number[], alpha: (number | null)[][], saturation: (number | null)[][]}} TraceAnswer
 */

export class Trace {
  constructor() {
    /** @type {string[]} */
    this.layers = [];
    /** @type {number[]} */
    this.steps = [];
    /** One array of L numbers a step; NaN where nothing was measured. @type {Float32Array[]} */
    this.alpha = [];
    /** @type {Float32Array[]} */
    this.saturation = [];
  }

  /** The last step, or null. */
  get last() {
    return this.steps.length ? this.steps[this.steps.length - 1] : null;
  }

  /** Whether it should rather be fetched anew than grow on. */
  get full() {
    return this.steps.length > MOST_ROWS;
  }

  /**
   * Take in an answer of `GET …/alpha`: what lies behind the rows that are there is appended, all
   * else replaces them.
   * @param {TraceAnswer} answer
   * @returns {boolean} Whether anything is new.
   */
  take(answer) {
    const grown = this.last !== null && answer.layers.length === this.layers.length
      && (answer.steps.length === 0 || answer.steps[0] > this.last);
    if (!grown) {
      const same = answer.steps.length === this.steps.length && answer.steps.at(-1) === this.last;
      if (same && answer.layers.length === this.layers.length) return false;
      this.layers = answer.layers;
      this.steps = [];
      this.alpha = [];
      this.saturation = [];
    }
    for (let i = 0; i < answer.steps.length; i++) {
      this.steps.push(answer.steps[i]);
      this.alpha.push(floats(answer.alpha[i]));
      this.saturation.push(floats(answer.saturation[i]));
    }
    return answer.steps.length > 0;
  }

  /**
   * The last row's α of a layer, NaN if none.
   * @param {number} layer
   */
  alphaNow(layer) {
    return this.alpha.length ? this.alpha[this.alpha.length - 1][layer] : NaN;
  }

  /**
   * Mean saturation of some layers over the rows from one place to another.
   * @param {number[]} layers
   * @param {number} from
   * @param {number} to
   */
  meanSaturation(layers, from, to) {
    let sum = 0;
    let count = 0;
    for (let row = Math.max(0, from); row < Math.min(to, this.steps.length); row++) {
      for (const layer of layers) {
        const value = this.saturation[row][layer];
        if (value === value) {
          sum += value;
          count++;
        }
      }
    }
    return count ? sum / count : NaN;
  }

  /**
   * Mean saturation of the latest rows.
   * @param {number[]} layers
   * @param {number} [rows]
   */
  saturationNow(layers, rows = 20) {
    return this.meanSaturation(layers, this.steps.length - rows, this.steps.length);
  }

  /**
   * The first row at or behind a step.
   * @param {number} step
   */
  rowAt(step) {
    let low = 0;
    let high = this.steps.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.steps[middle] < step) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** @param {(number | null)[]} row */
function floats(row) {
  const made = new Float32Array(row.length);
  for (let i = 0; i < row.length; i++) made[i] = row[i] ?? NaN;
  return made;
}
