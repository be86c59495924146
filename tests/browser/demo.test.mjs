// The demo device in Chromium, directly or through a tunnel: everything that its page does. One page goes
// through all of it in order, as a person would. The environment is driver.mjs's.

import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { after, before, test } from "node:test";
import { PATIENCE_MS, enter, launch, photograph, pixels, readLine, until } from "./driver.mjs";

// Where the device's picture has its text; see picture.rs.
const TERMINAL = { x: 16, y: 48, line: 18, columns: 34 };
const FOOTER = { x: 16, y: 312, columns: 50 };

const options = { timeout: 2 * PATIENCE_MS };
let browser;
let context;
let page;

before(async () => {
  ({ browser, context, page } = await launch());
});
after(() => browser?.close());

const number = async (id) => Number(await page.textContent(`#${id}`));
const picture = () => pixels(page, "#video");
const terminal = async (row) =>
  readLine(await picture(), TERMINAL.x, TERMINAL.y + row * TERMINAL.line, TERMINAL.columns);
const footer = async () => readLine(await picture(), FOOTER.x, FOOTER.y, FOOTER.columns);

test("the form signs in, and the cookie is out of scripts' reach", options, async () => {
  await enter(page);
  await page.waitForURL((url) => url.pathname === "/login");
  await page.fill("input[name=password]", "wrong");
  await page.click("button");
  await page.locator("[role=alert]").waitFor();
  await page.fill("input[name=password]", "demo");
  await page.click("button");
  await page.waitForURL((url) => url.pathname === "/");
  const cookies = await context.cookies(page.url());
  const session = cookies.find(({ name }) => name === "demo_session");
  assert.ok(session, "no session cookie");
  assert.equal(session.httpOnly, true);
  assert.equal(session.sameSite, "Strict");
  assert.doesNotMatch(await page.evaluate(() => document.cookie), /demo_session/);
});

test("the video moves", options, async () => {
  await page.locator("body[data-control=live][data-video=live]").waitFor();
  const { width, height } = await picture();
  assert.deepEqual([width, height], [640, 360]);
  const hash = async () => createHash("sha256").update((await picture()).data).digest("hex");
  const seen = new Set([await hash()]);
  for (const what of ["a second picture", "a third picture"]) {
    seen.add(await until(what, hash, (hash) => !seen.has(hash)));
  }
  // The number is in the picture twice: as text, and as the bar code that the page reads.
  const [, first] = (await until("the frame's number", footer, (line) => /^FRAME \d+/.test(line))).split(" ");
  await until("a later frame", () => number("frame"), (frame) => frame > Number(first) % 65536);
  await until("the rate", () => number("fps"), (rate) => rate > 0);
});

test("typed keys are acknowledged and appear on the machine's screen", options, async () => {
  await page.click("#screen");
  await page.keyboard.type("clear\n");
  await until("the cleared screen", () => terminal(0), (line) => /^\$ \ufffd$/.test(line));
  await page.keyboard.type("echo Hello, World! {42}");
  await until("the typed text", () => terminal(0), (line) => line === "$ echo Hello, World! {42}\ufffd");
  await page.keyboard.press("Enter");
  await until("the answer", () => terminal(1), (line) => line === "Hello, World! {42}");
  const sent = await until("all answered", async () => {
    const [sent, answered] = [await number("sent"), await number("answered")];
    return sent === answered && sent;
  });
  assert.ok(sent >= 2 * "clear\necho Hello, World! {42}\n".length, `${sent} events`);
});

test("the mouse moves the machine's pointer and presses its buttons", options, async () => {
  const box = await page.locator("#video").boundingBox();
  await page.mouse.move(box.x + box.width * 0.75, box.y + box.height * 0.6);
  const place = async () => (/POINTER (\d+),(\d+)/.exec(await footer()) ?? []).slice(1).map(Number);
  // The browser may round a pixel of the page, which is more than one of the picture's.
  const near = ([x, y]) => Math.abs(x - 479) <= 2 && Math.abs(y - 215) <= 2;
  const [x, y] = await until("the pointer's place", place, near);
  // The pointer's body is white, and green while a button is held.
  const red = async () => {
    const { width, data } = await picture();
    return data[((y + 8) * width + x + 4) * 4];
  };
  await until("the white pointer", red, (value) => value > 180);
  await page.mouse.down();
  await until("the green pointer", red, (value) => value < 140);
  await page.mouse.up();
  await until("the white pointer again", red, (value) => value > 180);
});

