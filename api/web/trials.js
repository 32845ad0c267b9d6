/**
 * A study's trials as they come: only what may have changed is read again.
 * @module
 */

import { read, readAll } from './api.js';
import { path } from './dom.js';
import { ENDED } from './format.js';

/** So many trials are read, of larger studies the first ones. */
const MOST = 5000;

/**
 * @typedef {{number: number, state: string, value: number | null, values: number[] | null,
 *   params: Record<string, any>, feasible: boolean, error: string | null, attempt: number,
 *   started_at: string | null, finished_at: string | null}} TrialOut
 */

export class Trials {
  /** @param {string} study */
  constructor(study) {
    this.url = path`/v1/studies/${study}/trials`;
    /** @type {Map<number, TrialOut>} */
    this.byNumber = new Map();
    /** Numbers of which an event spoke. @type {Set<number>} */
    this.dirty = new Set();
  }

  /** All, by number. */
  get all() {
    return [...this.byNumber.values()].sort((a, b) => a.number - b.number);
  }

  /** Whether the study has more trials than are read. */
  get cut() {
    return this.byNumber.size >= MOST;
  }

  /**
   * Read what is new.
   * @param {{trials: Record<string, number>}} study
   */
  async update(study) {
    const { QUEUED: _, ...counts } = study.trials;
    for (const trial of this.byNumber.values()) if (!ENDED.has(trial.state)) this.dirty.add(trial.number);
    const wanted = [...this.dirty].filter((number) => number < MOST); // later ones are not shown
    this.dirty.clear();
    if (this.byNumber.size && wanted.length <= 30) {
      const found = await Promise.all(wanted.map((number) => read(`${this.url}/${number}`)));
      for (const trial of found) this.byNumber.set(trial.number, trial);
    }
    const total = Object.values(counts).reduce((a, b) => a + b, 0);
    if (wanted.length > 30 || Math.min(total, MOST) !== this.byNumber.size) {
      for (const trial of await readAll(this.url, {}, MOST)) this.byNumber.set(trial.number, trial);
    }
  }
}
