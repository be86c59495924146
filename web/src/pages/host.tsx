// One host: how it is, what is said of it, what it was asked to do, who looks at it, and what the audit log has.

import { AlertService } from "fleetwire/api/v1/alert";
import { AuditService } from "fleetwire/api/v1/audit";
import { CommandService } from "fleetwire/api/v1/command";
import { DeliveryService } from "fleetwire/api/v1/delivery";
import { GroupService } from "fleetwire/api/v1/group";
import { type Health, type Host, HostService, HostStatus } from "fleetwire/api/v1/host";
import { SessionService } from "fleetwire/api/v1/session";
import { useState } from "react";
import { useNavigate, useParams } from "react-router";
import { useCall, useChange, useList, useMay } from "../api/query";
import { AlertRows, FIRING } from "../ui/alerts";
import { AuditRows } from "../ui/audit-rows";
import { DeliveryRows } from "../ui/delivery-rows";
import { EditHost } from "../ui/edit-host";
import { HealthHistory } from "../ui/health-history";
import { Inventory } from "../ui/inventory";
import { OpenConsole } from "../ui/open-console";
import { Answer, Empty, FormDialog, Labels, Meter, More, Page, Panel } from "../ui/parts";
import { SessionRows } from "../ui/session-rows";
import { Silence } from "../ui/silence";
import { Word } from "../ui/text";
import { At, span, When } from "../ui/time";
import { HostState } from "./hosts";

export default function HostPage() {
  const { id = "" } = useParams();
  const host = useCall(HostService.method.getHost, { hostId: id });
  if (!host.data?.host) {
    return (
      <Page title="Host" back={{ to: "/hosts", text: "Hosts" }}>
        <section className="panel">
          <Answer of={host}>{() => <Empty title="There is no such host" />}</Answer>
        </section>
      </Page>
    );
  }
  return <Shown host={host.data.host} />;
}

function Shown({ host }: { host: Host }) {
  const navigate = useNavigate();
  const mayRun = useMay(CommandService.method.createCommand);
  const mayRevoke = useMay(HostService.method.revokeHost);
  const mayEdit = useMay(HostService.method.updateHost);
  const [asked, setAsked] = useState<"revoke" | "edit">();
  const revoke = useChange(HostService.method.revokeHost, () => setAsked(undefined));
  return (
    <Page
      title={<Word>{host.name}</Word>}
      back={{ to: "/hosts", text: "Hosts" }}
      beside={<HostState host={host} />}
      actions={
        <>
          <OpenConsole host={host} />
          {mayRun && !host.revokedAt && (
            <button type="button" onClick={() => navigate("/run", { state: { hosts: [host.id] } })}>
              Run a command
            </button>
          )}
          {mayEdit && (
            <button type="button" onClick={() => setAsked("edit")}>
              Edit
            </button>
          )}
          {mayRevoke && !host.revokedAt && (
            <button type="button" className="danger" onClick={() => setAsked("revoke")}>
              Revoke
            </button>
          )}
        </>
      }
    >
      <Alerts host={host} />
      <div className="columns">
        <Facts host={host} />
        <HealthPanel health={host.health} online={host.status === HostStatus.ONLINE} />
      </div>
      <HealthHistory hostId={host.id} seenAt={host.lastSeenAt} />
      <Inventory host={host} />
      <Deliveries host={host} />
      <Sessions host={host} />
      <Audit host={host} />
      {asked === "edit" && <EditHost host={host} onClose={() => setAsked(undefined)} />}
      {asked === "revoke" && (
        <FormDialog
          title="Revoke this host?"
          action="Revoke"
          danger
          pending={revoke.isPending}
          error={revoke.error}
          onSubmit={() => revoke.mutate({ hostId: host.id })}
          onClose={() => setAsked(undefined)}
        >
          <p>
            Its connection and its console sessions end at once, and its agent is let in no more. It comes
            back only by being enrolled anew with a token for its name.
          </p>
        </FormDialog>
      )}
    </Page>
  );
}

