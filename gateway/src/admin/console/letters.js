// Events that consumers could not process.

import { el, render } from "./dom.js";
import { get, post } from "./api.js";
import { askReason, attempt, notice, show } from "./dialog.js";
import { time } from "./format.js";
import { table } from "./table.js";
import { tree } from "./value.js";

export function start(place, context) {
  let seen = null;
  const order = { column: 0, falling: true };
  const draw = () => seen && render(place, seen.items.length
    ? table("Dead letters", columns, seen.items, order, draw, ({ group, intake, sequence }) => `${group} ${intake} ${sequence}`)
    : el("p", { class: "empty" }, "There are no dead letters: every event was processed, or is being."));
  context.poll(() => "/dead-letters", (data) => { seen = data; draw(); },
    (problem) => render(place, el("p", { class: "failed" }, problem.message)));
}

const columns = [
  { name: "Set aside", of: ({ set_aside_at }) => set_aside_at, show: ({ set_aside_at }) => time(set_aside_at) },
  { name: "Group", of: ({ group }) => group, show: ({ group }) => el("strong", {}, group) },
  { name: "Event", of: ({ event_type }) => event_type },
  { name: "Subject", of: ({ subject }) => subject },
  { name: "Tries", of: ({ attempts }) => attempts, figure: true },
  { name: "Reason", of: ({ reason }) => reason, wide: true },
  { name: "Act", of: () => "", show: (letter) => [
    el("button", { type: "button", onclick: () => look(letter), "aria-label": `Look at ${letter.subject}` }, "Look"), " ",
    el("button", { type: "button", onclick: () => replay(letter), "aria-label": `Replay ${letter.subject}` }, "Replay")] },
];

const path = ({ group, intake, sequence }) => `/dead-letters/${encodeURIComponent(group)}/${encodeURIComponent(intake)}/${sequence}`;

async function look(letter) {
  try {
    const whole = await get(path(letter));
    await show(`${letter.event_type} of ${letter.subject}`, el("p", {}, whole.reason), tree(whole.event, "event", 0));
  } catch (problem) {
    notice(problem.message, "bad");
  }
}

async function replay(letter) {
  const what = `${letter.event_type} of ${letter.subject}`;
  const given = await askReason(`Replay ${what}`, "Has its consumer process it now, out of its order.", "Replay");
  if (given) await attempt(`${what} was processed.`, () => post(`${path(letter)}/replay`, given));
}
