// Nodes as they see themselves, their links, and draining them.

import { el, render } from "./dom.js";
import { download, post } from "./api.js";
import { askReason, attempt, notice } from "./dialog.js";
import { bytes, count, micros, nodeName, percent, seconds } from "./format.js";
import { silentNote, table } from "./table.js";

const CLOCK_OFF_MS = 500;

export function start(place, context) {
  let seen = null;
  const order = { column: 0, falling: false };
  const draw = () => seen && render(place, page(seen, order, draw));
  context.watch("nodes", () => ({}), (data) => { seen = data; draw(); });
}

function page({ items, silent }, order, changed) {
  const members = items[0]?.status.nodes ?? [];
  const stateOf = (node) => members.find(({ name, generation }) => `${name}@${generation}` === node)?.state ?? "unknown";
  const newest = Math.max(...items.map(({ status }) => status.view_version));
  const columns = [
    { name: "Node", of: ({ node }) => node, show: ({ node }) => el("strong", {}, node) },
    { name: "State", of: ({ node }) => stateOf(node), show: (node) => states(node, stateOf(node.node), newest) },
    { name: "Version", of: ({ version }) => version },
    { name: "Up for", of: ({ uptime_s }) => uptime_s, show: ({ uptime_s }) => seconds(uptime_s), figure: true },
    { name: "CPU", of: ({ cpu_percent }) => cpu_percent, show: ({ cpu_percent }) => percent(cpu_percent), figure: true },
    { name: "Memory", of: ({ memory_bytes }) => memory_bytes, show: ({ memory_bytes }) => bytes(memory_bytes), figure: true },
    { name: "Entities", of: ({ loaded }) => loaded, show: ({ loaded }) => count(loaded), figure: true },
    { name: "In flight", of: ({ in_flight }) => in_flight, show: ({ in_flight }) => count(in_flight), figure: true },
    { name: "Clock", of: ({ clock_offset_ms }) => clock_offset_ms, figure: true, show: ({ clock_offset_ms }) => clock(clock_offset_ms) },
    { name: "Admin", of: ({ admin }) => admin ?? "", show: ({ admin }) => el("small", {}, admin ?? "") },
    { name: "Act", of: () => "", show: ({ node }) => acts(node, stateOf(node)) },
  ];
  const known = new Set(items.map(({ node }) => node));
  const unheard = members.filter(({ name, generation }) => !known.has(`${name}@${generation}`));
  return [
    silentNote(silent),
    table("Nodes", columns, items, order, changed, ({ node }) => node),
    unheard.length ? el("p", {}, "In the view, but not heard: ",
      unheard.map((node) => `${node.name}@${node.generation} (${node.state}, silent for ${seconds(node.silent_ms / 1000)})`).join(", ")) : null,
    el("p", { class: "buttons" },
      button("Pause rebalancing", "Every shard stays where it is until rebalancing is resumed.", "/rebalancing/pause"),
      button("Resume rebalancing", "Shards move again as the view has them; pins set by hand go too.", "/rebalancing/resume")),
    el("h2", {}, "Links"),
    links(items),
    el("h2", {}, "What the nodes rest on"),
    dependencies(items),
  ];
}

// Before (+) or behind (−) the clock of the node that is asked.
function clock(offset) {
  const text = `${offset > 0 ? "+" : offset < 0 ? "−" : "±"}${count(Math.abs(offset))} ms`;
  return Math.abs(offset) > CLOCK_OFF_MS ? el("span", { class: "badge warn" }, text) : text;
}

function states(node, state, newest) {
  const view = node.status.view_version;
  return [
    el("span", { class: `badge ${state === "up" ? "good" : "warn"}` }, state), " ",
    node.ready ? null : el("span", { class: "badge warn" }, "not ready"), " ",
    node.lease_valid ? null : el("span", { class: "badge bad" }, "no lease"), " ",
    view < newest ? el("span", { class: "badge warn", title: "It does not know the newest view yet" }, `view ${view} of ${newest}`) : null,
  ];
}

