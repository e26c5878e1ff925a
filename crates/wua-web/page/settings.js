// The settings of automatic updates: what they are, where each comes from, and what will happen next because of them.

import { call, get } from "./agent.js";
import { allow, announce, byId, make, say, time } from "./dom.js";

/** The settings that are changed here, with their values; the others are read here, and changed by `wua settings`. */
const CHOICES = { level: ["off", "tell", "download", "install"] };

/** Lists them; answers whether this agent has any. `denied` says why this user may not change them; `failed` takes an error. */
export async function load(denied, failed) {
  let found;
  try {
    found = await get("/settings");
  } catch (error) {
    if (error.status === 404) return false;
    throw error;
  }
  const { next, settings } = found;
  const words = next ? [next.what, next.at && [" — ", time(next.at)], next.why && `. Why: ${next.why}`] : [];
  byId("settings-next").replaceChildren(...words.flat().filter(Boolean));
  byId("settings").replaceChildren(...settings.flatMap((setting) => rowOf(setting, denied, failed)));
  return true;
}

function rowOf({ key, value, origin }, denied, failed) {
  const id = `setting-${key}`;
  const own = make("dd", {}, CHOICES[key] ? editorOf(id, key, value, denied, failed) : make("code", {}, wordOf(value)));
  own.append(make("span", { class: "muted" }, ` from ${origin}`));
  return [make("dt", {}, CHOICES[key] ? make("label", { for: id }, key) : key), own];
}

const wordOf = (value) => (typeof value === "string" ? value : JSON.stringify(value));

function editorOf(id, key, value, denied, failed) {
  const select = make("select", { id }, CHOICES[key].map((word) => make("option", { value: word }, word)));
  const reset = make("button", { type: "button", class: "quiet" }, "Back to the default");
  const saved = make("span", { class: "reason", role: "status" });
  select.value = value;
  for (const control of [select, reset]) allow(control, denied);
  if (denied) say(saved, denied);
  const change = async (wanted) => {
    try {
      await call("PATCH", "/settings", { [key]: wanted });
      await load(denied, failed);
      byId(id).focus();
      announce(`${key} is changed.`);
    } catch (error) {
      select.value = value;
      failed(error);
    }
  };
  select.addEventListener("change", () => change(select.value));
  reset.addEventListener("click", () => change(null));
  return [select, " ", reset, " ", saved].reduce((all, part) => (all.append(part), all), make("span", {}));
}
