/**
 * Elements made by code: text is always text, never markup.
 * @module
 */

/** @typedef {Node | string | number | null | undefined | false} Child */

/**
 * Make an element.
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {Record<string, any>} [props] Attributes; `on` holds listeners, `data` data attributes,
 *   `class` a class list; true and false add and leave out an attribute.
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[T]}
 */
export function el(tag, props = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === 'on') {
      for (const [kind, listener] of Object.entries(value)) made.addEventListener(kind, listener);
    } else if (name === 'data') {
      for (const [key, text] of Object.entries(value)) made.dataset[key] = String(text);
    } else made.setAttribute(name, value === true ? '' : String(value));
  }
  put(made, children);
  return made;
}

/**
 * Append children, leaving out what is nothing.
 * @param {Element} parent
 * @param {Child[]} children
 */
function put(parent, children) {
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue;
    parent.append(child instanceof Node ? child : String(child));
  }
}

/**
 * Replace what an element holds.
 * @param {Element} parent
 * @param {...Child} children
 */
export function fill(parent, ...children) {
  parent.replaceChildren();
  put(parent, children);
}

/**
 * The element with an id that the page's template has.
 * @param {string} id
 * @returns {HTMLElement}
 */
export function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no #${id}`);
  return found;
}

/**
 * Set text only where it differs, so that a screen reader does not read it again.
 * @param {Element} element
 * @param {string} text
 */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * A path of the API or of a page from its parts, each encoded.
 * @param {TemplateStringsArray} strings
 * @param {...(string | number)} parts
 */
export function path(strings, ...parts) {
  return strings.reduce((all, text, i) => all + encodeURIComponent(parts[i - 1]) + text);
}

/**
 * Call a function once after the last of many calls, at most `wait` ms after the first.
 * @param {() => void} what
 * @param {number} wait
 */
export function gathered(what, wait) {
  let timer = 0;
  return () => {
    if (timer) return;
    timer = window.setTimeout(() => {
      timer = 0;
      what();
    }, wait);
  };
}
