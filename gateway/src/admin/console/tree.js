// Who supervises whom, on each node.

import { el, render } from "./dom.js";
import { count } from "./format.js";
import { silentNote } from "./table.js";

const DEPTH_UNFOLDED = 1;

export function start(place, context) {
  context.watch("tree", () => ({}), ({ items, silent }) => render(place, silentNote(silent),
    el("div", { class: "trees" }, items.map((branch) => el("section", { class: "box", "data-key": branch.name }, show(branch, 0))))));
}

function show({ name, detail, restarts, children }, depth) {
  const label = [
    el("b", {}, name), " ", detail ? el("small", {}, detail) : null, " ",
    restarts ? el("span", { class: "badge warn" }, `${count(restarts)} restarts`) : null,
  ];
  if (!children.length) return el("div", { class: "leaf", "data-key": name }, label);
  return el("details", { class: "branch", "data-key": name, open: depth < DEPTH_UNFOLDED },
    el("summary", {}, label, " ", el("small", {}, `(${children.length})`)), children.map((child) => show(child, depth + 1)));
}
