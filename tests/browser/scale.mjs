// The console's list of hosts in Chromium where there are very many of them and much happens: what of it is measured,
// and what has to be right. `benches/tunnel/console.rs` and tests/it/console_scale.rs start the platform, its hosts and
// what happens to them, and this with one of
//
//   latency SECONDS    how long an event takes from the platform's clock to the page
//   scroll SECONDS     the longest tasks of the main thread while the list is scrolled, and the tab's memory
//   walk               the list is scrolled to its end and searched, and shows what is there
//
// FLEETWIRE_TEST_URL is the platform's own address, FLEETWIRE_TEST_KEY an API key, FLEETWIRE_TEST_HOSTS how many hosts
// there are: agent-0 and so on; `walk` makes them. It prints JSON lines: {"ready": true} when it looks on, then what it found.

import assert from "node:assert/strict";
import { PATIENCE_MS, launch, until } from "./driver.mjs";

const URL_BASE = process.env.FLEETWIRE_TEST_URL;
const KEY = process.env.FLEETWIRE_TEST_KEY;
const HOSTS = Number(process.env.FLEETWIRE_TEST_HOSTS);
/** As the platform orders them. */
const NAMES = Array.from({ length: HOSTS }, (_, index) => `agent-${index}`).sort();
const [mode, seconds] = [process.argv[2], Number(process.argv[3] ?? 0)];
/** A task that takes longer keeps a page from answering whoever scrolls. */
const LONG_MS = 50;

const say = (found) => console.log(JSON.stringify(found));
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Opens an address of the console, as whoever has the key; events are noted as they come. */
async function open(page, path) {
  await page.addInitScript((key) => {
    sessionStorage.setItem("fleetwire.api-key", key);
    window.noted = [];
    // When an event was, in ms since 1970, out of the bytes of a message: its second field's first and second.
    const at = (bytes) => {
      let place = 0;
      const number = () => {
        let [value, unit] = [0, 1];
        for (;;) {
          const byte = bytes[place++];
          value += (byte & 127) * unit;
          unit *= 128;
          if (byte < 128) return value;
        }
      };
      if (number() !== 10) return undefined;
      number();
      if (number() !== 10) return undefined;
      const length = number();
      place += length;
      if (number() !== 18) return undefined;
      number();
      number();
      const second = number();
      return place < bytes.length && bytes[place] === 16 ? (place++, second * 1000 + number() / 1e6) : second * 1000;
    };
    const Socket = window.WebSocket;
    window.WebSocket = class extends Socket {
      constructor(...how) {
        super(...how);
        this.addEventListener("message", ({ data }) => {
          const when = data instanceof ArrayBuffer ? at(new Uint8Array(data)) : undefined;
          if (when !== undefined) window.noted.push(performance.timeOrigin + performance.now() - when);
        });
      }
    };
  }, KEY);
  await page.goto(URL_BASE + path);
  await page.getByRole("navigation").first().waitFor();
}

/** The part of the page that scrolls, with the first lines in it. */
async function list(page) {
  const rows = page.getByRole("rowgroup", { name: "Hosts" });
  await rows.getByRole("row").first().waitFor();
  return rows;
}

/** The names of the hosts whose lines are there. */
const shown = (rows) => rows.getByRole("row").getByRole("link").allTextContents();

/** Scrolls until the last host is there: each page of the list makes it longer. */
async function toTheEnd(rows) {
  const look = async () => {
    await rows.evaluate((element) => void (element.scrollTop = element.scrollHeight));
    return (await shown(rows)).at(-1);
  };
  await until("the last host", look, (seen) => seen === NAMES.at(-1));
}

const share = (sorted, of) => sorted[Math.min(Math.floor(sorted.length * of), sorted.length - 1)] ?? 0;

async function latency(page) {
  await open(page, "/hosts");
  await list(page);
  await page.evaluate(() => void (window.noted.length = 0));
  say({ ready: true });
  await pause(seconds * 1000);
  const took = (await page.evaluate(() => window.noted)).sort((a, b) => a - b);
  say({ events: took.length, p50_ms: share(took, 0.5), p99_ms: share(took, 0.99), most_ms: took.at(-1) ?? 0 });
}

