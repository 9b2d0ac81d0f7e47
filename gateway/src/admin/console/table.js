// Tables that can be sorted by their columns.

import { el } from "./dom.js";

// Columns are { name, of (what is compared), show (what is shown, else `of`), figure (right-aligned) }. `order` is
// kept by the view: { column, falling }.
export function table(label, columns, rows, order, changed, keyOf) {
  const sorted = order && columns[order.column] ? [...rows].sort(by(columns[order.column], order.falling)) : rows;
  const head = columns.map((column, index) => headOf(column, index, order, changed));
  const body = sorted.map((row) => el("tr", { "data-key": keyOf ? keyOf(row) : null },
    columns.map((column) => el("td", { class: classes(column), "data-name": column.name },
      column.show ? column.show(row) : column.of(row)))));
  return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label },
    el("table", { "aria-label": label }, el("thead", {}, el("tr", {}, head)), el("tbody", {}, body)));
}

const classes = (column) => [column.figure ? "figure" : "", column.wide ? "wide" : "", column.name === "Act" ? "act" : ""]
  .filter(Boolean).join(" ") || null;

function headOf(column, index, order, changed) {
  if (!order || !column.of || !column.name) return el("th", { scope: "col", class: classes(column) }, column.name);
  const active = order.column === index;
  const sort = () => {
    order.falling = active ? !order.falling : Boolean(column.figure);
    order.column = index;
    changed();
  };
  const direction = active ? (order.falling ? "descending" : "ascending") : null;
  return el("th", { scope: "col", class: classes(column), "aria-sort": direction },
    el("button", { type: "button", class: "sort", onclick: sort }, column.name,
      el("span", { "aria-hidden": "true" }, active ? (order.falling ? " ▾" : " ▴") : "")));
}

function by(column, falling) {
  const sign = falling ? -1 : 1;
  return (left, right) => {
    const [a, b] = [column.of(left), column.of(right)];
    if (typeof a === "number" && typeof b === "number") return sign * (a - b);
    return sign * String(a ?? "").localeCompare(String(b ?? ""), "en", { numeric: true });
  };
}

// Why something can't be seen in full.
export function silentNote(silent) {
  if (!silent?.length) return null;
  return el("p", { class: "silent-note" }, el("strong", {}, "Silent: "),
    silent.map(({ node, reason }) => `${node} (${reason})`).join(", "), ". The rest is shown.");
}
