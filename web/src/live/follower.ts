// The one connection to `/api/events`: who it is, where it stands, and how it comes back. It is told things in
// order, each once: after a lost connection it goes on from its last position. What is made of an event is
// `apply`'s. The socket, the clock and the credential are given, so that a test needs none of them.

import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  type Event,
  WatchEventsClientMessageSchema,
  WatchEventsResponseSchema,
} from "fleetwire/api/v1/event";

export const SUBPROTOCOL = "fleetwire.events.v1.proto";
/** The platform says where a follower stands about every 30 s: a connection that is silent for longer is gone. */
const SILENT_MS_MAX = 75_000;
/** Before the first try to come back, and at most between two. */
const BACKOFF_MS = 500;
const BACKOFF_MS_MAX = 15_000;
/** A credential is said anew so long before its end. */
const RENEW_MS_BEFORE = 60_000;
/** Not allowed: the credential was refused or has ended. */
const CLOSE_NOT_ALLOWED = 1008;

/** What of a WebSocket is used. */
export interface SocketLike {
  binaryType: BinaryType;
  onopen: (() => void) | null;
  onmessage: ((event: { data: unknown }) => void) | null;
  onclose: ((event: { code: number; reason: string }) => void) | null;
  send(data: Uint8Array): void;
  close(): void;
}

/** Whether what is shown is current: never yet, now, or not since the connection was lost. */
export type Standing = "connecting" | "live" | "lost";

export interface Outside {
  open(): SocketLike;
  /** A credential that is good, other than the one that was just refused. */
  token(refused?: string): Promise<string>;
  /** Until when the present one is good, in ms since 1970; `undefined` where it does not end. */
  tokenUntil(): number | undefined;
  /** Something has happened. */
  event(event: Event): void;
  /** Something was missed, or may have been before the first word: what is known is read anew. */
  reload(): void;
  standing(standing: Standing): void;
  now(): number;
  later(ms: number, work: () => void): () => void;
  /** 0 to 1. */
  random(): number;
}

/** Follows events until the returned function is called. */
export function follow(outside: Outside): { stop(): void; hurry(): void } {
  let position = "";
  let failures = 0;
  let stopped = false;
  let refused: string | undefined;
  let standing: Standing = "connecting";
  let end: (() => void) | undefined;
  let cancelRetry: (() => void) | undefined;

  const become = (next: Standing) => {
    if (standing === next) return;
    standing = next;
    outside.standing(next);
  };
  const again = () => {
    if (stopped) return;
    if (standing === "live" || failures > 1) become("lost");
    const most = Math.min(BACKOFF_MS * 2 ** failures, BACKOFF_MS_MAX);
    failures += 1;
    cancelRetry = outside.later(most * (0.5 + outside.random() / 2), connect);
  };

  const connect = async () => {
    cancelRetry = undefined;
    let credential: string;
    try {
      credential = await outside.token(refused);
    } catch {
      // Who is not signed in any more is stopped by whoever started it.
      return again();
    }
    if (stopped) return;
    const socket = outside.open();
    socket.binaryType = "arraybuffer";
    const say = (message: Parameters<typeof create<typeof WatchEventsClientMessageSchema>>[1]) =>
      socket.send(toBinary(WatchEventsClientMessageSchema, create(WatchEventsClientMessageSchema, message)));
    const authenticate = (accessToken: string) =>
      say({ message: { case: "authenticate", value: { accessToken } } });

    let ended = false;
    let cancelSilence: (() => void) | undefined;
    let cancelRenewal: (() => void) | undefined;
    const over = (code: number) => {
      if (ended) return;
      ended = true;
      cancelSilence?.();
      cancelRenewal?.();
      end = undefined;
      refused = code === CLOSE_NOT_ALLOWED ? credential : undefined;
      again();
    };
    const heard = () => {
      cancelSilence?.();
      cancelSilence = outside.later(SILENT_MS_MAX, () => {
        socket.close();
        over(0);
      });
    };
    const renewInTime = () => {
      const until = outside.tokenUntil();
      if (until === undefined) return;
      const wait = Math.max(until - RENEW_MS_BEFORE - outside.now(), 1000);
      cancelRenewal = outside.later(wait, async () => {
        const next = await outside.token().catch(() => undefined);
        if (ended) return;
        if (next !== undefined && next !== credential) {
          credential = next;
          authenticate(next);
        }
        renewInTime();
      });
    };
    end = () => {
      ended = true;
      cancelSilence?.();
      cancelRenewal?.();
      socket.close();
    };
    socket.onopen = () => {
      authenticate(credential);
      say({ message: { case: "watch", value: { position } } });
      heard();
      renewInTime();
    };
    socket.onclose = ({ code }) => over(code);
    socket.onmessage = ({ data }) => {
      if (ended || !(data instanceof ArrayBuffer)) return;
      heard();
      failures = 0;
      refused = undefined;
      const { message } = fromBinary(WatchEventsResponseSchema, new Uint8Array(data));
      // What happened between the pages' first answers and the first word is in neither.
      const first = position === "";
      if (message.value) position = message.value.position;
      if (message.case === "event") outside.event(message.value);
      else if (message.case === "reload" || (message.case === "mark" && first)) outside.reload();
      become("live");
    };
    heard();
  };

  void connect();
  return {
    stop() {
      stopped = true;
      cancelRetry?.();
      end?.();
    },
    /** The network is back: no need to wait longer. */
    hurry() {
      if (!cancelRetry) return;
      cancelRetry();
      void connect();
    },
  };
}
