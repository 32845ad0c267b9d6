/**
 * A specification as a TOML study file.
 * @module
 */

/** @param {string} key */
function keyOf(key) {
  return /^[A-Za-z0-9_-]+$/.test(key) ? key : JSON.stringify(key);
}

/**
 * @param {any} value
 * @returns {string}
 */
function valueOf(value) {
  if (Array.isArray(value)) return `[${value.map(valueOf).join(', ')}]`;
  if (value !== null && typeof value === 'object') {
    return `{ ${Object.entries(value).filter(([, v]) => v !== null).map(([k, v]) => `${keyOf(k)} = ${valueOf(v)}`).join(', ')} }`;
  }
  if (typeof value === 'number' && Number.isInteger(value) && Math.abs(value) >= 1e21) return value.toExponential();
  return JSON.stringify(value); // text with JSON's escapes, numbers, true and false
}

/**
 * @param {Record<string, any>} spec
 * @returns {string}
 */
export function toToml(spec) {
  const tables = ['sampler', 'pruner', 'population', 'resources', 'params'];
  const plain = Object.entries(spec).filter(([k, v]) => !tables.includes(k) && v !== null && v !== undefined);
  const lines = plain.map(([k, v]) => `${keyOf(k)} = ${valueOf(v)}`);
  for (const table of tables) {
    if (!spec[table]) continue;
    lines.push('', `[${table}]`);
    for (const [k, v] of Object.entries(spec[table])) if (v !== null) lines.push(`${keyOf(k)} = ${valueOf(v)}`);
  }
  return `${lines.join('\n')}\n`;
}
