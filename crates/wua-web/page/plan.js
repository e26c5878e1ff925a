// The plan before it runs: what exactly would change, for the user's word.

import { byId, bytes, count, make, prose, result, unseen } from "./dom.js";

/** Shows a plan, and answers whether it is to be carried out. `note` says why it is shown, `denied` why it cannot be. */
export function confirmPlan(document, { note, denied, download }) {
  const { plan, known, kept_back: keptBack } = document;
  const changes = plan.updates.flatMap((update) => update.changes.map((change) => ({ ...change, update: update.title })));
  const removed = changes.filter(({ to }) => to === null);
  const added = changes.filter(({ from }) => from === null);
  const unpacked = plan.updates.reduce((sum, update) => sum + update.unpacked_bytes, 0);
  const facts = [
    count(changes.length, "package"),
    added.length > 0 && `${added.length} new`,
    removed.length > 0 && `${removed.length} removed`,
    download > 0 && `${bytes(download)} to download`,
    `${bytes(unpacked)} to unpack`,
  ];
  const refusal = denied || (changes.length === 0 && "There is nothing to do.");
  const install = make("button", { type: "button", class: "primary", value: "go" }, download > 0 ? "Download and install" : "Install");
  const cancel = make("button", { type: "button" }, "Cancel");
  install.disabled = Boolean(refusal);

  const dialog = byId("plan");
  dialog.replaceChildren(
    make("h2", { id: "plan-heading" }, `Plan: ${count(plan.updates.length, "update")}`),
    ...(note ? [make("p", { class: "notice warn" }, note)] : []),
    ...(removed.length > 0 ? [make("p", { class: "notice bad" }, `It removes ${removed.map(({ name }) => name).join(", ")}.`)] : []),
    make("p", {}, facts.filter(Boolean).join(", ")),
    make(
      "div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "What changes" },
      changes.length > 0 && tableOf(changes),
      known.length > 0 && listOf("Known without any work", known.map((one) => knownOf(plan, one))),
      keptBack.length > 0 && listOf("Kept back", keptBack.map((one) => [make("strong", {}, one.title), " — ", ...prose(one.reason)])),
    ),
    make("p", { class: "muted" }, "Exactly this is installed, or nothing. Plan ", make("code", {}, document.hash.slice(0, 12)), "."),
    ...(refusal ? [make("p", { class: "reason" }, refusal)] : []),
    make("div", { class: "buttons" }, cancel, install),
  );

  return new Promise((answer) => {
    const close = (go) => () => dialog.close(go ? "go" : "");
    install.addEventListener("click", close(true));
    cancel.addEventListener("click", close(false));
    dialog.returnValue = "";
    dialog.addEventListener("close", () => answer(dialog.returnValue === "go"), { once: true });
    dialog.showModal();
    (refusal ? cancel : install).focus();
  });
}

function tableOf(changes) {
  const line = ({ name, architecture, from, to }) =>
    make(
      "tr", { class: to === null ? "bad" : null },
      make("th", { scope: "row" }, name, make("span", { class: "muted" }, `:${architecture}`)),
      make("td", {}, make("span", {}, from ?? "new"), " → ", make("span", {}, to ?? "removed")),
    );
  return make(
    "table", {},
    make("thead", {}, make("tr", {}, ...["Package", "Change"].map((name) => make("th", { scope: "col" }, name)))),
    make("tbody", {}, changes.map(line)),
  );
}

function knownOf(plan, { index, result_code: code, message }) {
  const title = plan.updates[index]?.title ?? `update ${index + 1}`;
  return [make("strong", {}, title), " ", result(code), ...(message ? [" — ", ...prose(message)] : [])];
}

const listOf = (heading, items) => [
  make("h3", {}, heading, unseen(":")),
  make("ul", { class: "plain" }, items.map((item) => make("li", {}, ...item))),
];
