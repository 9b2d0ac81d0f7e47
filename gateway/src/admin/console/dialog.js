// Questions in between: a reason for what changes something, and help. And notices.

import { el, render } from "./dom.js";

const REASON_MAX = 200;
const NOTICE_MS = 6_000;

// A modal dialog; resolves to what `read` makes of it, or to null when it was left. Enter confirms, Escape leaves.
function ask(title, content, buttons, read) {
  return new Promise((resolve) => {
    const form = el("form", { method: "dialog" }, el("h2", {}, title), content, el("p", { class: "buttons" }, buttons));
    const dialog = el("dialog", { "aria-label": title }, form);
    const before = document.activeElement;
    form.onsubmit = (event) => {
      event.preventDefault();
      dialog.close();
      resolve(read(form));
    };
    dialog.onclose = () => {
      dialog.remove();
      before?.focus?.();
      resolve(null);
    };
    document.body.append(dialog);
    dialog.showModal();
  });
}

const cancel = () => el("button", { type: "button", onclick: (event) => event.target.closest("dialog").close() }, "Cancel");

const inputs = (fields) => fields.map(({ label, options, ...field }) => el("label", {}, label, options
    ? el("select", { name: field.name, required: true }, options.map((value) => el("option", { value }, value)))
    : el("input", { ...field, required: true, autocomplete: "off", spellcheck: "false" })));

// Asks why, and for what else is wanted: `fields` are { name, label, options } for choices, or { name, label, value,
// type, min, max } for what is typed.
export function askReason(title, explanation, confirm, fields = []) {
  const choices = inputs(fields);
  const reason = el("label", {}, "Reason, for the audit log",
    el("input", { name: "reason", required: true, maxlength: REASON_MAX, autocomplete: "off", autofocus: true }));
  const content = [el("p", {}, explanation), choices, reason];
  const buttons = [cancel(), el("button", { value: "ok", class: "strong" }, confirm)];
  return ask(title, content, buttons, (form) => Object.fromEntries(new FormData(form)));
}

// The same for what changes nothing yet: without a reason.
export function askFor(title, explanation, confirm, fields) {
  return ask(title, [el("p", {}, explanation), inputs(fields)],
    [cancel(), el("button", { value: "ok", class: "strong" }, confirm)], (form) => Object.fromEntries(new FormData(form)));
}

export function show(title, ...content) {
  return ask(title, content, [el("button", { class: "strong", autofocus: true }, "Close")], () => null);
}

const notices = [];

export function notice(text, kind = "good") {
  const entry = el("p", { class: `notice ${kind}` }, text);
  notices.push(entry);
  const place = document.getElementById("notices");
  render(place, notices);
  setTimeout(() => {
    notices.splice(notices.indexOf(entry), 1);
    entry.remove();
  }, NOTICE_MS);
}

// Does something that may be refused, and says what came of it.
export async function attempt(what, act) {
  try {
    const answer = await act();
    if (what) notice(what);
    return answer ?? true;
  } catch (problem) {
    notice(problem.message, "bad");
    return null;
  }
}
