// Text of strangers: what would deceive stands as its code point.

import { expect, test } from "vitest";
import { pieces, plain } from "./text";

test("what has no glyph or turns a line around stands as its code point", () => {
  for (const [text, shown] of [
    ["host-1", "host-1"],
    ["", ""],
    ["<b>&amp;", "<b>&amp;"],
    ["\u05d0\u05d1 \u4e2d\u6587 \u{1f600}", "\u05d0\u05d1 \u4e2d\u6587 \u{1f600}"],
    ["a\u202egpj.exe", "a\u27e8202E\u27e9gpj.exe"],
    ["\u2066x\u2069\u200b\ufeff", "\u27e82066\u27e9x\u27e82069\u27e9\u27e8200B\u27e9\u27e8FEFF\u27e9"],
    ["\u0000\u001b[31m\u007f\u009b", "\u27e80000\u27e9\u27e8001B\u27e9[31m\u27e8007F\u27e9\u27e8009B\u27e9"],
    ["\ud800x", "\u27e8D800\u27e9x"],
    ["two\nlines\tof", "two lines of"],
  ] as const) {
    expect(plain(text)).toBe(shown);
  }
  expect(pieces("a\u202eb").map(({ strange }) => strange)).toEqual([false, true, false]);
});
