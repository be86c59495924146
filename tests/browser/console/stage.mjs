// What the parts of the console's walk share: the browser and its pages, the platform's API, what every page is looked
// at for, and agents of the walk's own.
//
// FLEETWIRE_TEST_URL is the platform's own address, FLEETWIRE_TEST_KEY its administrator's API key.
// FLEETWIRE_TEST_PLATFORM is its address for agents, FLEETWIRE_TEST_AGENT the agent's program, FLEETWIRE_TEST_DEVICE a
//   device's address, FLEETWIRE_TEST_FOLDER a folder for what the walk makes.
// FLEETWIRE_TEST_PICTURES, when set, is a folder for pictures of each page, at a desk's width and a phone's.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHmac } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { delimiter, dirname, join } from "node:path";
import { PATIENCE_MS, launch } from "../driver.mjs";

export const URL_BASE = process.env.FLEETWIRE_TEST_URL;
export const PLATFORM = process.env.FLEETWIRE_TEST_PLATFORM;
export const DEVICE = process.env.FLEETWIRE_TEST_DEVICE;
export const FOLDER = process.env.FLEETWIRE_TEST_FOLDER;
export const HOST = "kvm-1";
export const PASSWORD = "a long enough password";
/** What no terminal and no page may take for more than text. */
export const HOSTILE = "<img src=x onerror=document.title=1> \u202egnp.exe";
/** The same as a page shows it. */
export const SHOWN = "<img src=x onerror=document.title=1> \u27e8202E\u27e9gnp.exe";

const KEY = process.env.FLEETWIRE_TEST_KEY;
const PICTURES = process.env.FLEETWIRE_TEST_PICTURES;
const DESK = { width: 1440, height: 900 };
const PHONE = { width: 390, height: 844 };
export const options = { timeout: 6 * PATIENCE_MS };

const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
/** What pages said that no page may: errors, and refusals by the content policy. */
export const faults = [];

const launched = await launch();
export const { browser, context, page } = launched;
// Less than whoever waits for this walk's word does: what did not come is then said.
const WAIT_MS = (PATIENCE_MS * 2) / 3;
context.setDefaultTimeout(WAIT_MS);
await page.setViewportSize(DESK);
watched(page);

export function watched(page) {
  page.on("console", (message) => {
    // That an answer was a refusal is said of each, also of those that a test asks for.
    if (message.type() === "error" && !/^Failed to load resource/.test(message.text())) faults.push(message.text());
  });
  page.on("pageerror", (error) => faults.push(error.message));
  return page;
}

/** A page of somebody else's. */
export async function another() {
  const other = await browser.newContext({ ignoreHTTPSErrors: true, viewport: DESK });
  other.setDefaultTimeout(WAIT_MS);
  return watched(await other.newPage());
}

export async function api(method, path, body) {
  const headers = { authorization: `Bearer ${KEY}`, "content-type": "application/json" };
  const answer = await fetch(URL_BASE + path, { method, headers, body: body && JSON.stringify(body) });
  const text = await answer.text();
  assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${text}`);
  return text ? JSON.parse(text) : undefined;
}

/**
 * Looks at the page as it stands, at a desk's width and a phone's, light and dark: no serious fault for those who
 * cannot see or point, nothing wider than it, no button out of sight, and nothing of a device's that is more than text.
 */
export async function inspect(page, name) {
  await page.locator(".spinner").first().waitFor({ state: "detached" });
  assert.equal(await page.getByText("This could not be loaded").count(), 0, `${name}: something is missing`);
  // Not as a script of the page, which its policy would refuse.
  await page.evaluate(axe);
  for (const [wide, size] of [["", DESK], ["-phone", PHONE]]) {
    await page.setViewportSize(size);
    for (const scheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
      const shown = `${name}${wide}${scheme === "dark" ? "-dark" : ""}`;
      // What is dark differs in its colours alone.
      const only = scheme === "dark" ? { runOnly: ["color-contrast"] } : {};
      const found = await page.evaluate((only) => window.axe.run(document, { resultTypes: ["violations"], ...only }), only);
      const serious = found.violations.filter(({ impact }) => impact === "serious" || impact === "critical");
      const said = serious.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 200)).join(" | ")}`);
      assert.deepEqual(said, [], `${shown}: axe`);
      if (PICTURES) {
        await page.screenshot({ path: join(PICTURES, `${shown}.png`) });
        await page.screenshot({ path: join(PICTURES, `${shown}-whole.png`), fullPage: true });
      }
    }
    const look = await page.evaluate(outOfPlace);
    assert.deepEqual(look, { width: size.width, cut: [], markup: 0, strange: [] }, `${name}${wide}`);
  }
  await page.setViewportSize(DESK);
  await page.emulateMedia({ colorScheme: "light", reducedMotion: "reduce" });
}

