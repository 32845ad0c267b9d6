/**
 * The parameters of a new study: each fixed, or searched in a range or among choices.
 * @module
 */

import { el, fill } from './dom.js';
import { kindOf, parsedList, resolved, writtenList } from './schema.js';
import { field } from './fields.js';

const NUMBER = { type: 'number' };

/** One parameter. */
class Param {
  /**
   * @param {string} name
   * @param {Record<string, any>} schema
   * @param {any} value As in a specification; undefined is the default.
   * @param {() => void} changed
   * @param {() => void} remove
   */
  constructor(name, schema, value, changed, remove) {
    this.name = name;
    this.schema = schema;
    this.kind = kindOf(schema);
    this.changed = changed;
    const searched = value !== null && typeof value === 'object' && !Array.isArray(value) && 'type' in value;
    const numeric = this.kind === 'number' || this.kind === 'integer';
    this.modes = ['fixed', ...(numeric ? [this.kind === 'integer' ? 'int' : 'float'] : []), 'categorical'];
    this.mode = searched ? value.type : 'fixed';
    if (!this.modes.includes(this.mode)) this.modes.push(this.mode);
    const words = { fixed: 'fixed', float: 'range', int: 'range', categorical: 'choices' };
    const group = `mode-${name}`;
    this.segments = el('fieldset', { class: 'segmented small' }, el('legend', {}, `How ${name} is given`), ...this.modes.map((mode) => {
      const input = el('input', { type: 'radio', name: group, value: mode, on: { change: () => { this.mode = mode; this.show(); this.changed(); } } });
      input.checked = mode === this.mode;
      return el('label', {}, input, el('span', {}, words[/** @type {keyof typeof words} */ (mode)]));
    }));
    this.inputs = el('div', { class: 'param-inputs' });
    this.place = el('div', { class: 'param', data: { field: `params.${name}` } },
      el('div', { class: 'param-head' }, el('strong', {}, name), el('span', { class: 'muted small' }, schema.description || ''),
        el('button', { type: 'button', class: 'icon', 'aria-label': `Remove ${name}`, on: { click: remove } }, '×')),
      this.segments, this.inputs, el('p', { class: 'error', role: 'alert' }));
    this.show(value);
  }

  /** Show the inputs of the mode that is chosen. */
  show(/** @type {any} */ value = undefined) {
    const at = `params.${this.name}`;
    const searched = value !== null && typeof value === 'object' && !Array.isArray(value) ? value : {};
    if (this.mode === 'fixed') {
      const start = value === undefined || searched === value ? this.schema.default : value;
      this.fixed = field(`${at}.fixed`, `${this.name}, fixed`, this.schema, { value: start });
      this.empty = value === null ? null : undefined; // what it means if nothing is typed
      fill(this.inputs, this.fixed.place);
    } else if (this.mode === 'categorical') {
      const given = searched.choices ?? this.schema.enum ?? (this.kind === 'boolean' ? [true, false] : []);
      this.choices = field(`${at}.choices`, 'choices, separated by commas', { type: 'string' }, { value: writtenList(given, this.kind) });
      fill(this.inputs, this.choices.place);
    } else {
      this.low = field(`${at}.low`, 'low', NUMBER, { value: searched.low });
      this.high = field(`${at}.high`, 'high', NUMBER, { value: searched.high });
      this.step = field(`${at}.step`, 'step', NUMBER, { value: searched.step === 1 && this.mode === 'int' ? undefined : searched.step ?? undefined });
      this.log = el('input', { type: 'checkbox', data: { field: `${at}.log` } });
      this.log.checked = Boolean(searched.log);
      fill(this.inputs, this.low.place, this.high.place, this.step.place, el('label', { class: 'check' }, this.log, ' log scale'));
    }
    this.when = searched.when;
  }

  /** The value as a specification has it; undefined for a default. */
  read() {
    if (this.mode === 'fixed') return this.fixed?.read() ?? this.empty;
    const when = this.when ? { when: this.when } : {};
    if (this.mode === 'categorical') {
      return { type: 'categorical', choices: parsedList(this.choices?.read() ?? '', this.kind), ...when };
    }
    const entries = Object.entries({ low: this.low?.read(), high: this.high?.read(), step: this.step?.read() }).filter(([, v]) => v !== undefined);
    return { type: this.mode, ...Object.fromEntries(entries), ...(this.log?.checked && { log: true }), ...when };
  }
}

/** All of them. */
export class Params {
  /**
   * @param {HTMLElement} host
   * @param {() => void} changed
   */
  constructor(host, changed) {
    this.host = host;
    this.changed = changed;
    /** @type {Map<string, Param>} */
    this.params = new Map();
    /** @type {Record<string, any>} */
    this.schema = { properties: {} };
  }

  /**
   * The task's own.
   * @param {Record<string, any>} schema
   * @param {Record<string, any>} values
   */
  reset(schema, values) {
    this.schema = schema;
    this.params.clear();
    fill(this.host);
    for (const [name, value] of Object.entries(values)) this.add(name, value);
  }

  /** Names that can be added. */
  get addable() {
    return Object.keys(this.schema.properties || {}).filter((name) => !this.params.has(name) && name !== 'alpha_by_layer').sort();
  }

  /**
   * @param {string} name
   * @param {any} [value]
   */
  add(name, value) {
    if (!name || this.params.has(name)) return this.params.get(name);
    const known = this.schema.properties?.[name] || (name.startsWith('alpha[') ? { type: 'number', description: 'steepness of the layers that match the glob' } : {});
    const param = new Param(name, resolved(known, this.schema.$defs), value, this.changed, () => {
      param.place.remove();
      this.params.delete(name);
      this.changed();
    });
    this.params.set(name, param);
    this.host.append(param.place);
    return param;
  }

  read() {
    return Object.fromEntries([...this.params].map(([name, param]) => [name, param.read()]).filter(([, value]) => value !== undefined));
  }
}
