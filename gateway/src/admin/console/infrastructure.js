// What works behind the shards, and what the nodes rest on.

import { el, render } from "./dom.js";
import { count, micros, nodeName, rate, seconds, time } from "./format.js";
import { silentNote, table } from "./table.js";

// Rows that wait longer to be published, and transactions that take longer, are worth a look.
const LONG_MS = 10_000;
const UNDER_WAY_LONG_MS = 1_000;

export function start(place, context) {
  let seen = null;
  const orders = { writers: { column: 0, falling: false }, publishers: { column: 2, falling: true }, consumers: { column: 0, falling: false } };
  const draw = () => seen && render(place, page(seen, orders, draw));
  context.watch("infrastructure", () => ({}), (data) => { seen = data; draw(); });
}

function page({ items, silent }, orders, changed) {
  const all = (part) => items.flatMap((item) => item[part].map((one) => ({ node: item.node, ...one })));
  const servers = items.flatMap(({ node, stores, others }) => [...stores, ...others].map((one) => ({ node, ...one })));
  return [
    silentNote(silent),
    el("h2", {}, "Journal writers"),
    table("Journal writers", WRITERS, all("writers"), orders.writers, changed, ({ node, location, lane }) => `${node} ${location} ${lane}`),
    all("writers").map(trouble),
    el("h2", {}, "Servers"),
    table("Servers", servers.some(({ error, refused }) => error || refused?.length) ? SERVERS : SERVERS.slice(0, -1), servers, null, null, ({ node, name }) => `${node} ${name}`),
    el("h2", {}, "Consumers"),
    table("Consumers", CONSUMERS, all("consumers"), orders.consumers, changed, ({ node, group }) => `${node} ${group}`),
    el("h2", {}, "Publishers"),
    table("Publishers", PUBLISHERS, all("publishers"), orders.publishers, changed, ({ node, service }) => `${node} ${service}`),
  ];
}

// What goes wrong with a writer, in a line: in the table it would push the figures apart.
function trouble({ node: on, lane, under_way_ms, last_failure, last_failure_at_ms, failures }) {
  const said = [];
  if (under_way_ms >= UNDER_WAY_LONG_MS) said.push(`a transaction has been under way for ${seconds(under_way_ms / 1000)}`);
  if (last_failure) {
    const counts = Object.entries(failures).map(([what, times]) => `${what} ${count(times)}`).join(", ");
    said.push(`failed last at ${time(last_failure_at_ms)}: ${last_failure} (${counts})`);
  }
  return said.length ? el("p", { class: "masked-note" }, el("strong", {}, `${nodeName(on)}, lane ${lane}: `), said.join("; ")) : null;
}

const node = { name: "Node", of: (one) => nodeName(one.node) };
const figure = (name, of, show = count) => ({ name, of, show: (one) => show(of(one)), figure: true });
const bad = (text) => el("span", { class: "badge bad" }, text);

const WRITERS = [
  { name: "Writer", wide: true, of: ({ location, lane }) => `${location} ${lane}`, show: ({ location, lane }) => [el("strong", {}, `lane ${lane}`), " ", el("small", {}, location)] },
  node,
  { name: "Queue", of: ({ queue }) => queue, show: ({ queue, queue_max }) => `${count(queue)} of ${count(queue_max)}`, figure: true },
  figure("Transactions/s", ({ commits }) => commits.commits_per_s, rate),
  figure("Commands each", ({ commits }) => commits.commands_each, rate),
  figure("Rows each", ({ commits }) => commits.rows_each, rate),
  figure("p50", ({ commits }) => commits.p50_us, micros),
  figure("p99", ({ commits }) => commits.p99_us, micros),
  figure("Failed", ({ failures }) => Object.values(failures).reduce((sum, times) => sum + times, 0)),
];

const SERVERS = [
  { name: "Server", of: ({ name }) => name, show: ({ name }) => el("strong", {}, name) },
  node,
  { name: "State", of: ({ up }) => String(up), show: ({ up }) => el("span", { class: `badge ${up ? "good" : "bad"}` }, up ? "up" : "down") },
  figure("Latency", ({ latency_us }) => latency_us, micros),
  { name: "Where", of: ({ location }) => location, wide: true },
  { name: "Incarnation", of: ({ incarnations }) => [...new Set(Object.values(incarnations ?? {}))].sort().join(", ") },
  { name: "Says", of: ({ error }) => error ?? "", wide: true, show: ({ error, refused }) => [error ?? "",
    refused?.length ? bad(`older copy of ${refused.join(", ")}`) : null] },
];

const CONSUMERS = [
  { name: "Group", of: ({ group }) => group, show: ({ group }) => el("strong", {}, group) },
  node,
  figure("Behind", ({ lag }) => lag),
  figure("Consumed", ({ consumed }) => consumed),
  { name: "Dead letters", of: ({ dead_lettered }) => dead_lettered, figure: true,
    show: ({ dead_lettered }) => (dead_lettered ? el("a", { href: "#/letters" }, count(dead_lettered)) : "0") },
  figure("Gaps", ({ gaps }) => gaps),
  { name: "Stuck", of: ({ stuck }) => stuck, show: ({ stuck }) => (stuck ? bad(count(stuck)) : "0"), figure: true },
  { name: "Rebuilding", of: ({ rebuilding }) => rebuilding?.intakes_left ?? 0, show: ({ rebuilding }) => (rebuilding
    ? [el("span", { class: "badge warn" }, `${count(rebuilding.intakes_left)} of ${count(rebuilding.intakes)} left`),
      " ", el("small", {}, `${count(rebuilding.rows_read)} of ${count(rebuilding.rows)} rows`)] : "–") },
  { name: "Of", of: ({ sources }) => sources.join(", "), wide: true },
];

const PUBLISHERS = [
  { name: "Service", of: ({ service }) => service, show: ({ service }) => el("strong", {}, service) },
  node,
  figure("Rows behind", ({ unpublished }) => unpublished),
  { name: "For", of: ({ unpublished_ms }) => unpublished_ms, figure: true,
    show: ({ unpublished, unpublished_ms }) => (!unpublished ? "–" : unpublished_ms > LONG_MS ? bad(seconds(unpublished_ms / 1000)) : seconds(unpublished_ms / 1000)) },
  figure("Published", ({ published }) => published),
  figure("Failed rounds", ({ failures }) => failures),
  { name: "Trouble", of: ({ trouble }) => trouble ?? "", wide: true },
];
