// Runs a command: what, where and when, with the hosts that it would go to counted by the platform before anybody
// sends it. The forms follow from the schema.

import { create, type DescMessage, type MessageInitShape } from "@bufbuild/protobuf";
import {
  CommandScheduleSchema,
  CommandService,
  type CommandTargetsSchema,
  CommandWavesSchema,
  type CreateCommandRequest,
  CreateCommandRequestSchema,
} from "fleetwire/api/v1/command";
import type { File as Kept } from "fleetwire/api/v1/file";
import { GroupService } from "fleetwire/api/v1/group";
import { HostService } from "fleetwire/api/v1/host";
import { CommandPriority } from "fleetwire/link/v1/command";
import { useEffect, useMemo, useState } from "react";
import { useLocation, useNavigate } from "react-router";
import { write } from "../api/codec";
import { useCall, useChange, useList } from "../api/query";
import { type Draft, fill } from "../form/fields";
import { MessageForm } from "../form/form";
import { labelChoices, labelOf } from "../ui/labels";
import { Check, Choice, Field, FormDialog, Page, Panel, State, says, Wrong } from "../ui/parts";
import { plain, Word } from "../ui/text";
import { When } from "../ui/time";
import { FileChoice } from "../ui/upload";
import { human } from "../ui/words";

/** The kinds of commands, by the fields of the request's oneof. */
const KINDS = CreateCommandRequestSchema.oneofs[0]?.fields ?? [];
/** What of a kind follows from elsewhere: the file that is chosen. */
const WITHOUT: Record<string, readonly string[]> = {
  file_transfer: ["size_bytes", "sha256"],
  agent_update: ["size_bytes", "sha256"],
};
/** A count is asked for once nobody has changed anything for so long. */
const SETTLED_MS = 300;

type Where = "hosts" | "group" | "label" | "all";

