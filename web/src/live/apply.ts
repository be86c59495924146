// What an event changes of what the pages hold: what it says itself is laid over the answers at once; what it only
// hints at is asked for again, together with all that came within a moment.

import { clone } from "@bufbuild/protobuf";
import type { InfiniteData, QueryClient } from "@tanstack/react-query";
import { AuditService } from "fleetwire/api/v1/audit";
import { CommandService } from "fleetwire/api/v1/command";
import { DeliveryService } from "fleetwire/api/v1/delivery";
import type { Event } from "fleetwire/api/v1/event";
import { GroupService } from "fleetwire/api/v1/group";
import {
  type GetHostResponse,
  type Host,
  HostSchema,
  HostService,
  HostStatus,
  type ListHostsResponse,
} from "fleetwire/api/v1/host";
import { SessionService } from "fleetwire/api/v1/session";

/** Events of one kind within so long lead to one question. */
const TOGETHER_MS = 400;
/** What events say themselves is shown within so long. */
const MOMENT_MS = 50;
/** The overview's own figures, which have no method of their own. */
export const FIGURES = "Figures";

/** How many hosts are there and which are connected; how much is on its way. */
export interface Figures {
  /** Host id to whether it is connected. */
  hosts: Map<string, boolean>;
  /** Command and host of what is under way. */
  underWay: Set<string>;
  /** Whether there is more under way than was counted. */
  moreUnderWay: boolean;
}

/** What a moment's events change of what the pages hold. */
interface Moment {
  /** By host id, in the order in which they came. */
  hosts: Map<string, ((host: Host) => void)[]>;
  figures: ((figures: Figures) => void)[];
}

/** Lays events over what `client` holds, those of a moment together: a page is drawn once for all of them. */
export function applier(client: QueryClient, later = (work: () => void, ms: number) => setTimeout(work, ms)) {
  let waiting = new Map<string, readonly unknown[]>();
  let moment: Moment | undefined;

  const ask = (...keys: readonly unknown[][]) => {
    if (waiting.size === 0) {
      later(() => {
        const asked = waiting;
        waiting = new Map();
        for (const queryKey of asked.values())
          void client.invalidateQueries({ queryKey }, { cancelRefetch: false });
      }, TOGETHER_MS);
    }
    for (const key of keys) waiting.set(JSON.stringify(key), key);
  };

  const now = (): Moment => {
    if (!moment) {
      moment = { hosts: new Map(), figures: [] };
      later(() => {
        const { hosts, figures } = moment as Moment;
        moment = undefined;
        if (hosts.size) changeHosts(client, hosts);
        if (figures.length) changeFigures(client, figures);
      }, MOMENT_MS);
    }
    return moment;
  };
  const host = (id: string, change: (host: Host) => void) => {
    const { hosts } = now();
    const changes = hosts.get(id);
    if (changes) changes.push(change);
    else hosts.set(id, [change]);
  };
  const figures = (change: (figures: Figures) => void) => now().figures.push(change);

  const hostsChanged = (id: string) =>
    ask(
      [HostService.method.listHosts.name],
      [HostService.method.listLabels.name],
      [HostService.method.getHost.name, { host_id: id }],
    );

  return (event: Event) => {
    const { hostId: id, at, what } = event;
    // Nearly all that happens stands in the audit log as well.
    if (what.case !== "hostHealth") ask([AuditService.method.listAuditEntries.name]);
    switch (what.case) {
      case "hostOnline":
        host(id, (host) => {
          host.status = HostStatus.ONLINE;
          host.address = what.value.address;
          host.software = what.value.software;
          host.connectedSince = at;
          host.lastSeenAt = at;
        });
        figures(({ hosts }) => void hosts.set(id, true));
        return;
      case "hostOffline":
        host(id, (host) => {
          host.status = HostStatus.OFFLINE;
          host.lastSeenAt = at;
          host.connectedSince = host.address = host.roundTripMs = host.health = undefined;
        });
        figures(({ hosts }) => void hosts.set(id, false));
        return;
      case "hostHealth":
        host(id, (host) => {
          host.health = what.value.health;
          host.lastSeenAt = at;
        });
        return;
      case "hostCreated":
      case "hostEnrolled":
      case "hostUpdated":
      case "hostRevoked":
      case "hostDuplicated":
        hostsChanged(id);
        // A fleet that enrols is not counted anew for each of its hosts.
        if (what.case === "hostCreated" || what.case === "hostEnrolled")
          figures(({ hosts }) => void hosts.set(id, hosts.get(id) ?? false));
        else if (what.case === "hostUpdated") ask([FIGURES]);
        if (what.case !== "hostUpdated") ask(["ListEnrolmentTokens"]);
        return;
      case "groupUpdated":
        ask([GroupService.method.listGroups.name], [HostService.method.listHosts.name]);
        return;
      case "sessionOpened":
      case "sessionEntered":
      case "sessionClosed":
        ask([SessionService.method.listSessions.name]);
        return;
      case "commandUpdated":
        ask([CommandService.method.listCommands.name], [CommandService.method.getCommand.name]);
        return;
      case "deliveryUpdated": {
        const delivery = `${what.value.commandId} ${id}`;
        figures(({ underWay }) => {
          if (UNDER_WAY.has(what.value.status)) underWay.add(delivery);
          else underWay.delete(delivery);
        });
        ask([DeliveryService.method.listDeliveries.name], [DeliveryService.method.getDelivery.name]);
        return;
      }
    }
  };
}

/** Changes hosts in every answer that shows them. */
function changeHosts(client: QueryClient, changes: Moment["hosts"]): void {
  const changed = (old: Host): Host => {
    const its = changes.get(old.id);
    if (!its) return old;
    const host = clone(HostSchema, old);
    for (const change of its) change(host);
    return host;
  };
  client.setQueriesData<GetHostResponse>({ queryKey: [HostService.method.getHost.name] }, (answer) =>
    answer?.host && changes.has(answer.host.id) ? { ...answer, host: changed(answer.host) } : answer,
  );
  type Pages = InfiniteData<ListHostsResponse>;
  client.setQueriesData<Pages>({ queryKey: [HostService.method.listHosts.name] }, (answer) => {
    if (!answer?.pages) return answer;
    const pages = answer.pages.map((page) =>
      page.hosts.some(({ id }) => changes.has(id)) ? { ...page, hosts: page.hosts.map(changed) } : page,
    );
    return pages.some((page, index) => page !== answer.pages[index]) ? { ...answer, pages } : answer;
  });
}

function changeFigures(client: QueryClient, changes: Moment["figures"]): void {
  client.setQueryData<Figures>([FIGURES], (old) => {
    if (!old) return old;
    const next = { ...old, hosts: new Map(old.hosts), underWay: new Set(old.underWay) };
    for (const change of changes) change(next);
    return next;
  });
}

/** Where a delivery has not ended. */
const UNDER_WAY = new Set(["queued", "sent", "received", "running"]);
