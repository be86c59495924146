// What events only hint at is asked for again: together with all that came within a moment, no sooner than the last
// asking is over, and not so often that asking is all that a slow platform does. Nothing is lost by it: an answer
// that was on its way when its event came may be older than the event, and is asked for once more.

import { hashKey, type Query, type QueryClient, type QueryKey } from "@tanstack/react-query";
import { Refused } from "../api/call";

/** Events within so long lead to one question. */
const TOGETHER_MS = 400;
/** Of the time that a question took, it rests so many times before it is asked again. */
const RESTS = 4;
/** At most so long; and so long after it was not answered. */
const REST_MS_MAX = 10_000;

/** The clock, which a test turns. */
export interface Outside {
  now(): number;
  later(ms: number, work: () => void): unknown;
}

export const outside: Outside = {
  now: () => performance.now(),
  later: (ms, work) => setTimeout(work, ms),
};

/** Has what `client` holds under some keys, and under all that begin with them, asked for again; or all of it. */
export interface Asker {
  (...keys: QueryKey[]): void;
  /** At once, and what is on its way once more. */
  all(): void;
}

export function asker(client: QueryClient, { now, later }: Outside = outside): Asker {
  const cache = client.getQueryCache();
  /** By their hash. */
  let wanted = new Map<string, QueryKey>();
  /** What is no longer right. */
  const stale = new Set<Query>();
  const began = new WeakMap<Query, number>();
  const rests = new WeakMap<Query, number>();
  let wakes: number | undefined;

  const look = () => {
    let next: number | undefined;
    for (const query of stale) {
      // It looks again once that has ended.
      if (query.state.fetchStatus === "fetching") continue;
      const due = query.isActive() ? (rests.get(query) ?? 0) : 0;
      if (due > now()) {
        next = Math.min(next ?? due, due);
        continue;
      }
      stale.delete(query);
      if (cache.get(query.queryHash) === query)
        void client.invalidateQueries({ predicate: (one) => one === query });
    }
    if (next !== undefined && (wakes === undefined || next < wakes)) {
      wakes = next;
      later(Math.max(next - now(), 0), () => {
        wakes = undefined;
        look();
      });
    }
  };

  cache.subscribe((event) => {
    if (event.type !== "updated") return;
    const { query } = event;
    if (query.state.fetchStatus === "fetching") {
      if (!began.has(query)) began.set(query, now());
      return;
    }
    const since = began.get(query);
    if (since === undefined) return;
    began.delete(query);
    const failed = isAway(query.state.error);
    rests.set(query, now() + (failed ? REST_MS_MAX : Math.min((now() - since) * RESTS, REST_MS_MAX)));
    // What was not answered is no better known than before.
    if (failed) stale.add(query);
    // Not from within the cache's own change.
    if (stale.has(query)) later(0, look);
  });

  const ask = (...keys: QueryKey[]) => {
    if (wanted.size === 0) {
      later(TOGETHER_MS, () => {
        const asked = wanted;
        wanted = new Map();
        for (const queryKey of asked.values()) {
          for (const query of cache.findAll({ queryKey })) stale.add(query);
        }
        look();
      });
    }
    for (const key of keys) wanted.set(hashKey(key), key);
  };
  const all = () => {
    for (const query of cache.getAll()) {
      stale.add(query);
      rests.delete(query);
    }
    look();
  };
  return Object.assign(ask, { all });
}

/** Whether nobody answered, or somebody who could not: another refusal would be the same again. */
function isAway(error: unknown): boolean {
  return error instanceof Refused && (error.status === 0 || error.status === 429 || error.status >= 500);
}
