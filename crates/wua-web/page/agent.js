// The agent: calls of its API, and the events of a job, both through the server of this page.

const TOKEN = "wua.token";

/** Something was not done; `document` says why (RFC 9457). */
export class Problem extends Error {
  constructor(document, status) {
    super(document.detail);
    this.document = document;
    this.status = status;
  }
}

/** There is no session (any more). */
export class NoSession extends Problem {}

export const sleep = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

async function problem(response) {
  const text = await response.text();
  let document;
  try {
    document = JSON.parse(text);
  } catch {
    document = { title: response.statusText, detail: text || `the answer was ${response.status}` };
  }
  const Kind = response.status === 401 ? NoSession : Problem;
  return new Kind(document, response.status);
}

/** Takes the code out of the address and buys the session with it; without a code the tab's own session goes on. */
export async function openSession() {
  const code = /^#([0-9a-f]{64})$/.exec(location.hash)?.[1];
  if (code) {
    history.replaceState(null, "", location.pathname);
    const response = await fetch("session", { method: "POST", headers: { authorization: `Bearer ${code}` } });
    if (!response.ok) throw await problem(response);
    sessionStorage.setItem(TOKEN, (await response.json()).token);
  }
  return Boolean(sessionStorage.getItem(TOKEN));
}

/** Forgets a session that is over. */
export const forgetSession = () => sessionStorage.removeItem(TOKEN);

function ask(method, path, { body, signal } = {}) {
  const headers = { authorization: `Bearer ${sessionStorage.getItem(TOKEN)}` };
  if (body !== undefined) headers["content-type"] = "application/json";
  return fetch(`api${path}`, { method, headers, signal, body: body === undefined ? undefined : JSON.stringify(body) });
}

/** Calls the agent; the answer's document. */
export async function call(method, path, body) {
  const response = await ask(method, path, { body });
  if (!response.ok) throw await problem(response);
  const text = await response.text();
  return text ? JSON.parse(text) : null;
}

/** Reads from the agent. */
export const get = (path) => call("GET", path);

/** Whether a call failed because nobody was there to answer, as while the agent restarts. */
export const isAway = (error) => error instanceof TypeError || error.status === 502 || error.status === 503;

/** Begins a job under an id of the page's own; a repetition under the same id is the same job. */
export async function beginJob(id, request) {
  for (let tries = 0; ; tries += 1) {
    try {
      return await call("PUT", `/jobs/${id}`, request);
    } catch (error) {
      if (!isAway(error) || tries === 15) throw error;
      await sleep(1000);
    }
  }
}

const codes = new Map();

/** What a result code means, its cause, and what to do. */
export function explain(code) {
  if (!codes.has(code)) {
    const asked = get(`/codes/${code}`).catch((error) => {
      codes.delete(code);
      throw error;
    });
    codes.set(code, asked);
  }
  return codes.get(code);
}

/** No word for so long means that the connection is dead; the agent says something every 15 seconds. */
const SILENCE = 45_000;

/** The events of one connection: `[name, data]`, until it ends. */
async function* events(job, signal) {
  const stop = new AbortController();
  signal.addEventListener("abort", () => stop.abort());
  let alarm = setTimeout(() => stop.abort(), SILENCE);
  try {
    const response = await ask("GET", `/jobs/${job}/events`, { signal: stop.signal });
    if (!response.ok) throw await problem(response);
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      clearTimeout(alarm);
      alarm = setTimeout(() => stop.abort(), SILENCE);
      const parts = (text + value).split("\n\n");
      text = parts.pop();
      for (const part of parts) {
        const field = (name) => part.split("\n").find((line) => line.startsWith(name))?.slice(name.length).trim();
        const name = field("event:");
        if (name) yield [name, JSON.parse(field("data:"))];
      }
    }
  } finally {
    clearTimeout(alarm);
    stop.abort();
  }
}

/** Follows a job to its end, whatever happens to the connection or the agent meanwhile: each connection begins with a snapshot of all
    that is known. Calls `heard(name, data)` for each event, and `lost()` when it has to connect again. */
export async function follow(job, { heard, lost, signal }) {
  while (!signal.aborted) {
    try {
      for await (const [name, data] of events(job, signal)) {
        heard(name, data);
        if (name === "completed" || name === "problem" || (name === "snapshot" && data.outcome)) return;
      }
    } catch (error) {
      if (signal.aborted) return;
      // An answer that is not "nobody is there" will be the same next time.
      if (error instanceof Problem && !isAway(error)) throw error;
    }
    lost();
    await sleep(1000);
  }
}
