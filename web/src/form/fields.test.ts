// Forms out of the schema: what is filled in becomes the message, and what breaks its rules is said.

import { create } from "@bufbuild/protobuf";
import { AlertSeverity } from "fleetwire/api/v1/alert";
import { AlertRuleSpecSchema } from "fleetwire/api/v1/alert_rule";
import { CreateCommandRequestSchema } from "fleetwire/api/v1/command";
import { MaintenanceWindowSchema } from "fleetwire/api/v1/group";
import { InventorySchema } from "fleetwire/link/v1/inventory";
import { PackageOperationSchema } from "fleetwire/link/v1/package";
import { ScriptSchema } from "fleetwire/link/v1/script";
import { SystemOperationSchema } from "fleetwire/link/v1/system";
import { expect, test } from "vitest";
import { write } from "../api/codec";
import { type Draft, draftOf, fill, kindOf, spanRead, spanText } from "./fields";

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

test("a script is given what was typed, and its lists are lines", () => {
  const draft = { content: "  echo 1\n", arguments: "a b\n\n c ", environment: "A=1=2\nB=", user: " ada " };
  expect(wire(ScriptSchema, draft)).toEqual({
    content: "  echo 1\n",
    arguments: ["a b", "", " c "],
    environment: { A: "1=2", B: "" },
    user: "ada",
  });
  const twice = fill(ScriptSchema, { content: "id", environment: "A=1\nA=2" });
  expect(twice.faults.get("environment")).toMatch(/twice/);
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

test("spans are written as people write them", () => {
  expect(["90", "90 s", "10min", "2 H", "7 days", ""].map(spanRead)).toEqual([
    90,
    90,
    600,
    7200,
    604_800,
    undefined,
  ]);
  expect(["soon", "1.5 h", "2 weeks", "-1", "1 h 3"].map(spanRead)).toEqual(Array(5).fill(Number.NaN));
  expect([0, 45, 90, 600, 5400, 7200, 86_400].map(spanText)).toEqual([
    "0 s",
    "45 s",
    "90 s",
    "10 min",
    "90 min",
    "2 h",
    "1 d",
  ]);
});

test("what is changed begins as it is, and comes out the same", () => {
  const spec = create(AlertRuleSpecSchema, {
    name: "gone",
    severity: AlertSeverity.CRITICAL,
    holdSeconds: 90,
    channelIds: ["0190f3c2-0000-7000-8000-000000000001", "0190f3c2-0000-7000-8000-000000000002"],
    condition: { case: "hostFlapping", value: { reconnects: 3, seconds: 600 } },
  });
  const draft = draftOf(AlertRuleSpecSchema, spec);
  expect(draft).toMatchObject({ severity: "critical", hold_seconds: "90 s" });
  const { value, faults } = fill(AlertRuleSpecSchema, draft);
  expect([...faults]).toEqual([]);
  expect(create(AlertRuleSpecSchema, value)).toEqual(spec);
  const window = create(MaintenanceWindowSchema, { days: [6, 7], start: "02:30", minutes: 90 });
  const again = fill(MaintenanceWindowSchema, draftOf(MaintenanceWindowSchema, window));
  expect(create(MaintenanceWindowSchema, again.value)).toEqual(window);
});

test("a span is held to the schema's bounds, in its own words", () => {
  const draft = { name: "gone", host_offline: { seconds: "2 years" } };
  expect(fill(AlertRuleSpecSchema, draft).faults.get("host_offline.seconds")).toMatch(/written such as/);
  draft.host_offline.seconds = "400 d";
  expect(fill(AlertRuleSpecSchema, draft).faults.get("host_offline.seconds")).toBe("At most 365 d.");
});
