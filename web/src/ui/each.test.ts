// Many things worked through, a few at once.

import { expect, test } from "vitest";
import { each, type Progress } from "./each";

const never = new AbortController().signal;

test("a few are under way at once, and what failed is told and left", async () => {
  let [now, most] = [0, 0];
  const told: Progress<number>[] = [];
  const left = await each(
    Array.from({ length: 20 }, (_, at) => at),
    async (item) => {
      now += 1;
      most = Math.max(most, now);
      await Promise.resolve();
      now -= 1;
      if (item % 5 === 0) throw new Error(`not ${item}`);
    },
    (progress) => told.push(progress),
    never,
  );
  expect(most).toBe(4);
  expect(left.sort((a, b) => a - b)).toEqual([0, 5, 10, 15]);
  expect(told).toHaveLength(20);
  expect(told.at(-1)).toMatchObject({ done: 16, failed: [{}, {}, {}, {}] });
});

test("once it is stopped none is begun any more, and those are left", async () => {
  const stop = new AbortController();
  const begun: string[] = [];
  const left = await each(
    ["a", "b", "c", "d", "e", "f"],
    async (item) => {
      begun.push(item);
      stop.abort();
    },
    () => {},
    stop.signal,
  );
  expect(begun).toEqual(["a"]);
  expect(left).toEqual(["b", "c", "d", "e", "f"]);
});
