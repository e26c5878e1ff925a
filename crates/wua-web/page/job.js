// A job while it runs, and how it ended.

import { call, explain, follow } from "./agent.js";
import { RESULTS, allow, announce, byId, bytes, count, duration, make, prose, result, say } from "./dom.js";

const DOING = {
  search: "Looking for new updates",
  download: "Downloading",
  install: "Installing",
  uninstall: "Taking back",
  repair: "Repairing",
};

const DONE = { search: "Looked for new updates", download: "Downloaded", install: "Installed", uninstall: "Taken back", repair: "Repaired" };

const PHASES = { triggers: "running triggers", finishing: "checking results", saving: "keeping the installed versions" };

let current = null;

/** The job that is shown and has not ended. */
export const running = () => (current && !current.job.outcome ? current.job.job : null);

/** Follows a job on the page, to its end. `act` has `denied` (why the user may not stop jobs, if so), `note` (what comes after it),
    `connected(yes)`, `repair()`, and `focus`, whether the user began it here. Returns how the job stands at its end; none where another one took its place. */
export async function show(id, act) {
  current?.stop.abort();
  const mine = (current = { job: { job: id }, percents: new Map(), rows: [], stop: new AbortController(), act });
  const heard = (name, data) => {
    act.connected(true);
    hear(mine, name, data);
  };
  try {
    await follow(id, { signal: mine.stop.signal, lost: () => act.connected(false), heard });
  } catch (error) {
    if (current === mine) current = null;
    throw error;
  }
  return current === mine ? mine.job : null;
}

function hear(mine, name, data) {
  const { job } = mine;
  if (name === "snapshot") {
    mine.job = data;
    mine.problem = null;
    lay(mine);
  } else if (name === "progress") job.progress = data;
  else if (name === "update_finished") {
    job.results[data.index] = data;
    if (data.result_code === 4) announce(`${job.updates[data.index].title} failed.`);
  } else if (name === "warning") job.warnings.push(data);
  else if (name === "completed") job.outcome = data;
  else if (name === "problem") job.outcome = { result_code: 4, hresult: data.hresult, message: data.detail };
  if (!job.updates) return;
  const { current_update_index: index, current_update_percent_complete: percent } = job.progress;
  mine.percents.set(index, percent);
  if (job.outcome) end(mine);
  else tell(mine);
}

/** Lays out a job anew: what changes later has its element. */
function lay(mine) {
  const { job, act } = mine;
  const part = (mine.parts = {
    bar: make("progress", { max: "100", "aria-label": "The whole job" }),
    percent: make("span", { class: "percent" }),
    now: make("p", { class: "now" }),
    waiting: make("p", { class: "waiting", hidden: true }),
    safe: make("p", { class: "safe" }),
    abort: make("button", { type: "button", "aria-describedby": "abort-reason" }, "Stop"),
    reason: make("span", { id: "abort-reason", class: "muted" }),
    tally: make("span", {}),
    warnings: make("ul", { class: "plain" }),
  });
  part.abort.addEventListener("click", () => abort(mine));
  mine.rows = job.updates.map(({ title }, index) => {
    const state = make("span", { class: "state" });
    const bar = make("progress", { max: "100", "aria-label": title, hidden: true });
    return { index, state, bar, code: -1, element: make("li", {}, make("span", { class: "title" }, title), bar, state) };
  });
  const heading = `${DOING[job.operation]}${job.updates.length ? ` ${count(job.updates.length, "update")}` : ""}`;
  const panel = byId("job");
  panel.hidden = false;
  panel.className = "card";
  panel.replaceChildren(
    make("h2", { id: "job-heading" }, heading),
    make("div", { class: "whole" }, part.bar, part.percent),
    part.now, part.waiting, part.safe,
    make("div", { class: "buttons" }, part.abort, part.reason),
    ...(act.note ? [make("p", { class: "muted" }, act.note)] : []),
    part.warnings,
    ...steps(mine, part.tally, true),
  );
  if (!job.outcome) announce(`${heading}.`);
  // What the user pressed is switched off now.
  if (act.focus) panel.focus();
  act.focus = false;
}

