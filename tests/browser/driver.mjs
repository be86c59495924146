// What the browser tests share: Chromium, the way into what is under test, waiting, and reading pictures.
//
// FLEETWIRE_TEST_URL is the URL to open, as it is: a device's own, or what `fleetwire session open` printed,
//   with its one-time ticket in the fragment.
// FLEETWIRE_TEST_PICTURE, when set, is where a screenshot goes.
// FLEETWIRE_TEST_CHROMIUM, when set, is the browser to run instead of Debian's.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { chromium } from "playwright-core";

// Generous, for a loaded machine of two cores: it ends a test that hangs, and judges nothing's speed.
export const PATIENCE_MS = 60_000;

/**
 * Starts Chromium with an empty profile, and with `more` arguments, and gives it with one page in it; what the
 * page logs is printed.
 */
export async function launch(...more) {
  const browser = await chromium.launch({
    executablePath: process.env.FLEETWIRE_TEST_CHROMIUM ?? "/usr/bin/chromium",
    // Root needs the first. The others keep Chromium from calling hosts of its own.
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      ...more,
    ],
  });
  // The platform's certificate is its own CA's.
  const context = await browser.newContext({
    ignoreHTTPSErrors: true,
    viewport: { width: 1280, height: 800 },
  });
  context.setDefaultTimeout(PATIENCE_MS);
  const page = await context.newPage();
  page.on("console", (message) => console.log(`# page: ${message.text()}`));
  page.on("pageerror", (error) => console.log(`# page failed: ${error.message}`));
  return { browser, context, page };
}

/** Opens the URL under test and, where it holds a ticket, waits until that has been traded for the session. */
export async function enter(page) {
  const url = process.env.FLEETWIRE_TEST_URL;
  assert.ok(url, "FLEETWIRE_TEST_URL is not set");
  // Not until "load": a page with an endless stream never ends loading.
  await page.goto(url, { waitUntil: "commit" });
  await page.waitForFunction(() => !location.hash && !location.pathname.startsWith("/.fleetwire/"));
}

/** Polls `probe` until `accepts` takes what it gives, and returns that. */
export async function until(what, probe, accepts = Boolean) {
  const deadline = Date.now() + PATIENCE_MS;
  let seen;
  while (Date.now() < deadline) {
    seen = await probe();
    if (accepts(seen)) return seen;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.fail(`${what} did not come; last seen: ${JSON.stringify(seen)?.slice(0, 500)}`);
}

/** Saves the page as a picture, if FLEETWIRE_TEST_PICTURE says where. */
export async function photograph(page) {
  const path = process.env.FLEETWIRE_TEST_PICTURE;
  if (path) await page.screenshot({ path });
}

/** The pixels that an image or canvas shows now: `data` is red, green, blue, alpha, row by row. */
export async function pixels(page, selector) {
  const { width, height, base64 } = await page.evaluate((selector) => {
    const source = document.querySelector(selector);
    const width = source.naturalWidth ?? source.width;
    const height = source.naturalHeight ?? source.height;
    if (!width || !height) return { width: 0, height: 0, base64: "" };
    const canvas = Object.assign(document.createElement("canvas"), { width, height });
    const context = canvas.getContext("2d");
    context.drawImage(source, 0, 0);
    const { data } = context.getImageData(0, 0, width, height);
    const piece = 0x8000;
    let binary = "";
    for (let at = 0; at < data.length; at += piece) {
      binary += String.fromCharCode(...data.subarray(at, at + piece));
    }
    return { width, height, base64: btoa(binary) };
  }, selector);
  return { width, height, data: Buffer.from(base64, "base64") };
}

// The demo device draws text with a font of 5 by 8 dots, each 2 by 2 pixels, one dot of space between
// characters; `canvas.rs` draws from the same file.
const FONT = new URL("../../src/cli/demo_device/assets/font.txt", import.meta.url);
const DOT = 2;
const CELL = 6 * DOT;
/** Between the background, of about 20, and the darkest writing, of about 135. */
const LIT = 75;

async function glyphs() {
  const lines = (await readFile(FONT, "utf8")).trimEnd().split("\n");
  const table = new Map();
  for (let index = 0; index < 95; index += 1) {
    const [block, column] = [Math.floor(index / 16), index % 16];
    const rows = lines.slice(block * 8, block * 8 + 8).map((line) => line.slice(column * 6, column * 6 + 5));
    table.set(rows.join(""), String.fromCharCode(32 + index));
  }
  return table;
}

const font = await glyphs();

/**
 * The line of text whose top left corner is at `x`, `y` of a picture of the demo device, without the space at
 * its end. What is no character, the cursor say, reads as U+FFFD.
 */
export function readLine({ width, data }, x, y, columns) {
  const lit = (column, row) => {
    const at = (row * width + column) * 4;
    return (data[at] * 299 + data[at + 1] * 587 + data[at + 2] * 114) / 1000 > LIT;
  };
  let line = "";
  for (let left = x; left < x + columns * CELL; left += CELL) {
    let dots = "";
    for (let row = 0; row < 8; row += 1) {
      for (let dot = 0; dot < 5; dot += 1) dots += lit(left + dot * DOT, y + row * DOT) ? "#" : ".";
    }
    line += font.get(dots) ?? "\ufffd";
  }
  return line.trimEnd();
}
