/**
 * The table of trials: sorted, filtered, in pages.
 * @module
 */

import { badge } from './chrome.js';
import { byId, el, fill, path, say } from './dom.js';
import { SIGNS, between, duration, number, plain } from './format.js';

/** @typedef {import('./trials.js').TrialOut} TrialOut */

const PAGE = 25;

export class TrialsTable {
  /**
   * @param {string} study
   * @param {string[]} params The searched ones.
   * @param {number} objectives
   */
  constructor(study, params, objectives) {
    this.study = study;
    /** @type {{name: string, of: (t: TrialOut) => any, show: (t: TrialOut) => import('./dom.js').Child, number?: boolean}[]} */
    this.columns = [
      { name: 'trial', of: (t) => t.number, show: (t) => el('a', { href: this.#link(t) }, String(t.number)), number: true },
      { name: 'state', of: (t) => t.state, show: (t) => badge(t.state, SIGNS) },
      ...Array.from({ length: objectives }, (_, i) => ({
        name: objectives > 1 ? `value ${i}` : 'value', of: (/** @type {TrialOut} */ t) => (objectives > 1 ? t.values?.[i] : t.value),
        show: (/** @type {TrialOut} */ t) => number(objectives > 1 ? t.values?.[i] : t.value), number: true,
      })),
      ...params.map((name) => ({ name, of: (/** @type {TrialOut} */ t) => t.params[name], show: (/** @type {TrialOut} */ t) => (t.params[name] === undefined ? '–' : plain(t.params[name])), number: true })),
      { name: 'took', of: (t) => between(t.started_at, t.finished_at), show: (t) => duration(between(t.started_at, t.finished_at)), number: true },
      { name: 'note', of: (t) => t.error, show: (t) => el('span', { class: 'note', title: t.error || '' }, t.error || '') },
    ];
    this.sort = { column: 0, up: true };
    this.page = 0;
    /** @type {TrialOut[]} */
    this.trials = [];
    this.filter = el('input', { type: 'search', placeholder: 'filter', 'aria-label': 'Filter trials by any text', autocomplete: 'off', on: { input: () => { this.page = 0; this.#body(); } } });
    this.states = el('select', { 'aria-label': 'State', on: { change: () => { this.page = 0; this.#body(); } } },
      ...['all states', 'COMPLETE', 'PRUNED', 'FAIL', 'RUNNING', 'WAITING'].map((s, i) => el('option', { value: i ? s : '' }, s.toLowerCase())));
    fill(byId('trials-tools'), this.filter, this.states);
    this.heads = this.columns.map((column, i) => {
      const button = el('button', { type: 'button', class: 'sort', on: { click: () => this.#sortBy(i) } }, column.name);
      return el('th', { scope: 'col', class: column.number && 'numeric' }, button);
    });
    this.body = el('tbody', {});
    fill(byId('trials'), el('table', { class: 'rows trials' }, el('thead', {}, el('tr', {}, ...this.heads)), this.body));
    this.back = el('button', { type: 'button', class: 'button small', on: { click: () => { this.page--; this.#body(); } } }, '← before');
    this.on = el('button', { type: 'button', class: 'button small', on: { click: () => { this.page++; this.#body(); } } }, 'next →');
    this.where = el('span', { class: 'muted small', role: 'status' });
    fill(byId('trials-pages'), this.back, this.where, this.on);
    this.#marks();
  }

  /** @param {TrialOut} trial */
  #link(trial) {
    return path`/studies/${this.study}/trials/${trial.number}`;
  }

  /** @param {number} column */
  #sortBy(column) {
    this.sort = { column, up: this.sort.column === column ? !this.sort.up : true };
    this.page = 0;
    this.#marks();
    this.#body();
  }

  #marks() {
    this.heads.forEach((head, i) => {
      const mine = this.sort.column === i;
      head.setAttribute('aria-sort', mine ? (this.sort.up ? 'ascending' : 'descending') : 'none');
    });
  }

  /** @param {TrialOut[]} trials */
  update(trials) {
    this.trials = trials;
    this.#body();
  }

  #wanted() {
    const text = this.filter.value.trim().toLowerCase();
    const state = this.states.value;
    const found = this.trials.filter((t) => (!state || t.state === state)
      && (!text || this.columns.some((c) => String(c.of(t) ?? '').toLowerCase().includes(text)) || `trial ${t.number}` === text));
    const { of } = this.columns[this.sort.column];
    const sign = this.sort.up ? 1 : -1;
    return found.sort((a, b) => {
      const [x, y] = [of(a) ?? null, of(b) ?? null];
      if (x === null || y === null) return (x === null ? 1 : 0) - (y === null ? 1 : 0); // what is missing comes last
      return sign * (typeof x === 'number' && typeof y === 'number' ? x - y : String(x).localeCompare(String(y), 'en', { numeric: true })) || a.number - b.number;
    });
  }

  #body() {
    const found = this.#wanted();
    const pages = Math.max(1, Math.ceil(found.length / PAGE));
    this.page = Math.min(Math.max(0, this.page), pages - 1);
    const from = this.page * PAGE;
    const rows = found.slice(from, from + PAGE).map((trial) => {
      const row = el('tr', {}, ...this.columns.map((c) => el('td', { class: c.number && 'numeric' }, c.show(trial))));
      row.addEventListener('click', (event) => {
        if (!(event.target instanceof Element && event.target.closest('a')) && !String(getSelection())) location.assign(this.#link(trial));
      });
      return row;
    });
    // Not while somebody's focus is in it, unless something else is to be seen.
    const held = document.activeElement instanceof HTMLAnchorElement && this.body.contains(document.activeElement) ? document.activeElement.pathname : null;
    fill(this.body, ...(rows.length ? rows : [el('tr', {}, el('td', { colspan: this.columns.length, class: 'muted' }, this.trials.length ? 'no trial fits' : 'no trial yet'))]));
    if (held) [...this.body.querySelectorAll('a')].find((a) => a.pathname === held)?.focus();
    say(this.where, found.length ? `${from + 1} to ${Math.min(from + PAGE, found.length)} of ${found.length}` : '');
    this.back.disabled = this.page === 0;
    this.on.disabled = this.page >= pages - 1;
    byId('trials-pages').hidden = pages < 2;
  }
}
