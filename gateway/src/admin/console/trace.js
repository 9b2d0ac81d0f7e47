// The path of one request over all its hops: each below what led to it, with a bar for when it was and how long it took.

import { el, render, svg } from "./dom.js";
import { count, entityLink, entityParts, micros, nodeName, time } from "./format.js";
import { silentNote } from "./table.js";
import { outcomeBadge } from "./value.js";

const INDENTED_MAX = 14;
const SERIES = 6;
// Deeper hops, and names of fields that stand elsewhere.
const ELSEWHERE = ["outcome", "status"];

export function start(place, context) {
  const trace = (context.rest[0] ?? "").toLowerCase();
  const finder = el("div", {});
  const body = el("div", {});
  place.replaceChildren(finder, body);
  render(finder, finding(trace));
  if (!trace) {
    context.poll(() => null, () => {});
    render(body, el("p", { class: "empty" }, "Every request has a trace: its id is in the header traceparent of the answer, in log lines, in Tail and in the history of entities. Nodes keep the hops of a minute or more."));
    return;
  }
  render(body, el("p", { class: "waiting" }, "Asking the nodes…"));
  let seen = null;
  context.poll(() => `/traces/${encodeURIComponent(trace)}`, (data) => { seen = data; render(body, page(data)); },
    (problem) => render(body, el("p", { class: "failed" }, problem.message), seen ? page(seen) : null));
}

function finding(trace) {
  const find = (event) => {
    event.preventDefault();
    location.hash = `#/trace/${encodeURIComponent(new FormData(event.target).get("trace").trim())}`;
  };
  return el("form", { class: "choices", role: "search", "aria-label": "Find a trace", onsubmit: find },
    el("label", { class: "long" }, "Trace", el("input", { name: "trace", value: trace, required: true, pattern: "[0-9a-fA-F]{32}",
      title: "32 hexadecimal digits", placeholder: "32 hexadecimal digits", autocapitalize: "off", spellcheck: "false" })),
    el("button", { class: "strong" }, "Find"),
    trace ? el("a", { href: `#/tail?trace=${trace}` }, "Follow it in Tail") : null);
}

function page({ began_at_us, took_us, left_out, items, silent }) {
  const nodes = [...new Set(items.map(({ node }) => node))].sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
  const answered = items.find(({ what }) => what === "request");
  return [
    silentNote(silent),
    el("p", { class: "summary" },
      tile("hops", count(items.length)), answered ? tile("until it was answered", micros(answered.took_us)) : null,
      tile("to the end of the last", micros(took_us)), tile("began", time(began_at_us / 1000))),
    el("p", { class: "legend" }, nodes.map((node, index) =>
      el("span", { "data-key": node }, el("i", { class: `swatch series-${index % SERIES}` }), ` ${nodeName(node)}`))),
    left_out ? el("p", { class: "silent-note" }, `${count(left_out)} more hops are not shown.`) : null,
    items.some(({ detached }) => detached) ? el("p", { class: "masked-note" }, "What led to a hop marked ∗ was not kept, or is on a node that does not answer.") : null,
    el("div", { class: "scroll path", tabindex: "0", role: "region", "aria-label": "Hops" },
      el("table", { "aria-label": "Hops" },
        el("thead", {}, el("tr", {}, ["Hop", "Node", "After", "Took", "When", "What came of it"].map((name) =>
          el("th", { scope: "col", class: name === "After" || name === "Took" ? "figure" : null }, name)))),
        el("tbody", {}, items.map((hop) => row(hop, nodes.indexOf(hop.node), took_us))))),
  ];
}

const tile = (name, value) => el("span", { class: "tile" }, el("b", {}, value), " ", name);

function row(hop, node, whole) {
  const depth = Math.min(hop.depth, INDENTED_MAX);
  return el("tr", { "data-key": hop.span, "data-what": hop.what },
    el("td", { class: `wide deep-${depth}` }, hop.detached ? "∗ " : "", el("b", {}, hop.what), " ", name(hop)),
    el("td", {}, nodeName(hop.node)),
    el("td", { class: "figure" }, micros(hop.after_us)),
    el("td", { class: "figure" }, micros(hop.took_us)),
    el("td", { class: "when" }, bar(hop, node, whole)),
    el("td", { class: "wide" }, outcome(hop.details), " ", el("small", {}, details(hop.details))));
}

function name({ what, name: called }) {
  const [kind, key] = entityParts(called);
  if (what === "request" || !kind.includes(".") || !key) return called;
  return el("a", { href: entityLink(kind, key) }, called);
}

function bar({ after_us, took_us }, node, whole) {
  const most = Math.max(whole, 1);
  const x = (after_us / most) * 100;
  const width = Math.max((took_us / most) * 100, 0.6);
  return svg("svg", { viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true", class: `series-${node % SERIES}` },
    svg("rect", { x: Math.min(x, 99.4).toFixed(2), y: 1, width: Math.min(width, 100 - x).toFixed(2), height: 8, rx: 0.5 }));
}

function outcome({ outcome: ended, status }) {
  if (ended) return outcomeBadge(ended === "committed" || ended === "answered" ? "accepted" : ended, ended);
  return status ? el("span", { class: `badge ${status < 400 ? "good" : status < 500 ? "warn" : "bad"}` }, status) : null;
}

function details(all) {
  const told = Object.entries(all).filter(([field]) => !ELSEWHERE.includes(field)).map(([field, value]) => {
    if (field === "queued_us") return `queued ${micros(Number(value))}`;
    if (field === "node") return `on ${value}`;
    if (field === "failed_attempts") return value === "0" ? null : `failed attempts ${value}`;
    return `${field.replaceAll("_", " ")} ${value}`;
  });
  return told.filter(Boolean).join(" · ");
}
