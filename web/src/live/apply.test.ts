// Events over the answers that pages hold, with a clock that the test turns and answers that it gives when it likes.

import { create } from "@bufbuild/protobuf";
import { QueryClient, QueryObserver } from "@tanstack/react-query";
import { AlertService } from "fleetwire/api/v1/alert";
import { AlertChannelService } from "fleetwire/api/v1/alert_channel";
import { AlertRuleService } from "fleetwire/api/v1/alert_rule";
import { AlertSilenceService } from "fleetwire/api/v1/alert_silence";
import { ApiKeyService } from "fleetwire/api/v1/api_key";
import { AuthService } from "fleetwire/api/v1/auth";
import { BackupService } from "fleetwire/api/v1/backup";
import { CommandService } from "fleetwire/api/v1/command";
import { EnrolmentTokenService } from "fleetwire/api/v1/enrolment_token";
import { type Event, EventSchema } from "fleetwire/api/v1/event";
import { FileService } from "fleetwire/api/v1/file";
import { FleetService } from "fleetwire/api/v1/fleet";
import {
  GetHostResponseSchema,
  HostService,
  HostStatus,
  type ListHostsResponse,
  ListHostsResponseSchema,
} from "fleetwire/api/v1/host";
import { SessionService } from "fleetwire/api/v1/session";
import { UserService } from "fleetwire/api/v1/user";
import { expect, test } from "vitest";
import { Refused } from "../api/call";
import { applier, endedKey, RECORDS } from "./apply";

const LIST = [HostService.method.listHosts.name, {}, "pages"];
const ONE = [HostService.method.getHost.name, { host_id: "b" }];
const COUNT = [CommandService.method.createCommand.name, { dry_run: true }];
const FLEET = [FleetService.method.getFleetSummary.name, {}];

type What = Event["what"];
type Pages = { pages: ListHostsResponse[]; pageParams: string[] };

const pages = (...ids: string[][]): Pages => ({
  pages: ids.map((ids) => create(ListHostsResponseSchema, { hosts: ids.map((id) => ({ id, name: id })) })),
  pageParams: ids.map(String),
});

function world() {
  const client = new QueryClient({
    defaultOptions: {
      queries: { staleTime: Number.POSITIVE_INFINITY, structuralSharing: false, retry: false },
    },
  });
  let now = 0;
  let timers: { at: number; work: () => void }[] = [];
  const apply = applier(client, {
    now: () => now,
    later: (ms, work) => timers.push({ at: now + ms, work }),
  });
  const settle = async () => {
    for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
    // TanStack Query tells its observers in a turn of the event loop of its own.
    await new Promise((resolve) => setImmediate(resolve));
  };
  return {
    client,
    settle,
    reload: apply.reload,
    tell: (hostId: string, what: What) => apply(create(EventSchema, { position: "1", hostId, what })),
    async pass(ms: number) {
      const end = now + ms;
      for (;;) {
        const due = timers.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
        if (!due) break;
        timers = timers.filter((other) => other !== due);
        now = Math.max(now, due.at);
        due.work();
        await settle();
      }
      now = end;
    },
    pages: () => client.getQueryData<Pages>(LIST)?.pages ?? [],
    stale: (key: readonly unknown[]) => client.getQueryState(key)?.isInvalidated,
    /** Something that a page shows; each time that it is asked for waits for its answer. */
    shown<T>(queryKey: readonly unknown[]) {
      const answers: ((answer: T | Error) => Promise<void>)[] = [];
      const observer = new QueryObserver<T>(client, {
        queryKey,
        queryFn: () =>
          new Promise<T>((resolve, reject) => {
            answers.push((answer) => {
              if (answer instanceof Error) reject(answer);
              else resolve(answer);
              return settle();
            });
          }),
      });
      observer.subscribe(() => {});
      return answers;
    },
  };
}

const online: What = { case: "hostOnline", value: { address: "192.0.2.1", software: "x" } } as What;
const offline: What = { case: "hostOffline", value: {} } as What;
const updated: What = { case: "hostUpdated", value: {} } as What;
const health = (cpuPercent: number) => ({ case: "hostHealth", value: { health: { cpuPercent } } }) as What;
const delivery = (status: string) => ({ case: "deliveryUpdated", value: { commandId: "1", status } }) as What;

test("a host is changed wherever it is shown, and nothing else is drawn anew", async () => {
  const fleet = world();
  fleet.client.setQueryData(LIST, pages(["a", "b"], ["c"]));
  fleet.client.setQueryData(ONE, create(GetHostResponseSchema, { host: { id: "b", name: "b" } }));
  const before = fleet.pages();
  fleet.tell("b", online);
  fleet.tell("b", health(10));
  fleet.tell("b", health(20));
  fleet.tell("nobody's", health(1));
  expect(fleet.pages()).toBe(before);
  await fleet.pass(50);
  const [first, second] = fleet.pages();
  expect(first?.hosts[1]).toMatchObject({
    status: HostStatus.ONLINE,
    address: "192.0.2.1",
    health: { cpuPercent: 20 },
  });
  expect(first?.hosts[0]).toBe(before[0]?.hosts[0]);
  expect(second).toBe(before[1]);
  expect(fleet.client.getQueryData(ONE)).toMatchObject({ host: { status: HostStatus.ONLINE } });
  fleet.tell("b", offline);
  await fleet.pass(50);
  expect(fleet.pages()[0]?.hosts[1]).toMatchObject({ status: HostStatus.OFFLINE, health: undefined });
});

