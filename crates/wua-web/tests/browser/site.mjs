// A practice machine with its agent, a door between agent and page that a test can slam, `wua web`, and a browser.

import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import http from "node:http";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import puppeteer from "puppeteer-core";

const WUA = process.env.WUA;
const SHOTS = process.env.SHOTS;
const CHROMIUM = process.env.CHROMIUM;

export const sleep = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

/** Waits until something holds, at most for half a minute. */
export async function until(what, holds) {
  for (let tries = 0; tries < 600; tries += 1) {
    if (await holds()) return;
    await sleep(50);
  }
  throw new Error(`in vain waited until ${what}`);
}

const ended = (child) => new Promise((done) => (child.exitCode ?? child.signalCode) !== null ? done() : child.once("exit", done));

export class Site {
  constructor() {
    this.folder = mkdtempSync(join(tmpdir(), "wua-web-"));
    this.root = join(this.folder, "machine");
    this.open = new Set();
    /** What waits to be passed on, where the streams of events are held. */
    this.held = null;
  }

  /** `faults` and `updates` as of `wua sandbox create`; `doors` are the sockets that the page finds; `answers` are resources that the
      door answers itself, or changes: `(document) => document`. */
  static async make({ faults = [], updates = 4, smallBatches = false, doors = ["control.sock", "read.sock"], answers = {} } = {}) {
    const site = new Site();
    const words = faults.length ? ["--with", faults.join(",")] : [];
    execFileSync(WUA, ["sandbox", "create", site.root, "--updates", String(updates), ...words], { stdio: "ignore" });
    mkdirSync(join(site.root, "etc/wua"), { recursive: true });
    // Nothing is done by itself, so that every job is the story's.
    const batches = smallBatches ? "[install]\nlongest_batch_seconds = 0\n" : "";
    writeFileSync(join(site.root, "etc/wua/wua.toml"), `${batches}[automatic]\nlevel = "off"\n`);
    await site.startAgent();
    mkdirSync(join(site.folder, "doors"));
    site.servers = await Promise.all(doors.map((door) => site.#door(door, answers)));
    await site.startWeb();
    return site;
  }

  async startAgent() {
    this.agent = spawn(WUA, ["--root", this.root, "agent", "run", "--sockets", join(this.folder, "sockets")], { stdio: "ignore" });
    const answers = () =>
      new Promise((done) => {
        const socket = net.connect(join(this.folder, "sockets/read.sock"));
        socket.on("connect", () => done(true)).on("error", () => done(false));
        socket.on("connect", () => socket.destroy());
      });
    await until("the agent listens", answers);
  }

  async killAgent() {
    this.agent.kill("SIGKILL");
    await ended(this.agent);
  }

  async startWeb() {
    this.web = spawn(WUA, ["web", "--sockets", join(this.folder, "doors")], { stdio: ["ignore", "pipe", "inherit"] });
    let said = "";
    this.web.stdout.on("data", (text) => (said += text));
    await until("wua web prints its address", () => said.includes("\n"));
    this.url = said.trim();
  }

  /** One socket of the agent's, passed on request by request. */
  #door(name, answers) {
    const server = http.createServer((request, response) => {
      const answer = answers[request.url];
      if (answer?.constructor === Object) return this.#own(answer, request, response);
      if (this.held && request.url.endsWith("/events")) this.held.push(() => pass(request, response, answer));
      else pass(request, response, answer);
    });
    const pass = (request, response, answer) => {
      const passed = http.request({
        socketPath: join(this.folder, "sockets", name), path: request.url, method: request.method, headers: request.headers, agent: false,
      });
      passed.on("error", () => response.destroy());
      passed.on("response", (from) => {
        if (!answer) {
          response.writeHead(from.statusCode, from.headers);
          from.on("error", () => response.destroy());
          from.on("aborted", () => response.destroy());
          from.pipe(response);
          return;
        }
        const parts = [];
        from.on("data", (part) => parts.push(part));
        from.on("end", () => {
          response.writeHead(from.statusCode, { "content-type": "application/json" });
          response.end(JSON.stringify(answer(JSON.parse(Buffer.concat(parts)))));
        });
      });
      response.on("close", () => passed.destroy());
      request.pipe(passed);
    };
    server.on("connection", (socket) => {
      this.open.add(socket);
      socket.on("close", () => this.open.delete(socket));
    });
    return new Promise((done) => server.listen(join(this.folder, "doors", name), () => done(server)));
  }

  /** A resource of the test's own: by method, a function of the document that was sent. */
  #own(answer, request, response) {
    let text = "";
    request.on("data", (part) => (text += part));
    request.on("end", () => {
      response.writeHead(200, { "content-type": "application/json" });
      response.end(JSON.stringify(answer[request.method](text && JSON.parse(text))));
    });
  }

  /** Keeps events back until `release`. */
  hold() {
    this.held = [];
  }

  release() {
    const held = this.held;
    this.held = null;
    for (const pass of held) pass();
  }

  /** Cuts every connection between page and agent. */
  cut() {
    for (const socket of this.open) socket.destroy();
  }

  /** While the gate is closed, the update of the fault `slow` waits in its script. */
  closeGate() {
    writeFileSync(join(this.root, "etc/wua/slow-gate"), "");
  }

  openGate() {
    rmSync(join(this.root, "etc/wua/slow-gate"), { force: true });
  }

  async close() {
    this.openGate();
    for (const server of this.servers ?? []) server.close();
    this.cut();
    for (const child of [this.web, this.agent]) {
      child?.kill("SIGTERM");
      if (child) await ended(child);
    }
    await until("the last job has written its last word", () => {
      try {
        rmSync(this.folder, { recursive: true, force: true });
        return true;
      } catch {
        return false;
      }
    });
  }
}

export const launch = () =>
  puppeteer.launch({ executablePath: CHROMIUM, args: ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"] });

/** A page of a browser context of its own. Whatever it complains of, it fails the test: see `complaints`. */
export async function visit(browser, site, { width = 1100, height = 800, scheme = "light", url = site.url } = {}) {
  const context = await browser.createBrowserContext();
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  page.complaints = [];
  page.on("pageerror", (error) => page.complaints.push(String(error)));
  page.on("console", (message) => {
    // That the agent is away is part of some stories, and of all without settings.
    if (message.type() === "error" && !message.text().startsWith("Failed to load resource")) page.complaints.push(message.text());
  });
  await page.setViewport({ width, height });
  await page.emulateMediaFeatures([
    { name: "prefers-color-scheme", value: scheme },
    { name: "prefers-reduced-motion", value: "reduce" },
  ]);
  await page.goto(url);
  return page;
}

/** Keeps a picture for people to look at. */
export async function shoot(page, name, fullPage = false) {
  mkdirSync(SHOTS, { recursive: true });
  await page.screenshot({ path: join(SHOTS, `${name}.png`), fullPage });
}

export const textOf = (page, selector) => page.$eval(selector, (element) => element.innerText);
export const see = (page, selector, text) =>
  page.waitForFunction((selector, text) => document.querySelector(selector)?.innerText.includes(text), {}, selector, text);
export const isThere = (page, selector) => page.waitForSelector(selector, { visible: true });
