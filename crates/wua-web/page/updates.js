// What is available: a list to filter, select from, and look into.

import { call, get } from "./agent.js";
import { allow, byId, bytes, count, link, make, prose, say, time, unseen } from "./dom.js";

/** What the list shows, by id: the update, its row, and what it is searched by. */
let rows = new Map();
const selected = new Set();
const excluded = new Set();
/** Those that were listed before; what is new is selected as its publisher wants. */
const known = new Set();
/** Why nothing can be begun: for this user at all, and now; empty where it can. */
let denied = "";
let busy = "";

/** Listens to the controls. `act` has `install(updates)`, `download(updates)`, `refresh()` and `failed(error)`. */
export function setUp(act) {
  byId("filter").addEventListener("input", filter);
  byId("category").addEventListener("change", filter);
  byId("select-all").addEventListener("change", ({ target }) => {
    for (const row of shown()) choose(row, target.checked);
    tally();
  });
  byId("install").addEventListener("click", () => act.install(chosen()));
  byId("download").addEventListener("click", () => act.download(chosen()));
  byId("refresh").addEventListener("click", () => act.refresh());
  byId("updates").addEventListener("wua-failed", ({ detail }) => act.failed(detail));
}

/** Says why nothing can be begun, for this user at all or now. */
export function permit(forUser, now) {
  [denied, busy] = [forUser, now];
  tally();
}

/** Searches, and lists what is found. */
export async function load() {
  const found = await get("/updates");
  const opened = [...rows.values()].filter(({ panel }) => !panel.hidden).map(({ update }) => update.id);
  const focused = document.activeElement?.id;
  rows = new Map();
  for (const update of found.updates) {
    if (!known.has(update.id) && update.auto_select_on_web_sites && !update.browse_only) selected.add(update.id);
    known.add(update.id);
    rows.set(update.id, rowOf(update));
  }
  const list = byId("updates");
  list.replaceChildren(...[...rows.values()].map((row) => row.element));
  if (rows.size === 0) list.append(make("li", { class: "empty" }, "This machine is up to date, as far as its package lists know."));
  for (const part of document.querySelectorAll("#view-updates .list-head, .actions")) part.hidden = rows.size === 0;
  say(byId("updates-count"), rows.size ? String(rows.size) : "");
  listCategories(found.root_categories);
  listKeptBack(found.kept_back);
  filter();
  // The reader finds the list as it was left.
  for (const id of opened) if (rows.has(id)) unfold(rows.get(id));
  if (focused) byId(focused)?.focus();
  return found;
}

function listCategories(categories) {
  const select = byId("category");
  const before = select.value;
  const option = ({ id, name }) => make("option", { value: id }, name);
  select.replaceChildren(make("option", { value: "" }, "All"), ...categories.map(option));
  select.value = categories.some(({ id }) => id === before) ? before : "";
}

function listKeptBack(keptBack) {
  const details = byId("kept-back");
  details.hidden = keptBack.length === 0;
  say(details.querySelector("summary"), `Kept back: ${keptBack.length}`);
  const item = (one) =>
    make(
      "li", {}, make("strong", {}, one.title), " — ", prose(one.reason),
      one.removals.length > 0 && ` It would remove ${one.removals.join(", ")}.`,
    );
  details.querySelector("ul").replaceChildren(...keptBack.map(item));
}

const packagesOf = (update) => update.bundled_updates.map((part) => part.package).filter(Boolean);

function rowOf(update) {
  const { id, title } = update;
  const panel = make("div", { class: "panel", id: `panel-${id}`, hidden: true });
  const check = make("input", { type: "checkbox", id: `check-${id}` });
  const out = make("button", { type: "button", class: "quiet", id: `out-${id}`, "aria-pressed": "false" }, "Exclude", unseen(` ${title}`));
  const more = make(
    "button", { type: "button", class: "quiet", id: `more-${id}`, "aria-expanded": "false", "aria-controls": panel.id },
    "Details", unseen(` of ${title}`),
  );
  const element = make(
    "li", { class: "row" }, check,
    make("label", { for: check.id, class: "name" }, make("strong", {}, title), make("span", { class: "muted" }, update.description)),
    make("span", { class: "badges" }, badges(update)),
    make("span", { class: "size" }, bytes(update.max_download_size)),
    make("span", { class: "row-actions" }, more, out),
    panel,
  );
  const words = [title, update.description, ...update.cve_ids, ...packagesOf(update).map(({ name }) => name)];
  const row = { update, element, check, out, more, panel, text: words.join("\n").toLowerCase() };
  check.addEventListener("change", () => {
    choose(row, check.checked);
    tally();
  });
  out.addEventListener("click", () => {
    if (!excluded.delete(id)) excluded.add(id);
    choose(row, !excluded.has(id));
    tally();
  });
  more.addEventListener("click", () => unfold(row));
  return row;
}