test("what an event only hints at is asked for again", async () => {
  const fleet = world();
  fleet.client.setQueryData(LIST, pages(["a", "b"]));
  fleet.client.setQueryData(ONE, create(GetHostResponseSchema, { host: { id: "b", name: "b" } }));
  fleet.client.setQueryData(FLEET, {});
  fleet.tell("a", updated);
  await fleet.pass(400);
  expect([LIST, ONE, FLEET].map(fleet.stale)).toEqual([true, false, true]);
  // What is laid over an answer makes it no newer.
  fleet.tell("b", health(1));
  await fleet.pass(50);
  expect(fleet.stale(LIST)).toBe(true);
  fleet.tell("b", { case: "hostRevoked", value: {} } as What);
  await fleet.pass(400);
  expect(fleet.stale(ONE)).toBe(true);
});

test("the count before a command is sent is asked again when its hosts may be others", async () => {
  for (const what of [online, offline, updated, { case: "groupUpdated", value: {} } as What]) {
    const fleet = world();
    fleet.client.setQueryData(COUNT, {});
    fleet.tell("a", delivery("running"));
    await fleet.pass(400);
    expect(fleet.stale(COUNT)).toBe(false);
    fleet.tell("a", what);
    await fleet.pass(400);
    expect(fleet.stale(COUNT), what.case).toBe(true);
  }
});

test("an answer that was on its way does not undo what was told meanwhile", async () => {
  const fleet = world();
  const answers = fleet.shown<Pages>(LIST);
  await answers[0]?.(pages(["a", "b"]));
  void fleet.client.refetchQueries({ queryKey: LIST });
  await fleet.settle();
  fleet.tell("b", online);
  await fleet.pass(50);
  expect(fleet.pages()[0]?.hosts[1]?.status).toBe(HostStatus.ONLINE);
  // It was made before the host came.
  await answers[1]?.(pages(["a", "b"]));
  expect(fleet.pages()[0]?.hosts[1]?.status).toBe(HostStatus.ONLINE);
  expect(fleet.pages()[0]?.hosts[0]?.status).toBe(HostStatus.UNSPECIFIED);
  // And of what was told before it was asked for nothing is laid over it.
  void fleet.client.refetchQueries({ queryKey: LIST });
  await fleet.settle();
  await answers[2]?.(pages(["a", "b"]));
  expect(fleet.pages()[0]?.hosts[1]?.status).toBe(HostStatus.UNSPECIFIED);
});

test("what was given up half-way does not undo it either", async () => {
  const fleet = world();
  const answers = fleet.shown<Pages>(LIST);
  await answers[0]?.(pages(["b"]));
  void fleet.client.refetchQueries({ queryKey: LIST });
  await fleet.settle();
  fleet.tell("b", online);
  await fleet.pass(50);
  await fleet.client.cancelQueries({ queryKey: LIST });
  await fleet.settle();
  expect(fleet.pages()[0]?.hosts[0]?.status).toBe(HostStatus.ONLINE);
});

test("an event during the first asking, and one during any, leads to another", async () => {
  const fleet = world();
  const answers = fleet.shown(FLEET);
  await fleet.settle();
  expect(answers).toHaveLength(1);
  fleet.tell("b", delivery("queued"));
  await fleet.pass(400);
  expect(answers).toHaveLength(1);
  await answers[0]?.({});
  await fleet.pass(0);
  expect(answers).toHaveLength(1);
  // It rests four times as long as the answer took.
  await fleet.pass(1600);
  expect(answers).toHaveLength(2);
  fleet.tell("b", delivery("succeeded"));
  await fleet.pass(400);
  await answers[1]?.({});
  await fleet.pass(2000);
  expect(answers).toHaveLength(3);
  await answers[2]?.({});
  await fleet.pass(60_000);
  expect(answers).toHaveLength(3);
});

test("what was not answered is asked for again, and what was refused is not", async () => {
  const fleet = world();
  const answers = fleet.shown<object>(FLEET);
  await answers[0]?.({});
  fleet.tell("b", delivery("queued"));
  await fleet.pass(400);
  expect(answers).toHaveLength(2);
  await answers[1]?.(new Refused(0, "unreachable", "nobody answers"));
  await fleet.pass(9_000);
  expect(answers).toHaveLength(2);
  await fleet.pass(1_000);
  expect(answers).toHaveLength(3);
  await answers[2]?.(new Refused(403, "role_insufficient", "not allowed"));
  await fleet.pass(60_000);
  expect(answers).toHaveLength(3);
});

