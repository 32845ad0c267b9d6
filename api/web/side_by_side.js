/**
 * A table with a column for each of what is compared, in the colours of the plots beside it.
 * @module
 */

import { SERIES } from './colours.js';
import { el, fill } from './dom.js';
import { plain } from './format.js';

/** @typedef {import('./dom.js').Child} Child */

/**
 * @template T
 * @param {HTMLElement} place
 * @param {T[]} compared
 * @param {{head: (one: T) => {name: string, href: string, remove: () => void},
 *   rows: [string, (one: T) => Child][], params: (one: T) => Record<string, any>,
 *   differing: boolean}} looks Of parameters that are the same in all, `differing` leaves out the rows.
 */
export function sideBySide(place, compared, { head, rows, params, differing }) {
  const heads = compared.map(head).map(({ name, href, remove }, i) => {
    const swatch = el('i', { class: 'swatch' });
    swatch.style.background = SERIES[i];
    return el('th', { scope: 'col' }, swatch, el('a', { href }, name),
      el('button', { type: 'button', class: 'icon', 'aria-label': `Remove ${name}`, on: { click: remove } }, '×'));
  });
  const line = (/** @type {string} */ name, /** @type {Child[]} */ cells) => el('tr', {}, el('th', { scope: 'row' }, name), ...cells.map((cell) => el('td', {}, cell)));
  fill(place, el('table', { class: 'rows' },
    el('thead', {}, el('tr', {}, el('td', {}), ...heads)),
    el('tbody', {}, ...rows.map(([name, of]) => line(name, compared.map(of))), ...paramRows(compared.map(params), differing).map(([name, cells]) => line(name, cells)))));
}

/**
 * @param {Record<string, any>[]} params
 * @param {boolean} differing
 * @returns {[string, string[]][]}
 */
function paramRows(params, differing) {
  const names = [...new Set(params.flatMap((one) => Object.keys(one)))];
  const rows = names.map((name) => /** @type {[string, string[]]} */ ([name, params.map((one) => (one[name] === undefined ? '–' : plain(one[name])))]));
  return rows.filter(([, cells]) => !differing || cells.length < 2 || new Set(cells).size > 1);
}
