// The fleet at a glance: how many hosts are there, what is on its way, what came to nothing, and what happens.

import { useQuery } from "@tanstack/react-query";
import { CommandService } from "fleetwire/api/v1/command";
import { DeliveryService } from "fleetwire/api/v1/delivery";
import { HostService, HostStatus } from "fleetwire/api/v1/host";
import { SessionService } from "fleetwire/api/v1/session";
import { Link } from "react-router";
import { calling, useCall } from "../api/query";
import { FIGURES, type Figures } from "../live/apply";
import { Answer, Empty, Page, Panel, State } from "../ui/parts";
import { UNDER_WAY } from "../ui/words";
import { CommandRows } from "./commands";

/** The largest page of a list. */
const PAGE_MAX = 1000;
/** Hosts are counted up to here. */
const PAGES_MAX = 100;

/** Counts once; events keep the counts from there on. */
async function count(signal: AbortSignal): Promise<Figures> {
  const hosts = new Map<string, boolean>();
  let pageToken = "";
  for (let page = 0; page < PAGES_MAX; page += 1) {
    const answer = await calling(HostService.method.listHosts, { pageSize: PAGE_MAX, pageToken }, { signal });
    for (const { id, status } of answer.hosts) hosts.set(id, status === HostStatus.ONLINE);
    pageToken = answer.nextPageToken;
    if (!pageToken) break;
  }
  const answer = await calling(
    DeliveryService.method.listDeliveries,
    { states: [...UNDER_WAY], pageSize: PAGE_MAX },
    { signal },
  );
  return {
    hosts,
    underWay: new Set(answer.deliveries.map(({ commandId, hostId }) => `${commandId} ${hostId}`)),
    moreUnderWay: answer.nextPageToken !== "",
  };
}

const number = new Intl.NumberFormat();

function Tile({
  to,
  label,
  tone,
  value,
}: {
  to: string;
  label: string;
  tone?: "good" | "bad" | "busy" | "idle";
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
  const figures = useQuery({ queryKey: [FIGURES], queryFn: ({ signal }) => count(signal) });
  const dead = useCall(DeliveryService.method.listDeliveries, { dead: true, pageSize: PAGE_MAX });
  const sessions = useCall(SessionService.method.listSessions, { pageSize: PAGE_MAX });
  const hosts = figures.data && [...figures.data.hosts.values()];
  const online = hosts?.filter(Boolean).length ?? 0;
  const some = (count: number | undefined, more: unknown) =>
    count === undefined ? undefined : `${number.format(count)}${more ? "+" : ""}`;
  const letters = dead.data?.deliveries.length;
  return (
    <Page title="Overview">
      <div className="tiles">
        <Tile to="/hosts" label="Hosts" value={some(hosts?.length, false)} />
        <Tile to="/hosts?status=online" label="Online" tone="good" value={some(hosts && online, false)} />
        <Tile
          to="/hosts?status=offline"
          label="Offline"
          tone={hosts && hosts.length > online ? "bad" : "idle"}
          value={some(hosts && hosts.length - online, false)}
        />
        <Tile
          to="/commands"
          label="In flight"
          tone={figures.data?.underWay.size ? "busy" : "idle"}
          value={some(figures.data?.underWay.size, figures.data?.moreUnderWay)}
        />
        <Tile
          to="/dead-letters"
          label="Dead letters"
          tone={letters ? "bad" : "idle"}
          value={some(letters, dead.data?.nextPageToken)}
        />
        <Tile
          to="/sessions"
          label="Console sessions"
          tone={sessions.data?.sessions.length ? "busy" : "idle"}
          value={some(sessions.data?.sessions.length, sessions.data?.nextPageToken)}
        />
      </div>
      {figures.error && !figures.data && <Answer of={figures}>{() => null}</Answer>}
      <Recent />
    </Page>
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
