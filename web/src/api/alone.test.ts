// Tabs that take turns by what they share: each sees late what another has written.

import { expect, test } from "vitest";
import { inTurn, type Shared } from "./alone";

/** So late a tab sees what another wrote. */
const LATE_MS = 100;

function world() {
  let now = 0;
  let timers: { at: number; work: () => void }[] = [];
  const written: { at: number; by: number; key: string; value: string | null }[] = [];
  const wait = (ms: number) => new Promise<void>((resolve) => timers.push({ at: now + ms, work: resolve }));
  const tab = (by: number): Shared => ({
    get: (key) =>
      written.filter((one) => one.key === key && (one.by === by || one.at + LATE_MS <= now)).at(-1)?.value ??
      null,
    set: (key, value) => void written.push({ at: now, by, key, value }),
    remove: (key) => void written.push({ at: now, by, key, value: null }),
    now: () => now,
    wait,
    random: () => `tab-${by}`,
    seen: () => looked.get(by) ?? Promise.resolve(),
  });
  /** Tabs that nobody looks at, until somebody does. */
  const looked = new Map<number, Promise<void>>();
  return {
    tab,
    wait,
    hide(by: number): () => void {
      let look = () => {};
      looked.set(
        by,
        new Promise((resolve) => {
          look = resolve;
        }),
      );
      return () => {
        looked.delete(by);
        look();
      };
    },
    async pass(ms: number) {
      const end = now + ms;
      for (;;) {
        for (let turn = 0; turn < 10; turn += 1) await Promise.resolve();
        const due = timers.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
        if (!due) break;
        timers = timers.filter((other) => other !== due);
        now = due.at;
        due.work();
      }
      now = end;
    },
  };
}

test("of tabs that want it at once each has its turn, one after the other", async () => {
  const browser = world();
  let busy = 0;
  let most = 0;
  const done: number[] = [];
  const work = (by: number) => async () => {
    busy += 1;
    most = Math.max(most, busy);
    await browser.wait(500);
    busy -= 1;
    done.push(by);
  };
  for (const [by, after] of [
    [1, 99],
    [2, 20],
    [3, 300],
  ] as const) {
    void inTurn("x", work(by), browser.tab(by));
    await browser.pass(after);
  }
  await browser.pass(10_000);
  expect(most).toBe(1);
  expect(done.sort()).toEqual([1, 2, 3]);
});

test("a tab that was closed in its turn holds the others up for as long as a turn may last", async () => {
  const browser = world();
  void inTurn("x", () => new Promise(() => {}), browser.tab(1));
  await browser.pass(1000);
  let came = false;
  const mark = async () => {
    came = true;
  };
  void inTurn("x", mark, browser.tab(2));
  await browser.pass(10_000);
  expect(came).toBe(false);
  await browser.pass(6_000);
  expect(came).toBe(true);
});

test("a turn ends where its work fails", async () => {
  const browser = world();
  const failed = inTurn("x", () => Promise.reject(new Error("no")), browser.tab(1)).catch(String);
  await browser.pass(1000);
  expect(await failed).toBe("Error: no");
  let came = false;
  const mark = async () => {
    came = true;
  };
  void inTurn("x", mark, browser.tab(2));
  await browser.pass(1000);
  expect(came).toBe(true);
});

test("a tab that nobody looks at has its turn once somebody does, and holds nobody up", async () => {
  const browser = world();
  const look = browser.hide(1);
  const came: number[] = [];
  const mark = (by: number) => async () => void came.push(by);
  void inTurn("x", mark(1), browser.tab(1));
  void inTurn("x", mark(2), browser.tab(2));
  await browser.pass(1000);
  expect(came).toEqual([2]);
  look();
  await browser.pass(1000);
  expect(came).toEqual([2, 1]);
});
