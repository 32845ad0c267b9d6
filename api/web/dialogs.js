/**
 * Small dialogs: a key, a confirmation, a few fields.
 * @module
 */

import { el } from './dom.js';

/**
 * Show a dialog with a form and wait for its end.
 * @template T
 * @param {{title: string, body: (Node | string)[], confirm: string, danger?: boolean,
 *   cancel?: string, value?: (form: HTMLFormElement) => T}} options
 * @returns {Promise<T | true | null>} What `value` makes of the form; null if it was dismissed.
 */
export function dialog({ title, body, confirm, danger = false, cancel = 'Cancel', value }) {
  const form = el('form', { method: 'dialog' },
    el('h2', {}, title), ...body,
    el('div', { class: 'dialog-end' },
      el('button', { type: 'button', class: 'button', data: { cancel: '' } }, cancel),
      el('button', { type: 'submit', class: `button ${danger ? 'danger' : 'primary'}` }, confirm)));
  const box = el('dialog', { 'aria-label': title }, form);
  document.body.append(box);
  return new Promise((resolve) => {
    /** @type {T | true | null} */
    let result = null;
    form.querySelector('[data-cancel]')?.addEventListener('click', () => box.close());
    form.addEventListener('submit', () => { result = value ? value(form) : true; });
    box.addEventListener('close', () => {
      box.remove();
      resolve(result);
    });
    box.showModal();
    /** @type {HTMLElement | null} */ (form.querySelector('input, textarea, select'))?.focus();
  });
}

/** @type {Promise<string | null> | null} */
let asking = null;

/**
 * Ask for the API key; one dialog for all who ask meanwhile.
 * @param {string} why What was wrong with the last one.
 * @returns {Promise<string | null>}
 */
export function askForKey(why) {
  asking ??= /** @type {Promise<string | null>} */ (dialog({
    title: 'API key',
    body: [
      el('p', {}, 'Changes need the key; this tab has none yet. It is kept until the tab is closed.'),
      el('label', { class: 'field' }, el('span', {}, 'Key'),
        el('input', { name: 'key', type: 'password', required: true, autocomplete: 'current-password' })),
      el('p', { class: 'bad', role: 'alert' }, why),
    ],
    confirm: 'Go on',
    value: (form) => String(new FormData(form).get('key')).trim(),
  })).finally(() => { asking = null; });
  return asking;
}

/**
 * Ask before something that cannot be undone.
 * @param {string} title
 * @param {string} text
 * @param {string} confirm
 */
export async function sure(title, text, confirm) {
  return (await dialog({ title, body: [el('p', {}, text)], confirm, danger: true, cancel: 'Keep' })) !== null;
}
