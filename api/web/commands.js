/**
 * The history of knob commands: what became of each, and how saturation answered.
 * @module
 */

import { el, fill } from './dom.js';
import { ago, number, percent } from './format.js';
import { globPattern } from './globs.js';

const ROWS = 20; // samples before a command and after it

/**
 * @param {HTMLElement} host
 * @param {import('./knob.js').Command[]} commands Oldest first.
 * @param {import('./trace.js').Trace} trace
 */
export function showCommands(host, commands, trace) {
  if (!commands.length) {
    fill(host, el('li', { class: 'muted' }, 'none yet'));
    return;
  }
  fill(host, ...commands.map((command, i) => line(command, i + 1, trace)).reverse());
}

/**
 * @param {import('./knob.js').Command} command
 * @param {number} place
 * @param {import('./trace.js').Trace} trace
 */
function line(command, place, trace) {
  const state = command.state === 'applied'
    ? `applied at step ${command.step === null ? 'the next' : command.step.toLocaleString('en')}`
    : command.state === 'rejected' ? `rejected: ${command.reason || ''}` : 'requested …';
  return el('li', { data: { state: command.state } },
    el('span', { class: 'command-mark', 'aria-label': `command ${place}` }, String(place)),
    el('div', {},
      el('div', {}, el('code', {}, command.layers), ' ', inWords(command)),
      el('div', { class: 'command-state' }, state, el('span', { class: 'muted' }, ` · ${ago(command.requested_at)}`)),
      answer(command, trace)));
}

/**
 * What a command asks for.
 * @param {import('./knob.js').Command} command
 */
export function inWords(command) {
  return [command.alpha === null ? '' : `α = ${number(command.alpha, 4)}`,
    command.pin === true ? 'pinned' : command.pin === false ? 'released' : ''].filter(Boolean).join(', ');
}

/**
 * Saturation before and after, once there is something after.
 * @param {import('./knob.js').Command} command
 * @param {import('./trace.js').Trace} trace
 */
function answer(command, trace) {
  if (command.state !== 'applied' || command.step === null || command.alpha === null) return null;
  const pattern = globPattern(command.layers);
  const layers = [...trace.layers.keys()].filter((layer) => pattern.test(trace.layers[layer]));
  const row = trace.rowAt(command.step);
  const before = trace.meanSaturation(layers, row - ROWS, row);
  const after = trace.meanSaturation(layers, row, row + ROWS);
  if (Number.isNaN(before) || Number.isNaN(after)) return null;
  return el('div', { class: 'muted small' }, `saturation ${percent(before)} → ${percent(after)}`);
}

/**
 * The applied commands as marks on the plots.
 * @param {import('./knob.js').Command[]} commands
 */
export function marksOf(commands) {
  return commands
    .map((command, i) => ({ step: command.step ?? -1, label: String(i + 1), applied: command.state === 'applied' }))
    .filter((mark) => mark.applied && mark.step >= 0);
}
