/**
 * What every page has: the choice of colours, short messages, buttons that do one thing at a time.
 * @module
 */

import { ApiError } from './api.js';
import { byId, el, say } from './dom.js';

const THEMES = ['system', 'light', 'dark'];
const button = byId('theme');

/** Whoever draws in the page's colours. @type {Set<() => void>} */
export const recoloured = new Set();

function current() {
  return document.documentElement.dataset.theme || 'system';
}

function showTheme() {
  say(button, { system: '◐', light: '☀', dark: '☾' }[current()] || '◐');
  button.setAttribute('aria-label', `Colours: ${current() === 'system' ? 'as the system' : current()}`);
  button.title = button.getAttribute('aria-label') || '';
}

button.addEventListener('click', () => {
  const next = THEMES[(THEMES.indexOf(current()) + 1) % THEMES.length];
  if (next === 'system') {
    delete document.documentElement.dataset.theme;
    localStorage.removeItem('alphagrad-theme');
  } else {
    document.documentElement.dataset.theme = next;
    localStorage.setItem('alphagrad-theme', next);
  }
  showTheme();
  for (const draw of recoloured) draw();
});
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
  for (const draw of recoloured) draw();
});
showTheme();

/**
 * A colour of the page's style sheet.
 * @param {string} name
 */
export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

/**
 * Show a short message for a while.
 * @param {string} text
 * @param {'good' | 'bad'} [kind]
 */
export function toast(text, kind = 'good') {
  const shown = el('div', { class: `toast ${kind}` }, text,
    el('button', { type: 'button', class: 'icon', 'aria-label': 'Dismiss', on: { click: () => shown.remove() } }, '×'));
  byId('toasts').append(shown);
  window.setTimeout(() => shown.remove(), kind === 'bad' ? 12000 : 5000);
}

/** @param {unknown} error */
export function toastError(error) {
  if (!(error instanceof ApiError)) throw error;
  toast([error.message, ...error.errors.map((e) => `${e.field}: ${e.message}`)].join('\n'), 'bad');
}

/**
 * Let a button do something that takes a moment; errors become a message.
 * @param {HTMLButtonElement} which
 * @param {() => Promise<void>} what
 */
export function acts(which, what) {
  which.addEventListener('click', async () => {
    which.disabled = true;
    try {
      await what();
    } catch (error) {
      toastError(error);
    } finally {
      which.disabled = false;
    }
  });
}

/**
 * A state with its sign.
 * @param {string} state
 * @param {Record<string, string>} signs
 */
export function badge(state, signs) {
  return el('span', { class: 'badge', data: { state } },
    el('span', { 'aria-hidden': 'true' }, signs[state] || '·'), ` ${state.toLowerCase()}`);
}
