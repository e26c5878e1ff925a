// What was done on this machine.

import { get } from "./agent.js";
import { byId, count, make, result, say, time } from "./dom.js";
import { noteOf } from "./job.js";

const PAGE = 50;
const OPERATIONS = { 1: "install", 2: "undo" };

let listed = 0;

/** Listens to the controls. */
export function setUp(act) {
  byId("history-more").addEventListener("click", () => more().catch(act.failed));
}

/** Lists the newest entries. */
export async function load() {
  listed = 0;
  byId("history").replaceChildren();
  await more();
}

async function more() {
  const { total, entries } = await get(`/history?start=${listed}&count=${PAGE}`);
  listed += entries.length;
  const list = byId("history");
  list.append(...entries.map(rowOf));
  if (total === 0) list.append(make("li", { class: "empty" }, "Nothing was done through wua yet."));
  say(byId("history-count"), total ? `${listed} of ${count(total, "entry").replace("entrys", "entries")}` : "");
  byId("history-more").hidden = listed >= total || entries.length === 0;
}

function rowOf(entry) {
  const { title, result_code: code, message, hresult, kept_configuration: kept } = entry;
  const tells = message !== "" || kept.length > 0 || hresult !== "0x00000000";
  const who = `by ${entry.client_application_id}${entry.user_id === null ? "" : entry.user_id === 0 ? ", root" : `, user ${entry.user_id}`}`;
  const details = make("details", {}, make("summary", {}, "What happened"));
  // Codes are asked for only where somebody looks.
  const open = () => details.open && details.append(make("ul", { class: "results" }, noteOf("", entry)));
  details.addEventListener("toggle", open, { once: true });
  return make(
    "li", { class: "row past" },
    make("span", { class: "name" }, make("strong", {}, title), make("span", { class: "muted" }, OPERATIONS[entry.operation] ?? "", " ", who)),
    make("span", { class: "badges" }, result(code), entry.reboot_required && make("span", { class: "badge warn" }, "restart")),
    make("span", { class: "size" }, time(entry.date)),
    tells && make("div", { class: "panel" }, details),
  );
}
