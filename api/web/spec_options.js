/**
 * A choice between kinds, each with options of its own: the sampler and the pruner.
 * @module
 */

import { el, fill } from './dom.js';
import { field } from './fields.js';

export class Options {
  /**
   * @param {HTMLElement} host
   * @param {string} name `sampler` or `pruner`.
   * @param {Record<string, any>} schemas Of the API, by name.
   * @param {string} first
   * @param {() => void} changed
   */
  constructor(host, name, schemas, first, changed) {
    this.name = name;
    this.schemas = schemas;
    this.mapping = schemas.StudySpec.properties[name].discriminator.mapping;
    this.select = el('select', { id: `${name}-type`, data: { field: name }, on: { change: () => { this.show({}); changed(); } } },
      ...Object.keys(this.mapping).sort().map((kind) => el('option', { value: kind }, kind)));
    this.select.value = first;
    this.words = el('p', { class: 'muted small wide' });
    this.host = host;
    this.show({});
  }

  /** @param {Record<string, any>} values */
  show(values) {
    if (values.type) this.select.value = values.type;
    const schema = this.schemas[this.mapping[this.select.value].split('/').at(-1)];
    this.words.textContent = (schema.description || '').split('\n')[0];
    this.fields = Object.entries(schema.properties).filter(([option]) => option !== 'type').map(([option, given]) => [
      option, field(`${this.name}.${option}`, option, /** @type {any} */ (given), { defs: this.schemas, value: values[option] === /** @type {any} */ (given).default ? undefined : values[option] })]);
    fill(this.host,
      el('div', { class: 'field' }, el('label', { for: `${this.name}-type` }, this.name), this.select, el('p', { class: 'error', role: 'alert' })),
      ...this.fields.map(([, one]) => /** @type {any} */ (one).place), this.words);
  }

  read() {
    const options = this.fields.map(([option, one]) => [option, /** @type {any} */ (one).read()]).filter(([, value]) => value !== undefined);
    return { type: this.select.value, ...Object.fromEntries(options) };
  }
}
