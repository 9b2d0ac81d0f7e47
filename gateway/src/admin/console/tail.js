// Commands as they are answered: live, bounded, can be paused. A trace links to its path.

import { el, render } from "./dom.js";
import { keepOpen, query } from "./api.js";
import { count, entityLink, entityParts, micros, nodeName, time } from "./format.js";
import { table } from "./table.js";
import { outcomeBadge } from "./value.js";

const KEPT_MAX = 500;
const SECONDS = 600;
// Silent unless something happens, but for a sign of life every 15 seconds.
const SILENCE_MAX_MS = 40_000;
const DRAW_EVERY_MS = 250;

export function start(place, context) {
  const chosen = { kind: "", key: "", trace: "", ...context.parameters };
  const { kind, key, trace } = chosen;
  const seen = { commands: [], waiting: [], missed: 0, taken: 0, silent: new Map(), paused: false, trouble: "" };
  const draw = () => render(place, page(seen, chosen, pause));
  const pause = () => {
    seen.paused = !seen.paused;
    if (!seen.paused) take(seen);
    draw();
  };
  const follow = new AbortController();
  context.signal.addEventListener("abort", () => follow.abort(), { once: true });
  const onEvent = (name, data) => {
    context.news();
    seen.trouble = "";
    if (name === "command") {
      seen.silent.delete(data.node);
      seen.waiting.unshift(data);
      seen.waiting.length = Math.min(seen.waiting.length, KEPT_MAX);
    } else if (name === "missed") seen.missed += data.count;
    else if (name === "silent") seen.silent.set(data.node, data.reason);
  };
  keepOpen(() => `/tail${query({ kind, key, trace, seconds: SECONDS })}`, onEvent,
    (what) => { seen.trouble = what === "the stream ended" ? "" : what; if (seen.trouble) context.onTrouble(what); }, follow.signal, SILENCE_MAX_MS);
  let drawn = "";
  const timer = setInterval(() => {
    // No command is no sign of trouble.
    if (!seen.trouble) context.news();
    if (!seen.paused) take(seen);
    const state = [seen.commands[0]?.at_ms, seen.commands.length, seen.waiting.length, seen.missed, seen.silent.size, seen.trouble, seen.taken].join();
    if (state !== drawn) draw();
    drawn = state;
  }, DRAW_EVERY_MS);
  context.signal.addEventListener("abort", () => clearInterval(timer), { once: true });
  draw();
}

function take(seen) {
  if (!seen.waiting.length) return;
  seen.taken += 1;
  seen.commands = [...seen.waiting, ...seen.commands].slice(0, KEPT_MAX);
  seen.waiting = [];
}

function page(seen, chosen, pause) {
  const narrow = (event) => {
    event.preventDefault();
    location.hash = `#/tail${query(Object.fromEntries(new FormData(event.target)))}`;
  };
  const field = (label, name, placeholder) => el("label", {}, label,
    el("input", { name, value: chosen[name], placeholder, autocapitalize: "off", spellcheck: "false" }));
  const held = seen.paused && seen.waiting.length ? ` (${count(seen.waiting.length)} held back)` : "";
  return [
    el("form", { class: "choices", onsubmit: narrow, "aria-label": "Only some commands" },
      field("Kind", "kind", "all"), field("Key", "key", "all"), field("Trace", "trace", "all"),
      el("button", {}, "Only these"),
      el("button", { type: "button", onclick: pause, "data-pause": true, class: "strong", "aria-pressed": String(seen.paused) },
        seen.paused ? `Go on${held}` : "Pause")),
    seen.trouble ? el("p", { class: "failed" }, `Not connected: ${seen.trouble}`) : null,
    seen.missed ? el("p", { class: "silent-note" }, `${count(seen.missed)} commands came too fast to be shown.`) : null,
    seen.silent.size ? el("p", { class: "silent-note" }, "Silent: ", [...seen.silent].map(([node, reason]) => `${node} (${reason})`).join(", ")) : null,
    seen.commands.length ? table("Commands as they are answered", columns, seen.commands, null, null, ({ node, number }) => `${node} ${number}`)
      : el("p", { class: "empty" }, seen.paused ? "Paused." : "Nothing was answered yet; commands appear here as they are."),
  ];
}

const columns = [
  { name: "At", of: ({ at_ms }) => at_ms, show: ({ at_ms }) => time(at_ms) },
  { name: "Entity", of: ({ entity }) => entity, wide: true, show: ({ entity }) => el("a", { href: entityLink(...entityParts(entity)) }, entity) },
  { name: "Command", of: ({ command }) => command },
  { name: "Outcome", of: ({ outcome }) => outcome, show: ({ outcome }) => outcomeBadge(outcome) },
  { name: "Took", of: ({ took_us }) => took_us, show: ({ took_us }) => micros(took_us), figure: true },
  { name: "Node", of: ({ node }) => nodeName(node) },
  { name: "Trace", of: ({ trace }) => trace, show: ({ trace }) => (trace ? el("a", { href: `#/trace/${trace}`, title: `The path of ${trace}` }, trace.slice(0, 8)) : "") },
];
