/**
 * A table with a column for each of what is compared, in the colours of the plots beside it.
 * @module
 */

import { SERIES } from './colours.js';
import { el, fill } from './dom.js';

/**
 * @param {HTMLElement} place
 * @param {{name: string, href: string, remove: () => void}[]} columns
 * @param {[string, import('./dom.js').Child[]][]} rows A name, and a cell for each column.
 */
export function sideBySide(place, columns, rows) {
  const head = columns.map(({ name, href, remove }, i) => {
    const swatch = el('i', { class: 'swatch' });
    swatch.style.background = SERIES[i];
    return el('th', { scope: 'col' }, swatch, el('a', { href }, name),
      el('button', { type: 'button', class: 'icon', 'aria-label': `Remove ${name}`, on: { click: remove } }, '×'));
  });
  fill(place, el('table', { class: 'rows' },
    el('thead', {}, el('tr', {}, el('td', {}), ...head)),
    el('tbody', {}, ...rows.map(([name, cells]) => el('tr', {}, el('th', { scope: 'row' }, name), ...cells.map((cell) => el('td', {}, cell)))))));
}

/**
 * The parameters of what is compared, as rows.
 * @param {Record<string, any>[]} params Of each.
 * @param {boolean} differing Only what differs.
 * @param {(value: any) => string} plain
 * @returns {[string, string[]][]}
 */
export function paramRows(params, differing, plain) {
  const names = [...new Set(params.flatMap((one) => Object.keys(one)))];
  const rows = names.map((name) => /** @type {[string, string[]]} */ ([name, params.map((one) => (one[name] === undefined ? '–' : plain(one[name])))]));
  return rows.filter(([, cells]) => !differing || cells.length < 2 || new Set(cells).size > 1);
}
