// Which view is shown, who is logged in, how fresh what is shown is, and keys.

import { el, render } from "./dom.js";
import { get, keepOpen, logIn, logOut, onLoggedOut, pause, query, session, whoAmI } from "./api.js";
import { notice, show } from "./dialog.js";
import { time } from "./format.js";
import * as overview from "./overview.js";
import * as nodes from "./nodes.js";
import * as shards from "./shards.js";
import * as types from "./types.js";
import * as top from "./top.js";
import * as entity from "./entity.js";
import * as tail from "./tail.js";
import * as trace from "./trace.js";
import * as infrastructure from "./infrastructure.js";
import * as tree from "./tree.js";
import * as moves from "./moves.js";
import * as graphs from "./graphs.js";
import * as letters from "./letters.js";

// Name, title, key, module; in the order in which they are listed.
const VIEWS = [
  ["overview", "Overview", "o", overview],
  ["nodes", "Nodes", "n", nodes],
  ["shards", "Shards", "s", shards],
  ["types", "Types", "t", types],
  ["top", "Top", "u", top],
  ["entity", "Entity", "e", entity],
  ["tail", "Tail", "l", tail],
  ["trace", "Trace", "w", trace],
  ["infrastructure", "Infrastructure", "i", infrastructure],
  ["tree", "Tree", "r", tree],
  ["moves", "Moves", "m", moves],
  ["graphs", "Graphs", "g", graphs],
  ["letters", "Dead letters", "d", letters],
];
const STALE_AFTER_MS = 6_000;
const POLL_MS = 3_000;

const place = document.getElementById("view");
const freshness = document.getElementById("freshness");
let current = null;
let lastNews = 0;
let trouble = "";

