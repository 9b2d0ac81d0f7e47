// The cluster as a picture: nodes as boxes, in them their shards as cells, grouped by service, darker by load. A shard
// that moves is seen to go from box to box; what a silent node had is kept, greyed, until others have it.

import { el, render } from "./dom.js";
import { bytes, count, nodeName, percent, rate } from "./format.js";
import { silentNote } from "./table.js";

// Commands a second from which on a cell is one step darker.
const STEPS = [0.05, 1, 10, 50, 200];
const MOVE_MS = 900;

export function start(place, context) {
  const seen = { nodes: null, shards: null, kept: new Map() };
  const draw = () => {
    if (!seen.nodes || !seen.shards) return;
    const before = positions(place);
    render(place, picture(seen));
    animate(place, before);
  };
  context.watch("nodes", () => ({}), (data) => { seen.nodes = data; draw(); });
  context.watch("shards", () => ({}), (data) => { seen.shards = data; remember(seen); draw(); });
}

// The last place of each shard, so that what a silent node had is still drawn.
function remember(seen) {
  for (const shard of seen.shards.items) seen.kept.set(`${shard.service}/${shard.number}`, shard);
}

function picture(seen) {
  const { items, silent } = seen.nodes;
  const quiet = silent.map(({ node, reason }) => ({ node, reason }));
  const known = new Set([...items.map(({ node }) => node), ...quiet.map(({ node }) => node)]);
  const served = new Set(seen.shards.items.map(({ service, number }) => `${service}/${number}`));
  const lost = [...seen.kept.values()].filter((shard) => !served.has(`${shard.service}/${shard.number}`));
  const homes = new Map([...known].map((node) => [node, []]));
  for (const shard of seen.shards.items) {
    if (!homes.has(shard.node)) homes.set(shard.node, []);
    homes.get(shard.node).push({ ...shard, lost: false });
  }
  for (const shard of lost) homes.get(shard.node)?.push({ ...shard, lost: true });
  const adrift = lost.filter((shard) => !homes.has(shard.node));
  const states = new Map((items[0]?.status.nodes ?? []).map((node) => [`${node.name}@${node.generation}`, node.state]));
  const order = [...homes.keys()].sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
  const total = seen.shards.items.reduce((sum, shard) => sum + shard.commands_per_s, 0);
  return [
    el("p", { class: "summary" },
      figure("nodes", items.length), figure("shards served", seen.shards.items.length),
      figure("commands/s", rate(total)), figure("entities in memory", count(items.reduce((sum, node) => sum + node.loaded, 0))),
      adrift.length ? figure("shards without a node", adrift.length, "bad") : null),
    silentNote(quiet),
    el("div", { class: "boxes" }, order.map((name) => box(name, items.find(({ node }) => node === name),
      quiet.find(({ node }) => node === name), homes.get(name), states.get(name)))),
    adrift.length ? el("section", { class: "box adrift" }, el("h2", {}, "Without a node"), services(adrift)) : null,
    legend(),
  ];
}

const figure = (name, value, kind) => el("span", { class: `tile ${kind ?? ""}` }, el("b", {}, value), " ", name);

function box(name, node, silence, shards, state) {
  const badges = [];
  if (silence) badges.push(el("span", { class: "badge bad" }, "silent"));
  if (state && state !== "up") badges.push(el("span", { class: "badge warn" }, state));
  if (node && !node.ready) badges.push(el("span", { class: "badge warn" }, "not ready"));
  if (node && !node.lease_valid) badges.push(el("span", { class: "badge bad" }, "no lease"));
  if (node && node.ready && !badges.length) badges.push(el("span", { class: "badge good" }, "up"));
  const load = shards.reduce((sum, shard) => sum + (shard.lost ? 0 : shard.commands_per_s), 0);
  const [bare, generation] = name.split("@");
  return el("section", { class: `box ${silence ? "silent" : ""}`, "data-key": name, "data-node": bare, "aria-label": `Node ${bare}` },
    el("h2", {}, el("a", { href: `#/nodes` }, bare), el("small", {}, generation ? ` @${generation}` : ""), " ", badges),
    node ? el("p", { class: "facts" }, `${rate(load)} commands/s · ${shards.length} shards · ${count(node.loaded)} entities · `
      + `${percent(node.cpu_percent)} CPU · ${bytes(node.memory_bytes)}`) : null,
    silence ? el("p", { class: "facts" }, `Does not answer: ${silence.reason}`) : null,
    services(shards));
}

function services(shards) {
  const groups = new Map();
  for (const shard of shards) {
    if (!groups.has(shard.service)) groups.set(shard.service, []);
    groups.get(shard.service).push(shard);
  }
  return el("dl", { class: "services" }, [...groups.keys()].sort().map((service) => [
    el("dt", { "data-key": `t-${service}` }, el("a", { href: `#/shards?service=${encodeURIComponent(service)}` }, service)),
    el("dd", { "data-key": `d-${service}` }, groups.get(service).sort((a, b) => a.number - b.number).map(cell)),
  ]));
}

function cell(shard) {
  const step = STEPS.filter((least) => shard.commands_per_s >= least).length;
  const says = `${shard.service}/${shard.number} on ${nodeName(shard.node)}: `
    + (shard.lost ? "not served right now" : `${rate(shard.commands_per_s)} commands/s, ${shard.loaded} entities`)
    + (shard.hot ? ", hot" : "") + (shard.pinned ? ", pinned" : "");
  return el("i", {
    class: `cell load-${step} ${shard.lost ? "lost" : ""} ${shard.pinned ? "pinned" : ""} ${shard.hot ? "hot" : ""}`,
    "data-key": `${shard.service}/${shard.number}`, title: says, role: "img", "aria-label": says,
  });
}

function legend() {
  const names = ["idle", ...STEPS.slice(1).map((least) => `< ${least}`), `≥ ${STEPS.at(-1)}`];
  return el("p", { class: "legend" }, "Commands/s: ", names.map((name, step) =>
    el("span", {}, el("i", { class: `cell load-${step}` }), ` ${name}`)),
    el("span", {}, el("i", { class: "cell load-1 pinned" }), " pinned"), el("span", {}, el("i", { class: "cell load-3 hot" }), " hot"), el("span", {}, el("i", { class: "cell lost" }), " not served"));
}

function positions(place) {
  const found = new Map();
  for (const cellOf of place.querySelectorAll(".cell[data-key]")) {
    const { left, top } = cellOf.getBoundingClientRect();
    found.set(cellOf.dataset.key, { left, top, box: cellOf.closest(".box")?.dataset.key });
  }
  return found;
}

function animate(place, before) {
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
  for (const cellOf of place.querySelectorAll(".cell[data-key]")) {
    const was = before.get(cellOf.dataset.key);
    if (!was || was.box === cellOf.closest(".box")?.dataset.key) continue;
    const { left, top } = cellOf.getBoundingClientRect();
    cellOf.animate([
      { transform: `translate(${was.left - left}px, ${was.top - top}px) scale(1.8)`, zIndex: 2 },
      { transform: "none", zIndex: 2 },
    ], { duration: MOVE_MS, easing: "ease-in-out" });
  }
}
