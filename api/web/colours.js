/**
 * Colours that carry meaning; all of them tell apart for colour-blind eyes.
 * @module
 */

const VIRIDIS = [
  [68, 1, 84], [72, 40, 120], [62, 73, 137], [49, 104, 142], [38, 130, 142], [31, 158, 137],
  [53, 183, 121], [110, 206, 88], [181, 222, 43], [253, 231, 37],
];

/** 256 colours of viridis, as bytes of RGB. */
export const TABLE = (() => {
  const table = new Uint8Array(256 * 3);
  for (let i = 0; i < 256; i++) {
    const place = (i / 255) * (VIRIDIS.length - 1);
    const low = Math.min(Math.floor(place), VIRIDIS.length - 2);
    for (let c = 0; c < 3; c++) {
      table[3 * i + c] = Math.round(VIRIDIS[low][c] + (place - low) * (VIRIDIS[low + 1][c] - VIRIDIS[low][c]));
    }
  }
  return table;
})();

/**
 * The place of a saturation in the table. The scale is always 0 to 1, and a square root: what
 * matters lies below a third.
 * @param {number} saturation
 */
export function shade(saturation) {
  return Math.round(255 * Math.sqrt(Math.min(1, Math.max(0, saturation))));
}

/**
 * @param {number} saturation
 */
export function shadeCss(saturation) {
  const i = 3 * shade(saturation);
  return `rgb(${TABLE[i]} ${TABLE[i + 1]} ${TABLE[i + 2]})`;
}

const LAYERS = ['#3a8fd6', '#e07b39', '#17a589', '#d06fae', '#b9921e', '#7f7fe0', '#5fb4c9', '#a8703f'];
const DASHES = [[], [6, 3], [2, 2], [9, 3, 2, 3]];

/**
 * The line of a layer: colours first, then dashes, so that 32 differ.
 * @param {number} index
 */
export function layerLine(index) {
  return {
    colour: LAYERS[index % LAYERS.length],
    dash: DASHES[Math.floor(index / LAYERS.length) % DASHES.length],
  };
}

export const SERIES = LAYERS;