function route() {
  const [path, search = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [name, ...rest] = path.split("/").map(decodeURIComponent);
  return { name: name || "overview", rest, parameters: Object.fromEntries(new URLSearchParams(search)) };
}

// What a view is given: all that it starts ends with its signal.
function contextOf(wanted, stop) {
  const news = () => { lastNews = Date.now(); trouble = ""; freshen(); };
  const onTrouble = (what) => { trouble = what; freshen(); };
  return {
    ...wanted,
    signal: stop.signal,
    news,
    onTrouble,
    watch: (view, parameters, act) => keepOpen(() => `/watch${query({ view, ...parameters() })}`,
      (name, data) => { if (name === "view") { news(); act(data); } }, onTrouble, stop.signal),
    // For what has no stream: asked again and again. `again` is asked whether it should be.
    poll: async (path, act, failed) => {
      while (!stop.signal.aborted) {
        try {
          const asked = path();
          const data = asked === null ? null : await get(asked, stop.signal);
          if (stop.signal.aborted) return;
          news();
          if (asked !== null && asked === path()) act(data);
        } catch (error) {
          if (stop.signal.aborted) return;
          if (error.status) { news(); failed?.(error); } else onTrouble(error.message);
        }
        await pause(POLL_MS, stop.signal);
      }
    },
  };
}

function open() {
  current?.abort();
  if (!session.operator) return logInView();
  const wanted = route();
  const [name, title, , view] = VIEWS.find(([known]) => known === wanted.name) ?? VIEWS[0];
  current = new AbortController();
  lastNews = Date.now();
  trouble = "";
  document.title = `${title} – Nakku console`;
  for (const link of document.querySelectorAll("#views a")) {
    if (link.dataset.view === name) {
      link.setAttribute("aria-current", "page");
      link.scrollIntoView({ block: "nearest", inline: "center" });
    } else link.removeAttribute("aria-current");
  }
  const body = el("div", { class: `view ${name}` });
  place.replaceChildren(el("h1", {}, title), body);
  render(body, el("p", { class: "waiting" }, "Asking the nodes…"));
  view.start(body, contextOf(wanted, current));
  freshen();
}

function freshen() {
  const age = Date.now() - lastNews;
  const stale = session.operator !== null && age > STALE_AFTER_MS;
  document.body.classList.toggle("stale", stale);
  const why = trouble ? `: ${trouble}` : "";
  const text = stale ? `Stale since ${time(lastNews)}${why}` : "Live";
  if (freshness.textContent !== text) freshness.textContent = text;
}

function frame() {
  const shown = session.operator !== null;
  document.getElementById("top").hidden = !shown;
  document.getElementById("views").hidden = !shown;
  document.getElementById("operator").textContent = session.operator ?? "";
  render(document.getElementById("views"), VIEWS.map(([name, title, key]) =>
    el("a", { href: `#/${name}`, "data-view": name, title: `${title} (${key})`, "aria-keyshortcuts": key }, title)));
  if (shown) {
    get("/status").then((status) => { document.getElementById("cluster").textContent = status.cluster; }, () => {});
  }
}

function logInView(said) {
  current?.abort();
  frame();
  document.title = "Log in – Nakku console";
  const failed = el("p", { class: "failed", role: "alert" }, said);
  const submit = (credentials) => async (event) => {
    event.preventDefault();
    const form = event.target;
    const button = form.querySelector("button");
    button.disabled = true;
    failed.textContent = "";
    try {
      await logIn(credentials(new FormData(form)));
      frame();
      open();
    } catch (problem) {
      failed.textContent = problem.message;
    } finally {
      button.disabled = false;
    }
  };
  const account = el("form", { onsubmit: submit((data) => ({ email: data.get("email"), password: data.get("password") })) },
    el("label", {}, "E-mail", el("input", { name: "email", type: "email", autocomplete: "username", required: true, autofocus: true })),
    el("label", {}, "Password", el("input", { name: "password", type: "password", autocomplete: "current-password", required: true })),
    el("button", { class: "strong" }, "Log in"));
  const token = el("form", { onsubmit: submit((data) => ({ token: data.get("token") })) },
    el("label", {}, "Admin token", el("input", { name: "token", type: "password", autocomplete: "off", required: true })),
    el("button", {}, "Log in with the token"));
  place.replaceChildren(el("section", { class: "log-in" }, el("h1", {}, "Nakku console"),
    el("p", {}, "For admins of the cluster."), failed, account,
    el("details", {}, el("summary", {}, "With the admin token instead"), token)));
  account.querySelector("input").focus();
}

function help() {
  const keys = [...VIEWS.map(([, title, key]) => [key, title]), ["/", "Find an entity"], ["p", "Pause or go on, in Tail"],
    ["?", "This help"], ["Esc", "Close"]];
  show("Keys", el("dl", { class: "keys" }, keys.map(([key, what]) => [el("dt", {}, el("kbd", {}, key)), el("dd", {}, what)])),
    el("p", {}, "Tab goes through what can be pressed; lists and tables scroll with the arrow keys."));
}

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest?.("input, select, textarea, dialog[open]");
  if (!session.operator || typing || event.ctrlKey || event.metaKey || event.altKey) return;
  const view = VIEWS.find(([, , key]) => key === event.key);
  if (event.key === "?") help();
  else if (event.key === "/") { location.hash = "#/entity"; setTimeout(() => document.querySelector(".entity input")?.focus(), 50); }
  else if (event.key === "p") document.querySelector("[data-pause]")?.click();
  else if (view) location.hash = `#/${view[0]}`;
  else return;
  event.preventDefault();
});
document.getElementById("keys").onclick = help;
document.getElementById("log-out").onclick = async () => { await logOut(); logInView("You have logged out."); };
document.querySelector(".skip").onclick = (event) => { event.preventDefault(); place.focus(); };
onLoggedOut(() => {
  if (session.operator === null) return;
  session.operator = null;
  logInView("The session has ended; log in again.");
});
window.addEventListener("hashchange", open);
setInterval(freshen, 1000);
whoAmI().then(() => { frame(); open(); }, (error) => { frame(); logInView(); notice(error.message, "bad"); });