function acts(node, state) {
  const name = nodeName(node);
  return [
    state === "draining" || state === "drained" ? null : button("Drain", `Moves all shards off ${name}; it takes no new ones.`, `/nodes/${encodeURIComponent(name)}/drain`, name),
    state === "drained" ? button("Undrain", `Lets ${name} take shards again.`, `/nodes/${encodeURIComponent(name)}/undrain`, name) : null,
    " ",
    el("button", { type: "button", onclick: () => log(name), "aria-label": `Log levels of ${name}` }, "Log…"),
    " ",
    el("button", { type: "button", onclick: () => profile(name), "aria-label": `Profile ${name}` }, "Profile…"),
  ];
}

async function log(name) {
  const given = await askReason(`Log levels of ${name}`, "What this node logs, for a time; afterwards it logs as before.", "Change", [
    { name: "directives", label: "By target", value: "nakku_cluster=debug,info" },
    { name: "for_s", label: "For so many seconds", value: "300", type: "number", min: 1, max: 3600 },
  ]);
  if (!given) return;
  const body = { ...given, for_s: Number(given.for_s) };
  await attempt(`${name} logs by ${body.directives} for ${body.for_s} s.`, () => post(`/nodes/${encodeURIComponent(name)}/log-level`, body));
}

async function profile(name) {
  const given = await askReason(`Profile ${name}`, "What its processor does for a time, as a flame graph (SVG) to keep. The node works on meanwhile.", "Begin", [
    { name: "seconds", label: "For so many seconds", value: "10", type: "number", min: 1, max: 60 },
  ]);
  if (!given) return;
  const { seconds: length, reason } = given;
  notice(`${name} is profiled for ${length} s.`);
  const path = `/nodes/${encodeURIComponent(name)}/profile?seconds=${encodeURIComponent(length)}&format=flamegraph`;
  await attempt(`The profile of ${name} is there.`, () => download(path, { reason }, `${name}.svg`));
}

function button(title, explanation, path, what = "") {
  const act = async () => {
    const given = await askReason(what ? `${title} ${what}` : title, explanation, title);
    if (given) await attempt(`${title}: done.`, () => post(path, given));
  };
  return el("button", { type: "button", onclick: act, "aria-label": what ? `${title} ${what}` : null }, title);
}

function links(items) {
  const rows = items.flatMap(({ node, links: all }) => all.map((link) => ({ from: node, ...link })));
  if (!rows.length) return el("p", { class: "empty" }, "A cluster of one node has no links.");
  const columns = [
    { name: "From", of: ({ from }) => nodeName(from) },
    { name: "To", of: ({ node }) => nodeName(node) },
    { name: "State", of: ({ connected }) => String(connected),
      show: ({ connected }) => el("span", { class: `badge ${connected ? "good" : "bad"}` }, connected ? "connected" : "cut") },
    { name: "Round trip", of: ({ round_trip_us }) => round_trip_us, show: ({ round_trip_us }) => micros(round_trip_us), figure: true },
    { name: "In flight", of: ({ in_flight }) => in_flight, figure: true },
    { name: "Bytes", of: ({ in_flight_bytes }) => in_flight_bytes, show: ({ in_flight_bytes }) => bytes(in_flight_bytes), figure: true },
    { name: "For", of: ({ since_s }) => since_s, show: ({ since_s }) => seconds(since_s), figure: true },
  ];
  return table("Links", columns, rows, null, null, ({ from, node }) => `${from}-${node}`);
}

function dependencies(items) {
  const rows = items.flatMap(({ node, status }) => status.dependencies.map((one) => ({ node, ...one })));
  const columns = [
    { name: "Node", of: ({ node }) => nodeName(node) },
    { name: "Server", of: ({ name }) => name },
    { name: "State", of: ({ up }) => String(up), show: ({ up }) => el("span", { class: `badge ${up ? "good" : "bad"}` }, up ? "up" : "down") },
    { name: "Latency", of: ({ latency_us }) => latency_us, show: ({ latency_us }) => micros(latency_us), figure: true },
    { name: "Where", of: ({ location }) => location, wide: true },
    { name: "Says", of: ({ error }) => error ?? "", wide: true },
  ];
  return table("Dependencies", columns, rows, null, null, ({ node, name }) => `${node}-${name}`);
}
