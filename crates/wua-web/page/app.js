// The page as a whole: its session, its views, and what is going on.

import { NoSession, Problem, beginJob, call, forgetSession, get, isAway, openSession, sleep } from "./agent.js";
import { announce, byId, count, make, prose, say } from "./dom.js";
import * as history from "./history.js";
import * as job from "./job.js";
import * as plan from "./plan.js";
import * as settings from "./settings.js";
import * as updates from "./updates.js";

/** How often it is looked whether somebody else began a job. */
const LOOK = 10_000;

/** An install whose download runs: both ids and the plan that was agreed to, so that reloading the page goes on with it. */
const FLOW = "wua.flow";
const flow = {
  get: () => JSON.parse(sessionStorage.getItem(FLOW)),
  set: (value) => sessionStorage.setItem(FLOW, JSON.stringify(value)),
  end: () => sessionStorage.removeItem(FLOW),
};

let system = null;
let failure = null;
/** Whether nobody answered last time. */
let away = false;

/** Why this user may not act; empty for those who may. */
const denied = () => (system?.access === "read" ? "You may look only." : "");
const deniedToOwner = () => (system?.access === "owner" ? "" : "Only root may change settings.");

function failed(error) {
  if (error instanceof NoSession) {
    forgetSession();
    byId("app").hidden = true;
    byId("views").hidden = true;
    byId("no-session").hidden = false;
    if (error.document.next_step) say(byId("no-session-reason"), `${capital(error.message)}.`);
    return;
  }
  if (isAway(error)) {
    away = true;
    connected(false);
    return;
  }
  console.error(error);
  failure = error;
  notices();
  announce(error.message);
}

function connected(yes) {
  say(byId("connection"), yes ? "" : "No answer; trying again…");
}

/** What to know before anything else. */
function notices() {
  const list = [];
  const add = (tone, ...words) => list.push(make("div", { class: `notice ${tone}` }, ...words));
  if (failure) {
    const close = make("button", { type: "button", class: "quiet" }, "Close");
    close.addEventListener("click", () => {
      failure = null;
      notices();
      byId("main").focus();
    });
    const next = failure instanceof Problem && failure.document.next_step;
    add("bad", make("p", {}, ...prose(capital(failure.message)), "."), ...(next ? [make("p", {}, ...prose(next))] : []), close);
  }
  if (denied()) add("", "You may look only. To act, be root or a member of the group ", make("code", {}, "wua"), ", and start ", make("code", {}, "wua web"), " again.");
  if (system?.restart_required) add("warn", make("strong", {}, "The machine must be restarted"), system.restart_packages.length ? ` for ${system.restart_packages.join(", ")}.` : ".");
  if (system?.lock_holder) add("warn", `Another program holds the package database: ${system.lock_holder}. Jobs wait for it.`);
  const lost = (system?.unfinished ?? []).filter((id) => id !== system.busy && id !== job.running());
  if (lost.length > 0) add("warn", `${capital(count(lost.length, "job"))} did not come to an end; the next one goes on with it.`);
  byId("notices").replaceChildren(...list);
}

const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

function permit() {
  updates.permit(denied(), job.running() || system?.busy ? "A job runs." : "");
}

async function lookAround() {
  system = await get("/system");
  connected(true);
  notices();
  permit();
  if (job.running() || byId("plan").open) return;
  const { jobs } = await get("/jobs");
  const next = jobs.find(({ state }) => state === "running");
  // Not awaited: it lasts as long as the job.
  if (next && !job.running()) followJob(next.job);
}

/** Follows a job; then goes on with what it was for, and looks what is new. */
async function followJob(id, focus = false) {
  const waiting = flow.get();
  const note = waiting?.download === id ? "The install follows by itself as long as this page is open." : "";
  try {
    const shown = job.show(id, { denied: denied(), note, focus, connected, repair: () => begin({ operation: "repair" }) });
    permit();
    const ended = await shown;
    if (!ended) return;
    if (flow.get()?.download === id) await goOn(ended);
  } catch (error) {
    failed(error);
  }
  await reload();
}