test("an upload arrives whole", options, async () => {
  const file = randomBytes(5_000_001);
  await page.setInputFiles("#file", { name: "image.iso", mimeType: "application/octet-stream", buffer: file });
  const report = page.locator("#upload[data-sha256]");
  await report.waitFor();
  assert.equal(await report.getAttribute("data-sha256"), createHash("sha256").update(file).digest("hex"));
  // The page hashed the file too, where the browser lets it: on TLS, loopback and *.localhost.
  assert.match(await report.textContent(), /^4\.8 MiB arrived, as sent\./);
  await photograph(page);
});

test("server-sent events come one after the other", options, async () => {
  assert.ok(await until("the viewers", () => number("viewers"), (viewers) => viewers >= 1));
  const first = await page.textContent("#uptime");
  await until("the next event", () => page.textContent("#uptime"), (uptime) => uptime !== first);
});

test("binary messages return unchanged and close codes arrive", options, async () => {
  const socket = await page.evaluate(async () => {
    const socket = new WebSocket(location.origin.replace("http", "ws") + "/ws", ["other", "kvm.demo.v1"]);
    socket.binaryType = "arraybuffer";
    const next = (name) => new Promise((resolve) => socket.addEventListener(name, resolve, { once: true }));
    await next("open");
    const sent = new Uint8Array(300_000).map((_, index) => index * 7 + (index >> 8));
    socket.send(sent);
    const { data } = await next("message");
    const back = new Uint8Array(data);
    socket.send("no event");
    const { code, reason, wasClean } = await next("close");
    const same = back.length === sent.length && back.every((byte, index) => byte === sent[index]);
    return { protocol: socket.protocol, same, code, reason, wasClean };
  });
  const expected = { protocol: "kvm.demo.v1", same: true, code: 1007, reason: "not an event", wasClean: true };
  assert.deepEqual(socket, expected);
});

test("downloads, ranges and many answers at once are the device's own", options, async () => {
  const { whole, halves, statuses, slow } = await page.evaluate(async () => {
    const path = "/download?bytes=3000000&seed=5";
    const part = (range) => fetch(path, { headers: range ? { Range: `bytes=${range}` } : {} });
    const answers = [await part(), await part("0-1234567"), await part("1234568-")];
    const [whole, ...halves] = await Promise.all(answers.map((answer) => answer.arrayBuffer()));
    const hash = async (...parts) => {
      const digest = await crypto.subtle.digest("SHA-256", await new Blob(parts).arrayBuffer());
      return [...new Uint8Array(digest)].join();
    };
    const ids = Array.from({ length: 40 }, (_, index) => `id-${index}`);
    const slow = await Promise.all(ids.map(async (id, index) => {
      const body = await (await fetch(`/slow?ms=${(40 - index) * 5}&id=${id}`)).text();
      return body === `${id}\n`.repeat(64);
    }));
    return {
      whole: await hash(whole),
      halves: await hash(...halves),
      statuses: answers.map(({ status }) => status),
      slow,
    };
  });
  assert.equal(halves, whole);
  assert.deepEqual(statuses, [200, 206, 206]);
  assert.ok(slow.every(Boolean), "an answer has another's body");
});

test("a viewer who leaves is gone on the device", options, async () => {
  const { origin } = new URL(page.url());
  const status = await context.newPage();
  const viewers = async () => (await (await status.goto(`${origin}/status`)).json()).viewers;
  const before = await until("a viewer", viewers);
  await page.goto(`${origin}/status`);
  await until("one viewer less", viewers, (viewers) => viewers < before);
  await status.close();
  await page.goto(`${origin}/`, { waitUntil: "commit" });
});

test("signing out ends the session", options, async () => {
  await page.click("text=Sign out");
  await page.waitForURL((url) => url.pathname === "/login");
  const { origin } = new URL(page.url());
  const cookies = await context.cookies(origin);
  assert.ok(!cookies.some(({ name }) => name === "demo_session"), "the cookie is still there");
  await page.goto(`${origin}/?absolute=1`);
  assert.equal(page.url(), `${origin}/login`);
});
