/**
 * Numbers, times and states as people read them.
 * @module
 */

/**
 * A number with few digits: 0.00123, 12.3, 45,678, 1.2e-7.
 * @param {number | null | undefined} value
 * @param {number} [digits]
 */
export function number(value, digits = 4) {
  if (value === null || value === undefined || Number.isNaN(value)) return '–';
  if (!Number.isFinite(value)) return value > 0 ? '∞' : '−∞';
  if (value === 0) return '0';
  const size = Math.abs(value);
  if (size >= 1e6 || size < 1e-3) return trim(value.toExponential(digits - 2));
  if (Number.isInteger(value)) return value.toLocaleString('en');
  if (size >= 1e4) return Math.round(value).toLocaleString('en');
  return trim(value.toPrecision(digits));
}

/** @param {string} text */
function trim(text) {
  return text.replace(/(\.\d*?)0+(?=e|$)/, '$1').replace(/\.(?=e|$)/, '').replace('e+', 'e');
}

/**
 * A share as a percentage.
 * @param {number | null | undefined} value
 */
export function percent(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return '–';
  const shown = 100 * value;
  return `${shown !== 0 && shown < 9.95 ? shown.toFixed(1) : Math.round(shown)} %`;
}

/**
 * A length of time: 4 s, 3 min 20 s, 2 h 5 min, 3 d 4 h.
 * @param {number | null | undefined} seconds
 */
export function duration(seconds) {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return '–';
  if (seconds > 0 && seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

/**
 * Seconds between two times; to now where the second is missing.
 * @param {string | null} from
 * @param {string | null} [to]
 */
export function between(from, to) {
  if (!from) return null;
  return ((to ? Date.parse(to) : Date.now()) - Date.parse(from)) / 1000;
}

/** @param {string | null} time */
export function ago(time) {
  const seconds = between(time);
  return seconds === null ? '–' : seconds < 5 ? 'just now' : `${duration(seconds)} ago`;
}

/** @param {string | null} time */
export function clock(time) {
  return time ? new Date(time).toLocaleString() : '–';
}

/**
 * Any value of a parameter, as text.
 * @param {unknown} value
 */
export function plain(value) {
  if (typeof value === 'number') return number(value);
  return typeof value === 'string' ? value : JSON.stringify(value);
}

export const OPEN = new Set(['QUEUED', 'RUNNING', 'PAUSED', 'STOPPING']);
export const ENDED = new Set(['COMPLETE', 'PRUNED', 'FAIL']);
export const TRIAL_STATES = ['COMPLETE', 'PRUNED', 'FAIL', 'RUNNING', 'WAITING', 'QUEUED'];
/** A sign for each state, so that colour is never all there is. */
export const SIGNS = {
  QUEUED: '○', RUNNING: '▶', PAUSED: '‖', STOPPING: '◼', COMPLETED: '✓', COMPLETE: '✓',
  FAILED: '✕', FAIL: '✕', CANCELLED: '⊘', PRUNED: '✂', WAITING: '◔',
};

/**
 * How many trials have ended.
 * @param {Record<string, number>} trials Numbers by state.
 */
export function ended(trials) {
  return [...ENDED].reduce((sum, state) => sum + (trials[state] || 0), 0);
}

/**
 * A mean and, of more than one value, the deviation.
 * @param {{mean: number, std: number | null}} spread
 */
export function meanAndStd({ mean, std }) {
  return std === null ? number(mean) : `${number(mean)} ± ${number(std)}`;
}

/**
 * Plotly reads a few tags in its texts; ours have none.
 * @param {string} text
 */
export function escapeHtml(text) {
  return String(text).slice(0, 120).replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');
}
