// One entity, found by kind and key: where it lives, what it holds, what it did, and what may be done with it.

import { el, render } from "./dom.js";
import { get, post, query } from "./api.js";
import { askReason, attempt } from "./dialog.js";
import { bytes, count, entityLink, micros, seconds, time } from "./format.js";
import { history } from "./history.js";
import { table } from "./table.js";
import { outcomeBadge, tree } from "./value.js";

export function start(place, context) {
  const [kind = "", key = ""] = context.rest;
  const version = context.parameters.version ?? "";
  const finder = el("div", {});
  const body = el("div", {});
  place.replaceChildren(finder, body);
  render(finder, finding(kind, key));
  suggest(finder, context);
  if (!kind || !key) {
    context.poll(() => null, () => {});
    render(body, el("p", { class: "empty" }, "Entities are found by kind and key, such as order.order and the order's number. Tail and Top link to those that are busy."));
    return;
  }
  const base = `/entities/${encodeURIComponent(kind)}/${encodeURIComponent(key)}`;
  const shown = { reveal: null, report: null, failed: null };
  const past = history(base, kind, key, context.signal, shown);
  const draw = () => render(body, page(shown, { kind, key, version, base }, again, past, draw));
  // What was revealed for a reason is shown once, not asked for again and again.
  const path = () => (shown.reveal === null ? base + query({ version }) : null);
  const again = async () => {
    try {
      shown.report = await get(base + query({ version, reveal: shown.reveal ?? "" }), context.signal);
      shown.failed = null;
    } catch (problem) {
      shown.failed = problem;
    }
    draw();
  };
  past.changed = draw;
  context.poll(path, (report) => { shown.report = report; shown.failed = null; draw(); },
    (problem) => { shown.failed = problem; draw(); });
  past.more();
}

function finding(kind, key) {
  const find = (event) => {
    event.preventDefault();
    const data = new FormData(event.target);
    location.hash = entityLink(data.get("kind").trim(), data.get("key").trim());
  };
  return el("form", { class: "choices", role: "search", "aria-label": "Find an entity", onsubmit: find },
    el("label", {}, "Kind", el("input", { name: "kind", value: kind, required: true, list: "kinds", placeholder: "order.order", autocapitalize: "off", spellcheck: "false" })),
    el("label", {}, "Key", el("input", { name: "key", value: key, required: true, autocapitalize: "off", spellcheck: "false" })),
    el("button", { class: "strong" }, "Find"), el("datalist", { id: "kinds" }));
}

async function suggest(finder, context) {
  const { items } = await get("/types", context.signal).catch(() => ({ items: [] }));
  const kinds = [...new Set(items.map((item) => item.kind))].sort();
  render(finder.querySelector("datalist"), kinds.map((value) => el("option", { value })));
}

function page(shown, at, again, past, draw) {
  const { report, failed } = shown;
  if (failed && !report) return el("p", { class: "failed" }, failed.message);
  if (!report) return el("p", { class: "waiting" }, "Asking its node…");
  return [
    failed ? el("p", { class: "failed" }, failed.message) : null,
    at.version ? el("p", { class: "silent-note" }, `As of version ${report.version}. `, el("a", { href: entityLink(at.kind, at.key) }, "As it is now")) : null,
    facts(report),
    at.version ? null : el("p", { class: "buttons" },
      act("Passivate", "Sends it out of the memory, if nothing of it is in flight; the next command wakes it.", "passivate", at, again),
      act("Restart", "Drops its memory and reads it anew from the store.", "restart", at, again),
      act("Release", "Tries it again, if it was set aside.", "release", at, again, report.presence !== "quarantined")),
    el("div", { class: "columns" },
      el("section", {}, el("h2", {}, "State"), masking(report, shown, at, again, past), tree(report.state, "state", 0)),
      el("section", {}, report.waiting_commands.length ? [el("h2", {}, "Waiting commands"), waiting(report)] : null,
        el("h2", {}, "Recent commands"), recent(report.recent), el("h2", {}, "Outstanding effects"), effects(report.effects, at, again), reminder(report, at, again))),
    past.section(draw),
  ];
}

