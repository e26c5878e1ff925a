// What people do on the page, in a real browser, on practice machines.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";
import { Site, isThere, launch, see, shoot, textOf, until, visit } from "./site.mjs";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

let browser;
before(async () => (browser = await launch()));
after(() => browser.close());

/** A test with a machine of its own. */
const story = (name, options, run) =>
  test(name, { timeout: 120_000 }, async () => {
    const site = await Site.make(options);
    try {
      await run(site);
    } finally {
      await site.close();
    }
  });

const listed = (page) => page.$$eval("#updates > .row:not([hidden])", (rows) => rows.length);
const click = (page, selector) => page.$eval(selector, (element) => element.click());
const buttonIn = (page, place, words) =>
  page.evaluate((place, words) => {
    const button = [...document.querySelectorAll(`${place} button`)].find((one) => one.innerText.startsWith(words));
    button.click();
  }, place, words);

/** From the list to a running install. */
async function install(page) {
  await isThere(page, "#install:enabled");
  await click(page, "#install");
  await isThere(page, "#plan[open] .primary:enabled");
  await click(page, "#plan .primary");
}

const atGate = (page) => see(page, "#job .waiting", "Waiting for");
const finished = (page, words) => see(page, "#job h2", words);

function done(page) {
  assert.deepEqual(page.complaints, []);
  return page.browserContext().close();
}

