// What events say of a host themselves, laid over every answer that shows it: those of a moment together, so that a
// page is drawn once for all of them. An answer that was on its way when something was said of a host is older than
// that, or may be: what was said since it was asked for is laid over it as well, in the same order.

import { clone } from "@bufbuild/protobuf";
import type { Query, QueryClient, QueryKey } from "@tanstack/react-query";
import { type Host, HostSchema, HostService, type ListHostsResponse } from "fleetwire/api/v1/host";
import { type Outside, outside } from "./ask";

/** What events say is shown within so long. */
const MOMENT_MS = 50;
/** So much that was said is kept for answers that are on their way. */
const SAID_MAX = 50_000;

/** Changes a host that is nobody else's. */
export type Change = (host: Host) => void;
/** By host id, in the order in which they came. */
type Changes = Map<string, Change[]>;

/** Gives what takes a change of a host. */
export function overlay(
  client: QueryClient,
  { later }: Pick<Outside, "later"> = outside,
): (id: string, change: Change) => void {
  const cache = client.getQueryCache();
  let moment: Changes | undefined;
  /** What was said while answers were on their way, from the `first`th on. */
  let said: { id: string; change: Change }[] = [];
  let first = 0;
  /** How much had been said when an answer was asked for, by the query's hash. */
  const asked = new Map<string, number>();

  cache.subscribe((event) => {
    const { query } = event;
    if (!isOfHosts(query.queryKey)) return;
    const hash = query.queryHash;
    if (event.type === "updated" && query.state.fetchStatus === "fetching") {
      if (!asked.has(hash)) asked.set(hash, first + said.length);
      return;
    }
    const since = asked.get(hash);
    if (since === undefined || (event.type !== "updated" && event.type !== "removed")) return;
    asked.delete(hash);
    if (event.type === "updated") {
      const changes: Changes = new Map();
      for (const { id, change } of said.slice(Math.max(since - first, 0))) add(changes, id, change);
      if (changes.size) lay(query, changes);
      // So much was said meanwhile that not all of it is known any more.
      if (since < first) void client.invalidateQueries({ queryKey: query.queryKey, exact: true });
    }
    forget(Math.min(...asked.values(), first + said.length));
  });

  /** It is no answer of the platform's: what was to be asked for again still is, and what failed has failed. */
  const lay = (query: Query, changes: Changes) => {
    const { data, dataUpdatedAt, isInvalidated, status } = query.state;
    const next = changed(data, changes);
    if (next === data || status !== "success") return;
    client.setQueryData(query.queryKey, next, { updatedAt: dataUpdatedAt });
    if (isInvalidated) query.invalidate();
  };

  const forget = (before: number) => {
    if (before <= first) return;
    said = said.slice(before - first);
    first = before;
  };

  return (id, change) => {
    if (!moment) {
      moment = new Map();
      later(MOMENT_MS, () => {
        const changes = moment as Changes;
        moment = undefined;
        for (const query of cache.getAll()) {
          if (isOfHosts(query.queryKey)) lay(query, changes);
        }
      });
    }
    add(moment, id, change);
    if (asked.size === 0) return;
    said.push({ id, change });
    if (said.length > SAID_MAX) forget(first + said.length / 2);
  };
}

function add(changes: Changes, id: string, change: Change): void {
  const known = changes.get(id);
  if (known) known.push(change);
  else changes.set(id, [change]);
}

function isOfHosts([method]: QueryKey): boolean {
  return method === HostService.method.listHosts.name || method === HostService.method.getHost.name;
}

/** What answers that show hosts hold, of which each has one. */
interface Shown {
  host?: Host;
  hosts?: Host[];
  pages?: ListHostsResponse[];
}

/** An answer with these changes; the same where there is nothing of it. */
function changed(answer: unknown, changes: Changes): unknown {
  const of = answer as Shown | undefined;
  const host = (old: Host): Host => {
    const its = changes.get(old.id);
    if (!its) return old;
    const next = clone(HostSchema, old);
    for (const change of its) change(next);
    return next;
  };
  const list = <L extends { hosts: Host[] }>(page: L): L =>
    page.hosts.some(({ id }) => changes.has(id)) ? { ...page, hosts: page.hosts.map(host) } : page;
  if (of?.host) return changes.has(of.host.id) ? { ...of, host: host(of.host) } : answer;
  if (of?.hosts)
    return of.hosts.some(({ id }) => changes.has(id)) ? { ...of, hosts: of.hosts.map(host) } : answer;
  const pages = of?.pages?.map(list);
  return pages?.some((page, at) => page !== of?.pages?.[at]) ? { ...of, pages } : answer;
}