async function begin(request, id = crypto.randomUUID()) {
  try {
    failure = null;
    await beginJob(id, { client_application_id: "wua web", ...request });
    followJob(id, true);
  } catch (error) {
    failed(error);
  }
}

const ids = (list) => list.map(({ id }) => id);
const planOf = (list) => call("POST", "/plans", { operation: 1, updates: list });

/** Shows the plan of an install; if it is agreed to, downloads what is missing, and installs by that plan. */
async function install(list) {
  const button = byId("install");
  const words = button.textContent;
  say(button, "Planning…");
  try {
    const document = await planOf(ids(list));
    say(button, words);
    const missing = list.filter((update) => !update.is_downloaded);
    const download = missing.reduce((sum, update) => sum + update.max_download_size, 0);
    if (!(await plan.confirmPlan(document, { denied: denied() || running(), download }))) return;
    if (missing.length === 0) {
      await begin({ operation: "install", plan: document.hash });
      return;
    }
    const both = { download: crypto.randomUUID(), install: crypto.randomUUID(), updates: ids(list), hash: document.hash };
    flow.set(both);
    await begin({ operation: "download", updates: ids(missing) }, both.download);
  } catch (error) {
    failed(error);
  } finally {
    say(button, words);
  }
}

const running = () => (job.running() ? "A job runs." : "");

/** The download of an install has ended: has the plan made again, and carries it out if it still is the one agreed to. */
async function goOn(download) {
  const agreed = flow.get();
  flow.end();
  if (download.outcome.result_code === 5) return;
  const document = await planOf(agreed.updates);
  const note = "The plan is not the one you saw: packages or downloads changed meanwhile.";
  if (document.hash !== agreed.hash && !(await plan.confirmPlan(document, { note, denied: denied(), download: 0 }))) return;
  await begin({ operation: "install", plan: document.hash }, agreed.install);
}

/** What a job may have changed. */
async function reload() {
  try {
    await lookAround();
    const [found] = await Promise.all([updates.load(), history.load()]);
    if (found.result_code >= 3) failed(new Error(found.warnings.map(({ message }) => message).join("; ") || "the search failed"));
    byId("settings-link").hidden = !(await settings.load(deniedToOwner(), failed));
  } catch (error) {
    failed(error);
  }
}

/** Shows the view that the address names. */
function route() {
  const links = [...byId("views").querySelectorAll("a")];
  const wanted = links.find((link) => link.hash === location.hash && !link.hidden);
  if (!wanted && location.hash === "#main") return;
  const chosen = wanted ?? links[0];
  document.body.dataset.view = chosen.hash.slice(1);
  for (const link of links) {
    byId(`view-${link.hash.slice(1)}`).hidden = link !== chosen;
    if (link === chosen) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

/** A download that was to be installed, if the page was loaded anew meanwhile. */
async function takeUpFlow() {
  const waiting = flow.get();
  if (!waiting) return;
  try {
    await get(`/jobs/${waiting.install}`);
    flow.end();
  } catch {
    // Not begun yet: the download, ended or not, leads to it.
    followJob(waiting.download);
  }
}

async function start() {
  try {
    if (!(await openSession())) throw new NoSession({ detail: "" }, 401);
    await get("/system");
  } catch (error) {
    if (error instanceof NoSession) return failed(error);
    failed(error);
  }
  const act = { install, failed, download: (list) => begin({ operation: "download", updates: ids(list) }), refresh: () => begin({ operation: "search" }) };
  updates.setUp(act);
  history.setUp(act);
  window.addEventListener("hashchange", route);
  byId("views").hidden = false;
  byId("app").hidden = false;
  route();
  await reload();
  await takeUpFlow();
  announce(updates.summary());
  tick();
}

/** Looks now and then for jobs of others; when the agent was away all is read anew. */
async function tick() {
  for (;;) {
    await sleep(away ? 1000 : LOOK);
    if (document.visibilityState !== "visible" || job.running()) continue;
    const wasAway = away;
    away = false;
    try {
      await (wasAway ? reload() : lookAround());
    } catch (error) {
      failed(error);
    }
  }
}

start();
