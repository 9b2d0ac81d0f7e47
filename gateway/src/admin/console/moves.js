// Shards that came and went.

import { el, render } from "./dom.js";
import { count, nodeName, time } from "./format.js";
import { silentNote, table } from "./table.js";

const KINDS = { opened: "good", released: "", lost: "bad" };
const BAD_CAUSES = ["death", "fault", "incarnation"];

export function start(place, context) {
  let seen = null;
  const order = { column: 0, falling: true };
  const draw = () => seen && render(place, silentNote(seen.silent), seen.items.length
    ? table("Moves", columns, seen.items, order, draw, ({ shard, node, at_ms, what }) => `${shard} ${node} ${at_ms} ${what}`)
    : el("p", { class: "empty" }, "No shard has moved lately."));
  context.watch("moves", () => ({}), (data) => { seen = data; draw(); });
}

const columns = [
  { name: "At", of: ({ at_ms }) => at_ms, show: ({ at_ms }) => time(at_ms) },
  { name: "Shard", of: ({ shard }) => shard, show: ({ shard }) => el("strong", {}, shard) },
  { name: "What", of: ({ what }) => what, show: ({ what }) => el("span", { class: `badge ${KINDS[what] ?? ""}` }, what) },
  { name: "Because of", of: ({ cause }) => cause, show: ({ cause }) => (BAD_CAUSES.includes(cause) ? el("span", { class: "badge bad" }, cause) : cause) },
  { name: "Node", of: ({ node }) => nodeName(node) },
  { name: "Other node", of: ({ other }) => other ?? "", show: ({ what, other }) => (other ? `${what === "opened" ? "from" : "to"} ${nodeName(other)}` : "") },
  { name: "View", of: ({ view_version }) => view_version, figure: true },
  { name: "Took", of: ({ took_ms }) => took_ms, show: ({ took_ms }) => `${count(took_ms)} ms`, figure: true },
];
