/**
 * Where the parts of the instrument stand: α lines, heat map, saturation lines, one x axis.
 * @module
 */

/**
 * @param {number} width Of the whole figure, in pixels.
 * @param {number} layers
 */
export function layoutOf(width, layers) {
  const narrow = width < 560;
  const left = narrow ? 92 : 158;
  const right = narrow ? 44 : 112;
  const rowHeight = layers <= 8 ? (narrow ? 24 : 28) : layers <= 16 ? 19 : layers <= 32 ? 14 : Math.max(4, Math.floor(460 / layers));
  const alpha = { top: 18, height: narrow ? 120 : 160 };
  const heat = { top: alpha.top + alpha.height + 12, height: Math.max(rowHeight, rowHeight * layers) };
  const lines = { top: heat.top + heat.height + 12, height: narrow ? 76 : 96 };
  return {
    narrow, left, right, rowHeight, alpha, heat, lines, layers,
    plot: Math.max(60, Math.floor(width - left - right)),
    width,
    axis: lines.top + lines.height,
    height: lines.top + lines.height + 34,
  };
}

/** @typedef {ReturnType<typeof layoutOf>} Layout */

/**
 * Shorten a text from its middle until it fits.
 * @param {CanvasRenderingContext2D} context
 * @param {string} text
 * @param {number} width
 */
export function fitted(context, text, width) {
  if (context.measureText(text).width <= width) return text;
  for (let keep = text.length - 2; keep > 2; keep--) {
    const short = `${text.slice(0, Math.ceil(keep / 2))}…${text.slice(text.length - Math.floor(keep / 2))}`;
    if (context.measureText(short).width <= width) return short;
  }
  return '…';
}