function facts(report) {
  const kinds = { loaded: "good", passivated: "", quarantined: "bad", busy: "warn", past: "" };
  const entries = [
    ["Presence", el("span", { class: `badge ${kinds[report.presence] ?? ""}` }, report.presence)],
    ["Node", report.node], ["Shard", report.shard],
    ["Version", `${report.version}${report.durable_version < report.version ? ` (${report.durable_version} durable)` : ""}`],
    ["Last row", count(report.seq)],
    ["State", bytes(report.state_bytes)],
    ["Waiting", report.waiting],
    ["In memory for", seconds(report.loaded_s)],
    ["Idle for", report.idle_ms === null ? "–" : seconds(report.idle_ms / 1000)],
    ["Wakes", time(report.wake_at_ms)],
  ];
  return el("dl", { class: "facts-list" }, entries.map(([name, value]) => el("div", { "data-key": name }, el("dt", {}, name), el("dd", {}, value))));
}

function act(title, explanation, name, at, again, disabled = false) {
  const whole = `${at.kind}/${at.key}`;
  const run = async () => {
    const given = await askReason(`${title} ${whole}`, explanation, title);
    if (!given) return;
    const done = await attempt(`${title}: sent to ${whole}.`, () => post(`${at.base}/${name}`, given));
    if (done) again();
  };
  return el("button", { type: "button", onclick: run, disabled, "data-act": name }, `${title}…`);
}

function masking(report, shown, at, again, past) {
  if (shown.reveal !== null) {
    const mask = () => { shown.reveal = null; past.reload(); again(); };
    return el("p", { class: "silent-note" }, "Personal data is shown, as of the moment it was asked for. ", el("button", { type: "button", onclick: mask }, "Mask again"));
  }
  if (!report.masked.length) return null;
  const reveal = async () => {
    const given = await askReason("Show personal data", `These are masked: ${report.masked.join(", ")}. That you look is kept in the audit log.`, "Show");
    if (!given) return;
    shown.reveal = given.reason;
    again();
    past.reload();
  };
  return el("p", { class: "masked-note" }, `${report.masked.length} masked. `, el("button", { type: "button", onclick: reveal }, "Show with a reason…"));
}

function waiting({ waiting: all, waiting_commands: first }) {
  return [table("Waiting commands", [
    { name: "Command", of: ({ command }) => command },
    { name: "For", of: ({ age_ms }) => age_ms, show: ({ age_ms }) => seconds(age_ms / 1000), figure: true },
  ], first), all > first.length ? el("p", { class: "masked-note" }, `and ${count(all - first.length)} more behind them`) : null];
}

function recent(commands) {
  if (!commands.length) return el("p", { class: "empty" }, "None in this memory.");
  return table("Recent commands", [
    { name: "At", of: ({ at_ms }) => at_ms, show: ({ at_ms }) => time(at_ms) },
    { name: "Command", of: ({ command }) => command },
    { name: "Outcome", of: ({ outcome }) => outcome, show: ({ outcome }) => outcomeBadge(outcome) },
    { name: "Decided in", of: ({ decided_us }) => decided_us, show: ({ decided_us }) => micros(decided_us), figure: true },
  ], commands);
}

function reminder(report, at, again) {
  if (report.wake_at_ms === null || at.version) return null;
  return [el("h2", {}, "Reminder"), el("p", { class: "buttons" }, `At ${time(report.wake_at_ms)}. `,
    act("Fire", "Gives it now what its reminder would; what follows it decides by its state and the clock. It can't be cancelled: its state would set it again.", "reminder/fire", at, again))];
}

function effects(all, at, again) {
  if (!all.length) return el("p", { class: "empty" }, "Nothing is outstanding.");
  return table("Outstanding effects", [
    { name: "Step", of: ({ step }) => step, show: ({ step, ordinal }) => `${step} ${ordinal || ""}` },
    { name: "Calls", of: ({ calls }) => calls.join(", "), wide: true },
    { name: "Running", of: ({ running }) => String(running), show: ({ running }) => (running ? "yes" : "no") },
    { name: "Failed", of: ({ attempts }) => attempts, figure: true },
    at.version ? null : { name: "Act", of: () => "", show: ({ step, ordinal }) => {
      const path = `effects/${encodeURIComponent(`${step}:${ordinal}`)}`;
      return [
        act("Retry", `Makes the next attempt of ${step} ${ordinal} now, not after its pause.`, `${path}/retry`, at, again), " ",
        act("Give up", `Ends ${step} ${ordinal} as if its attempts were used up, where the entity knows what is to happen then.`, `${path}/give-up`, at, again)];
    } },
  ].filter(Boolean), all);
}