test("where something was missed all is asked for again, what is on its way for the first time too", async () => {
  const fleet = world();
  const answers = fleet.shown<object>(FLEET);
  fleet.client.setQueryData(LIST, pages(["b"]));
  await fleet.settle();
  fleet.reload();
  await fleet.settle();
  expect(fleet.stale(LIST)).toBe(true);
  expect(answers).toHaveLength(1);
  await answers[0]?.({});
  await fleet.pass(100);
  expect(answers).toHaveLength(2);
});

test("what is laid over an answer does not hide that the next one failed", async () => {
  const fleet = world();
  const answers = fleet.shown<Pages>(LIST);
  await answers[0]?.(pages(["b"]));
  void fleet.client.refetchQueries({ queryKey: LIST });
  await fleet.settle();
  await answers[1]?.(new Refused(500, "internal", "it failed"));
  fleet.tell("b", online);
  await fleet.pass(50);
  expect(fleet.client.getQueryState(LIST)?.status).toBe("error");
  // It is asked for again, and then has it.
  await fleet.pass(10_000);
  await answers[2]?.(pages(["b"]));
  expect(fleet.client.getQueryState(LIST)?.status).toBe("success");
});

test("a stream of events does not keep an answer from coming", async () => {
  const fleet = world();
  const answers = fleet.shown(FLEET);
  for (let answered = 0; answered < 5; answered += 1) {
    for (let at = 0; at < 100; at += 1) {
      fleet.tell("b", delivery("running"));
      await fleet.pass(10);
    }
    await answers[answered]?.({});
    await fleet.pass(4000);
    expect(answers).toHaveLength(answered + 2);
  }
});

test("what has no event of its own is listed anew, by methods that there are", async () => {
  const fleet = world();
  const services = [
    UserService,
    ApiKeyService,
    EnrolmentTokenService,
    FileService,
    BackupService,
    AuthService,
    SessionService,
    FleetService,
  ];
  const alerts = [AlertService, AlertRuleService, AlertChannelService, AlertSilenceService];
  const known = [...services, ...alerts].flatMap(({ methods }) => methods.map(({ name }) => name));
  for (const method of [...Object.values(RECORDS).flat(), "ListAlertSilences"])
    expect(known).toContain(method);
  fleet.client.setQueryData(["ListUsers", {}, "pages"], {});
  fleet.client.setQueryData(["ListFiles", {}, "pages"], {});
  fleet.tell("", { case: "recordUpdated", value: { kind: "user" } } as What);
  fleet.tell("", { case: "recordUpdated", value: { kind: "of a later platform" } } as What);
  await fleet.pass(400);
  expect(
    [
      ["ListUsers", {}, "pages"],
      ["ListFiles", {}, "pages"],
    ].map(fleet.stale),
  ).toEqual([true, false]);
});

test("of a session that ends it is kept how, and it is asked for again", async () => {
  const fleet = world();
  const of = (id: string) => [SessionService.method.getSession.name, { session_id: id }];
  for (const id of ["1", "2"]) fleet.client.setQueryData(of(id), {});
  fleet.tell("b", { case: "sessionClosed", value: { sessionId: "1", reason: "idle" } } as What);
  await fleet.pass(400);
  expect(["1", "2"].map((id) => fleet.stale(of(id)))).toEqual([true, false]);
  expect(fleet.client.getQueryData<Event>(endedKey("1"))?.what.value).toMatchObject({ reason: "idle" });
  fleet.tell("", { case: "recordUpdated", value: { kind: "session" } } as What);
  await fleet.pass(400);
  expect(fleet.stale(of("2"))).toBe(true);
});

test("a host that comes leaves the list of those that are offline", async () => {
  const fleet = world();
  const by = (status: string) => [HostService.method.listHosts.name, { page_size: 250, status }, "pages"];
  for (const key of [LIST, by("online"), by("offline")]) fleet.client.setQueryData(key, pages(["b"]));
  fleet.tell("b", online);
  await fleet.pass(400);
  expect([LIST, by("online"), by("offline")].map(fleet.stale)).toEqual([false, true, true]);
});

test("an alert's page follows what is sent of it, and nothing else is asked for", async () => {
  const fleet = world();
  const [mine, other] = ["a", "b"].map((id) => [AlertService.method.getAlert.name, { alert_id: id }]) as [
    unknown[],
    unknown[],
  ];
  for (const key of [mine, other, FLEET]) fleet.client.setQueryData(key, {});
  fleet.tell("", { case: "alertNotificationUpdated", value: { alertId: "a", state: "sent" } } as What);
  await fleet.pass(400);
  expect([mine, other, FLEET].map(fleet.stale)).toEqual([true, false, false]);
});
