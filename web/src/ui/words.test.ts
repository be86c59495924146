// Words for what commands are to do, and for what became of them.

import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { CommandSchema, CommandState } from "fleetwire/api/v1/command";
import { PackageAction } from "fleetwire/link/v1/package";
import { SystemAction } from "fleetwire/link/v1/system";
import { expect, test } from "vitest";
import { brief, commandShown } from "./words";

test("a command says in a line what it is to do", () => {
  const of = (parameters: MessageInitShape<typeof CommandSchema>["parameters"]) =>
    brief(create(CommandSchema, { parameters }));
  expect(
    of({
      case: "packageOperation",
      value: { operation: PackageAction.INSTALL, packages: ["nginx", "curl"] },
    }),
  ).toBe("install nginx curl");
  expect(of({ case: "systemOperation", value: { operation: SystemAction.SET_TIME } })).toBe("set time");
  expect(of({ case: "script", value: { content: "#!/bin/sh\n\ndf -h\nuptime", arguments: ["/"] } })).toBe(
    "df -h /",
  );
  expect(of({ case: "script", value: { content: "x".repeat(500) } })).toHaveLength(81);
  expect(of({ case: "inventory", value: {} })).toBe("");
  expect(of(undefined)).toBe("");
});

test("a command that has finished is called what became of it", () => {
  const of = (summary: MessageInitShape<typeof CommandSchema>["summary"]) =>
    commandShown(create(CommandSchema, { state: CommandState.FINISHED, summary }));
  expect(of({ total: 2n, succeeded: 2n })).toEqual(["finished", "good"]);
  expect(of({ total: 2n, succeeded: 1n, dead: 1n })).toEqual(["failed in part", "bad"]);
  expect(of({ total: 1n, expired: 1n })).toEqual(["failed", "bad"]);
  expect(of({ total: 1n, cancelled: 1n })).toEqual(["cancelled", "idle"]);
});