function badges(update) {
  const isSecurity = update.categories.some(({ name }) => name === "Security Updates");
  const severity = update.msrc_severity ? `Security: ${update.msrc_severity.toLowerCase()}` : "Security";
  return [
    isSecurity && make("span", { class: "badge warn" }, severity),
    update.installation_behavior?.reboot_behavior > 0 && make("span", { class: "badge" }, "may need a restart"),
    update.is_mandatory && make("span", { class: "badge" }, "mandatory"),
    update.is_downloaded && make("span", { class: "badge good" }, "downloaded"),
    !update.eula_accepted && make("span", { class: "badge warn" }, "licence terms"),
  ];
}

function choose(row, wanted) {
  const { id } = row.update;
  if (wanted && !excluded.has(id)) selected.add(id);
  else selected.delete(id);
}

const shown = () => [...rows.values()].filter((row) => !row.element.hidden);
const chosen = () => [...rows.values()].filter((row) => selected.has(row.update.id)).map((row) => row.update);

function filter() {
  const words = byId("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
  const category = byId("category").value;
  for (const row of rows.values()) {
    const fits = words.every((word) => row.text.includes(word));
    row.element.hidden = !fits || (category !== "" && row.update.categories.every(({ id }) => id !== category));
  }
  tally();
}

/** Shows what is selected, and what can be done with it. */
function tally() {
  for (const { update, element, check, out } of rows.values()) {
    const isOut = excluded.has(update.id);
    check.checked = selected.has(update.id);
    check.disabled = isOut;
    element.classList.toggle("excluded", isOut);
    out.setAttribute("aria-pressed", String(isOut));
    say(out.firstChild, isOut ? "Excluded" : "Exclude");
  }
  const seen = shown();
  const free = seen.filter((row) => !excluded.has(row.update.id));
  const marked = free.filter((row) => selected.has(row.update.id)).length;
  const all = byId("select-all");
  all.checked = marked > 0 && marked === free.length;
  all.indeterminate = marked > 0 && marked < free.length;
  all.disabled = free.length === 0;
  say(byId("shown"), seen.length === rows.size ? "" : `${seen.length} of ${rows.size} shown`);

  const updates = chosen();
  const hidden = updates.length - marked;
  const size = updates.filter((update) => !update.is_downloaded).reduce((sum, update) => sum + update.max_download_size, 0);
  const parts = [`${updates.length} of ${rows.size} selected`, size && `${bytes(size)} to download`, hidden && `${hidden} not shown`];
  say(byId("selection"), rows.size ? parts.filter(Boolean).join(", ") : "");
  const nothing = updates.length === 0 && "Nothing is selected.";
  allow(byId("install"), busy || nothing);
  allow(byId("download"), denied || busy || nothing || (size === 0 && "All of them are downloaded."));
  allow(byId("refresh"), denied || busy);
}

/** Opens a row's panel, with what there is to know, or closes it. */
async function unfold({ update, more, panel }) {
  panel.hidden = !panel.hidden;
  more.setAttribute("aria-expanded", String(!panel.hidden));
  if (panel.hidden || panel.childElementCount > 0) return;
  panel.append(make("p", { class: "muted", role: "status" }, "Reading…"));
  try {
    panel.replaceChildren(...detailsOf(await get(`/updates/${update.id}`)));
  } catch (error) {
    panel.replaceChildren();
    panel.dispatchEvent(new CustomEvent("wua-failed", { bubbles: true, detail: error }));
  }
}

function detailsOf(update) {
  const fact = (name, ...value) => [make("dt", {}, name), make("dd", {}, ...value)];
  const versions = packagesOf(update).map(({ name, installed, candidate, content }) =>
    make("li", {}, make("code", {}, name), ` ${installed ?? "new"} → ${candidate ?? "removed"}`, content && `, ${bytes(content.size)}`),
  );
  return [
    make(
      "dl", { class: "facts" },
      fact("Packages", make("ul", { class: "plain" }, versions)),
      update.cve_ids.length > 0 && fact("Vulnerabilities", update.cve_ids.join(", ")),
      fact("Published", time(update.last_deployment_change_time)),
      update.support_url && fact("More", link(update.support_url)),
      update.more_info_urls.length > 0 && fact("Notices", update.more_info_urls.flatMap((address) => [link(address), " "])),
    ),
    update.eula_text && make("pre", { tabindex: "0", role: "region", "aria-label": "Licence terms" }, update.eula_text),
    !update.eula_accepted && acceptButton(update),
    update.release_notes
      ? make("pre", { tabindex: "0", role: "region", "aria-label": `Changelog of ${update.title}` }, update.release_notes)
      : make("p", { class: "muted" }, "No changelog is at hand. Where it comes with the package, it is here once that is downloaded."),
  ].filter(Boolean);
}

function acceptButton(update) {
  const button = make("button", { type: "button" }, "Accept the licence terms", unseen(` of ${update.title}`));
  allow(button, denied);
  button.addEventListener("click", async () => {
    try {
      await call("PUT", `/updates/${update.id}/eula-accepted`);
      button.replaceWith(make("p", { role: "status" }, "Accepted."));
    } catch (error) {
      button.dispatchEvent(new CustomEvent("wua-failed", { bubbles: true, detail: error }));
    }
  });
  return button;
}

/** How many updates there are, for those who do not see the list. */
export const summary = () => `${count(rows.size, "update")} available`;
