// Forms out of the schema: what is filled in becomes the message, and what breaks its rules is said.

import { create } from "@bufbuild/protobuf";
import { CreateCommandRequestSchema } from "fleetwire/api/v1/command";
import { InventorySchema } from "fleetwire/link/v1/inventory";
import { PackageOperationSchema } from "fleetwire/link/v1/package";
import { ScriptSchema } from "fleetwire/link/v1/script";
import { SystemOperationSchema } from "fleetwire/link/v1/system";
import { expect, test } from "vitest";
import { write } from "../api/codec";
import { type Draft, fill, kindOf } from "./fields";

const wire = (desc: Parameters<typeof fill>[0], draft: Draft) => {
  const { value, faults } = fill(desc, draft);
  expect([...faults]).toEqual([]);
  return write(desc, create(desc, value));
};

test("every kind of command can be filled in", () => {
  const kinds = CreateCommandRequestSchema.oneofs[0]?.fields ?? [];
  expect(kinds.map(({ name }) => name)).toContain("script");
  for (const { message } of kinds) {
    for (const field of message?.fields ?? []) expect(kindOf(field)).toBeTypeOf("string");
  }
});

test("a script keeps its text as it is, and its lists are lines", () => {
  const draft = { content: "  echo 1\n", arguments: "a b\n\n c ", environment: "A=1=2\nB=", user: " ada " };
  expect(wire(ScriptSchema, draft)).toEqual({
    content: "  echo 1\n",
    arguments: ["a b", "c"],
    environment: { A: "1=2", B: "" },
    user: "ada",
  });
});

test("choices, boxes and forms within", () => {
  const draft = { operation: "install", packages: "nginx\ncurl", options: { yes: true } };
  expect(wire(PackageOperationSchema, draft)).toEqual({
    operation: "install",
    packages: ["nginx", "curl"],
    options: { yes: true },
  });
  expect(wire(InventorySchema, { parts: ["network", "hardware"] })).toEqual({
    parts: ["hardware", "network"],
  });
  expect(wire(SystemOperationSchema, { operation: "set_time", time: "2026-01-02T03:04:05Z" })).toEqual({
    operation: "set_time",
    time: "2026-01-02T03:04:05.000Z",
  });
});

test("the schema's rules are said before anything is sent", () => {
  const faults = (desc: Parameters<typeof fill>[0], draft: Draft) => [...fill(desc, draft).faults.keys()];
  expect(faults(ScriptSchema, {})).toEqual(["content"]);
  expect(faults(ScriptSchema, { content: "x", user: "u".repeat(65) })).toEqual(["user"]);
  // Characters, not UTF-16 units.
  expect(faults(ScriptSchema, { content: "x", user: "\u{1f600}".repeat(64) })).toEqual([]);
  expect(faults(ScriptSchema, { content: "x", arguments: "a\n".repeat(257) })).toEqual(["arguments"]);
  expect(faults(ScriptSchema, { content: "x", environment: "=1" })).toEqual(["environment"]);
  expect(faults(PackageOperationSchema, {})).toEqual(["operation"]);
  const times = { timeout: "0", file_id: "no id" };
  expect(faults(CreateCommandRequestSchema, times)).toEqual(["timeout", "file_id"]);
  for (const timeout of ["1.5", "-1", "x", "2592001"]) {
    expect(faults(CreateCommandRequestSchema, { timeout })).toEqual(["timeout"]);
  }
  expect(faults(CreateCommandRequestSchema, { timeout: "60", expires_at: "soon" })).toEqual(["expires_at"]);
});
