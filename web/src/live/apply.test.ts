// Events over the answers that pages hold.

import { create } from "@bufbuild/protobuf";
import { QueryClient } from "@tanstack/react-query";
import { type Event, EventSchema } from "fleetwire/api/v1/event";
import {
  GetHostResponseSchema,
  HostService,
  HostStatus,
  type ListHostsResponse,
  ListHostsResponseSchema,
} from "fleetwire/api/v1/host";
import { expect, test } from "vitest";
import { applier, FIGURES, type Figures } from "./apply";

const LIST = [HostService.method.listHosts.name, {}, "pages"];
const ONE = [HostService.method.getHost.name, { host_id: "b" }];

function world() {
  const client = new QueryClient();
  const page = (...ids: string[]) =>
    create(ListHostsResponseSchema, { hosts: ids.map((id) => ({ id, name: id })) });
  client.setQueryData(LIST, { pages: [page("a", "b"), page("c")], pageParams: ["", "x"] });
  client.setQueryData(ONE, create(GetHostResponseSchema, { host: { id: "b", name: "b" } }));
  client.setQueryData<Figures>([FIGURES], {
    hosts: new Map([["b", false]]),
    underWay: new Set(),
    moreUnderWay: false,
  });
  let due: (() => void)[] = [];
  const apply = applier(client, (work) => {
    due.push(work);
    return 0 as unknown as ReturnType<typeof setTimeout>;
  });
  return {
    client,
    tell: (hostId: string, what: Event["what"]) =>
      apply(create(EventSchema, { position: "1", hostId, what })),
    pass() {
      const now = due;
      due = [];
      for (const work of now) work();
    },
    pages: () => client.getQueryData<{ pages: ListHostsResponse[] }>(LIST)?.pages ?? [],
  };
}

const health = (cpuPercent: number) =>
  ({ case: "hostHealth", value: { health: { cpuPercent } } }) as Event["what"];

test("a host is changed wherever it is shown, and nothing else is drawn anew", () => {
  const fleet = world();
  const before = fleet.pages();
  fleet.tell("b", { case: "hostOnline", value: { address: "192.0.2.1", software: "x" } } as Event["what"]);
  fleet.tell("b", health(10));
  fleet.tell("b", health(20));
  fleet.tell("nobody's", health(1));
  expect(fleet.pages()).toBe(before);
  fleet.pass();
  const [first, second] = fleet.pages();
  expect(first?.hosts[1]).toMatchObject({
    status: HostStatus.ONLINE,
    address: "192.0.2.1",
    health: { cpuPercent: 20 },
  });
  expect(first?.hosts[0]).toBe(before[0]?.hosts[0]);
  expect(second).toBe(before[1]);
  expect(fleet.client.getQueryData(ONE)).toMatchObject({ host: { status: HostStatus.ONLINE } });
  expect(fleet.client.getQueryData<Figures>([FIGURES])?.hosts.get("b")).toBe(true);
  fleet.tell("b", { case: "hostOffline", value: {} } as Event["what"]);
  fleet.pass();
  expect(fleet.pages()[0]?.hosts[1]).toMatchObject({ status: HostStatus.OFFLINE, health: undefined });
  expect(fleet.client.getQueryData<Figures>([FIGURES])?.hosts.get("b")).toBe(false);
});

test("what an event only hints at is asked for again", () => {
  const fleet = world();
  const stale = (key: readonly unknown[]) => fleet.client.getQueryState(key)?.isInvalidated;
  fleet.tell("a", { case: "hostUpdated", value: {} } as Event["what"]);
  fleet.pass();
  expect([stale(LIST), stale(ONE), stale([FIGURES])]).toEqual([true, false, true]);
  fleet.tell("b", { case: "hostRevoked", value: {} } as Event["what"]);
  fleet.pass();
  expect(stale(ONE)).toBe(true);
});

test("what is under way is counted as it comes and goes", () => {
  const fleet = world();
  const count = () => fleet.client.getQueryData<Figures>([FIGURES])?.underWay.size;
  const delivery = (status: string) =>
    fleet.tell("b", { case: "deliveryUpdated", value: { commandId: "1", status } } as Event["what"]);
  for (const status of ["queued", "sent", "running"]) {
    delivery(status);
    fleet.pass();
    expect(count()).toBe(1);
  }
  delivery("succeeded");
  fleet.pass();
  expect(count()).toBe(0);
});

test("a host that enrols is counted without counting all of them", () => {
  const fleet = world();
  fleet.tell("b", { case: "hostEnrolled", value: { name: "b" } } as Event["what"]);
  fleet.tell("new", { case: "hostCreated", value: { name: "new" } } as Event["what"]);
  fleet.pass();
  expect([...(fleet.client.getQueryData<Figures>([FIGURES])?.hosts ?? [])]).toEqual([
    ["b", false],
    ["new", false],
  ]);
  expect(fleet.client.getQueryState([FIGURES])?.isInvalidated).toBe(false);
});
