// Figures as people read them.

const whole = new Intl.NumberFormat("en");
const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });

export const count = (value) => whole.format(Math.round(value ?? 0));

export function rate(value) {
  const figure = value ?? 0;
  if (figure === 0) return "0";
  if (figure < 10) return figure.toFixed(1);
  return count(figure);
}

export function bytes(value) {
  let figure = value ?? 0;
  for (const unit of ["B", "KiB", "MiB", "GiB"]) {
    if (figure < 1024) return `${figure < 10 && unit !== "B" ? figure.toFixed(1) : Math.round(figure)} ${unit}`;
    figure /= 1024;
  }
  return `${figure.toFixed(1)} TiB`;
}

export function micros(value) {
  if (value === null || value === undefined) return "–";
  if (value < 1000) return `${Math.round(value)} µs`;
  if (value < 10_000) return `${(value / 1000).toFixed(1)} ms`;
  if (value < 1_000_000) return `${Math.round(value / 1000)} ms`;
  return `${(value / 1_000_000).toFixed(1)} s`;
}

export function seconds(value) {
  if (value === null || value === undefined) return "–";
  const all = Math.round(value);
  if (all < 60) return `${all} s`;
  if (all < 3600) return `${Math.floor(all / 60)} min ${all % 60} s`;
  if (all < 86_400) return `${Math.floor(all / 3600)} h ${Math.floor((all % 3600) / 60)} min`;
  return `${Math.floor(all / 86_400)} d ${Math.floor((all % 86_400) / 3600)} h`;
}

export const percent = (value) => `${Math.round(value ?? 0)} %`;

export function time(ms) {
  if (!ms) return "–";
  const at = new Date(ms);
  const today = at.toDateString() === new Date().toDateString();
  return today ? clock.format(at) : `${day.format(at)} ${clock.format(at)}`;
}

// `name@generation` without the generation.
export const nodeName = (node) => String(node ?? "").split("@")[0];

// `service.entity/key` in its two parts.
export function entityParts(entity) {
  const slash = entity.indexOf("/");
  return slash < 0 ? [entity, ""] : [entity.slice(0, slash), entity.slice(slash + 1)];
}

export function entityLink(kind, key, query = "") {
  return `#/entity/${encodeURIComponent(kind)}/${encodeURIComponent(key)}${query}`;
}
