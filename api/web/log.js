/**
 * A trial's log: its tail, then what is added.
 * @module
 */

import { ApiError, read } from './api.js';
import { byId, path, say } from './dom.js';

const MOST = 200_000; // characters kept
const PIECE = 65_536; // bytes read at once

export class Log {
  /**
   * @param {string} study
   * @param {number} number
   */
  constructor(study, number) {
    this.url = path`/v1/studies/${study}/trials/${number}/log`;
    this.place = byId('log');
    this.follow = /** @type {HTMLInputElement} */ (byId('follow'));
    /** @type {number | null} */
    this.next = null;
  }

  /** Fetch what is new, to its end: of a trial that has ended nobody asks again. */
  async update() {
    try {
      let more = true;
      while (more) more = await this.#piece();
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 404) throw error;
      this.place.classList.add('nothing');
    }
  }

  /** Whether there is more. */
  async #piece() {
    let answer = await read(this.url, { offset: this.next, limit: PIECE });
    if (this.next !== null && answer.size - this.next > MOST) { // what comes first would not be kept
      this.next = null;
      answer = await read(this.url, { limit: PIECE });
    }
    const { text, next_offset: next, size } = answer;
    const before = this.next === null ? '' : this.place.textContent || '';
    if (text || this.next === null) say(this.place, (before + text).slice(-MOST));
    this.next = next;
    this.place.classList.toggle('nothing', !this.place.textContent);
    if (this.follow.checked && text) this.place.scrollTop = this.place.scrollHeight;
    return text !== '' && next < size; // at the end there may be a part of a character
  }
}
