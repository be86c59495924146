// The API's JSON, and where the schema's rules send a request.

import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { CommandSchema, CommandService, CreateCommandRequestSchema } from "fleetwire/api/v1/command";
import { GroupSchema, GroupService, Weekday } from "fleetwire/api/v1/group";
import { HostSchema, HostService, HostStatus } from "fleetwire/api/v1/host";
import { Role } from "fleetwire/api/v1/role";
import { expect, test } from "vitest";
import { allows, route } from "./call";
import { read, write } from "./codec";

test("an answer is read by the schema, and what it does not name is passed over", () => {
  const host = read(HostSchema, {
    id: "1",
    name: "kvm",
    status: "online",
    round_trip_ms: 1.5,
    labels: { site: "lab" },
    group_ids: ["2"],
    created_at: "2026-01-02T03:04:05.678Z",
    health: { uptime_seconds: "9007199254740993", cpu_percent: 12 },
    later: { more: true },
  });
  expect(host).toMatchObject({ status: HostStatus.ONLINE, roundTripMs: 1.5, labels: { site: "lab" } });
  expect(host.health?.uptimeSeconds).toBe(9007199254740993n);
  expect(host.createdAt).toMatchObject(timestampFromMs(Date.UTC(2026, 0, 2, 3, 4, 5, 678)));
  expect(host.address).toBeUndefined();
  expect(read(HostSchema, { status: "from_later" }).status).toBe(HostStatus.UNSPECIFIED);
  const command = read(CommandSchema, { script: { content: "id" }, summary: { total: 3 } });
  expect(command.parameters).toMatchObject({ case: "script", value: { content: "id" } });
  expect(command.summary?.total).toBe(3n);
});

test("a request has what is set, in the one form that the API takes", () => {
  const request = create(CreateCommandRequestSchema, {
    targets: { labels: { site: "" } },
    timeout: 0,
    dryRun: false,
    parameters: { case: "fileTransfer", value: { path: "/x", sizeBytes: 5n } },
  });
  expect(write(CreateCommandRequestSchema, request)).toEqual({
    targets: { labels: { site: "" } },
    timeout: 0,
    file_transfer: { path: "/x", size_bytes: 5 },
  });
  const group = create(GroupSchema, { maintenanceWindows: [{ days: [Weekday.SUNDAY] }] });
  expect(write(GroupSchema, group)).toEqual({ maintenance_windows: [{ days: ["sunday"] }] });
});

test("paths, queries and bodies follow from the HTTP rules", () => {
  const { listHosts, getHost, updateHost, listLabels } = HostService.method;
  const list = { name: "a b", status: HostStatus.ONLINE, labels: ["site=lab", "rack"], pageSize: 5 };
  expect(route(listHosts, create(listHosts.input, list))).toEqual({
    verb: "GET",
    path: "/api/hosts?page_size=5&status=online&name=a+b&labels=site%3Dlab&labels=rack",
  });
  expect(route(listLabels, create(listLabels.input))).toEqual({ verb: "GET", path: "/api/labels" });
  expect(route(getHost, create(getHost.input, { hostId: "../a/b" })).path).toBe("/api/hosts/..%2Fa%2Fb");
  expect(route(updateHost, create(updateHost.input, { hostId: "1", name: "n" }))).toEqual({
    verb: "PATCH",
    path: "/api/hosts/1",
    body: '{"name":"n"}',
  });
  const { deleteGroup } = GroupService.method;
  expect(route(deleteGroup, create(deleteGroup.input, { groupId: "1" }))).toEqual({
    verb: "DELETE",
    path: "/api/groups/1",
  });
});

test("who may call a method is what its policy says", () => {
  const { listCommands, createCommand } = CommandService.method;
  expect([Role.UNSPECIFIED, Role.VIEWER, Role.OPERATOR].map((role) => allows(role, listCommands))).toEqual([
    false,
    true,
    true,
  ]);
  expect([Role.VIEWER, Role.OPERATOR, Role.ADMIN].map((role) => allows(role, createCommand))).toEqual([
    false,
    true,
    true,
  ]);
});
