// Shards, where they are, and moving them.

import { el, render } from "./dom.js";
import { get, post } from "./api.js";
import { askReason, attempt, notice } from "./dialog.js";
import { count, micros, nodeName, rate, seconds } from "./format.js";
import { silentNote, table } from "./table.js";

export function start(place, context) {
  let seen = null;
  const order = { column: 5, falling: true };
  const chosen = { service: context.parameters.service ?? "", node: context.parameters.node ?? "" };
  const draw = () => seen && render(place, page(seen, chosen, order, draw));
  context.watch("shards", () => ({}), (data) => { seen = data; draw(); });
}

function page({ items, silent }, chosen, order, changed) {
  const services = [...new Set(items.map(({ service }) => service))].sort();
  const nodes = [...new Set(items.map(({ node }) => nodeName(node)))].sort();
  const rows = items.filter((shard) => (!chosen.service || shard.service === chosen.service)
    && (!chosen.node || nodeName(shard.node) === chosen.node));
  const columns = [
    { name: "Shard", of: ({ service, number }) => `${service}/${number}`, show: ({ service, number, hot }) => [el("strong", {}, `${service}/${number}`), hot ? [" ", el("span", { class: "badge bad", title: "Asked much more than the others of its service" }, "hot")] : null] },
    { name: "Node", of: ({ node }) => nodeName(node) },
    { name: "Term", of: ({ term }) => term, figure: true },
    { name: "Last row", of: ({ seq }) => seq, show: ({ seq }) => count(seq), figure: true },
    { name: "Entities", of: ({ loaded }) => loaded, show: ({ loaded }) => count(loaded), figure: true },
    { name: "Commands/s", of: ({ commands_per_s }) => commands_per_s, show: ({ commands_per_s }) => rate(commands_per_s), figure: true },
    { name: "Commits/s", of: ({ commits }) => commits.commits_per_s, show: ({ commits }) => rate(commits.commits_per_s), figure: true },
    { name: "Batch", of: ({ commits }) => commits.commands_each, show: ({ commits }) => rate(commits.commands_each), figure: true },
    { name: "p50", of: ({ commits }) => commits.p50_us, show: ({ commits }) => micros(commits.p50_us || null), figure: true },
    { name: "p99", of: ({ commits }) => commits.p99_us, show: ({ commits }) => micros(commits.p99_us || null), figure: true },
    { name: "Behind", of: ({ unpublished }) => unpublished, figure: true,
      show: ({ unpublished, unpublished_ms }) => (unpublished ? `${count(unpublished)} for ${seconds(unpublished_ms / 1000)}` : "0") },
    { name: "Commands", of: ({ commands }) => commands, show: ({ commands }) => count(commands), figure: true },
    { name: "Act", of: ({ pinned }) => String(pinned), show: (shard) => acts(shard) },
  ];
  const choice = (label, name, values) => el("label", {}, label,
    el("select", { onchange: (event) => { chosen[name] = event.target.value; changed(); } },
      ["", ...values].map((value) => el("option", { value, selected: chosen[name] === value }, value || "all"))));
  return [
    silentNote(silent),
    el("p", { class: "choices" }, choice("Service", "service", services), choice("Node", "node", nodes),
      el("span", { class: "counted" }, `${rows.length} of ${items.length} shards`)),
    table("Shards", columns, rows, order, changed, ({ service, number }) => `${service}/${number}`),
  ];
}

function acts(shard) {
  const name = `${shard.service}/${shard.number}`;
  return [
    el("button", { type: "button", onclick: () => move(shard, name), "aria-label": `Move ${name}` }, "Move…"),
    shard.pinned ? [" ", el("span", { class: "badge" }, "pinned"), " ",
      el("button", { type: "button", onclick: () => unpin(shard, name), "aria-label": `Unpin ${name}` }, "Unpin…")] : null,
  ];
}

const path = ({ service, number }) => `/shards/${encodeURIComponent(service)}/${number}`;

async function move(shard, name) {
  let options;
  try {
    const { items } = await get("/nodes");
    options = items.map(({ node }) => nodeName(node)).filter((node) => node !== nodeName(shard.node)).sort();
  } catch (problem) {
    notice(problem.message, "bad");
    return;
  }
  if (!options.length) {
    notice("There is no other node to move it to.", "bad");
    return;
  }
  const given = await askReason(`Move ${name}`, `It is on ${nodeName(shard.node)}, and will stay pinned where it goes.`,
    "Move", [{ name: "node", label: "To node", options }]);
  if (given) await attempt(`${name} moves to ${given.node}.`, () => post(`${path(shard)}/move`, given));
}

async function unpin(shard, name) {
  const given = await askReason(`Unpin ${name}`, "It may then be moved as the balance of the cluster wants.", "Unpin");
  if (given) await attempt(`${name} is not pinned any more.`, () => post(`${path(shard)}/unpin`, given));
}