function Facts({ host }: { host: Host }) {
  const groups = useCall(
    GroupService.method.listGroups,
    { pageSize: 1000 },
    { enabled: host.groupIds.length > 0 },
  );
  const names = host.groupIds.map((id) => groups.data?.groups.find((group) => group.id === id)?.name ?? "…");
  return (
    <Panel title="Host">
      <dl className="facts">
        {host.connectedSince ? (
          <>
            <dt>Connected</dt>
            <dd>
              <When at={host.connectedSince} />
              {host.address && <> from {<span className="mono">{host.address}</span>}</>}
            </dd>
            <dt>Round trip</dt>
            <dd className="number">
              {host.roundTripMs === undefined ? (
                <span className="muted">not measured yet</span>
              ) : (
                `${host.roundTripMs.toFixed(host.roundTripMs < 10 ? 1 : 0)} ms`
              )}
            </dd>
          </>
        ) : (
          <>
            <dt>Last seen</dt>
            <dd>
              <When at={host.lastSeenAt} />
            </dd>
          </>
        )}
        {host.software && (
          <>
            <dt>Agent</dt>
            <dd>
              <Word>{host.software}</Word>
            </dd>
          </>
        )}
        <dt>Labels</dt>
        <dd>
          {Object.keys(host.labels).length ? (
            <Labels labels={host.labels} />
          ) : (
            <span className="muted">none</span>
          )}
        </dd>
        <dt>Groups</dt>
        <dd>{names.length ? <Word>{names.join(", ")}</Word> : <span className="muted">none</span>}</dd>
        <dt>Certificate</dt>
        <dd>
          {host.certificateExpiresAt ? (
            <>
              ends <When at={host.certificateExpiresAt} />
            </>
          ) : (
            <span className="muted">none, a token alone</span>
          )}
        </dd>
        {host.revokedAt && (
          <>
            <dt>Revoked</dt>
            <dd>
              <At at={host.revokedAt} />
            </dd>
          </>
        )}
        <dt>Made</dt>
        <dd>
          <At at={host.createdAt} />
        </dd>
        <dt>Id</dt>
        <dd className="mono">{host.id}</dd>
      </dl>
    </Panel>
  );
}

function HealthPanel({ health, online }: { health: Health | undefined; online: boolean }) {
  return (
    <Panel title="Health">
      {health ? (
        <div className="stack">
          <Meter label="Processor" value={health.cpuPercent} />
          <Meter label="Memory" value={health.memoryPercent} />
          <Meter label="Fullest disk" value={health.diskPercent} />
          <dl className="facts">
            {health.loadAverage !== undefined && (
              <>
                <dt>Load</dt>
                <dd className="number">{health.loadAverage.toFixed(2)}</dd>
              </>
            )}
            {health.temperatureCelsius !== undefined && (
              <>
                <dt>Hottest sensor</dt>
                <dd className="number">{health.temperatureCelsius.toFixed(1)} °C</dd>
              </>
            )}
            {health.uptimeSeconds !== undefined && (
              <>
                <dt>Up for</dt>
                <dd className="number">{span(Number(health.uptimeSeconds))}</dd>
              </>
            )}
          </dl>
        </div>
      ) : (
        <Empty title="No report">
          {online
            ? "The next one comes with the agent's heartbeat."
            : "The agent reports while it is connected."}
        </Empty>
      )}
    </Panel>
  );
}

/** What is wrong with it now; nothing where nothing is. */
function Alerts({ host }: { host: Host }) {
  const alerts = useList(AlertService.method.listAlerts, { ...FIRING, hostId: host.id });
  const rows = alerts.data?.pages.flatMap(({ alerts }) => alerts) ?? [];
  if (!rows.length && !alerts.hasNextPage) return null;
  return (
    <Panel title="Alerts that fire" flush>
      <AlertRows alerts={rows} more={(alert) => <Silence alert={alert} />} />
      <More of={alerts} />
    </Panel>
  );
}

function Deliveries({ host }: { host: Host }) {
  const deliveries = useList(DeliveryService.method.listDeliveries, { host: host.id, pageSize: 20 });
  return (
    <Panel title="Commands" flush>
      <Answer of={deliveries}>
        {({ pages }) => {
          const rows = pages.flatMap(({ deliveries }) => deliveries);
          return rows.length ? (
            <>
              <DeliveryRows deliveries={rows} show="command" />
              <More of={deliveries} />
            </>
          ) : (
            <Empty title="It was not asked to do anything yet" />
          );
        }}
      </Answer>
    </Panel>
  );
}

function Sessions({ host }: { host: Host }) {
  const sessions = useList(SessionService.method.listSessions, { host: host.id, pageSize: 100 });
  return (
    <Panel title="Console sessions" flush>
      <Answer of={sessions}>
        {({ pages }) => {
          const rows = pages.flatMap(({ sessions }) => sessions);
          return rows.length ? (
            <>
              <SessionRows sessions={rows} ofOne />
              <More of={sessions} />
            </>
          ) : (
            <Empty title="Nobody looks at it now" />
          );
        }}
      </Answer>
    </Panel>
  );
}

function Audit({ host }: { host: Host }) {
  const may = useMay(AuditService.method.listAuditEntries);
  const entries = useList(
    AuditService.method.listAuditEntries,
    { host: host.id, pageSize: 20 },
    { enabled: may },
  );
  if (!may) return null;
  return (
    <Panel
      title="Audit"
      flush
      actions={
        <button type="button" className="plain" onClick={() => void entries.refetch()}>
          Refresh
        </button>
      }
    >
      <Answer of={entries}>
        {({ pages }) => (
          <>
            <AuditRows entries={pages.flatMap(({ entries }) => entries)} />
            <More of={entries} />
          </>
        )}
      </Answer>
    </Panel>
  );
}
