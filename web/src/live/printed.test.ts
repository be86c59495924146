// What hosts print, as far as it is kept.

import { expect, test } from "vitest";
import { CHARACTERS_MAX_IN_ALL, printed } from "./printed";

test("it is put together, and what is missing of it is said", () => {
  const output = printed();
  output.add("a", 0n, "grün ");
  output.add("a", 6n, "und");
  output.add("b", 0n, "");
  output.add("a", 20n, "rot");
  expect([...output.texts()]).toEqual([["a", "grün und\n[…]\nrot"]]);
});

test("what is told again after a break is there once", () => {
  const output = printed();
  output.add("a", 0n, "grün ");
  output.add("b", 0n, "eins");
  output.again();
  output.add("a", 0n, "grün und ");
  output.add("a", 10n, "rot");
  output.add("b", 0n, "ei");
  output.add("c", 5n, "zwei");
  expect([...output.texts()]).toEqual([
    ["a", "grün und rot"],
    ["b", "eins"],
    ["c", "\n[…]\nzwei"],
  ]);
});

test("however many hosts print, a tab holds no more than so much", () => {
  const output = printed();
  const text = "x".repeat(150_000);
  const kept = () => [...output.texts().values()].reduce((sum, { length }) => sum + length, 0);
  for (let host = 0; host < 500; host += 1) {
    output.add(String(host), 0n, `${text}${host}`);
    expect(kept()).toBeLessThanOrEqual(CHARACTERS_MAX_IN_ALL);
  }
  // And of each the end.
  for (const [host, text] of output.texts()) expect(text.endsWith(`x${host}`)).toBe(true);
  expect(kept()).toBeGreaterThan(CHARACTERS_MAX_IN_ALL / 4);
});
