/**
 * JSON schemas as a form needs them.
 * @module
 */

/** @typedef {Record<string, any>} Schema */

/**
 * A schema without its null, and with what it refers to.
 * @param {Schema} schema
 * @param {Schema} [defs]
 * @returns {Schema}
 */
export function resolved(schema, defs = {}) {
  if (schema.$ref) return { ...resolved(defs[schema.$ref.split('/').at(-1)] || {}, defs), ...without(schema, '$ref') };
  const options = (schema.anyOf || []).filter((/** @type {Schema} */ s) => s.type !== 'null');
  if (options.length === 1) return { ...without(schema, 'anyOf'), ...resolved(options[0], defs) };
  return schema;
}

/** @param {Schema} schema @param {string} key */
function without(schema, key) {
  const { [key]: _, ...rest } = schema;
  return rest;
}

/**
 * What kind of control a value needs.
 * @param {Schema} schema
 * @returns {'number' | 'integer' | 'boolean' | 'choice' | 'text' | 'json'}
 */
export function kindOf(schema) {
  if (schema.enum) return 'choice';
  if (['number', 'integer', 'boolean'].includes(schema.type)) return schema.type;
  return schema.type === 'string' ? 'text' : 'json';
}

/**
 * What a text that was typed means; a text that means nothing of the kind stays text, and the server
 * says what is wrong with it.
 * @param {string} text
 * @param {string} kind
 * @returns {any} undefined where nothing was typed
 */
export function parsed(text, kind) {
  const typed = text.trim();
  if (typed === '') return undefined;
  if (kind === 'text' || kind === 'choice') return typed;
  if (kind === 'boolean') return typed === 'true' || (typed === 'false' ? false : typed);
  if (kind === 'number' || kind === 'integer') {
    const value = Number(typed.replace(/_/g, ''));
    return Number.isFinite(value) ? value : typed;
  }
  try {
    return JSON.parse(typed);
  } catch {
    return typed;
  }
}

/**
 * A value as one would type it: `parsed` gives it again.
 * @param {any} value
 * @param {string} [kind]
 */
export function written(value, kind) {
  if (value === undefined || value === null) return '';
  const text = typeof value === 'object' ? JSON.stringify(value) : String(value);
  // A text that would be read as a number, say, keeps its quotes.
  return kind === 'json' && typeof value === 'string' && parsed(text, kind) !== value ? JSON.stringify(value) : text;
}

/**
 * What a list that was typed means: values separated by commas, or a list in JSON.
 * @param {string} text
 * @param {string} kind Of its values.
 * @returns {any[]}
 */
export function parsedList(text, kind) {
  const list = parsed(text, 'json');
  if (Array.isArray(list)) return list;
  return text.split(',').map((one) => parsed(one, kind)).filter((one) => one !== undefined);
}

/**
 * A list as one would type it; in JSON where commas alone would be read otherwise.
 * @param {any[]} values
 * @param {string} kind
 */
export function writtenList(values, kind) {
  const text = values.map((one) => written(one, kind)).join(', ');
  const whole = JSON.stringify(values);
  return JSON.stringify(parsedList(text, kind)) === whole ? text : whole;
}
