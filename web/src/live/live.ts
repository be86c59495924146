// The events of whoever is signed in: one connection, laid over the pages' answers, and what the banner says of it.

import { useSyncExternalStore } from "react";
import { client } from "../api/query";
import { current, identify, subscribe as subscribeSession, token, tokenUntil } from "../api/session";
import { applier } from "./apply";
import { follow, type SocketLike, type Standing, SUBPROTOCOL } from "./follower";

const apply = applier(client);

/** Where the schema says that events are followed by WebSocket. */
const PATH = "/api/events";

let standing: Standing = "connecting";
const listeners = new Set<() => void>();
let following: ReturnType<typeof follow> | undefined;
/** Who it is for: another user sees other things. */
let followed = "";

function become(next: Standing) {
  standing = next;
  for (const listener of listeners) listener();
}

function begin() {
  following?.stop();
  standing = "connecting";
  following = follow({
    open: () => {
      const url = new URL(PATH, location.href);
      url.protocol = url.protocol.replace("http", "ws");
      return new WebSocket(url, SUBPROTOCOL) as unknown as SocketLike;
    },
    token,
    tokenUntil,
    event: (event) => {
      apply(event);
      // It may be one's own role.
      if (event.what.case === "recordUpdated" && event.what.value.kind === "user") void identify();
    },
    reload: () => {
      apply.reload();
      void identify();
    },
    standing: become,
    now: Date.now,
    later: (ms, work) => {
      const timer = setTimeout(work, ms);
      return () => clearTimeout(timer);
    },
    random: Math.random,
  });
}

/** Follows from here on for as long as somebody is signed in. */
export function start(): void {
  const look = () => {
    const session = current();
    const user = session.state === "in" ? session.user.id : "";
    if (user === followed) return;
    followed = user;
    client.clear();
    if (user) begin();
    else {
      following?.stop();
      following = undefined;
    }
  };
  subscribeSession(look);
  look();
  addEventListener("online", () => following?.hurry());
}

export function useStanding(): Standing {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => standing,
  );
}
