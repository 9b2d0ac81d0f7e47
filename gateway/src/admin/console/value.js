// Values as they came from an entity, and how something ended.

import { el } from "./dom.js";

const DEPTH_UNFOLDED = 3;

// A value as a tree that can be folded.
export function tree(value, name, depth) {
  const label = el("span", { class: "member" }, name);
  if (value === null || typeof value !== "object") {
    const kind = value === null ? "null" : typeof value;
    return el("div", { class: "leaf" }, label, ": ", el("span", { class: `value ${kind}` }, typeof value === "string" ? `“${value}”` : String(value)));
  }
  const entries = Object.entries(value);
  const size = Array.isArray(value) ? `[${entries.length}]` : `{${entries.length}}`;
  if (!entries.length) return el("div", { class: "leaf" }, label, ": ", el("span", { class: "value null" }, size));
  return el("details", { class: "branch", "data-key": `v-${name}`, open: depth < DEPTH_UNFOLDED },
    el("summary", {}, label, " ", el("small", {}, size)), entries.map(([member, inner]) => tree(inner, member, depth + 1)));
}

// How it is meant, and the word for it.
export function outcomeBadge(outcome, word = outcome) {
  return el("span", { class: `badge ${outcome === "accepted" ? "good" : outcome === "rejected" ? "warn" : "bad"}` }, word);
}
