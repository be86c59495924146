// Real web interfaces in Chromium, each asserted on by what its page shows.
//
// The environment is driver.mjs's, and FLEETWIRE_TEST_DEVICE: the JSON that tests/devices/launch.py printed
// after "ready", with the device's "name"; {"name": "json_agent"} for the agent that is its own device.
// One run is one device: whoever starts the device starts the run.

import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { after, before, test } from "node:test";
import { PATIENCE_MS, enter, launch, photograph, pixels, until } from "./driver.mjs";

const device = JSON.parse(process.env.FLEETWIRE_TEST_DEVICE ?? "{}");
let browser;
let page;

before(async () => {
  // Janus's page asks for a camera.
  ({ browser, page } = await launch("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"));
});
after(() => browser?.close());

/** Enters, then goes to `path` of the same origin. */
async function visit(path = device.page) {
  await enter(page);
  const answer = await page.goto(new URL(path, page.url()).href, { waitUntil: "commit" });
  assert.equal(answer.status(), 200, `${path} answered ${answer.status()}`);
}

/** What an image or canvas shows: how often each colour (three hexadecimal digits) is there, and a hash. */
async function colours(selector) {
  const { width, height, data } = await pixels(page, selector);
  const counts = {};
  for (let at = 0; at < data.length; at += 4) {
    const name = ((data[at] >> 4) << 8 | (data[at + 1] & 0xf0) | data[at + 2] >> 4).toString(16).padStart(3, "0");
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return { pixels: width * height, counts, hash: createHash("sha256").update(data).digest("hex") };
}

/** The share of the picture that a colour covers. */
const share = ({ counts, pixels }, colour) => (counts[colour] ?? 0) / (pixels || 1);

const cases = {
  async novnc() {
    await visit();
    await page.waitForFunction(() => document.getElementById("status").textContent.startsWith("Connected"));
    const canvas = "#screen canvas";
    const first = await until("a picture", () => colours(canvas), (seen) => Object.keys(seen.counts).length > 1);
    // Something moves on the screen: three different pictures, nobody touching anything.
    const second = await until("a second picture", () => colours(canvas), (seen) => seen.hash !== first.hash);
    await until("a third picture", () => colours(canvas), (seen) => ![first.hash, second.hash].includes(seen.hash));
    // A key changes the ground of the screen, so that the picture proves that the key arrived.
    await page.click(canvas);
    for (const [key, colour] of [["g", "0a0"], ["b", "00c"], ["r", "c00"]]) {
      assert.ok(share(await colours(canvas), colour) < 0.1, `${colour} before its key`);
      await page.keyboard.press(key);
      await until(`the ground ${colour}`, () => colours(canvas), (seen) => share(seen, colour) > 0.5);
    }
  },

  async spice() {
    const canvas = "#spice-screen canvas";
    // A channel is denied now and then by a server that asks for no ticket: spice-html5 sends an encrypted one whose
    // leading zero bytes it has dropped. It leaves the page as it is then; loaded anew, it connects anew.
    let denied = false;
    const note = (text) => (denied ||= text.includes("Permission denied"));
    page.on("console", (message) => note(message.text()));
    page.on("pageerror", (error) => note(error.message));
    const screen = async () => {
      if (denied) {
        denied = false;
        await page.reload();
      }
      return (await page.locator(canvas).count()) > 0 ? colours(canvas) : { counts: {}, pixels: 0 };
    };
    await visit();
    // The firmware writes light text on black and waits for Escape.
    const text = ({ counts, pixels }) => pixels - (counts["000"] ?? 0);
    const waiting = await until("the firmware's text", screen, (seen) => text(seen) > 500);
    // The firmware polls its keyboard; it may not yet look when the first key comes.
    await until(
      "the boot menu after Escape",
      async () => {
        const seen = await screen();
        if (seen.pixels > 0) {
          await page.click(canvas);
          await page.keyboard.press("Escape");
        }
        return seen;
      },
      (seen) => text(seen) > text(waiting) + 500,
    );
    assert.match(await page.textContent("#message-div"), /./, "spice-html5 said nothing");
  },

  async terminal() {
    // Without a sign-in the device redirects to its own page for it, with a relative Location and an _xsrf cookie.
    await enter(page);
    await page.waitForURL((url) => url.pathname === "/login");
    await page.fill("#password_input", device.token);
    await page.click("#login_submit");
    await page.waitForURL((url) => url.pathname.startsWith("/lab"));
    await page.locator(".jp-LauncherCard[data-category=Other]", { hasText: "Terminal" }).click();
    const rows = page.locator(".jp-Terminal .xterm-accessibility-tree");
    await until("the prompt", () => rows.textContent(), (text) => text.includes("device>"));
    // The command's text and its output differ, so that the terminal's own echo is not taken for it.
    await page.locator(".jp-Terminal .xterm-helper-textarea").focus();
    await page.keyboard.type("echo $((6 * 7))-answers-$((8 * 8))\n");
    await until("the output", () => rows.textContent(), (text) => text.includes("42-answers-64"));
    // A burst of output: more than one window of credit, and its end arrives.
    await page.keyboard.type("seq 1 20000; echo end-$((300 + 33))\n");
    await until("the end of the burst", () => rows.textContent(), (text) => text.includes("end-333"));
  },

  async ustreamer() {
    await visit();
    await page.locator("a[href=stream], a[href='/stream']").first().waitFor();
    await page.goto(new URL("/stream", page.url()).href, { waitUntil: "commit" });
    const picture = await until("the picture", () => colours("img"), ({ pixels }) => pixels > 0);
    assert.ok(picture.pixels >= 320 * 240, `${picture.pixels} pixels`);
    assert.ok(Object.keys(picture.counts).length > 1, "the picture is blank");
    // The device counts its viewers: one, and none soon after the browser has left.
    const other = await page.context().newPage();
    const viewers = async () => {
      const answer = await other.goto(new URL("/state", page.url()).href);
      return (await answer.json()).result.stream.clients;
    };
    await until("one viewer", viewers, (clients) => clients === 1);
    const state = new URL("/state", page.url()).href;
    await page.goto(state);
    await until("no viewer", viewers, (clients) => clients === 0);
  },

  async pikvm() {
    // The page stands behind auth_request: the device sends to its sign-in, and lets in after it.
    await enter(page);
    await page.waitForURL((url) => url.pathname === "/login/");
    await page.fill("#user", device.user);
    await page.fill("#passwd", "wrong");
    await page.click("button");
    await page.locator("#answer", { hasText: "refused: 403" }).waitFor();
    await page.fill("#passwd", device.password);
    await page.click("button");
    await page.waitForURL((url) => url.pathname === "/");
    await page.locator("#socket", { hasText: /^open$/ }).waitFor();
    await page.locator("#text", { hasText: '"event_type":"pong"' }).waitFor();
    await page.locator("#binary", { hasText: "1 255 128 0" }).waitFor();
    await until("the stream", () => colours("#stream"), ({ counts }) => Object.keys(counts).length > 1);
    const image = randomBytes(9_000_001);
    await page.setInputFiles("#file", { name: "image.iso", mimeType: "application/octet-stream", buffer: image });
    const uploaded = JSON.parse(await until("the upload", () => page.textContent("#uploaded")));
    assert.equal(uploaded.size, image.length);
    assert.equal(uploaded.sha256, createHash("sha256").update(image).digest("hex"));
  },

  async janus() {
    await visit();
    await page.click("#start");
    // Signalling alone: a session and the plugin over Janus's WebSocket. Media take no tunnel.
    await page.locator("#start", { hasText: "Stop" }).waitFor();
  },

  async json_agent() {
    await visit("/");
    assert.equal(await page.textContent("h1"), "Grüße from a JSON agent");
    const text = await until("the answer", () => page.textContent("#answer"));
    assert.deepEqual(JSON.parse(text), { method: "POST", path: "/answer?n=41", body: "question" });
  },

  async hostile() {
    await visit();
    assert.equal(await page.textContent("body"), "/landing");
    const answers = await page.evaluate(async () => {
      const text = async (path, options) => (await fetch(path, options)).text();
      // Where a tunnel knows in time that the answer is broken, it answers 502 in its place.
      const broken = async (path) =>
        fetch(path).then((answer) => answer.status === 502 || answer.text()).catch((error) => error.name === "TypeError");
      const socket = (path, protocols) =>
        new Promise((resolve) => {
          const seen = { messages: [] };
          const socket = new WebSocket(location.origin.replace(/^http/, "ws") + path, protocols);
          socket.binaryType = "arraybuffer";
          socket.onmessage = ({ data }) => {
            seen.protocol = socket.protocol;
            seen.messages.push(typeof data === "string" ? data : [...new Uint8Array(data)]);
            if (path.startsWith("/ws/echo")) {
              if (seen.messages.length === 1) socket.send(new Uint8Array([0, 255, 13, 10]));
              else socket.close(4321, "done");
            }
          };
          socket.onclose = ({ code, reason, wasClean }) => resolve({ ...seen, code, reason, wasClean });
        });
      return {
        own: await fetch("/redirect/own").then(({ url }) => url.replace(location.origin, "")),
        closeDelimited: await text("/http10"),
        lf: await text("/lf"),
        short: await broken("/short"),
        cut: await broken("/chunk-cut"),
        different: await broken("/different-lengths"),
        gzip: (await text("/gzip")).slice(0, 24),
        cookies: (await text("/cookies?name=x"), document.cookie.split("; ").sort()),
        posted: JSON.parse(await text("/echo", { method: "POST", body: "0123456789" })),
        echo: await socket("/ws/echo?protocol=second", ["first", "second"]),
        close: await socket("/ws/close"),
        abort: await socket("/ws/abort"),
        refuse: await socket("/ws/refuse"),
        ping: await new Promise((resolve) => {
          const socket = new WebSocket(location.origin.replace(/^http/, "ws") + "/ws/ping");
          socket.onmessage = ({ data }) => resolve(data);
        }),
      };
    });
    assert.equal(answers.own, "/landing?x=%2F");
    assert.equal(answers.closeDelimited, "until the end");
    assert.equal(answers.lf, "ok");
    assert.equal(answers.short, true, "a short answer must fail in the browser");
    assert.equal(answers.cut, true, "a cut answer must fail in the browser");
    assert.equal(answers.different, true, "two different lengths must fail in the browser");
    assert.equal(answers.gzip, "compressed by the device");
    assert.ok(answers.cookies.includes("plain=1") && answers.cookies.includes("equals=a=b=="), answers.cookies.join());
    assert.equal(answers.posted.framing, "length");
    assert.equal(answers.posted.body_length, 10);
    assert.equal(answers.echo.protocol, "second");
    assert.deepEqual(answers.echo.messages[1], [0, 255, 13, 10]);
    assert.deepEqual([answers.echo.code, answers.echo.reason, answers.echo.wasClean], [4321, "done", true]);
    assert.deepEqual([answers.close.code, answers.close.reason], [4001, "device is going down"]);
    assert.equal(answers.abort.code, 1006);
    assert.equal(answers.refuse.code, 1006);
    assert.equal(answers.ping, "8 bytes!");
  },
};

test(`${device.name} in Chromium`, { timeout: 3 * PATIENCE_MS }, async () => {
  assert.ok(cases[device.name], `FLEETWIRE_TEST_DEVICE names no case: ${device.name}`);
  try {
    await cases[device.name]();
  } finally {
    await photograph(page);
  }
});
