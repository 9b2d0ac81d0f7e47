// Entities that stand out.

import { el, render } from "./dom.js";
import { bytes, count, entityLink, entityParts, micros, nodeName, rate } from "./format.js";
import { silentNote, table } from "./table.js";

const BY = {
  messages: ["Commands/s", rate],
  time: ["Time deciding", (value) => `${micros(value)}/s`],
  mailbox: ["Waiting", count],
  state: ["State", bytes],
};

export function start(place, context) {
  const by = BY[context.parameters.by] ? context.parameters.by : "messages";
  let seen = null;
  const draw = () => seen && render(place, page(seen, by));
  context.watch("top", () => ({ by, limit: 100 }), (data) => { seen = data; draw(); });
}

function page({ items, silent }, by) {
  const [title, show] = BY[by];
  const most = Math.max(...items.map(({ value }) => value), Number.MIN_VALUE);
  const columns = [
    { name: "Entity", of: ({ entity }) => entity, wide: true,
      show: ({ entity }) => el("a", { href: entityLink(...entityParts(entity)) }, entity) },
    { name: "Node", of: ({ node }) => nodeName(node) },
    { name: title, of: ({ value }) => value, figure: true, show: ({ value }) => [
      el("meter", { min: 0, max: most, value, "aria-hidden": "true" }), " ", show(value)] },
  ];
  return [
    el("p", { class: "tabs" }, Object.entries(BY).map(([name, [label]]) =>
      el("a", { href: `#/top?by=${name}`, "aria-current": name === by ? "true" : null }, label))),
    silentNote(silent),
    items.length ? table("Top", columns, items, null, null, ({ entity }) => entity)
      : el("p", { class: "empty" }, "Nothing stands out right now."),
  ];
}
