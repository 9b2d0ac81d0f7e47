// Requests and streams to the node that served this page.

const BASE = "/admin/v1";
// A view comes every two seconds; a connection that says nothing for so long is given up.
const SILENCE_MAX_MS = 10_000;
const PAUSE_MIN_MS = 500;
const PAUSE_MAX_MS = 4_000;
// How long the browser may take to begin with a file.
const KEPT_MS = 30_000;

export const session = { operator: null, csrf: "" };

export class Problem extends Error {
  constructor(status, body) {
    super(body?.detail || body?.title || `the node answered ${status}`);
    this.status = status;
    this.code = body?.code ?? "";
  }
}

let whenLoggedOut = () => {};
export function onLoggedOut(act) {
  whenLoggedOut = act;
}

export function query(parameters) {
  const given = Object.entries(parameters ?? {}).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return given.length ? `?${new URLSearchParams(given)}` : "";
}

async function send(method, path, body, signal) {
  const headers = {};
  if (method !== "GET") headers["x-nakku-csrf"] = session.csrf;
  if (body !== undefined) headers["content-type"] = "application/json";
  const options = { method, headers, signal, credentials: "same-origin", cache: "no-store" };
  if (body !== undefined) options.body = JSON.stringify(body);
  const answer = await fetch(BASE + path, options);
  if (answer.ok) return answer;
  const problem = new Problem(answer.status, await answer.json().catch(() => null));
  if (answer.status === 401 && path !== "/session") whenLoggedOut();
  throw problem;
}

export async function request(method, path, body, signal) {
  const answer = await send(method, path, body, signal);
  return answer.status === 204 ? null : answer.json();
}

export const get = (path, signal) => request("GET", path, undefined, signal);
export const post = (path, body) => request("POST", path, body);

// What comes is no JSON; the browser keeps it as a file of this name.
export async function download(path, body, name) {
  const answer = await send("POST", path, body);
  const url = URL.createObjectURL(await answer.blob());
  const link = document.createElement("a");
  Object.assign(link, { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), KEPT_MS);
}

export async function logIn(credentials) {
  Object.assign(session, await request("POST", "/session", credentials));
}

export async function logOut() {
  await request("DELETE", "/session").catch(() => null);
  Object.assign(session, { operator: null, csrf: "" });
}

// Who is logged in, if somebody is: without a session the answer has no name.
export async function whoAmI() {
  Object.assign(session, await get("/session"));
  return session.operator;
}

// Reads a stream of events to its end; each is handed on as name and parsed data.
export async function stream(path, onEvent, signal, silenceMax = SILENCE_MAX_MS) {
  const giveUp = new AbortController();
  const stop = () => giveUp.abort();
  signal?.addEventListener("abort", stop, { once: true });
  let timer = setTimeout(stop, silenceMax);
  try {
    const answer = await send("GET", path, undefined, giveUp.signal);
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let kept = "";
    for (;;) {
      const { done, value } = await reader.read();
      clearTimeout(timer);
      if (done) return;
      timer = setTimeout(stop, silenceMax);
      kept += value;
      const blocks = kept.split(/\r?\n\r?\n/);
      kept = blocks.pop();
      for (const block of blocks) hand(block, onEvent);
    }
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", stop);
  }
}

function hand(block, onEvent) {
  let name = "message";
  const data = [];
  for (const line of block.split(/\r?\n/)) {
    if (line.startsWith("event:")) name = line.slice(6).trim();
    else if (line.startsWith("data:")) data.push(line.slice(5).replace(/^ /, ""));
  }
  if (data.length) onEvent(name, JSON.parse(data.join("\n")));
}

// Waits, unless it is stopped meanwhile.
export function pause(ms, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal?.addEventListener("abort", () => { clearTimeout(timer); resolve(); }, { once: true });
  });
}

// Keeps a stream open until it is stopped, whatever happens to it.
export async function keepOpen(path, onEvent, onTrouble, signal, silenceMax) {
  let wait = PAUSE_MIN_MS;
  while (!signal.aborted) {
    try {
      await stream(path(), (name, data) => { wait = PAUSE_MIN_MS; onEvent(name, data); }, signal, silenceMax);
      if (!signal.aborted) onTrouble("the stream ended");
    } catch (error) {
      if (signal.aborted) return;
      onTrouble(error.name === "AbortError" ? "nothing came" : error.message);
      if (error.status >= 400 && error.status < 500 && error.status !== 429) wait = PAUSE_MAX_MS;
    }
    await pause(wait, signal);
    wait = Math.min(wait * 2, PAUSE_MAX_MS);
  }
}
