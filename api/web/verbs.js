/**
 * What can be done with a study: steer, edit, enqueue, clone, export, delete.
 * @module
 */

import { write } from './api.js';
import { acts, toast } from './chrome.js';
import { dialog, sure } from './dialogs.js';
import { byId, el, fill, path } from './dom.js';
import { OPEN } from './format.js';
import { dimensionsOf, words } from './space.js';

/**
 * @param {any} study
 * @param {() => void} changed
 */
export function showVerbs(study, changed) {
  const url = path`/v1/studies/${study.name}`;
  const open = OPEN.has(study.state);
  const verb = (/** @type {string} */ text, /** @type {() => Promise<void>} */ what, kind = '') => {
    const button = el('button', { type: 'button', class: `button ${kind}` }, text);
    acts(button, what);
    return button;
  };
  const post = (/** @type {string} */ action, /** @type {string} */ said) => async () => {
    await write('POST', `${url}:${action}`);
    toast(said);
    changed();
  };
  fill(byId('verbs'),
    ['QUEUED', 'RUNNING'].includes(study.state) && verb('Pause', post('pause', 'No more trials start until it is resumed.')),
    study.state === 'PAUSED' && verb('Resume', post('resume', 'It goes on.'), 'primary'),
    open && study.state !== 'STOPPING' && verb('Stop', async () => {
      if (await sure('Stop the study?', 'No more trials start; those that run go on to their end. It cannot be resumed.', 'Stop')) await post('stop', 'No more trials start.')();
    }),
    open && verb('Cancel', async () => {
      if (await sure('Cancel the study?', 'Running trials are killed, and their work is lost.', 'Cancel the study')) await post('cancel', 'The study was cancelled.')();
    }, 'danger'),
    open && study.state !== 'STOPPING' && verb('Edit', () => edit(study, url, changed)),
    open && study.state !== 'STOPPING' && verb('Enqueue', () => enqueue(study, url, changed)),
    el('a', { class: 'button', href: `/submit?like=${encodeURIComponent(study.name)}` }, 'Clone'),
    el('a', { class: 'button', href: `/compare/studies?study=${encodeURIComponent(study.name)}` }, 'Compare'),
    verb('Export', () => exports(study, url)),
    !open && verb('Delete', async () => {
      if (!await sure('Delete the study?', 'Its trials, traces, metrics, checkpoints and logs are deleted for good.', 'Delete')) return;
      await write('DELETE', url);
      leave();
    }, 'danger'));
}

let leaving = false;

/** To the list of studies, once: a second navigation would break off the first. */
export function leave() {
  if (!leaving) location.assign('/');
  leaving = true;
}

/** @param {any} study @param {string} url @param {() => void} changed */
async function edit(study, url, changed) {
  const fields = /** @type {const} */ ({ n_trials: 'trials in all', parallelism: 'at most so many at a time', priority: 'priority' });
  const found = await dialog({
    title: 'Edit the study',
    body: [el('p', { class: 'muted' }, 'Trials that start from now on follow.'),
      ...Object.entries(fields).map(([name, text]) => el('label', { class: 'field' }, el('span', {}, text),
        el('input', { name, type: 'number', step: 1, required: true, value: study[name] ?? study.spec[name] })))],
    confirm: 'Save',
    value: (form) => Object.fromEntries([...new FormData(form)].map(([name, text]) => [name, Number(text)])),
  });
  if (!found || found === true) return;
  // Only what was changed here: somebody else may have changed the rest meanwhile.
  const changes = Object.fromEntries(Object.entries(found).filter(([name, value]) => value !== (study[name] ?? study.spec[name])));
  if (!Object.keys(changes).length) return;
  await write('PATCH', url, changes);
  toast('Saved.');
  changed();
}

/** @param {any} study @param {string} url @param {() => void} changed */
async function enqueue(study, url, changed) {
  const space = dimensionsOf(study.spec);
  const found = await dialog({
    title: 'Enqueue a trial',
    body: [el('p', { class: 'muted' }, 'The next trial tries these; what is left empty the sampler draws.'),
      ...Object.entries(space).map(([name, dimension]) => el('label', { class: 'field' }, el('span', {}, `${name} (${words(dimension)})`),
        dimension.type === 'categorical'
          ? el('select', { name }, el('option', { value: '' }, 'drawn'), ...(dimension.choices || []).map((c) => el('option', { value: JSON.stringify(c) }, String(c))))
          : el('input', { name, inputmode: 'decimal', autocomplete: 'off' })))],
    confirm: 'Enqueue',
    value: (form) => Object.fromEntries([...new FormData(form)].filter(([, text]) => text !== '').map(([name, text]) => [
      name, space[name].type === 'categorical' ? JSON.parse(String(text)) : numberOf(String(text))])),
  });
  if (!found || found === true) return;
  await write('POST', `${url}/trials:enqueue`, { params: found });
  toast('The next trial tries it.');
  changed();
}

/** @param {string} text */
function numberOf(text) {
  const value = Number(text.replace(',', '.'));
  return Number.isNaN(value) ? text : value; // the server says what is wrong with it
}

/** @param {any} study @param {string} url */
async function exports(study, url) {
  const found = await dialog({
    title: 'Export',
    body: [
      el('label', { class: 'field' }, el('span', {}, 'table'), el('select', { name: 'what' }, ...['trials', 'reports', 'metrics', 'alpha'].map((w) => el('option', {}, w)))),
      el('label', { class: 'field' }, el('span', {}, 'format'), el('select', { name: 'format' }, ...['csv', 'json', 'parquet'].map((f) => el('option', {}, f)))),
    ],
    confirm: 'Download',
    value: (form) => new URLSearchParams(/** @type {any} */ ([...new FormData(form)])).toString(),
  });
  if (typeof found === 'string') el('a', { href: `${url}/export?${found}`, download: `${study.name}` }).click();
}