/** Nothing wrong for those who do not see, and nothing beyond the right edge. */
async function check(page, name) {
  const found = await page.evaluate(`${AXE}; axe.run(document, { resultTypes: ["violations"] })`);
  const faults = found.violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map(({ target }) => target).join(" ")}`);
  assert.deepEqual(faults, [], name);
  const { wide, room } = await page.evaluate(() => ({ wide: document.documentElement.scrollWidth, room: innerWidth }));
  assert.ok(wide <= room, `${name}: ${wide} px wide in a window of ${room}`);
  await shoot(page, name);
}

story("what is available can be filtered, selected, excluded and looked into", { updates: 8 }, async (site) => {
  const page = await visit(browser, site);
  await isThere(page, "#updates > .row");
  assert.equal(await page.evaluate(() => location.hash), "", "the code is gone from the address");
  assert.equal(await listed(page), 8);
  await page.type("#filter", "pixelry-v");
  await until("the filter works", async () => (await listed(page)) === 1);
  assert.match(await textOf(page, "#shown"), /1 of 8 shown/);
  await page.$eval("#filter", (field) => {
    field.value = "";
    field.dispatchEvent(new Event("input"));
  });
  const security = await page.$$eval("#category option", (options) => options.find(({ text }) => text === "Security Updates").value);
  await page.select("#category", security);
  assert.ok((await listed(page)) < 8);
  await page.select("#category", "");

  await click(page, "#select-all");
  assert.match(await textOf(page, "#selection"), /0 of 8 selected/);
  assert.ok(await page.$eval("#install", (button) => button.disabled));
  await buttonIn(page, "#updates > .row", "Exclude");
  await click(page, "#select-all");
  assert.match(await textOf(page, "#selection"), /7 of 8 selected/);

  await buttonIn(page, "#updates > .row", "Details");
  await see(page, "#updates .panel:not([hidden])", "Packages");
  await shoot(page, "details");
  await click(page, "#install");
  await isThere(page, "#plan[open]");
  await see(page, "#plan", "Plan: 7 updates");
  await buttonIn(page, "#plan", "Cancel");
  assert.equal(await page.$("#plan[open]"), null);

  await click(page, "#download");
  await finished(page, "Downloaded: done");
  await isThere(page, "#updates .badge.good");
  await page.type("#filter", "postbird");
  await buttonIn(page, "#updates > .row:not([hidden])", "Details");
  await isThere(page, "#updates pre[aria-label^='Changelog of postbird']");
  await shoot(page, "changelog");
  await done(page);
});

story("an install whose update fails is explained, and everything else is done", { faults: ["failing-postinst"] }, async (site) => {
  const page = await visit(browser, site);
  await install(page);
  await finished(page, "Installed: done with errors");
  await see(page, "#job .note.bad", "post-installation script");
  await see(page, "#job .note.bad", "WU_E_UH_INSTALLERFAILURE");
  await see(page, "#job .note.bad", "Next step");
  await shoot(page, "failed");
  await click(page, "a[href='#history']");
  await see(page, "#history", "failed");
  await page.$eval("#history details", (details) => (details.open = true));
  await see(page, "#history", "WU_E_UH_INSTALLERFAILURE");
  await shoot(page, "history");
  await click(page, "a[href='#updates']");
  await buttonIn(page, "#job", "Repair");
  await finished(page, "Repaired");
  await done(page);
});

story("a job is stopped at the next safe point", { faults: ["slow"], smallBatches: true }, async (site) => {
  site.closeGate();
  const page = await visit(browser, site);
  await install(page);
  await atGate(page);
  assert.match(await textOf(page, "#job .safe"), /Keep the machine on/);
  await shoot(page, "waiting");
  await isThere(page, "#job .buttons button:enabled");
  await buttonIn(page, "#job", "Stop");
  await see(page, "#abort-reason", "Asked to stop");
  site.openGate();
  await finished(page, "Installed: stopped");
  await done(page);
});

story("a cut connection and a reloaded page come back to the same job", { faults: ["slow"] }, async (site) => {
  site.closeGate();
  const page = await visit(browser, site);
  await install(page);
  await atGate(page);
  site.cut();
  await see(page, "#connection", "trying again");
  await page.waitForFunction(() => document.querySelector("#connection").innerText === "");
  await atGate(page);
  await page.reload();
  await atGate(page);
  site.openGate();
  await finished(page, "Installed: done");
  await done(page);
});

story("an agent that is killed and restarted in mid-job loses nothing", { faults: ["slow"] }, async (site) => {
  site.closeGate();
  const page = await visit(browser, site);
  await install(page);
  await atGate(page);
  await site.killAgent();
  await see(page, "#connection", "No answer");
  site.openGate();
  await site.startAgent();
  await finished(page, "Installed: done");
  assert.equal(await textOf(page, "#connection"), "");
  await done(page);
});

story("a page that is reloaded while it downloads goes on to the install", { updates: 2 }, async (site) => {
  const page = await visit(browser, site);
  site.hold();
  await install(page);
  await until("the download has begun", () => site.held.length > 0);
  await page.reload();
  await isThere(page, "#updates > .row");
  site.release();
  await finished(page, "Installed: done");
  await done(page);
});

story("a page that is opened before the agent is there waits for it", { updates: 2 }, async (site) => {
  await site.killAgent();
  const page = await visit(browser, site);
  await see(page, "#connection", "No answer");
  await site.startAgent();
  await isThere(page, "#updates > .row");
  assert.equal(await textOf(page, "#connection"), "");
  await done(page);
});

story("a page that is opened while somebody else's job runs shows it", { faults: ["slow"] }, async (site) => {
  site.closeGate();
  const first = await visit(browser, site);
  await install(first);
  await atGate(first);
  await done(first);
  const other = site.web;
  await site.startWeb();
  const page = await visit(browser, site);
  await atGate(page);
  assert.ok(await page.$eval("#install", (button) => button.disabled));
  other.kill("SIGTERM");
  site.openGate();
  await finished(page, "Installed: done");
  await done(page);
});

story("all of it works by keyboard", { faults: ["failing-postinst"] }, async (site) => {
  const page = await visit(browser, site);
  await isThere(page, "#updates > .row");
  const { keyboard } = page;
  const focused = () => page.evaluate(() => `${document.activeElement.id} ${document.activeElement.innerText}`);
  /** Tabs on to where `words` stand, and sees each stop. */
  const tabTo = async (words) => {
    for (let stops = 0; stops < 60; stops += 1) {
      await keyboard.press("Tab");
      const seen = await page.evaluate(() => {
        const box = document.activeElement.getBoundingClientRect();
        return document.activeElement === document.body || (getComputedStyle(document.activeElement).outlineStyle !== "none" && box.width > 0);
      });
      assert.ok(seen, `the focus is seen at ${await focused()}`);
      if ((await focused()).includes(words)) return;
    }
    assert.fail(`no way to ${words}`);
  };
  await tabTo("Skip to the content");
  await keyboard.press("Enter");
  await tabTo("filter ");
  await keyboard.type("tidewatch");
  await until("the filter works", async () => (await listed(page)) === 1);
  await tabTo("Details");
  await shoot(page, "keyboard");
  await keyboard.press("Enter");
  await see(page, "#updates .panel:not([hidden])", "Packages");
  await tabTo("install ");
  await keyboard.press("Enter");
  await isThere(page, "#plan[open] .primary:enabled");
  await keyboard.press("Escape");
  await page.waitForFunction(() => !document.querySelector("#plan").open);
  assert.match(await focused(), /^install /, "a closed dialog gives the focus back");
  await keyboard.press("Enter");
  await isThere(page, "#plan[open] .primary:enabled");
  await keyboard.press("Enter");
  await finished(page, "Installed: done with errors");
  await tabTo("Skip to the content");
  await tabTo("History");
  await keyboard.press("Enter");
  await see(page, "#history", "failed");
  await done(page);
});

const SETTINGS = () => {
  const settings = [
    { key: "level", value: "tell", origin: "default" },
    { key: "windows", value: ["Mon-Fri 02:00-05:00"], origin: "/etc/wua/wua.toml" },
    { key: "restart", value: "never", origin: "default" },
  ];
  return {
    GET: () => ({ settings, next: { what: "Look for updates", why: "the level is tell", at: "2026-12-01T02:17:00Z" } }),
    PATCH(wish) {
      Object.assign(settings[0], wish.level ? { value: wish.level, origin: "set by root" } : { value: "tell", origin: "default" });
      return null;
    },
  };
};

story("settings are read, changed, and put back", { updates: 1, answers: { "/settings": SETTINGS() } }, async (site) => {
  const page = await visit(browser, site);
  await isThere(page, "#settings-link");
  await click(page, "#settings-link");
  await see(page, "#settings", "Mon-Fri 02:00-05:00");
  await see(page, "#settings-next", "Look for updates");
  await page.select("#setting-level", "install");
  await see(page, "#settings", "set by root");
  assert.equal(await page.$eval("#setting-level", (select) => select.value), "install");
  await buttonIn(page, "#settings", "Back to the default");
  await page.waitForFunction(() => document.querySelector("#setting-level").value === "tell");
  await check(page, "settings");
  await done(page);
});

story("who may look only is told so, and can look", { updates: 2, doors: ["read.sock"] }, async (site) => {
  const page = await visit(browser, site);
  await see(page, "#notices", "You may look only");
  await isThere(page, "#install:enabled");
  assert.ok(await page.$eval("#refresh", (button) => button.disabled));
  await click(page, "#install");
  await see(page, "#plan", "You may look only");
  assert.ok(await page.$eval("#plan .primary", (button) => button.disabled));
  await check(page, "reader");
  await done(page);
});

const NASTY = "<img src=x onerror=\"document.title='gotcha'\"><script>document.title='gotcha'</script>";
const nasty = (found) => {
  Object.assign(found.updates[0], { title: NASTY, description: "x".repeat(500), support_url: "javascript:document.title='gotcha'" });
  return found;
};

story("what a machine says is text, however it looks", { updates: 2, answers: { "/updates": nasty } }, async (site) => {
  const page = await visit(browser, site, { width: 360 });
  await see(page, "#updates", NASTY);
  assert.equal(await page.$("main img"), null);
  assert.equal(await page.title(), "Updates");
  await check(page, "nasty");
  await done(page);
});

story("the code opens the page once, and what was refused says how to go on", { updates: 1 }, async (site) => {
  const page = await visit(browser, site);
  await isThere(page, "#updates > .row");
  const second = await visit(browser, site);
  await see(second, "#no-session", "used before");
  await check(second, "no-session");
  await done(second);
  await page.reload();
  await isThere(page, "#updates > .row");
  await page.evaluate(() => sessionStorage.setItem("wua.token", "0".repeat(64)));
  await page.reload();
  await see(page, "#no-session", "Run wua web again");
  await done(page);
});

const EYES = [["light", 1100], ["dark", 1100], ["light", 360], ["dark", 360]];

/** Opens the page once and looks at it in all lights and widths. */
async function checkAll(page, name) {
  for (const [scheme, width] of EYES) {
    await page.setViewport({ width, height: 800 });
    await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
    await check(page, `${name}-${scheme}-${width}`);
  }
}

story("a hundred updates are fit for all, in the list and in the plan", { updates: 100, faults: ["missing-dependency"] }, async (site) => {
  const page = await visit(browser, site);
  await isThere(page, "#updates > .row");
  await checkAll(page, "available");
  await buttonIn(page, "#updates > .row", "Details");
  await see(page, "#updates .panel:not([hidden])", "Packages");
  await buttonIn(page, "#updates > .row:nth-child(3)", "Exclude");
  await page.$eval("#kept-back", (details) => (details.open = true));
  await checkAll(page, "details");
  await click(page, "#install");
  await isThere(page, "#plan[open] .primary:enabled");
  await checkAll(page, "plan");
  await done(page);
});

const TROUBLE = { updates: 8, faults: ["slow", "failing-postinst", "conffile", "reboot"] };

story("a job, its end and the history are fit for all", TROUBLE, async (site) => {
  site.closeGate();
  const page = await visit(browser, site);
  await install(page);
  await atGate(page);
  await checkAll(page, "running");
  site.openGate();
  await finished(page, "Installed: done with errors");
  await see(page, "#job .note.bad", "Next step");
  await see(page, "#notices", "must be restarted");
  await checkAll(page, "ended");
  await click(page, "a[href='#history']");
  await see(page, "#history", "failed");
  await page.$eval("#history details", (details) => (details.open = true));
  await see(page, "#history", "Next step");
  await checkAll(page, "history");
  await done(page);
});
