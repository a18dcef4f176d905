// Texts of strangers: names of files may be anything. They are only ever set as text, never read as HTML.

/** Return a text on one line, with escapes for what does not print or turns the writing round. */
export function visible(text) {
  return text.replace(/[\p{C}\u2028\u2029]/gu, (c) => `\\u{${c.codePointAt(0).toString(16)}}`);
}

/** Make an element with attributes, and texts or elements in it. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  return filled(made, attributes, children);
}

/** The same for SVG. */
export function drawn(name, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  return filled(made, attributes, children);
}

function filled(made, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/** Fetch JSON; what was refused is an Error with the server's sentence. */
export async function fetched(path) {
  const reply = await fetch(path);
  const body = await reply.json();
  if (!reply.ok) throw new Error(body.message);
  return body;
}

/** Return the name of a volume or bind; of an anonymous volume the first digits. */
export function shortened(name) {
  return visible(/^[0-9a-f]{64}$/.test(name) ? name.slice(0, 12) : name);
}

/** Return a number of bytes with a decimal unit. */
export function sized(bytes) {
  const units = ["B", "kB", "MB", "GB", "TB", "PB"];
  let unit = 0;
  while (bytes >= 1000 && unit < units.length - 1) {
    bytes /= 1000;
    unit += 1;
  }
  return `${unit ? bytes.toPrecision(3) : bytes} ${units[unit]}`;
}
