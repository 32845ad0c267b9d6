/**
 * A bar of trials by state.
 * @module
 */

import { el } from './dom.js';
import { TRIAL_STATES } from './format.js';

/**
 * @param {Record<string, number>} trials Numbers by state.
 * @param {number} total
 */
export function progressBar(trials, total) {
  const parts = TRIAL_STATES.filter((state) => state !== 'QUEUED' && trials[state]);
  const words = parts.map((state) => `${trials[state]} ${state.toLowerCase()}`).join(', ') || 'none started';
  return el('div', { class: 'progress', role: 'img', 'aria-label': `${words}, of ${total}`, title: `${words}, of ${total}` },
    ...parts.map((state) => {
      const part = el('i', { data: { state } });
      part.style.width = `${(100 * trials[state]) / total}%`;
      return part;
    }));
}
