// Enrolment tokens: single-use invitations for agents, with the line that enrols one.

import { timestampMs } from "@bufbuild/protobuf/wkt";
import {
  type CreateEnrolmentTokenResponse,
  type EnrolmentToken,
  EnrolmentTokenService,
} from "fleetwire/api/v1/enrolment_token";
import { useState } from "react";
import { Link } from "react-router";
import { client, keyOf, useChange, useList } from "../api/query";
import { Answer, Choice, Confirm, Dialog, Empty, Field, More, Page, Secret, State, Wrong } from "../ui/parts";
import { Qr } from "../ui/qr";
import { Word } from "../ui/text";
import { At, useNow, When } from "../ui/time";

const again = () =>
  void client.invalidateQueries({ queryKey: keyOf(EnrolmentTokenService.method.listEnrolmentTokens) });

const TIMES = [
  ["1800", "30 minutes"],
  ["86400", "A day"],
  ["604800", "A week"],
  ["2592000", "30 days"],
] as const;

export default function Enrolment() {
  const tokens = useList(EnrolmentTokenService.method.listEnrolmentTokens, { pageSize: 100 });
  const [making, setMaking] = useState(false);
  const [revoking, setRevoking] = useState<EnrolmentToken>();
  const revoke = useChange(EnrolmentTokenService.method.revokeEnrolmentToken, () => {
    setRevoking(undefined);
    again();
  });
  return (
    <Page
      title="Enrolment"
      actions={
        <button type="button" className="primary" onClick={() => setMaking(true)}>
          Make a token
        </button>
      }
    >
      <section className="panel">
        <Answer of={tokens}>
          {({ pages }) => {
            const rows = pages.flatMap(({ enrolmentTokens }) => enrolmentTokens);
            return rows.length ? (
              <>
                <Tokens tokens={rows} onRevoke={setRevoking} />
                <More of={tokens} />
              </>
            ) : (
              <Empty title="No tokens">
                A token invites one agent: it enrols with it, and it is good no more.
              </Empty>
            );
          }}
        </Answer>
      </section>
      {making && <Make onClose={() => setMaking(false)} />}
      {revoking && (
        <Confirm
          title="Revoke this token?"
          action="Revoke"
          danger
          pending={revoke.isPending}
          error={revoke.error}
          onConfirm={() => revoke.mutate({ enrolmentTokenId: revoking.id })}
          onClose={() => setRevoking(undefined)}
        >
          <p>Nobody enrols with it from here on. A host that was enrolled with it stays one.</p>
        </Confirm>
      )}
    </Page>
  );
}

function Tokens({
  tokens,
  onRevoke,
}: {
  tokens: EnrolmentToken[];
  onRevoke: (token: EnrolmentToken) => void;
}) {
  const now = useNow();
  return (
    <div className="scroll">
      <table className="table">
        <thead>
          <tr>
            <th>For</th>
            <th>State</th>
            <th className="wide">Made</th>
            <th className="wide">By</th>
            <th>Good until</th>
            <th>
              <span className="visually-hidden">Revoke</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {tokens.map((token) => {
            const over = token.expiresAt !== undefined && timestampMs(token.expiresAt) <= now;
            return (
              <tr key={token.id}>
                <td>{token.name ? <Word>{token.name}</Word> : <span className="muted">any host</span>}</td>
                <td>
                  {token.usedAt ? (
                    <State tone="good">
                      used{" "}
                      {token.hostId && (
                        <>
                          by <Link to={`/hosts/${token.hostId}`}>its host</Link>
                        </>
                      )}
                    </State>
                  ) : over ? (
                    <State tone="idle">expired</State>
                  ) : (
                    <State tone="busy">open</State>
                  )}
                </td>
                <td className="wide">
                  <When at={token.createdAt} />
                </td>
                <td className="wide">
                  <Word>{token.createdBy ?? ""}</Word>
                </td>
                <td>
                  <When at={token.expiresAt} />
                </td>
                <td className="end">
                  {!token.usedAt && !over && (
                    <button type="button" className="danger" onClick={() => onRevoke(token)}>
                      Revoke
                    </button>
                  )}
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

function Make({ onClose }: { onClose: () => void }) {
  const [name, setName] = useState("");
  const [seconds, setSeconds] = useState<string>(TIMES[0][0]);
  const make = useChange(EnrolmentTokenService.method.createEnrolmentToken, again);
  if (make.data) return <Made made={make.data} onClose={onClose} />;
  return (
    <Dialog
      title="Make an enrolment token"
      onClose={onClose}
      onSubmit={() => make.mutate({ name: name.trim() || undefined, ttlSeconds: BigInt(seconds) })}
    >
      <Field
        label="Name of the host"
        hint="Empty: the one that the agent would like. The name of a host that exists enrols that host anew."
      >
        {(ids) => (
          <input
            {...ids}
            name="name"
            autoComplete="off"
            value={name}
            onChange={(event) => setName(event.target.value)}
          />
        )}
      </Field>
      <div className="field">
        <span className="label">Good for</span>
        <Choice label="Good for" value={seconds} options={TIMES} onChange={setSeconds} />
      </div>
      <Wrong error={make.error} />
      <div className="actions">
        <button type="button" onClick={onClose}>
          Cancel
        </button>
        <button type="submit" className="primary" disabled={make.isPending}>
          Make it
        </button>
      </div>
    </Dialog>
  );
}

/** Agents come by TLS alone: the page's own address does for them where it is such. */
const AGENTS = location.protocol === "https:" ? location.origin : `https://${location.hostname}:8443`;

function Made({ made, onClose }: { made: CreateEnrolmentTokenResponse; onClose: () => void }) {
  const [platform, setPlatform] = useState(AGENTS);
  const [target, setTarget] = useState("http://127.0.0.1:80");
  const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;
  const line = [
    `printf %s ${quoted(made.token)} > token`,
    `fleetwire-agent --platform ${quoted(platform)} --token-file token --state-dir /var/lib/fleetwire-agent --target ${quoted(target)}`,
  ].join(" && ");
  return (
    <Dialog title="The token, shown this once" onClose={onClose}>
      <p className="muted">
        Good for one enrolment until <At at={made.expiresAt} />.
      </p>
      <Secret label="Token" text={made.token} />
      <Qr text={made.token} label="The token as a QR code" />
      <div className="pair">
        <Field label="Platform, for agents">
          {(ids) => <input {...ids} value={platform} onChange={(event) => setPlatform(event.target.value)} />}
        </Field>
        <Field label="Device beside the agent">
          {(ids) => <input {...ids} value={target} onChange={(event) => setTarget(event.target.value)} />}
        </Field>
      </div>
      <Secret label="To be run there as root" text={line} />
      <div className="actions">
        <button type="button" className="primary" onClick={onClose}>
          Done
        </button>
      </div>
    </Dialog>
  );
}