export default function Run() {
  const navigate = useNavigate();
  const given = (useLocation().state as { hosts?: string[] } | null)?.hosts ?? [];
  const [kind, setKind] = useState("script");
  const [draft, setDraft] = useState<Draft>({});
  const [file, setFile] = useState<Kept>();
  const [where, setWhere] = useState<Where>("hosts");
  const [hosts, setHosts] = useState<string[]>(given);
  const [group, setGroup] = useState("");
  const [label, setLabel] = useState("");
  const [how, setHow] = useState<Draft>({});
  const [withWaves, setWithWaves] = useState(false);
  const [waves, setWaves] = useState<Draft>({});
  const [schedule, setSchedule] = useState<Draft>({});
  const [asked, setAsked] = useState(false);
  const [sure, setSure] = useState(false);

  const field = KINDS.find(({ name }) => name === kind);
  const desc = field?.message as DescMessage;
  const takesFile = kind === "agent_update" || (kind === "file_transfer" && draft.direction === "to_host");
  const filled = useMemo(() => fill(desc, draft, WITHOUT[kind]), [desc, draft, kind]);
  const filledHow = useMemo(() => fill(CreateCommandRequestSchema, how, NOT_HOW), [how]);
  const filledWaves = useMemo(() => fill(CommandWavesSchema, waves), [waves]);
  const filledSchedule = useMemo(() => fill(CommandScheduleSchema, schedule), [schedule]);
  const faults =
    filled.faults.size +
    filledHow.faults.size +
    filledSchedule.faults.size +
    (withWaves ? filledWaves.faults.size : 0) +
    (takesFile && !file ? 1 : 0);

  const request: MessageInitShape<typeof CreateCommandRequestSchema> = {
    ...(filledHow.value as Partial<Pick<CreateCommandRequest, "timeout" | "expiresAt" | "priority">>),
    targets: targetsOf(where, hosts, group, label),
    waves: withWaves ? filledWaves.value : undefined,
    schedule: Object.keys(filledSchedule.value).length ? filledSchedule.value : undefined,
    fileId: kind === "file_transfer" && takesFile ? file?.id : undefined,
    // An agent's update names its program by what it is: it is signed, and so is that.
    parameters: {
      case: field?.localName,
      value:
        kind === "agent_update" && file
          ? { ...filled.value, sizeBytes: file.sizeBytes, sha256: file.sha256 }
          : filled.value,
    } as never,
  };
  const send = useChange(CommandService.method.createCommand, ({ commandId }) =>
    navigate(`/commands/${commandId}`),
  );
  const count = useCount(request, faults === 0 && hasTargets(where, hosts, group, label));
  const total = count.data ? Number(count.data.total) : undefined;
  const onHosts = `${total} ${total === 1 ? "host" : "hosts"}`;
  const ends = kind === "system_operation" && ENDS.includes(String(draft.operation));

  return (
    <Page title="Run a command">
      <form
        className="columns run"
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          setAsked(true);
          if (faults > 0 || !total) return;
          if (ends || where === "all") setSure(true);
          else send.mutate(request);
        }}
      >
        <div className="stack">
          <Panel title="What">
            <div className="form">
              <Choice
                label="Kind of command"
                value={kind}
                options={KINDS.map(({ name }) => [name, human(name.replace("_operation", ""))])}
                onChange={(kind) => {
                  setKind(kind);
                  setDraft({});
                  setFile(undefined);
                  setAsked(false);
                }}
              />
              {kind === "agent_update" && (
                <p className="note">
                  The program is signed where the key is kept, with <code>fleetwire agent sign</code>: each
                  agent checks that before it puts it in its own place.
                </p>
              )}
              {takesFile && (
                <FileChoice
                  label={kind === "agent_update" ? "The new fleetwire-agent" : "File"}
                  value={file}
                  onChange={setFile}
                />
              )}
              <MessageForm
                desc={desc}
                draft={draft}
                faults={asked ? filled.faults : NONE}
                without={WITHOUT[kind]}
                onChange={setDraft}
              />
            </div>
          </Panel>
        </div>
        <div className="stack">
          <Panel title="Where">
            <div className="form">
              <Choice
                label="Which hosts"
                value={where}
                options={[
                  ["hosts", "Hosts"],
                  ["group", "A group"],
                  ["label", "A label"],
                  ["all", "All"],
                ]}
                onChange={setWhere}
              />
              {where === "hosts" && <HostChoice hosts={hosts} onChange={setHosts} />}
              {where === "group" && <GroupChoice value={group} onChange={setGroup} />}
              {where === "label" && <LabelChoice value={label} onChange={setLabel} />}
            </div>
          </Panel>
          <Panel title="How and when">
            <div className="form">
              <div className="field">
                <span className="label">Priority</span>
                <Choice
                  label="Priority"
                  value={typeof how.priority === "string" && how.priority ? how.priority : "normal"}
                  options={PRIORITIES}
                  onChange={(priority) => setHow({ ...how, priority })}
                />
              </div>
              <details>
                <summary>Time limits and schedule</summary>
                <div className="form inset">
                  <MessageForm
                    desc={CreateCommandRequestSchema}
                    draft={how}
                    faults={filledHow.faults}
                    without={[...NOT_HOW, "priority"]}
                    onChange={setHow}
                  />
                  <MessageForm
                    desc={CommandScheduleSchema}
                    draft={schedule}
                    faults={filledSchedule.faults}
                    onChange={setSchedule}
                  />
                </div>
              </details>
              <Check
                label="Some hosts after the other, in waves"
                checked={withWaves}
                onChange={setWithWaves}
              />
              {withWaves && (
                <div className="pair">
                  <MessageForm
                    desc={CommandWavesSchema}
                    draft={waves}
                    faults={filledWaves.faults}
                    onChange={setWaves}
                  />
                </div>
              )}
            </div>
          </Panel>
          <Panel title="Before it is sent">
            <div className="stack">
              <Counted count={count} />
              {asked && faults > 0 && (
                <Wrong error={new Error("Something of it is not filled in as it has to be.")} />
              )}
              <Wrong error={send.error} />
              <button type="submit" className="primary" disabled={send.isPending || (faults === 0 && !total)}>
                {total === undefined ? "Run" : `Run on ${onHosts}`}
              </button>
            </div>
          </Panel>
        </div>
      </form>
      {sure && (
        <FormDialog
          title={ends ? `${human(String(draft.operation))} ${onHosts}?` : `Run it on all ${onHosts}?`}
          action={`Run on ${onHosts}`}
          danger
          pending={send.isPending}
          error={send.error}
          onSubmit={() => send.mutate(request)}
          onClose={() => setSure(false)}
        >
          <p>
            {!ends
              ? "It goes to each host that there is."
              : draft.operation === "reboot"
                ? "What runs there is cut off until it is back."
                : "What runs there is cut off, and it does not start again by itself."}
          </p>
        </FormDialog>
      )}
    </Page>
  );
}

/** What ends all that runs on a host. */
const ENDS = ["reboot", "shutdown"];
const NONE = new Map<string, string>();
/** What of the request has a place of its own. */
const NOT_HOW = ["targets", "dry_run", "file_id", "waves", "schedule", ...KINDS.map(({ name }) => name)];
const PRIORITIES = [
  [CommandPriority.LOW, "low"],
  [CommandPriority.NORMAL, "normal"],
  [CommandPriority.HIGH, "high"],
].map(([, name]) => [name, human(String(name))] as [string, string]);

function hasTargets(where: Where, hosts: string[], group: string, label: string): boolean {
  return (
    where === "all" ||
    (where === "hosts" ? hosts.length > 0 : where === "group" ? group !== "" : label !== "")
  );
}

function targetsOf(
  where: Where,
  hosts: string[],
  group: string,
  label: string,
): MessageInitShape<typeof CommandTargetsSchema> {
  if (where === "all") return { all: true };
  if (where === "group") return { group };
  if (where === "hosts") return { hosts };
  const [key, value] = labelOf(label);
  return { labels: { [key]: value } };
}

