// Alerts: what is wrong with the fleet now, what may be soon, and what was.

import { AlertService, AlertState } from "fleetwire/api/v1/alert";
import { AlertChannelService } from "fleetwire/api/v1/alert_channel";
import { useSearchParams } from "react-router";
import { useList, useMay } from "../api/query";
import { AlertRows, AlertTabs } from "../ui/alerts";
import { Answer, Choice, Empty, More, Page } from "../ui/parts";
import { Silence } from "../ui/silence";

const STATES = [
  ["firing", "Firing", AlertState.FIRING],
  ["pending", "Pending", AlertState.PENDING],
  ["resolved", "Resolved", AlertState.RESOLVED],
] as const;

const NOTHING: Record<string, [string, string]> = {
  firing: ["Nothing is wrong", "What a rule finds shows here by itself, and is sent to the channels."],
  pending: ["Nothing is pending", "What holds, but not yet for as long as its rule says, waits here."],
  resolved: ["Nothing was wrong yet", "What is over stays here for a while."],
};

export default function Alerts() {
  const [query, setQuery] = useSearchParams();
  const [name, , state] = STATES.find(([name]) => name === query.get("state")) ?? STATES[0];
  const mayChannels = useMay(AlertChannelService.method.listAlertChannels);
  const alerts = useList(AlertService.method.listAlerts, { state, pageSize: 100 });
  const [title, text] = NOTHING[name] as [string, string];
  return (
    <Page title="Alerts">
      <AlertTabs channels={mayChannels} />
      <section className="panel">
        <header>
          <Choice
            label="State"
            value={name}
            options={STATES.map(([name, text]) => [name, text])}
            onChange={(state) => setQuery(state === "firing" ? {} : { state }, { replace: true })}
          />
        </header>
        <Answer of={alerts}>
          {({ pages }) => {
            const rows = pages.flatMap(({ alerts }) => alerts);
            return rows.length ? (
              <>
                <AlertRows alerts={rows} more={(alert) => <Silence alert={alert} />} />
                <More of={alerts} />
              </>
            ) : (
              <Empty title={title}>{text}</Empty>
            );
          }}
        </Answer>
      </section>
    </Page>
  );
}
