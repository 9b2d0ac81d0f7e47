"use strict";

// Text only ever enters the page as text: nothing of the document is taken for markup.
function element(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) made.setAttribute(key, value);
  for (const child of children.flat()) if (child !== null && child !== undefined) made.append(child);
  return made;
}

const nameOf = (reference) => reference.split("/").pop();
const linkTo = (name) => element("a", { href: "#type-" + name }, name);

// A schema in one line, with links to the named ones.
function inLine(schema) {
  if (!schema) return ["nothing"];
  if (schema.$ref) return [linkTo(nameOf(schema.$ref))];
  const several = schema.oneOf || schema.anyOf;
  if (several) return several.flatMap((one, index) => (index ? [" or "] : []).concat(inLine(one)));
  if (schema.allOf) return schema.allOf.flatMap((one, index) => (index ? [" and "] : []).concat(inLine(one)));
  if (schema.enum) return [schema.enum.map((one) => JSON.stringify(one)).join(", ")];
  const types = [].concat(schema.type || "any");
  if (types.includes("array")) return ["list of ", ...inLine(schema.items)];
  return [types.join(" or ") + (schema.format ? " (" + schema.format + ")" : "")];
}

function table(heads, rows) {
  return element("table", {},
    element("thead", {}, element("tr", {}, heads.map((head) => element("th", {}, head)))),
    element("tbody", {}, rows.map((row) => element("tr", {}, row.map((cell) => element("td", {}, cell))))));
}

function fields(schema) {
  const parts = schema.allOf ? schema.allOf : [schema];
  const rows = parts.flatMap((part) => {
    if (part.$ref) return [[["everything of"], inLine(part), ""]];
    const required = new Set(part.required || []);
    return Object.entries(part.properties || {}).map(([name, field]) => [
      [element("code", {}, name), required.has(name) ? "" : " ?"],
      inLine(field),
      [field.description || "", field.example === undefined ? null : element("span", { class: "quiet" }, " e.g. " + field.example)],
    ]);
  });
  return rows.length ? table(["Field", "Type", "Meaning"], rows) : element("p", {}, inLine(schema));
}

function body(content) {
  return Object.entries(content || {}).map(([kind, { schema }]) =>
    element("span", {}, element("code", {}, kind), " ", inLine(schema)));
}

function route(method, path, operation) {
  const anchor = operation.operationId;
  const parameters = (operation.parameters || []).map((one) =>
    [[element("code", {}, one.name), one.required ? "" : " ?"], one.in, inLine(one.schema), one.description || ""]);
  const answers = Object.entries(operation.responses || {}).map(([status, one]) =>
    [status === "default" ? "else" : status, body(one.content), one.description || ""]);
  return element("details", { id: anchor },
    element("summary", {}, element("span", { class: "method" }, method.toUpperCase()), element("code", {}, path),
      " ", operation.summary || "", operation.security ? element("span", { class: "quiet" }, " · bearer") : null),
    element("p", {}, operation.description || ""),
    parameters.length ? [element("h4", {}, "Parameters"), table(["Name", "In", "Type", "Meaning"], parameters)] : null,
    operation.requestBody ? [element("h4", {}, "Body"), element("p", {}, body(operation.requestBody.content))] : null,
    element("h4", {}, "Answers"), table(["Status", "Body", "Meaning"], answers));
}

function show(api) {
  document.title = api.info.title + " API";
  document.getElementById("title").textContent = api.info.title + " API " + api.info.version;
  document.getElementById("description").textContent = api.info.description || "";
  const contents = document.getElementById("contents");
  const routes = document.getElementById("routes");
  const groups = new Map();
  for (const [path, methods] of Object.entries(api.paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      const group = (operation.tags || ["other"])[0];
      if (!groups.has(group)) groups.set(group, []);
      groups.get(group).push([method, path, operation]);
    }
  }
  for (const [group, members] of groups) {
    contents.append(element("strong", {}, group));
    routes.append(element("section", {}, element("h2", { id: "group-" + group }, group),
      members.map((one) => route(...one))));
    for (const [method, path, operation] of members) {
      contents.append(element("a", { href: "#" + operation.operationId }, method.toUpperCase() + " " + path));
    }
  }
  contents.append(element("strong", {}, "more"), element("a", { href: "#problems" }, "Problem codes"),
    element("a", { href: "#schemas" }, "Schemas"));
  document.getElementById("codes").append(table(["Code", "Status", "Meaning", "What to do"],
    api["x-problem-codes"].map((one) =>
      [element("code", { id: one.slug }, one.slug), String(one.status), one.title, one.advice])));
  document.getElementById("types").append(...Object.entries(api.components.schemas).map(([name, schema]) =>
    element("details", { id: "type-" + name }, element("summary", {}, element("code", {}, name), " ",
      schema.description || ""), fields(schema))));
  openTarget();
}

// The browser looked for the anchor before it was there.
function openTarget() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  if (target.tagName === "DETAILS") target.open = true;
  target.scrollIntoView();
}

addEventListener("hashchange", openTarget);
fetch("/openapi.json").then((answer) => answer.json()).then(show).catch((error) => {
  document.getElementById("routes").append(element("p", {}, "The document can't be shown: " + error));
});
