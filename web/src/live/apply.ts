// What an event changes of what the pages hold: what it says of a host is laid over the answers at once (`hosts`);
// what it only hints at is asked for again (`ask`).

import type { QueryClient, QueryKey } from "@tanstack/react-query";
import { AlertService } from "fleetwire/api/v1/alert";
import { AuditService } from "fleetwire/api/v1/audit";
import { CommandService } from "fleetwire/api/v1/command";
import { DeliveryService } from "fleetwire/api/v1/delivery";
import type { Event } from "fleetwire/api/v1/event";
import { FleetService } from "fleetwire/api/v1/fleet";
import { GroupService } from "fleetwire/api/v1/group";
import { HostService, HostStatus } from "fleetwire/api/v1/host";
import { SessionService } from "fleetwire/api/v1/session";
import { asker, type Outside, outside } from "./ask";
import { overlay } from "./hosts";

const AUDIT = [AuditService.method.listAuditEntries.name];
/** How many hosts a command would go to, as it is asked before one is sent. */
const COUNTS = [CommandService.method.createCommand.name];
const FLEET = [FleetService.method.getFleetSummary.name];
const HOSTS = [HostService.method.listHosts.name];
/** Lists of the hosts that are online, and of those that are not: one that comes or goes leaves one for the other. */
const HOSTS_BY_STATUS: QueryKey[] = ["online", "offline"].map((status) => [...HOSTS, { status }]);
const SESSIONS = [SessionService.method.listSessions.name];
/** How a console session has ended, as its event said: the session itself is not there any more. */
export const endedKey = (sessionId: string): QueryKey => ["session ended", sessionId];
const ALERTS = [[AlertService.method.listAlerts.name], [AlertService.method.getAlert.name]];
const DELIVERIES = [DeliveryService.method.listDeliveries.name];

/** Methods that tell of a kind of things that have no event of their own for all that happens to them. Their names alone: most are for few. */
export const RECORDS: Readonly<Record<string, readonly string[]>> = {
  user: ["ListUsers", "GetUser", "GetMe"],
  api_key: ["ListApiKeys"],
  enrolment_token: ["ListEnrolmentTokens"],
  alert_rule: ["ListAlertRules"],
  // What waits for one that is disabled or removed is given up.
  alert_channel: ["ListAlertChannels", "GetAlert"],
  file: ["ListFiles"],
  backup: ["ListBackups"],
  session: ["ListSessions", "GetSession"],
  platform: ["GetFleetSummary"],
};

export interface Applier {
  (event: Event): void;
  /** Something was missed: all is asked for again. */
  reload(): void;
}

/** Lays events over what `client` holds. */
export function applier(client: QueryClient, around: Outside = outside): Applier {
  const ask = asker(client, around);
  const host = overlay(client, around);

  const apply = (event: Event) => {
    const { hostId: id, at, what } = event;
    if (what.case === "hostHealth") {
      const { health, roundTripMs } = what.value;
      host(id, (host) => {
        host.health = health;
        host.roundTripMs = roundTripMs ?? host.roundTripMs;
        host.lastSeenAt = at;
      });
      return;
    }
    if (what.case === "alertNotificationUpdated") {
      // Many may be sent at once, and none of them changes anything but its alert's page.
      ask([AlertService.method.getAlert.name, { alert_id: what.value.alertId }]);
      return;
    }
    // Nearly all that happens stands in the audit log, and changes a number of the fleet's.
    ask(AUDIT, FLEET);
    switch (what.case) {
      case "hostOnline": {
        const { address, software } = what.value;
        host(id, (host) => {
          host.status = HostStatus.ONLINE;
          host.address = address;
          host.software = software;
          host.connectedSince = at;
          host.lastSeenAt = at;
        });
        ask(...HOSTS_BY_STATUS, COUNTS);
        return;
      }
      case "hostOffline":
        host(id, (host) => {
          host.status = HostStatus.OFFLINE;
          host.lastSeenAt = at;
          host.connectedSince = host.address = host.roundTripMs = host.health = undefined;
        });
        ask(...HOSTS_BY_STATUS, COUNTS);
        return;
      case "hostCreated":
      case "hostEnrolled":
      case "hostUpdated":
      case "hostRevoked":
      case "hostDuplicated":
        ask(
          HOSTS,
          COUNTS,
          [HostService.method.listLabels.name],
          [HostService.method.getHost.name, { host_id: id }],
          // How many hosts a group has.
          [GroupService.method.listGroups.name],
        );
        if (what.case !== "hostUpdated") ask(["ListEnrolmentTokens"]);
        return;
      case "groupUpdated":
        ask([GroupService.method.listGroups.name], HOSTS, COUNTS);
        return;
      case "sessionOpened":
      case "sessionEntered":
      case "sessionClosed": {
        const { sessionId } = what.value;
        if (what.case === "sessionClosed") client.setQueryData(endedKey(sessionId), event);
        ask(SESSIONS, [SessionService.method.getSession.name, { session_id: sessionId }]);
        return;
      }
      case "commandUpdated":
        ask([CommandService.method.listCommands.name], ofCommand(what.value.commandId));
        return;
      case "deliveryUpdated": {
        const { commandId } = what.value;
        ask(
          DELIVERIES,
          [DeliveryService.method.getDelivery.name, { command_id: commandId, host_id: id }],
          // How many of its hosts are how far.
          [CommandService.method.listCommands.name],
          ofCommand(commandId),
        );
        return;
      }
      case "alertUpdated":
        ask(...ALERTS);
        return;
      case "alertSilenceUpdated":
        ask(...ALERTS, ["ListAlertSilences"]);
        return;
      case "recordUpdated":
        ask(...(RECORDS[what.value.kind] ?? []).map((method) => [method]));
        return;
    }
  };
  return Object.assign(apply, { reload: ask.all });
}

const ofCommand = (id: string): QueryKey => [CommandService.method.getCommand.name, { command_id: id }];
