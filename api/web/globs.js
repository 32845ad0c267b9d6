/**
 * Globs on layer names, as the server reads them: `*`, `?`, `[ab]`, `[!ab]`.
 * @module
 */

/**
 * @param {string} glob
 * @returns {RegExp}
 */
export function globPattern(glob) {
  let text = '';
  for (let i = 0; i < glob.length; i++) {
    const letter = glob[i];
    if (letter === '*') text += '.*';
    else if (letter === '?') text += '.';
    else if (letter === '[' && glob.indexOf(']', i + 2) > 0) {
      const end = glob.indexOf(']', i + 2);
      const inside = glob.slice(i + 1, end).replace(/[\\\]^]/g, '\\$&');
      text += inside.startsWith('!') ? `[^${inside.slice(1)}]` : `[${inside}]`;
      i = end;
    } else text += letter.replace(/[.+^${}()|\\[\]]/g, '\\$&');
  }
  return new RegExp(`^${text}$`, 's');
}

/**
 * A glob that matches one name and no other.
 * @param {string} name
 */
export function escapeGlob(name) {
  return name.replace(/[*?[]/g, '[$&]');
}

/**
 * As few globs as are easily found that match exactly some of the names.
 * @param {string[]} chosen
 * @param {string[]} all
 * @returns {string[]}
 */
export function globsFor(chosen, all) {
  if (!chosen.length) return [];
  if (chosen.length === all.length) return ['*'];
  if (chosen.length > 1) {
    const prefix = common(chosen);
    const suffix = common(chosen.map(reversed)).split('').reverse().join('');
    const ends = [[prefix, ''], ['', suffix], [prefix, suffix]];
    for (const [start, end] of ends) {
      if (!start && !end) continue;
      const glob = `${escapeGlob(start)}*${escapeGlob(end)}`;
      const pattern = globPattern(glob);
      const matched = all.filter((name) => pattern.test(name));
      if (matched.length === chosen.length && chosen.every((name) => pattern.test(name))) return [glob];
    }
  }
  return chosen.map(escapeGlob);
}

/** @param {string} text */
function reversed(text) {
  return text.split('').reverse().join('');
}

/** @param {string[]} texts */
function common(texts) {
  let length = 0;
  while (texts.every((text) => length < text.length && text[length] === texts[0][length])) length++;
  return texts[0].slice(0, length);
}
