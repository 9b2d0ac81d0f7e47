// The events of one entity, and what each of them changed.

import { el } from "./dom.js";
import { get, query } from "./api.js";
import { entityLink, nodeName, time } from "./format.js";
import { tree } from "./value.js";

const PAGE = 50;
const KEPT_MAX = 1000;

// Pages of the history, oldest first; `changed` is called when there is more to show.
export function history(base, kind, key, signal, shown) {
  const past = { events: [], more_there: true, incomplete: null, failed: null, busy: false, changed: () => {} };
  past.more = async () => {
    if (past.busy) return;
    past.busy = true;
    past.changed();
    const after = past.events.at(-1)?.version ?? 0;
    try {
      const page = await get(`${base}/history${query({ after, limit: PAGE, reveal: shown.reveal ?? "" })}`, signal);
      past.events.push(...page.events);
      past.events.splice(0, Math.max(0, past.events.length - KEPT_MAX));
      past.more_there = page.more;
      past.incomplete = page.incomplete;
      past.failed = null;
    } catch (problem) {
      if (signal.aborted) return;
      past.failed = problem;
    }
    past.busy = false;
    past.changed();
  };
  past.reload = () => {
    past.events = [];
    past.more();
  };
  past.section = () => el("section", { class: "history", "aria-label": "History" }, el("h2", {}, "History"),
    past.incomplete ? el("p", { class: "silent-note" }, past.incomplete) : null,
    past.failed ? el("p", { class: "failed" }, past.failed.message) : null,
    past.events.length || past.busy ? null : el("p", { class: "empty" }, "The journal has no events of it."),
    el("ol", {}, past.events.map((event) => entry(event, kind, key))),
    el("p", { class: "buttons" }, el("button", { type: "button", onclick: past.more, disabled: past.busy },
      past.more_there ? "Further events" : "Look for newer events")));
  return past;
}

function entry(event, kind, key) {
  const { version, event: name, changes } = event;
  return el("li", { "data-key": `e-${version}` },
    el("details", {},
      el("summary", {}, el("b", {}, version), " ", el("span", { class: "event" }, name), " ",
        el("small", {}, `${time(event.at_ms)} · ${changes.length} ${changes.length === 1 ? "change" : "changes"}`)),
      el("p", { class: "facts" }, `row ${event.seq} · by ${nodeName(event.writer)}`,
        event.cause ? ` · cause ${event.cause}` : "",
        event.trace ? [" · trace ", el("a", { href: `#/trace/${event.trace}` }, event.trace)] : "", " · ",
        el("a", { href: entityLink(kind, key, `?version=${version}`) }, "state as of this version")),
      changes.length ? el("table", { class: "changes", "aria-label": `Changes of version ${version}` },
        el("tbody", {}, changes.map(({ path, before, after }) => el("tr", {},
          el("th", { scope: "row" }, path || "/"),
          el("td", {}, before === null ? el("span", { class: "value null" }, "–") : el("del", {}, JSON.stringify(before))),
          el("td", {}, after === null ? el("span", { class: "value null" }, "–") : el("ins", {}, JSON.stringify(after))))))) : null,
      tree(event.payload, "event", 1)));
}