/** In the page: what is wider than it, what cannot be pressed, and what came through as more than text. */
function outOfPlace() {
  const { scrollWidth, clientWidth } = document.documentElement;
  const cut = [...document.querySelectorAll("button, a, input, select, textarea")].filter((one) => {
    const { left, right, width } = one.getBoundingClientRect();
    const hidden = !one.checkVisibility() || one.closest(".visually-hidden, .skip") || one.classList.contains("visually-hidden");
    return !hidden && width > 0 && (left < -1 || right > clientWidth + 1);
  });
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
  const strange = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g;
  return {
    width: scrollWidth,
    cut: cut.map(({ outerHTML }) => outerHTML.slice(0, 120)),
    markup: document.querySelectorAll("img[src=x], [onerror]").length,
    strange: (document.body.innerText + document.title).match(strange) ?? [],
  };
}

export async function signIn(page, name, code) {
  await page.goto(URL_BASE);
  await page.fill("input[name=username]", name);
  await page.fill("input[name=password]", PASSWORD);
  await page.click("button[type=submit]");
  if (code) {
    await page.getByRole("heading", { name: "Second factor" }).waitFor();
    await page.fill("input[name=code]", code());
    await page.click("button[type=submit]");
  }
  await page.getByRole("heading", { name: "Overview" }).waitFor();
}

/** Follows a link of the navigation, where a badge may stand behind the name. */
export const go = (name) =>
  page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name: new RegExp(`^${name}($|,|\\s)`) }).click();

/** Follows a link between the pages of alerts. */
export const tab = (name) =>
  page.getByRole("navigation", { name: "Alerts" }).getByRole("link", { name, exact: true }).click();

/** The code that an authenticator app shows (RFC 6238: SHA-1, 30 s, six digits), `steps` of 30 s from now. */
export function totp(secret, steps = 0) {
  const bits = [...secret].map((letter) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(letter).toString(2).padStart(5, "0"));
  const bytes = bits.join("").match(/.{8}/g).map((bits) => Number.parseInt(bits, 2));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000) + steps));
  const hash = createHmac("sha1", Buffer.from(bytes)).update(counter).digest();
  const at = hash[19] & 15;
  return String((hash.readUInt32BE(at) & 0x7fffffff) % 1_000_000).padStart(6, "0");
}

/** Programs that the walk has started: they end with it. */
const running = new Set();

/** Runs a line in a shell, in a folder, where the agent's program is found by its name. */
export function shell(line, folder) {
  const path = dirname(process.env.FLEETWIRE_TEST_AGENT) + delimiter + process.env.PATH;
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("FLEETWIRE_")));
  // In a group of its own, so that what the shell starts ends as well.
  const child = spawn("setpriv", ["--pdeathsig", "KILL", "sh", "-c", line], {
    cwd: folder,
    env: { ...env, PATH: path, XDG_CONFIG_HOME: "/nonexistent" },
    stdio: ["ignore", "ignore", "inherit"],
    detached: true,
  });
  running.add(child);
  child.on("exit", () => running.delete(child));
  return child;
}

/** Ends a program of the walk's at once, as a machine that loses its power does. */
export async function kill(child) {
  const gone = new Promise((resolve) => child.once("exit", resolve));
  process.kill(-child.pid, "SIGKILL");
  await gone;
}

export async function close() {
  for (const child of running) await kill(child);
  await browser.close();
}
