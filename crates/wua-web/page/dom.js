// Elements, words and numbers. Whatever comes from the machine becomes text here, never markup.

/** The element of the page with this id. */
export const byId = (id) => document.getElementById(id);

/** Makes an element. `on…` properties are listeners, the others attributes; `false` and `null` leave them out. */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Text for those who do not see what it stands beside. */
export const unseen = (text) => make("span", { class: "unseen" }, text);

/** Replaces a text only where it is another one, so that nothing is read out twice. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Prose with the names in backticks set apart. */
export const prose = (text) => text.split("`").map((part, index) => (index % 2 ? make("code", {}, part) : part));

/** A link, if the address is one that a browser may be sent to; else its text. */
export function link(address) {
  if (!/^https?:\/\//i.test(address)) return address;
  return make("a", { href: address, rel: "noreferrer noopener", target: "_blank" }, address);
}

/** Switches a button or field off, with the reason in sight, or on. */
export function allow(control, reason) {
  control.disabled = Boolean(reason);
  control.title = reason || "";
}

const UNITS = ["B", "kB", "MB", "GB", "TB"];

/** Bytes, as people say them. */
export function bytes(count) {
  let unit = 0;
  while (count >= 1000 && unit < UNITS.length - 1) {
    count /= 1000;
    unit += 1;
  }
  return `${unit && count < 10 ? count.toFixed(1) : Math.round(count)} ${UNITS[unit]}`;
}

/** Seconds, as people say them. */
export function duration(seconds) {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 90 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** A point in time, in the reader's own clock. */
export function time(text) {
  const date = new Date(text);
  const words = Number.isNaN(date.valueOf()) ? text : date.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
  return make("time", { datetime: text }, words);
}

/** A number with its noun. */
export const count = (number, noun) => `${number} ${noun}${number === 1 ? "" : "s"}`;

/** How an operation or update stands: a word, a sign, and the class of its colour. */
export const RESULTS = [
  { word: "not started", sign: "·", tone: "muted" },
  { word: "in progress", sign: "▸", tone: "busy" },
  { word: "done", sign: "✓", tone: "good" },
  { word: "done with errors", sign: "!", tone: "warn" },
  { word: "failed", sign: "✗", tone: "bad" },
  { word: "stopped", sign: "■", tone: "warn" },
];

/** A result as a sign and a word. */
export function result(code) {
  const { word, sign, tone } = RESULTS[code] ?? { word: `result ${code}`, sign: "?", tone: "warn" };
  return make("span", { class: `result ${tone}` }, make("span", { "aria-hidden": "true" }, sign), ` ${word}`);
}

let announced = 0;

/** Says something to those who listen instead of looking: at once if it matters, else not more often than every ten seconds. */
export function announce(text, matters = true) {
  const now = Date.now();
  if (!matters && now - announced < 10_000) return;
  announced = now;
  say(byId("announcer"), text);
}