/** The list of all updates, where there are any. It scrolls, so the keyboard has to reach it. */
function steps(mine, summary, open) {
  if (mine.rows.length === 0) return [];
  const list = make("ul", { class: "steps" }, mine.rows.map((row) => row.element));
  const area = make("div", { class: "steps-area", tabindex: "0", role: "region", "aria-label": "Every update" }, list);
  return [make("details", { open }, make("summary", {}, summary), area)];
}

/** What is being done now. */
function tell(mine) {
  const { job, parts, act } = mine;
  const now = job.progress;
  parts.bar.value = now.percent_complete;
  say(parts.percent, `${now.percent_complete} %`);
  document.title = `${now.percent_complete} % – Updates`;
  // An update that is final is not what is being worked on, even where nothing else has been named yet.
  const title = now.result_code < 2 ? job.updates[now.current_update_index]?.title : "";
  const words = [PHASES[now.phase] ?? now.phase, now.phase === "starting" || !title ? "" : ` ${title}`];
  if (now.total_bytes_to_download > 0) words.push(`, ${bytes(now.total_bytes_downloaded)} of ${bytes(now.total_bytes_to_download)}`);
  words.push(left(now));
  say(parts.now, capital(words.join("")));
  parts.waiting.hidden = !now.waiting_for;
  if (now.waiting_for) {
    say(parts.waiting, waiting(now.waiting_for));
    announce(`Waiting for ${now.waiting_for.what}.`, false);
  } else announce(`${now.percent_complete} percent${title ? `, ${title}` : ""}.`, false);
  parts.safe.className = now.safe_to_power_off ? "safe" : "safe warn";
  say(parts.safe, now.safe_to_power_off ? "The machine would be whole if power failed now." : "Keep the machine on: packages are being changed.");
  if (!mine.asked) {
    const reason = act.denied || (!now.can_abort && "What has begun is finished first.");
    allow(parts.abort, reason);
    say(parts.reason, reason || "");
  }
  rows(mine);
  warn(mine);
}

function left({ remaining_seconds: seconds, remaining_low: low, remaining_high: high }) {
  if (seconds === null || seconds < 1) return "";
  const band = low !== null && high !== null && duration(low) !== duration(high) ? ` (${duration(low)} to ${duration(high)})` : "";
  return ` — about ${duration(seconds)} left${band}`;
}

function waiting({ what, since, holder, detail }) {
  const seconds = Math.max(0, Date.now() - new Date(since)) / 1000;
  const who = holder ? `, ${detail ? "the" : "held by"} ${holder}` : "";
  return `Waiting for ${what}${who}, since ${duration(seconds)}${detail ? `; it last said: ${detail}` : ""}`;
}

const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

function rows(mine) {
  const { job } = mine;
  const isRunning = !job.outcome;
  for (const row of mine.rows) {
    const { result_code: final } = job.results[row.index];
    const percent = mine.percents.get(row.index) ?? 0;
    const isCurrent = isRunning && row.index === job.progress.current_update_index && job.progress.phase !== "starting";
    const code = final >= 2 ? final : isRunning && (isCurrent || percent > 0) ? 1 : final;
    row.bar.hidden = code !== 1;
    row.bar.value = percent;
    row.element.classList.toggle("current", isCurrent && code === 1);
    if (code !== row.code) {
      row.code = code;
      row.state.replaceChildren(result(code));
    }
  }
  const tally = RESULTS.map(({ word }, code) => [mine.rows.filter((row) => row.code === code).length, word]);
  say(mine.parts.tally, tally.filter(([number]) => number > 0).map(([number, word]) => `${number} ${word}`).join(", "));
}

