// What the pages of alerts share: the ways between them, how severities and states are shown, and alerts as a table.

import { timestampMs } from "@bufbuild/protobuf/wkt";
import { type Alert, AlertService, AlertSeverity, AlertState } from "fleetwire/api/v1/alert";
import { Link, NavLink } from "react-router";
import { client, useChange, useMay } from "../api/query";
import type { Tone } from "./parts";
import { State, Wrong } from "./parts";
import { type Column, Table } from "./table";
import { Word } from "./text";
import { useNow, When } from "./time";

const SEVERITY: Record<AlertSeverity, readonly [string, Tone]> = {
  [AlertSeverity.UNSPECIFIED]: ["warning", "warn"],
  [AlertSeverity.INFO]: ["info", "busy"],
  [AlertSeverity.WARNING]: ["warning", "warn"],
  [AlertSeverity.CRITICAL]: ["critical", "bad"],
};

const STATE: Record<AlertState, string> = {
  [AlertState.UNSPECIFIED]: "unknown",
  [AlertState.PENDING]: "pending",
  [AlertState.FIRING]: "firing",
  [AlertState.RESOLVED]: "resolved",
};

export function Severity({ severity }: { severity: AlertSeverity }) {
  const [text, tone] = SEVERITY[severity] ?? SEVERITY[0];
  return <State tone={tone}>{text}</State>;
}

export function Standing({ alert }: { alert: Alert }) {
  const word = STATE[alert.state] ?? STATE[0];
  if (alert.state !== AlertState.FIRING)
    return (
      <State tone={alert.state === AlertState.RESOLVED ? "good" : "idle"} hollow>
        {word}
      </State>
    );
  return <State tone={SEVERITY[alert.severity]?.[1] ?? "warn"}>{word}</State>;
}

export function AlertTabs({ channels }: { channels: boolean }) {
  return (
    <nav className="tabs" aria-label="Alerts">
      <NavLink to="/alerts" end>
        Alerts
      </NavLink>
      <NavLink to="/alerts/silences">Silences</NavLink>
      <NavLink to="/alerts/rules">Rules</NavLink>
      {channels && <NavLink to="/alerts/channels">Channels</NavLink>}
    </nav>
  );
}

/** Alerts are told of as events; whoever changes one sees it at once. */
export function alertsChanged() {
  for (const method of [AlertService.method.listAlerts, AlertService.method.getAlert])
    void client.invalidateQueries({ queryKey: [method.name] });
}

export function Acknowledge({ alert, primary }: { alert: Alert; primary?: boolean }) {
  const may = useMay(AlertService.method.acknowledgeAlert);
  const acknowledge = useChange(AlertService.method.acknowledgeAlert, alertsChanged);
  if (!may || alert.acknowledgedBy || alert.state !== AlertState.FIRING) return null;
  return (
    <>
      <button
        type="button"
        className={primary ? "primary" : undefined}
        disabled={acknowledge.isPending}
        onClick={() => acknowledge.mutate({ alertId: alert.id })}
      >
        Acknowledge
      </button>
      <Wrong error={acknowledge.error} />
    </>
  );
}

/** What became of it beside its state: who looks after it, and whether it is kept quiet. */
export function Beside({ alert }: { alert: Alert }) {
  const now = useNow();
  const { acknowledgedBy } = alert;
  const silencedUntil =
    alert.silencedUntil && timestampMs(alert.silencedUntil) > now ? alert.silencedUntil : undefined;
  if (!acknowledgedBy && !silencedUntil) return <span className="muted">nobody yet</span>;
  return (
    <>
      {acknowledgedBy && <Word>{acknowledgedBy}</Word>}
      {silencedUntil && (
        <span className="muted">
          {acknowledgedBy && ", "}silenced, ends <When at={silencedUntil} />
        </span>
      )}
    </>
  );
}

const COLUMNS: readonly Column<Alert>[] = [
  {
    head: "Alert",
    lead: true,
    cell: (alert) => (
      <>
        <Link to={`/alerts/${alert.id}`}>
          <Word>{alert.rule}</Word>
        </Link>
        <div className="muted small">
          <Word>{alert.detail}</Word>
        </div>
      </>
    ),
  },
  { head: "State", cell: (alert) => <Standing alert={alert} /> },
  { head: "Severity", cell: ({ severity }) => <Severity severity={severity} /> },
  { head: "Host", cell: (alert) => <AlertHost alert={alert} /> },
  { head: "Since", cell: (alert) => <When at={alert.since} /> },
  { head: "Looked after by", cell: (alert) => <Beside alert={alert} /> },
];

export function AlertHost({ alert }: { alert: Alert }) {
  if (!alert.hostId) return <span className="muted">the platform</span>;
  return (
    <Link to={`/hosts/${alert.hostId}`}>
      <Word>{alert.host ?? alert.hostId}</Word>
    </Link>
  );
}

export function AlertRows({
  alerts,
  more,
}: {
  alerts: readonly Alert[];
  /** More buttons of an alert. */
  more?: (alert: Alert) => React.ReactNode;
}) {
  const acts: Column<Alert> = {
    head: "Do",
    acts: true,
    cell: (alert) => (
      <>
        <Acknowledge alert={alert} />
        {more?.(alert)}
      </>
    ),
  };
  return <Table rows={alerts} columns={[...COLUMNS, acts]} name={({ id }) => id} />;
}

/** Those that fire now: the newest hundred. */
export const FIRING = { state: AlertState.FIRING, pageSize: 100 };
