// Silences: which alerts are shown and not sent, until when, and why.

import { timestampMs } from "@bufbuild/protobuf/wkt";
import { AlertChannelService } from "fleetwire/api/v1/alert_channel";
import { AlertRuleService } from "fleetwire/api/v1/alert_rule";
import { type AlertMatcher, type AlertSilence, AlertSilenceService } from "fleetwire/api/v1/alert_silence";
import { GroupService } from "fleetwire/api/v1/group";
import { HostService } from "fleetwire/api/v1/host";
import { Link } from "react-router";
import { calling, useCall, useMay } from "../api/query";
import { AlertTabs, alertsChanged } from "../ui/alerts";
import { Labels, State } from "../ui/parts";
import { Register } from "../ui/register";
import { MakeSilence } from "../ui/silence";
import type { Column } from "../ui/table";
import { Word } from "../ui/text";
import { useNow, When } from "../ui/time";

export default function AlertSilences() {
  const may = useMay(AlertSilenceService.method.createAlertSilence);
  const mayChannels = useMay(AlertChannelService.method.listAlertChannels);
  const now = useNow();
  const standing = ({ startsAt, endsAt }: AlertSilence) =>
    endsAt && timestampMs(endsAt) <= now ? "over" : startsAt && timestampMs(startsAt) > now ? "later" : "now";
  const columns: readonly Column<AlertSilence>[] = [
    { head: "Why", lead: true, cell: ({ reason }) => <Word>{reason}</Word> },
    { head: "Alerts", cell: ({ matcher }) => <Matched matcher={matcher} /> },
    {
      head: "State",
      cell: (silence) => {
        const word = standing(silence);
        return (
          <State tone={word === "now" ? "warn" : "idle"} hollow={word !== "now"}>
            {word === "now" ? "quiet" : word === "later" ? "not yet" : "over"}
          </State>
        );
      },
    },
    { head: "Ends", cell: ({ endsAt }) => <When at={endsAt} /> },
    { head: "By", cell: ({ createdBy }) => <Word>{createdBy}</Word> },
  ];
  return (
    <Register
      title="Alert silences"
      tabs={<AlertTabs channels={mayChannels} />}
      method={AlertSilenceService.method.listAlertSilences}
      request={{}}
      rows={({ silences }) => silences}
      name={({ id }) => id}
      columns={columns}
      empty={{
        title: "No silences",
        text: "While one is there, the alerts that match it are shown and not sent.",
      }}
      add={may ? "Add a silence" : undefined}
      dialog={(_, { close }) => <MakeSilence begin={{}} reason="" onClose={close} />}
      remove={
        may
          ? {
              word: "End",
              title: "End this silence?",
              may: (silence) => standing(silence) !== "over",
              act: ({ id }) =>
                calling(AlertSilenceService.method.deleteAlertSilence, { alertSilenceId: id }).then(
                  alertsChanged,
                ),
              text: () => "What it kept quiet and still fires is sent now.",
            }
          : undefined
      }
    />
  );
}

function Matched({ matcher }: { matcher: AlertMatcher | undefined }) {
  const rules = useCall(AlertRuleService.method.listAlertRules, {});
  const groups = useCall(GroupService.method.listGroups, { pageSize: 1000 });
  const { ruleId, hostId, groupId, labels = {} } = matcher ?? {};
  const host = useCall(HostService.method.getHost, { hostId: hostId ?? "" }, { enabled: Boolean(hostId) });
  if (!ruleId && !hostId && !groupId && !Object.keys(labels).length) return "all";
  const rule = rules.data?.rules.find(({ id }) => id === ruleId)?.spec?.name;
  const group = groups.data?.groups.find(({ id }) => id === groupId)?.name;
  return (
    <span className="row">
      {ruleId && <Word>{rule ?? ruleId.slice(0, 8)}</Word>}
      {hostId && (
        <Link to={`/hosts/${hostId}`}>
          <Word>{host.data?.host?.name ?? hostId.slice(0, 8)}</Word>
        </Link>
      )}
      {groupId && (
        <span>
          group <Word>{group ?? groupId.slice(0, 8)}</Word>
        </span>
      )}
      <Labels labels={labels} />
    </span>
  );
}
