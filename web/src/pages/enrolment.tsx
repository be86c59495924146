// Enrolment tokens: single-use invitations for agents, with the line that enrols one.

import { timestampMs } from "@bufbuild/protobuf/wkt";
import { CreateCommandRequestSchema } from "fleetwire/api/v1/command";
import {
  type CreateEnrolmentTokenResponse,
  type EnrolmentToken,
  EnrolmentTokenService,
} from "fleetwire/api/v1/enrolment_token";
import { useState } from "react";
import { Link } from "react-router";
import { calling, useChange } from "../api/query";
import { Check, Choice, FormDialog, Secret, ShownDialog, State, TextField } from "../ui/parts";
import { Qr } from "../ui/qr";
import { type Opened, Register } from "../ui/register";
import type { Column } from "../ui/table";
import { Word } from "../ui/text";
import { At, useNow, When } from "../ui/time";
import { human } from "../ui/words";

const TIMES = [
  ["1800", "30 minutes"],
  ["86400", "A day"],
  ["604800", "A week"],
  ["2592000", "30 days"],
] as const;

export default function Enrolment() {
  const now = useNow();
  const over = ({ expiresAt }: EnrolmentToken) => expiresAt !== undefined && timestampMs(expiresAt) <= now;
  const columns: readonly Column<EnrolmentToken>[] = [
    {
      head: "For",
      lead: true,
      cell: ({ name }) => (name ? <Word>{name}</Word> : <span className="muted">any host</span>),
    },
    { head: "State", cell: (token) => <TokenState token={token} over={over(token)} /> },
    { head: "Made", wide: true, cell: (token) => <When at={token.createdAt} /> },
    { head: "By", wide: true, cell: (token) => <Word>{token.createdBy ?? ""}</Word> },
    { head: "Good until", cell: (token) => <When at={token.expiresAt} /> },
  ];
  return (
    <Register
      title="Enrolment"
      method={EnrolmentTokenService.method.listEnrolmentTokens}
      request={{ pageSize: 100 }}
      rows={({ enrolmentTokens }) => enrolmentTokens}
      name={({ id }) => id}
      columns={columns}
      empty={{
        title: "No tokens",
        text: "A token invites one agent: it enrols with it, and it is good no more.",
      }}
      add="Make a token"
      dialog={(_, opened) => <Make opened={opened} />}
      remove={{
        word: "Revoke",
        title: "Revoke this token?",
        may: (token) => !token.usedAt && !over(token),
        act: ({ id }) => calling(EnrolmentTokenService.method.revokeEnrolmentToken, { enrolmentTokenId: id }),
        text: () => "Nobody enrols with it from here on. A host that was enrolled with it stays one.",
      }}
    />
  );
}

function TokenState({ token, over }: { token: EnrolmentToken; over: boolean }) {
  if (!token.usedAt) return over ? <State tone="idle">expired</State> : <State tone="busy">open</State>;
  return (
    <State tone="good">
      used{" "}
      {token.hostId && (
        <>
          by <Link to={`/hosts/${token.hostId}`}>its host</Link>
        </>
      )}
    </State>
  );
}

function Make({ opened }: { opened: Opened }) {
  const [name, setName] = useState("");
  const [seconds, setSeconds] = useState<string>(TIMES[0][0]);
  const make = useChange(EnrolmentTokenService.method.createEnrolmentToken, opened.changed);
  if (make.data) return <Made made={make.data} onClose={opened.close} />;
  return (
    <FormDialog
      title="Make an enrolment token"
      action="Make it"
      pending={make.isPending}
      error={make.error}
      onSubmit={() => make.mutate({ name: name.trim() || undefined, ttlSeconds: BigInt(seconds) })}
      onClose={opened.close}
    >
      <TextField
        label="Name of the host"
        hint="Empty: the one that the agent would like. The name of a host that exists enrols that host anew."
        name="name"
        value={name}
        onChange={setName}
      />
      <div className="field">
        <span className="label">Good for</span>
        <Choice label="Good for" value={seconds} options={TIMES} onChange={setSeconds} />
      </div>
    </FormDialog>
  );
}

/** The kinds of commands that an owner allows by name; an agent's update wants a key in its settings. */
const KINDS = (CreateCommandRequestSchema.oneofs[0]?.fields ?? [])
  .map(({ name }) => name)
  .filter((name) => name !== "agent_update");

/** Agents come by TLS alone: the page's own address does for them where it is such. */
const AGENTS = location.protocol === "https:" ? location.origin : `https://${location.hostname}:8443`;

function Made({ made, onClose }: { made: CreateEnrolmentTokenResponse; onClose: () => void }) {
  const [platform, setPlatform] = useState(AGENTS);
  const [target, setTarget] = useState("http://127.0.0.1:80");
  const [folder, setFolder] = useState("/var/lib/fleetwire-agent");
  const [allowed, setAllowed] = useState<string[]>([]);
  const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;
  const line = [
    `(umask 077; printf %s ${quoted(made.token)} > token)`,
    [
      `fleetwire-agent --platform ${quoted(platform)} --token-file token --state-dir ${quoted(folder)}`,
      `--target ${quoted(target)}`,
      ...KINDS.filter((kind) => allowed.includes(kind)).map((kind) => `--allow-command ${kind}`),
    ].join(" "),
  ].join(" && ");
  return (
    <ShownDialog title="The token, shown this once" done="Done" onClose={onClose}>
      <p className="muted">
        Good for one enrolment until <At at={made.expiresAt} />.
      </p>
      <Secret label="Token" text={made.token} />
      <Qr text={made.token} label="The token as a QR code" />
      <div className="pair">
        <TextField label="Platform, for agents" name="platform" value={platform} onChange={setPlatform} />
        <TextField label="Device beside the agent" name="target" value={target} onChange={setTarget} />
        <TextField label="Where it keeps its identity" name="folder" value={folder} onChange={setFolder} />
      </div>
      <fieldset className="stack">
        <legend>What the platform may run there</legend>
        <div className="row">
          {KINDS.map((kind) => (
            <Check
              key={kind}
              label={human(kind)}
              checked={allowed.includes(kind)}
              onChange={(on) =>
                setAllowed(on ? [...allowed, kind] : allowed.filter((other) => other !== kind))
              }
            />
          ))}
        </div>
      </fieldset>
      <Secret label="To be run there as root" text={line} />
    </ShownDialog>
  );
}