function warn({ job, parts }) {
  while (parts.warnings.childElementCount < job.warnings.length) {
    const warning = job.warnings[parts.warnings.childElementCount];
    parts.warnings.append(make("li", { class: "notice warn" }, ...prose(warning.message)));
  }
}

async function abort(mine) {
  const { parts, job } = mine;
  mine.asked = true;
  allow(parts.abort, "asked");
  say(parts.reason, "Asked to stop; what has begun is finished first.");
  announce("Asked to stop.");
  try {
    await call("POST", `/jobs/${job.job}/abort`);
  } catch (error) {
    mine.asked = false;
    allow(parts.abort, "");
    say(parts.reason, error.message);
    announce(error.message);
  }
}

/** How it ended, what failed first. */
function end(mine) {
  const { job, act, parts } = mine;
  const { outcome } = job;
  document.title = "Updates";
  rows(mine);
  const tone = RESULTS[outcome.result_code]?.tone ?? "warn";
  const notes = job.updates.map((update, index) => ({ update, result: job.results[index] })).filter(({ result }) => isTold(result));
  const needsRepair = job.operation !== "download" && notes.some(({ result }) => result.result_code === 4);
  const panel = byId("job");
  const hadFocus = panel.contains(document.activeElement);
  const close = make("button", { type: "button" }, "Close");
  close.addEventListener("click", () => {
    panel.hidden = true;
    byId("main").focus();
  });
  const repair = make("button", { type: "button" }, "Repair");
  allow(repair, act.denied);
  repair.addEventListener("click", () => act.repair());
  const heading = `${DONE[job.operation]}: ${RESULTS[outcome.result_code]?.word ?? outcome.result_code}`;
  panel.className = `card ended ${tone}`;
  panel.replaceChildren(
    make("h2", { id: "job-heading" }, heading),
    ...(job.updates.length ? [make("p", {}, parts.tally)] : []),
    ...(outcome.message ? [make("p", {}, ...prose(outcome.message))] : []),
    parts.warnings,
    make("ul", { class: "results" }, notes.map(({ update, result: one }) => noteOf(update.title, one))),
    ...(notes.length === 0 && outcome.result_code >= 3 && outcome.result_code !== 5 ? [explanation(outcome.hresult)] : []),
    ...steps(mine, "All results", false),
    make("div", { class: "buttons" }, close, ...(needsRepair ? [repair] : [])),
  );
  warn(mine);
  if (hadFocus) panel.focus();
  announce(`${heading}. ${parts.tally.textContent}.`);
}

const isTold = (result) => result.result_code === 4 || result.result_code === 3 || result.message !== "" || result.kept_configuration.length > 0;

/** One result with all that is known of it; below its title, if there is one. */
export function noteOf(title, one) {
  const kept = one.kept_configuration;
  return make(
    "li", { class: `note ${RESULTS[one.result_code]?.tone ?? ""}` },
    title && make("p", {}, make("strong", {}, title), " ", result(one.result_code)),
    one.message && make("p", { class: "message" }, prose(one.message)),
    kept.length > 0 && make("p", {}, `Your own version was kept of: ${kept.join(", ")}. The new one lies beside it.`),
    one.hresult !== "0x00000000" && explanation(one.hresult),
  );
}

/** What a code means and what to do, as soon as it is known. */
export function explanation(code) {
  const place = make("dl", { class: "facts" }, make("dt", {}, "Code"), make("dd", {}, make("code", {}, code)));
  explain(code).then(
    ({ name, meaning, cause, next_step: next }) => {
      place.lastChild.append(` ${name}: ${meaning}`);
      if (cause) place.append(make("dt", {}, "Cause"), make("dd", {}, prose(cause)));
      if (next) place.append(make("dt", {}, "Next step"), make("dd", {}, prose(next)));
    },
    // The code alone stands there already.
    () => {},
  );
  return place;
}
