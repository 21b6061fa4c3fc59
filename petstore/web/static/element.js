// Elements of the page. Text is always text: whatever the description holds, none of it becomes markup.

/** Returns a new element. Attributes whose value is null, undefined or false are left out; children are nodes or text. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith('on')) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value === true ? '' : value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== ''));
  return made;
}

/** Returns prose in which `code` is code and a blank line begins a paragraph. */
export function prose(text, name = 'p') {
  return (text ?? '').split(/\n\s*\n/).filter(Boolean).map((paragraph) => element(name, {}, ...spans(paragraph)));
}

/** Returns the parts of one line of prose. */
export function spans(text) {
  return text.split(/(`[^`]+`)/).map((part) => (part.startsWith('`') ? element('code', {}, part.slice(1, -1)) : part));
}

/** Returns text to be read as code; an object as JSON. */
export function code(value) {
  const text = typeof value === 'string' ? value : JSON.stringify(value, null, 2);
  return element('pre', { tabindex: 0 }, element('code', {}, text));
}
