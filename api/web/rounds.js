/**
 * Reading again what may have changed, one round at a time.
 * @module
 */

import { ApiError } from './api.js';
import { toastError } from './chrome.js';
import { gathered } from './dom.js';

/**
 * A round begins at once with `refresh`, and at most `wait` ms later with `soon`, however often that is called;
 * one that is asked for during another follows it.
 * @param {() => Promise<void>} read
 * @param {number} wait
 */
export function rounds(read, wait) {
  let busy = false;
  let again = false;
  async function refresh() {
    if (busy) {
      again = true;
      return;
    }
    busy = true;
    try {
      await read();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.status) toastError(error);
    } finally {
      busy = false;
      if (again) {
        again = false;
        soon();
      }
    }
  }
  const soon = gathered(refresh, wait);
  return { refresh, soon };
}
