/**
 * A study's search space as plots and forms need it.
 * @module
 */

/**
 * @typedef {{type: 'float' | 'int' | 'categorical', low?: number, high?: number, log?: boolean,
 *   step?: number | null, choices?: any[], when?: any}} Dimension
 */

/**
 * The searched parameters of a specification, by name.
 * @param {{params: Record<string, any>}} spec
 * @returns {Record<string, Dimension>}
 */
export function dimensionsOf(spec) {
  return Object.fromEntries(Object.entries(spec.params).filter(
    ([, value]) => value !== null && typeof value === 'object' && !Array.isArray(value) && 'type' in value));
}

/**
 * A searched parameter in words.
 * @param {Dimension} dimension
 */
export function words(dimension) {
  if (dimension.type === 'categorical') return (dimension.choices || []).map((c) => JSON.stringify(c)).join(', ');
  return `${dimension.low} to ${dimension.high}${dimension.log ? ', log' : ''}`;
}

/**
 * A value's place on a dimension's axis, as a number; a choice's is its index.
 * @param {Dimension} dimension
 * @param {any} value
 */
export function place(dimension, value) {
  if (value === undefined || value === null) return NaN;
  if (dimension.type === 'categorical') return (dimension.choices || []).indexOf(value);
  return dimension.log ? Math.log10(value) : Number(value);
}
