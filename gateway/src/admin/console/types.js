// Kinds of entities and their commands.

import { el, render } from "./dom.js";
import { post } from "./api.js";
import { askFor, askReason, attempt, notice } from "./dialog.js";
import { count, micros, nodeName, rate } from "./format.js";
import { silentNote, table } from "./table.js";

export function start(place, context) {
  let seen = null;
  const orders = { commands: { column: 3, falling: true }, kinds: { column: 1, falling: true } };
  const chosen = { kind: context.parameters.kind ?? "" };
  const draw = () => seen && render(place, page(seen, chosen, orders, draw));
  context.watch("types", () => ({}), (data) => { seen = data; draw(); });
}

function page({ items, silent }, chosen, orders, changed) {
  const kinds = [...new Set(items.map(({ kind }) => kind))].sort();
  const wanted = items.filter(({ kind }) => !chosen.kind || kind === chosen.kind);
  const rows = wanted.flatMap(({ kind, node, commands }) => commands.map((command) => ({ kind, node, ...command })));
  return [
    silentNote(silent),
    el("p", { class: "choices" }, el("label", {}, "Kind",
      el("select", { onchange: (event) => { chosen.kind = event.target.value; changed(); } },
        ["", ...kinds].map((value) => el("option", { value, selected: chosen.kind === value }, value || "all")))),
      el("button", { type: "button", onclick: () => passivate(chosen.kind) }, "Passivate idle…")),
    el("h2", {}, "Commands"),
    table("Commands", commandColumns, rows, orders.commands, changed, ({ kind, node, command }) => `${kind} ${node} ${command}`),
    el("h2", {}, "In memory"),
    table("Kinds", kindColumns, summed(wanted), orders.kinds, changed, ({ kind }) => kind),
  ];
}

// How many would go is asked first, then why.
async function passivate(kind) {
  const wanted = await askFor("Passivate idle entities", `${kind ? `Those of ${kind}` : "Those of all kinds"} that were not asked for a while leave the memory; the next command brings them back.`,
    "Count", [{ name: "idle_s", label: "Not asked for so many seconds", value: "60", type: "number", min: 0, max: 86_400 }]);
  if (!wanted) return;
  const matching = { idle_ms: Number(wanted.idle_s) * 1000, ...(kind ? { kind } : {}) };
  const counted = await attempt(null, () => post("/entities/passivate", { reason: "", dry_run: true, ...matching }));
  if (!counted) return;
  const given = await askReason("Passivate idle entities", `${count(counted.entities)} of ${kind || "all kinds"} match right now.`, "Passivate");
  if (!given) return;
  const done = await attempt(null, () => post("/entities/passivate", { ...given, dry_run: false, ...matching }));
  if (done) notice(`${count(done.entities)} entities leave the memory.`);
}

const refused = ({ outcomes }) => Object.entries(outcomes).filter(([outcome]) => outcome !== "accepted");

const commandColumns = [
  { name: "Kind", of: ({ kind }) => kind, show: ({ kind }) => el("strong", {}, kind) },
  { name: "Command", of: ({ command }) => command },
  { name: "Node", of: ({ node }) => nodeName(node) },
  { name: "Per second", of: ({ per_s }) => per_s, show: ({ per_s }) => rate(per_s), figure: true },
  { name: "In all", of: (row) => row.count, show: (row) => count(row.count), figure: true },
  { name: "Not accepted", of: (row) => refused(row).reduce((sum, [, times]) => sum + times, 0), figure: true,
    show: (row) => refused(row).map(([outcome, times]) => `${outcome} ${count(times)}`).join(", ") || "0" },
  { name: "p50", of: ({ p50_us }) => p50_us, show: ({ p50_us }) => micros(p50_us), figure: true },
  { name: "p95", of: ({ p95_us }) => p95_us, show: ({ p95_us }) => micros(p95_us), figure: true },
  { name: "p99", of: ({ p99_us }) => p99_us, show: ({ p99_us }) => micros(p99_us), figure: true },
];

const FIGURES = ["loaded", "waiting", "passivated", "restarted", "quarantined"];
const kindColumns = [
  { name: "Kind", of: ({ kind }) => kind, show: ({ kind }) => el("strong", {}, kind) },
  ...FIGURES.map((name) => ({ name: name[0].toUpperCase() + name.slice(1), of: (row) => row[name], show: (row) => count(row[name]), figure: true })),
];

// Over all nodes.
function summed(items) {
  const sums = new Map();
  for (const item of items) {
    const sum = sums.get(item.kind) ?? { kind: item.kind, loaded: 0, waiting: 0, passivated: 0, restarted: 0, quarantined: 0 };
    for (const name of FIGURES) sum[name] += item[name];
    sums.set(item.kind, sum);
  }
  return [...sums.values()];
}
