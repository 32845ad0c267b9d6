/**
 * A trial's log: its tail, then what is added.
 * @module
 */

import { ApiError, read } from './api.js';
import { byId, path, say } from './dom.js';

const MOST = 200_000; // characters kept

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

  /** Fetch what is new. */
  async update() {
    try {
      const answer = await read(this.url, { offset: this.next, limit: 65536 });
      const text = (this.place.textContent || '') + answer.text;
      if (this.next === null && !answer.text) say(this.place, '');
      else if (answer.text) this.place.textContent = this.next === null ? answer.text : text.slice(-MOST);
      this.next = answer.next_offset;
      this.place.classList.toggle('nothing', !this.place.textContent);
      if (this.follow.checked && answer.text) this.place.scrollTop = this.place.scrollHeight;
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 404) throw error;
      this.place.classList.add('nothing');
    }
  }
}
