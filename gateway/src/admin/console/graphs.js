// The last 15 minutes of each node's main figures, a line for each node.

import { el, render, svg } from "./dom.js";
import { bytes, count, micros, nodeName, percent, rate, time } from "./format.js";
import { silentNote } from "./table.js";

const GRAPHS = [
  ["commands_per_s", "Commands a second", rate],
  ["refused_per_s", "Not accepted a second", rate],
  ["p99_us", "99 of 100 answered within", micros],
  ["commits_per_s", "Commits a second", rate],
  ["rows_per_s", "Journal rows a second", rate],
  ["unpublished", "Rows not published yet", count],
  ["in_flight", "Commands under way", count],
  ["loaded", "Entities in memory", count],
  ["cpu_percent", "CPU", percent],
  ["memory_bytes", "Memory", bytes],
];
const WIDTH = 360;
const HEIGHT = 120;
const SPAN_MS = 15 * 60_000;
// Two points further apart than this are not joined: nothing is known of the time between.
const GAP_MS = 20_000;
const SERIES = 6;

export function start(place, context) {
  const state = { items: [], silent: [], at: null };
  const draw = () => render(place, page(state, draw));
  context.watch("points", () => ({}), (data) => {
    state.items = data.items.sort((a, b) => a.node.localeCompare(b.node, "en", { numeric: true }));
    state.silent = data.silent;
    draw();
  });
}

function page(state, changed) {
  const points = state.items.flatMap((item) => item.points);
  const end = Math.max(...points.map(({ at_ms }) => at_ms), 0);
  return [
    silentNote(state.silent),
    el("p", { class: "legend" }, state.items.map(({ node }, index) =>
      el("span", { "data-key": node }, el("i", { class: `swatch series-${index % SERIES}` }), ` ${nodeName(node)}`)),
      el("span", { class: "counted" }, state.at === null ? "the last 15 minutes, to the right is now" : `at ${time(state.at)}`)),
    el("div", { class: "graphs-grid" }, GRAPHS.map((graph) => figure(graph, state, end, changed))),
  ];
}

function figure([member, title, show], state, end, changed) {
  const unit = show === bytes ? 1024 * 1024 : 1;
  const most = unit * niceMost(Math.max(...state.items.flatMap(({ points }) => points.map((point) => point[member])), 0) / unit);
  const begin = end - SPAN_MS;
  const x = (at) => ((at - begin) / SPAN_MS) * WIDTH;
  const y = (value) => HEIGHT - 1 - (value / most) * (HEIGHT - 16);
  const now = state.items.map(({ node, points }, index) => {
    const point = state.at === null ? points.at(-1) : nearest(points, state.at);
    return el("span", { "data-key": node }, el("i", { class: `swatch series-${index % SERIES}`, title: nodeName(node) }), " ", point ? show(point[member]) : "–");
  });
  const point = (event) => {
    const { left, width } = event.currentTarget.getBoundingClientRect();
    state.at = begin + ((event.clientX - left) / width) * SPAN_MS;
    changed();
  };
  const leave = () => { state.at = null; changed(); };
  const lines = state.items.map(({ points }, index) => svg("path", { class: `line series-${index % SERIES}`, d: pathOf(points, member, begin, x, y) }));
  const says = `${title}, the last 15 minutes: ${state.items.map(({ node, points }) =>
    `${nodeName(node)} ${points.length ? show(points.at(-1)[member]) : "nothing"}`).join(", ")}`;
  return el("figure", { "data-key": member },
    el("figcaption", {}, el("b", {}, title), el("span", { class: "now" }, now)),
    el("div", { class: "plot" }, el("span", { class: "most" }, show(most)),
      svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": says, onpointermove: point, onpointerleave: leave },
        [0, 0.5, 1].map((part) => svg("line", { class: "grid", x1: 0, x2: WIDTH, y1: y(most * part), y2: y(most * part) })),
        lines,
        state.at === null ? null : svg("line", { class: "cursor", x1: x(state.at), x2: x(state.at), y1: 0, y2: HEIGHT }))),
    el("p", { class: "axis", "aria-hidden": "true" }, el("span", {}, "−15 min"), el("span", {}, "−10"), el("span", {}, "−5"), el("span", {}, "now")));
}

function pathOf(points, member, begin, x, y) {
  let path = "";
  let before = null;
  for (const point of points) {
    if (point.at_ms < begin) continue;
    const joins = before !== null && point.at_ms - before < GAP_MS;
    path += `${joins ? "L" : "M"}${x(point.at_ms).toFixed(1)} ${y(point[member]).toFixed(1)}`;
    before = point.at_ms;
  }
  return path;
}

function nearest(points, at) {
  const close = points.reduce((best, point) => (best && Math.abs(best.at_ms - at) <= Math.abs(point.at_ms - at) ? best : point), null);
  return close && Math.abs(close.at_ms - at) < GAP_MS ? close : null;
}

// The next of 1, 2, 5 times a power of ten, so that the scale does not jump with every point.
function niceMost(value) {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((factor) => factor * power).find((most) => most >= value) ?? value;
}