/** Records what the main threads of all pages do while `work` goes on. */
async function traced(browser, work) {
  const session = await browser.newBrowserCDPSession();
  const events = [];
  session.on("Tracing.dataCollected", ({ value }) => events.push(...value));
  const done = new Promise((resolve) => session.once("Tracing.tracingComplete", resolve));
  const includedCategories = ["toplevel", "devtools.timeline", "disabled-by-default-devtools.timeline"];
  await session.send("Tracing.start", { transferMode: "ReportEvents", traceConfig: { includedCategories } });
  await work();
  await session.send("Tracing.end");
  await done;
  return events;
}

/** The tasks of a process's main thread that took long, and what they were at. */
function tasks(events, pid) {
  const main = events.find(
    ({ name, args, pid: its }) => its === pid && name === "thread_name" && args.name === "CrRendererMain",
  );
  const own = events.filter(({ pid: its, tid }) => its === pid && tid === main?.tid);
  // Each is there by two names, of which one category has one.
  const all = own.filter(({ name, ph }) => ph === "X" && name === "ThreadControllerImpl::RunTask");
  assert.ok(all.length > 0, "a main thread has tasks");
  const long = all.filter(({ dur }) => dur / 1000 > LONG_MS);
  const parts = long.map(({ ts, dur, tdur }) => {
    const within = own.filter((one) => one.ph === "X" && one.ts >= ts && one.ts + one.dur <= ts + dur);
    const most = within.filter(({ name }) => !/RunTask/.test(name)).sort((a, b) => b.dur - a.dur)[0];
    return { ms: dur / 1000, cpu_ms: (tdur ?? 0) / 1000, mostly: most?.name ?? "" };
  });
  return {
    tasks: all.length,
    longest_ms: Math.max(0, ...all.map(({ dur }) => dur / 1000)),
    longest_cpu_ms: Math.max(0, ...all.map(({ tdur }) => (tdur ?? 0) / 1000)),
    long: parts,
    long_of_cpu: parts.filter(({ cpu_ms }) => cpu_ms > LONG_MS).length,
  };
}

/** The process of a page: the one whose main thread bears a mark that the page makes. */
const marked = (events, mark) =>
  events.find(({ name, args }) => name === "TimeStamp" && args.data?.message === mark)?.pid;

/** What the process of a page holds of its own, in bytes. */
async function memory(browser, pid) {
  const session = await browser.newBrowserCDPSession();
  const { processInfo } = await session.send("SystemInfo.getProcessInfo");
  assert.ok(processInfo.some(({ id }) => id === pid), "the tab's process is there");
  const { readFile } = await import("node:fs/promises");
  const status = await readFile(`/proc/${pid}/smaps_rollup`, "utf8");
  const of = (name) => Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(status)?.[1] ?? 0) * 1024;
  return { private: of("Private_Clean") + of("Private_Dirty"), proportional: of("Pss") };
}