/** Asks the platform which hosts it would go to, once the form has come to rest. */
function useCount(request: MessageInitShape<typeof CreateCommandRequestSchema>, ready: boolean) {
  const dry = { ...request, dryRun: true };
  const key = ready
    ? JSON.stringify(write(CreateCommandRequestSchema, create(CreateCommandRequestSchema, dry)))
    : "";
  const [settled, setSettled] = useState("");
  useEffect(() => {
    const timer = setTimeout(() => setSettled(key), SETTLED_MS);
    return () => clearTimeout(timer);
  }, [key]);
  const count = useCall(CommandService.method.createCommand, dry, { enabled: ready && settled === key });
  return {
    ready,
    data: ready && settled === key ? count.data : undefined,
    error: ready ? count.error : undefined,
  };
}

function Counted({ count: { ready, data, error } }: { count: ReturnType<typeof useCount> }) {
  if (!ready)
    return (
      <p className="muted">
        Fill in what it needs and choose hosts: then the platform says which ones it reaches.
      </p>
    );
  if (error) return <Wrong error={new Error(says(error))} />;
  if (!data) return <p className="muted">Counting…</p>;
  const shown = data.hosts.slice(0, 12);
  const offline = data.hosts.filter(({ online }) => !online).length;
  return (
    <div className="stack" role="status">
      <p>
        It is for <strong className="number">{String(data.total)}</strong>{" "}
        {data.total === 1n ? "host" : "hosts"}
        {offline > 0 &&
          `, of which ${offline}${data.hosts.length < Number(data.total) ? " at least" : ""} ${offline === 1 ? "is" : "are"} offline and asked when back`}
        {data.waves > 0n && `, in ${data.waves} waves`}.
      </p>
      <ul className="chips plain-list">
        {shown.map((host) => (
          <li className="chip" key={host.hostId}>
            <State tone={host.online ? "good" : "idle"} hollow={!host.online}>
              <Word>{host.host}</Word>
            </State>
            {host.windowOpensAt && (
              <span className="muted">
                &nbsp;window <When at={host.windowOpensAt} />
              </span>
            )}
          </li>
        ))}
        {Number(data.total) > shown.length && (
          <li className="muted">and {Number(data.total) - shown.length} more</li>
        )}
      </ul>
    </div>
  );
}

/** Hosts by name: those that are chosen, and a search for others. */
function HostChoice({ hosts, onChange }: { hosts: string[]; onChange: (hosts: string[]) => void }) {
  const [name, setName] = useState("");
  const found = useList(HostService.method.listHosts, { name, pageSize: 8 });
  const offered = (found.data?.pages[0]?.hosts ?? []).filter(
    ({ id, revokedAt }) => !hosts.includes(id) && !revokedAt,
  );
  return (
    <div className="stack">
      {hosts.length > 0 && (
        <div className="between">
          <span className="number">
            {hosts.length} {hosts.length === 1 ? "host" : "hosts"} chosen
          </span>
          <button type="button" className="link" onClick={() => onChange([])}>
            Choose none
          </button>
        </div>
      )}
      <Field label="Add hosts">
        {(ids) => (
          <input
            {...ids}
            type="search"
            placeholder="Search by name"
            value={name}
            onChange={(event) => setName(event.target.value)}
            onKeyDown={(event) => {
              if (event.key !== "Enter") return;
              // It is for the search, and sends nothing.
              event.preventDefault();
              const [first] = offered;
              if (name && first && !found.isPlaceholderData) onChange([...hosts, first.id]);
            }}
          />
        )}
      </Field>
      <div className="chips">
        {offered.map((host) => (
          <button type="button" key={host.id} onClick={() => onChange([...hosts, host.id])}>
            + <Word>{host.name}</Word>
          </button>
        ))}
      </div>
    </div>
  );
}

function GroupChoice({ value, onChange }: { value: string; onChange: (value: string) => void }) {
  const groups = useCall(GroupService.method.listGroups, { pageSize: 1000 });
  return (
    <Field label="Group">
      {(ids) => (
        <select {...ids} value={value} onChange={(event) => onChange(event.target.value)}>
          <option value="">Choose</option>
          {groups.data?.groups.map(({ id, name, hosts }) => (
            <option key={id} value={id}>
              {plain(name)} ({String(hosts)})
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}

function LabelChoice({ value, onChange }: { value: string; onChange: (value: string) => void }) {
  const labels = useCall(HostService.method.listLabels, { pageSize: 1000 });
  return (
    <Field label="Label" hint="A label without a value stands for that label with any value.">
      {(ids) => (
        <select {...ids} value={value} onChange={(event) => onChange(event.target.value)}>
          <option value="">Choose</option>
          {labelChoices(labels.data?.labels ?? []).map(({ value, text }) => (
            <option key={value} value={value}>
              {text}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}
