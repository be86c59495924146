// The fleet at a glance: how many hosts are there, what is on its way, what came to nothing, and what happens.

import { AlertService } from "fleetwire/api/v1/alert";
import { CommandService } from "fleetwire/api/v1/command";
import { FleetService } from "fleetwire/api/v1/fleet";
import { Link } from "react-router";
import { useCall } from "../api/query";
import { AlertRows, FIRING } from "../ui/alerts";
import { Answer, Empty, Page, Panel, State, type Tone } from "../ui/parts";
import { CommandRows } from "./commands";

/** The newest alerts that are shown here. */
const FIRING_SHOWN = 6;

const number = new Intl.NumberFormat();

function Tile({
  to,
  label,
  tone,
  value,
}: {
  to: string;
  label: string;
  tone?: Tone;
  value: string | undefined;
}) {
  return (
    <Link to={to} className="tile">
      <span className="label">{tone ? <State tone={tone}>{label}</State> : label}</span>
      <span className="value">{value ?? <span className="muted">–</span>}</span>
    </Link>
  );
}

export default function Overview() {
  const summary = useCall(FleetService.method.getFleetSummary, {});
  const { hosts, deliveries, deadLetters, sessions, alerts } = summary.data?.summary ?? {};
  const some = (count: bigint | undefined) => (count === undefined ? undefined : number.format(count));
  const onTheWay =
    deliveries && deliveries.queued + deliveries.sent + deliveries.received + deliveries.running;
  const firing = alerts && alerts.info + alerts.warning + alerts.critical;
  return (
    <Page title="Overview">
      <div className="tiles">
        <Tile
          to="/hosts"
          label={hosts?.revoked ? `Hosts, ${some(hosts.revoked)} revoked` : "Hosts"}
          value={some(hosts?.total)}
        />
        <Tile to="/hosts?status=online" label="Online" tone="good" value={some(hosts?.online)} />
        <Tile
          to="/hosts?status=offline"
          label="Offline"
          tone={hosts?.offline ? "bad" : "idle"}
          value={some(hosts?.offline)}
        />
        <Tile
          to="/alerts"
          label="Alerts"
          tone={alerts?.critical ? "bad" : firing ? "warn" : "idle"}
          value={some(firing)}
        />
        <Tile to="/commands" label="In flight" tone={onTheWay ? "busy" : "idle"} value={some(onTheWay)} />
        <Tile
          to="/dead-letters"
          label="Dead letters"
          tone={deadLetters ? "bad" : "idle"}
          value={some(deadLetters)}
        />
        <Tile
          to="/sessions"
          label="Console sessions"
          tone={sessions ? "busy" : "idle"}
          value={some(sessions)}
        />
      </div>
      {summary.error && !summary.data && <Answer of={summary}>{() => null}</Answer>}
      {firing ? <Firing /> : null}
      <Recent />
    </Page>
  );
}

/** What fires, the newest first. */
function Firing() {
  const alerts = useCall(AlertService.method.listAlerts, FIRING);
  return (
    <Panel title="Alerts that fire" flush actions={<Link to="/alerts">All alerts</Link>}>
      <Answer of={alerts}>{({ alerts }) => <AlertRows alerts={alerts.slice(0, FIRING_SHOWN)} />}</Answer>
    </Panel>
  );
}

/** The newest commands. */
function Recent() {
  const commands = useCall(CommandService.method.listCommands, { pageSize: 8 });
  return (
    <Panel title="Latest commands" flush actions={<Link to="/commands">All commands</Link>}>
      <Answer of={commands}>
        {({ commands }) =>
          commands.length ? (
            <CommandRows commands={commands} />
          ) : (
            <Empty title="No commands yet">What hosts are asked to do shows here as it gets on.</Empty>
          )
        }
      </Answer>
    </Panel>
  );
}
