/**
 * Plotly in the page's colours: no tool bar, no animation, a summary in words beside each plot.
 * @module
 */

import { colour, recoloured } from './chrome.js';
import { el } from './dom.js';
import { escapeHtml } from './format.js';

const CONFIG = { displayModeBar: false, displaylogo: false, responsive: true, scrollZoom: false };

/**
 * @typedef {{x: string, y: string, xlog?: boolean, ylog?: boolean, yrange?: number[], xspan?: [number, number],
 *   xwhole?: number,
 *   layout?: () => Record<string, any>}} Axes
 */

/** Where a click on a point with `customdata` leads. @type {{open: ((point: any) => void) | null}} */
export const points = { open: null };

/** @type {Map<HTMLElement, () => void>} */
const drawn = new Map();
recoloured.add(() => {
  for (const again of drawn.values()) again();
});

/**
 * Axes and their looks.
 * @param {Axes} axes
 * @param {Record<string, any>} [more]
 */
function layoutFor(axes, more = {}) {
  const axis = (/** @type {string} */ title, /** @type {boolean | undefined} */ log) => ({
    title: { text: escapeHtml(title), standoff: 8, font: { size: 12 } }, type: log ? 'log' : undefined, automargin: true,
    gridcolor: colour('grid'), linecolor: colour('line'), zeroline: false, ticks: 'outside', tickcolor: colour('line'),
    ticklen: 4, exponentformat: log ? 'e' : 'SI', ...(log && { dtick: 1 }),
  });
  return {
    font: { family: 'ui-sans-serif, system-ui, sans-serif', size: 12, color: colour('muted') },
    paper_bgcolor: 'rgba(0,0,0,0)', plot_bgcolor: 'rgba(0,0,0,0)',
    margin: { l: 56, r: 16, t: 12, b: 44 }, hovermode: 'closest', showlegend: false,
    hoverlabel: { font: { family: 'ui-sans-serif, system-ui, sans-serif', size: 12 } },
    xaxis: { ...axis(axes.x, axes.xlog), ...xMore(axes) }, yaxis: { ...axis(axes.y, axes.ylog), ...(axes.yrange && { range: axes.yrange }) }, uirevision: 'kept', ...more,
    ...(more.showlegend && { margin: { l: 56, r: 16, t: 40, b: 44 }, legend: { orientation: 'h', x: 0, y: 1, yanchor: 'bottom' } }),
  };
}

/**
 * A log axis from low to high with enough ticks; whole numbers where there are few.
 * @param {Axes} axes
 */
function xMore({ xlog, xspan, xwhole }) {
  if (xwhole !== undefined) return xwhole <= 10 ? { dtick: 1 } : {};
  if (!xspan || !(xspan[1] > xspan[0])) return {};
  const [low, high] = xlog ? xspan.map(Math.log10) : xspan;
  const wider = 0.03 * (high - low);
  return { range: [low - wider, high + wider], ...(xlog && high - low < 1.5 && { dtick: 'D2' }) };
}

/**
 * Draw, or draw anew, a plot; with no data its place says so.
 * @param {HTMLElement} place
 * @param {any[]} traces
 * @param {Axes} axes
 * @param {string} summary What it shows, in words.
 */
export async function drawPlot(place, traces, axes, summary) {
  let [shown, words] = /** @type {(HTMLElement | null)[]} */ ([place.querySelector('.plot-body'), place.querySelector('.plot-words')]);
  if (!shown || !words) {
    shown = el('div', { class: 'plot-body', role: 'img' });
    words = el('p', { class: 'plot-words' });
    place.replaceChildren(shown, words);
  }
  const body = shown;
  const empty = traces.every((trace) => !(trace.x || trace.z || []).length);
  place.classList.toggle('empty-plot', empty);
  words.textContent = summary;
  body.setAttribute('aria-label', summary);
  if (empty) {
    if (drawn.delete(place)) Plotly.purge(body);
    return;
  }
  const first = !drawn.has(place);
  const draw = () => Plotly.react(body, traces, layoutFor(axes, axes.layout?.()), CONFIG);
  drawn.set(place, draw);
  await draw();
  if (first) {
    /** @type {any} */ (body).on('plotly_click', (/** @type {any} */ event) => {
      const { customdata } = event.points[0];
      if (customdata !== undefined) points.open?.(customdata);
    });
  }
}
