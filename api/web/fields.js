/**
 * Labelled controls, each with a place for the server's error.
 * @module
 */

import { el } from './dom.js';
import { kindOf, parsed, resolved, written } from './schema.js';

/**
 * @typedef {{name: string, place: HTMLElement, read: () => any, set: (value: any) => void}} Field
 */

let count = 0;

/**
 * A control for a value of a schema.
 * @param {string} path Where errors say the field is: `params.alpha.low`.
 * @param {string} label
 * @param {Record<string, any>} given Its schema.
 * @param {{defs?: Record<string, any>, value?: any, help?: string, wide?: boolean}} [options]
 * @returns {Field}
 */
export function field(path, label, given, { defs, value, help, wide } = {}) {
  const schema = resolved(given, defs);
  const kind = kindOf(schema);
  const id = `field-${count++}`;
  const hint = schema.default === undefined || schema.default === null ? '' : written(schema.default);
  const shared = { id, 'aria-describedby': `${id}-error ${id}-help`, data: { field: path } };
  const control = kind === 'choice' || kind === 'boolean'
    ? el('select', shared, el('option', { value: '' }, hint ? `${hint} (default)` : 'default'),
      ...(kind === 'boolean' ? ['true', 'false'] : schema.enum).map((/** @type {any} */ c) => el('option', { value: c }, c)))
    : el('input', { ...shared, type: 'text', inputmode: kind === 'number' ? 'decimal' : kind === 'integer' ? 'numeric' : undefined, placeholder: hint, autocomplete: 'off', spellcheck: 'false' });
  const text = help ?? schema.description ?? '';
  const place = el('div', { class: wide ? 'field wide' : 'field' },
    el('label', { for: id, title: text }, label), control,
    el('p', { id: `${id}-error`, class: 'error', role: 'alert' }),
    el('p', { id: `${id}-help`, class: 'sr' }, text));
  const set = (/** @type {any} */ now) => { control.value = written(now, kind); };
  if (value !== undefined) set(value);
  return { name: path, place, read: () => parsed(control.value, kind), set };
}

/**
 * Show the server's errors beside their fields.
 * @param {HTMLElement} form
 * @param {{field: string, message: string, value: any}[]} errors
 * @returns {typeof errors} Those that no field is for.
 */
export function showErrors(form, errors) {
  for (const place of form.querySelectorAll('.error')) place.textContent = '';
  for (const control of form.querySelectorAll('[aria-invalid]')) control.removeAttribute('aria-invalid');
  return errors.filter((error) => {
    const parts = error.field.split('.');
    for (let length = parts.length; length > 0; length--) {
      const name = parts.slice(0, length).join('.');
      // The innermost place that there is: an error of a whole dimension stands below it.
      const control = form.querySelector(`[data-field="${CSS.escape(name)}"]`);
      if (!control) continue;
      const row = control.matches('input, select, textarea') ? control.closest('.field') : control;
      if (control.matches('input, select, textarea')) control.setAttribute('aria-invalid', 'true');
      const place = row?.querySelector('.error');
      if (!place) continue;
      place.textContent = [place.textContent, short(error.message)].filter(Boolean).join('; ');
      return false;
    }
    return true;
  });
}

/** @param {string} text */
function short(text) {
  return text.length > 240 ? `${text.slice(0, 240)} …` : text;
}
