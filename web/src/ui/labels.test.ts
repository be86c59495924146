// Labels as they are written, read and chosen by.

import { expect, test } from "vitest";
import { labelChoices, labelsOf, labelsText } from "./labels";

test("labels are written in one way and understood in two", () => {
  expect(labelsText({ site: "lab", spare: "" })).toBe("site=lab\nspare");
  expect(labelsOf("site=lab\n rack : 7 \n\nspare\nnote=a:b=c")).toEqual({
    site: "lab",
    rack: "7",
    spare: "",
    note: "a:b=c",
  });
});

test("a key alone stands for any value, and is offered where that is more than one value", () => {
  const choices = labelChoices([
    { key: "rack", value: "7", hosts: 2n },
    { key: "site", value: "", hosts: 1n },
    { key: "site", value: "lab", hosts: 4n },
    { key: "spare", value: "", hosts: 3n },
  ]);
  expect(choices).toEqual([
    { value: "rack=7", text: "rack=7 (2)" },
    { value: "site", text: "site, any value (5)" },
    { value: "site=lab", text: "site=lab (4)" },
    { value: "spare", text: "spare, any value (3)" },
  ]);
});