async function scroll(browser, context, page) {
  await open(page, "/hosts");
  const rows = await list(page);
  await toTheEnd(rows);
  // Beside it stands a page that does next to nothing: what takes long there is the machine's doing.
  const idle = await context.newPage();
  await idle.goto("data:text/html,<title>idle</title><canvas>");
  await idle.evaluate(() => {
    const draw = () => requestAnimationFrame(draw);
    setInterval(() => document.body.append(""), 10);
    draw();
  });
  await page.bringToFront();
  say({ ready: true });
  await pause(2000);
  const devtools = await context.newCDPSession(page);
  const box = await rows.boundingBox();
  assert.ok(box);
  let seen = {};
  const events = await traced(browser, async () => {
    await page.evaluate(() => console.timeStamp("console"));
    await idle.evaluate(() => console.timeStamp("idle"));
    await page.evaluate(() => {
      window.noted.length = window.frames_drawn = 0;
      window.since = performance.now();
      const draw = () => {
        window.frames_drawn += 1;
        requestAnimationFrame(draw);
      };
      draw();
    });
    const end = Date.now() + seconds * 1000;
    // Up and down, as fast as somebody turns a wheel who looks for something.
    for (let turn = 0; Date.now() < end; turn += 1) {
      await devtools.send("Input.synthesizeScrollGesture", {
        x: box.x + box.width / 2,
        y: box.y + box.height / 2,
        yDistance: turn % 8 < 4 ? 8000 : -8000,
        speed: 8000,
        gestureSourceType: "mouse",
      });
    }
    seen = await page.evaluate(() => ({
      seconds: (performance.now() - window.since) / 1000,
      events: window.noted.length,
      frames: window.frames_drawn,
    }));
  });
  const pid = marked(events, "console");
  const { size } = await page.evaluate(() => ({ size: performance.memory?.usedJSHeapSize ?? 0 }));
  say({
    ...seen,
    rows: Number(await page.getByRole("table").getAttribute("aria-rowcount")) - 1,
    console: tasks(events, pid),
    idle: tasks(events, marked(events, "idle")),
    heap_bytes: size,
    memory: await memory(browser, pid),
  });
}

/** Makes the hosts, several at once. */
async function make() {
  const makers = Array.from({ length: 8 }, async (_, maker) => {
    for (let index = maker; index < HOSTS; index += 8) {
      const answer = await fetch(`${URL_BASE}/api/hosts`, {
        method: "POST",
        headers: { authorization: `Bearer ${KEY}`, "content-type": "application/json" },
        body: JSON.stringify({ name: `agent-${index}` }),
      });
      assert.equal(answer.status, 201);
      await answer.arrayBuffer();
    }
  });
  await Promise.all(makers);
  say({ made: HOSTS });
}

async function walk(page) {
  await make();
  const faults = [];
  page.on("pageerror", (error) => faults.push(error.message));
  await open(page, "/hosts");
  const rows = await list(page);
  await toTheEnd(rows);
  const bottom = await shown(rows);
  assert.deepEqual(bottom, NAMES.slice(-bottom.length), "the last, in order");
  assert.ok(bottom.length < 200, "only what is seen is there");
  // In the middle stand those of the middle.
  await rows.evaluate((element) => void (element.scrollTop = element.scrollHeight / 2));
  await until("those of the middle", () => shown(rows), (seen) => seen.includes(NAMES[HOSTS / 2]));
  const middle = await shown(rows);
  const from = NAMES.indexOf(middle[0]);
  assert.deepEqual(middle, NAMES.slice(from, from + middle.length), "those of the middle, in order");
  // One of them gets another label: its line shows it, and the others stay where they are.
  const changed = NAMES[HOSTS / 2];
  const answer = await fetch(`${URL_BASE}/api/hosts/${changed}`, {
    method: "PATCH",
    headers: { authorization: `Bearer ${KEY}`, "content-type": "application/json" },
    body: JSON.stringify({ labels: { rack: "seven-of-nine" } }),
  });
  assert.equal(answer.status, 200);
  await rows.getByRole("row").filter({ hasText: changed }).getByText("seven-of-nine").waitFor();
  // A search finds what is not loaded as well.
  const search = page.getByRole("searchbox", { name: "Search by name" });
  const wanted = NAMES.filter((name) => name.includes("-199"));
  await search.fill("-199");
  await until("what was searched for", () => shown(rows), (seen) => seen.length === wanted.length && seen[0] === wanted[0]);
  assert.deepEqual(await shown(rows), wanted);
  assert.deepEqual(faults, []);
  say({ walked: true });
}

const { browser, context, page } = await launch(
  "--enable-precise-memory-info",
  // Each page has a process, a thread and a memory of its own.
  "--site-per-process",
);
page.setDefaultTimeout(PATIENCE_MS);
try {
  if (mode === "latency") await latency(page);
  else if (mode === "scroll") await scroll(browser, context, page);
  else await walk(page);
} finally {
  await browser.close();
}
