// The follower against a platform of the test's own, with a clock that the test turns.

import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  type Event,
  WatchEventsClientMessageSchema,
  WatchEventsResponseSchema,
} from "fleetwire/api/v1/event";
import { expect, test } from "vitest";
import { follow, type SocketLike, type Standing } from "./follower";

type Said = { authenticate?: string; watch?: string };

/** A platform that accepts sockets, and everything else around a follower. */
function world() {
  let now = 1_000_000;
  let until: number | undefined;
  let timers: { at: number; work: () => void }[] = [];
  const sockets: (SocketLike & { said: Said[]; closed: boolean })[] = [];
  const told: string[] = [];
  const standings: Standing[] = [];
  const refused: (string | undefined)[] = [];
  const settle = async () => {
    for (let turn = 0; turn < 5; turn += 1) await Promise.resolve();
  };
  const follower = follow({
    open() {
      const socket = {
        binaryType: "blob" as BinaryType,
        onopen: null,
        onmessage: null,
        onclose: null,
        said: [] as Said[],
        closed: false,
        send(data: Uint8Array) {
          const { message } = fromBinary(WatchEventsClientMessageSchema, data);
          if (message.case === "authenticate") this.said.push({ authenticate: message.value.accessToken });
          if (message.case === "watch") this.said.push({ watch: message.value.position });
        },
        close() {
          this.closed = true;
        },
      };
      sockets.push(socket);
      return socket;
    },
    token: async (bad) => {
      refused.push(bad);
      return `token-${refused.length}`;
    },
    tokenUntil: () => until,
    event: ({ what, position }: Event) => told.push(`${what.case} ${position}`),
    reload: () => told.push("reload"),
    standing: (standing) => standings.push(standing),
    now: () => now,
    later(ms, work) {
      const timer = { at: now + ms, work };
      timers.push(timer);
      return () => {
        timers = timers.filter((other) => other !== timer);
      };
    },
    random: () => 1,
  });
  return {
    follower,
    sockets,
    told,
    standings,
    refused,
    settle,
    expires: (at: number) => {
      until = now + at;
    },
    async pass(ms: number) {
      const end = now + ms;
      for (;;) {
        const due = timers.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
        if (!due) break;
        timers = timers.filter((other) => other !== due);
        now = due.at;
        due.work();
        await settle();
      }
      now = end;
      await settle();
    },
    latest() {
      const socket = sockets.at(-1);
      if (!socket) throw new Error("nothing was opened");
      return socket;
    },
    say(message: Parameters<typeof create<typeof WatchEventsResponseSchema>>[1]) {
      const bytes = toBinary(WatchEventsResponseSchema, create(WatchEventsResponseSchema, message));
      this.latest().onmessage?.({ data: bytes.slice().buffer });
    },
    mark(position: string) {
      this.say({ message: { case: "mark", value: { position } } });
    },
    online(position: string) {
      this.say({
        message: { case: "event", value: { position, what: { case: "hostOnline", value: { address: "" } } } },
      });
    },
  };
}

test("it says who it is, then what it wants, and reads anew at the first word", async () => {
  const platform = world();
  await platform.settle();
  platform.latest().onopen?.();
  expect(platform.latest().said).toEqual([{ authenticate: "token-1" }, { watch: "" }]);
  platform.mark("1");
  platform.online("2");
  expect(platform.told).toEqual(["reload", "hostOnline 2"]);
  expect(platform.standings).toEqual(["live"]);
});

test("after a lost connection it goes on from its position and reads nothing anew", async () => {
  const platform = world();
  await platform.settle();
  platform.latest().onopen?.();
  platform.mark("1");
  platform.online("2");
  platform.latest().onclose?.({ code: 1006, reason: "" });
  expect(platform.standings).toEqual(["live", "lost"]);
  await platform.pass(500);
  expect(platform.sockets).toHaveLength(2);
  platform.latest().onopen?.();
  expect(platform.latest().said.at(-1)).toEqual({ watch: "2" });
  platform.online("3");
  expect(platform.told).toEqual(["reload", "hostOnline 2", "hostOnline 3"]);
  expect(platform.standings).toEqual(["live", "lost", "live"]);
});

test("what the platform cannot fill is read anew", async () => {
  const platform = world();
  await platform.settle();
  platform.latest().onopen?.();
  platform.mark("1");
  platform.say({ message: { case: "reload", value: { position: "9" } } });
  expect(platform.told).toEqual(["reload", "reload"]);
  platform.latest().onclose?.({ code: 1001, reason: "" });
  await platform.pass(500);
  platform.latest().onopen?.();
  expect(platform.latest().said.at(-1)).toEqual({ watch: "9" });
});

test("it waits longer from one try to the next, and not when the network is back", async () => {
  const platform = world();
  await platform.settle();
  for (const wait of [500, 1000, 2000, 4000, 8000, 15000, 15000]) {
    const before = platform.sockets.length;
    platform.latest().onclose?.({ code: 1006, reason: "" });
    await platform.pass(wait - 1);
    expect(platform.sockets).toHaveLength(before);
    await platform.pass(1);
    expect(platform.sockets).toHaveLength(before + 1);
  }
  expect(platform.standings).toEqual(["lost"]);
  const before = platform.sockets.length;
  platform.latest().onclose?.({ code: 1006, reason: "" });
  platform.follower.hurry();
  await platform.settle();
  expect(platform.sockets).toHaveLength(before + 1);
});

test("a connection of which nothing comes is given up", async () => {
  const platform = world();
  await platform.settle();
  platform.latest().onopen?.();
  platform.mark("1");
  await platform.pass(70_000);
  platform.mark("1");
  await platform.pass(70_000);
  expect(platform.sockets).toHaveLength(1);
  const silent = platform.latest();
  await platform.pass(10_000);
  expect(silent.closed).toBe(true);
  expect(platform.sockets).toHaveLength(2);
  // What it says late is nobody's.
  silent.onclose?.({ code: 1006, reason: "" });
  await platform.pass(30_000);
  expect(platform.sockets).toHaveLength(2);
});

test("a refused credential is not shown again", async () => {
  const platform = world();
  await platform.settle();
  platform.latest().onopen?.();
  platform.latest().onclose?.({ code: 1008, reason: "token_invalid" });
  await platform.pass(500);
  expect(platform.refused).toEqual([undefined, "token-1"]);
});

test("a credential is said anew before it ends, on the same connection", async () => {
  const platform = world();
  await platform.settle();
  platform.expires(15 * 60_000);
  platform.latest().onopen?.();
  for (let minute = 0; minute < 14; minute += 1) {
    platform.mark("1");
    await platform.pass(60_000);
  }
  expect(platform.sockets).toHaveLength(1);
  expect(platform.latest().said.at(-1)).toEqual({ authenticate: "token-2" });
});

test("whoever stops it hears no more", async () => {
  const platform = world();
  await platform.settle();
  platform.latest().onopen?.();
  platform.mark("1");
  platform.follower.stop();
  expect(platform.latest().closed).toBe(true);
  platform.online("2");
  platform.latest().onclose?.({ code: 1000, reason: "" });
  await platform.pass(60_000);
  expect(platform.told).toEqual(["reload"]);
  expect(platform.sockets).toHaveLength(1);
});
