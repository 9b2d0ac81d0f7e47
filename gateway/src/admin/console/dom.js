// Elements, and bringing what is shown to what should be shown without losing focus, scroll or what was typed.

const SVG = "http://www.w3.org/2000/svg";
const HANDLERS = ["onclick", "oninput", "onchange", "onsubmit", "ontoggle", "onpointermove", "onpointerleave"];

// An element. Attributes that are null or false are left out; on… are handlers; style is an object.
export function el(tag, attributes, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node[name] = value;
    else if (name === "style") Object.assign(node.style, value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...flat(children));
  return node;
}

// Text becomes text: nothing that came from the cluster is ever read as markup.
function flat(children) {
  return children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false)
    .map((child) => (child instanceof Node ? child : document.createTextNode(String(child))));
}

// Makes the children of a node these.
export function render(parent, ...children) {
  patchChildren(parent, flat(children));
}

const keyOf = (node) => (node.nodeType === Node.ELEMENT_NODE ? node.getAttribute("data-key") : null);

function patchChildren(parent, wanted) {
  const keyed = new Map();
  for (const child of parent.childNodes) {
    const key = keyOf(child);
    if (key !== null) keyed.set(key, child);
  }
  let place = parent.firstChild;
  for (const next of wanted) {
    const key = keyOf(next);
    let found = key === null ? place : keyed.get(key);
    if (key === null && found && keyOf(found) !== null) found = null;
    if (found && alike(found, next)) {
      if (found === place) place = place.nextSibling;
      else parent.insertBefore(found, place);
      patch(found, next);
    } else {
      parent.insertBefore(next, place);
    }
  }
  while (place) {
    const gone = place;
    place = place.nextSibling;
    gone.remove();
  }
}

function alike(old, next) {
  return old.nodeType === next.nodeType && old.nodeName === next.nodeName && keyOf(old) === keyOf(next);
}

function patch(old, next) {
  if (old === next) return;
  if (old.nodeType === Node.TEXT_NODE) {
    if (old.data !== next.data) old.data = next.data;
    return;
  }
  for (const { name, value } of [...next.attributes]) {
    if (name !== "style" && old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  for (const { name } of [...old.attributes]) {
    // Whether it is unfolded is the reader's.
    const kept = name === "style" || (name === "open" && old.nodeName === "DETAILS");
    if (!kept && !next.hasAttribute(name)) old.removeAttribute(name);
  }
  if (old.style && next.style && old.style.cssText !== next.style.cssText) old.style.cssText = next.style.cssText;
  for (const handler of HANDLERS) old[handler] = next[handler];
  patchChildren(old, [...next.childNodes]);
}
