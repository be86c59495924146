// Console sessions as a table: who is in which, for how much longer, and their end.

import { timestampMs } from "@bufbuild/protobuf/wkt";
import { Role } from "fleetwire/api/v1/role";
import { type Session, SessionService } from "fleetwire/api/v1/session";
import { useState } from "react";
import { Link } from "react-router";
import { useChange, useMay, useSession } from "../api/query";
import { FormDialog, State } from "./parts";
import { type Column, Table } from "./table";
import { Word } from "./text";
import { span, useNow, When } from "./time";

export function SessionRows({ sessions }: { sessions: Session[] }) {
  const me = useSession();
  const now = useNow();
  const may = useMay(SessionService.method.closeSession);
  const [asked, setAsked] = useState<Session>();
  const close = useChange(SessionService.method.closeSession, () => setAsked(undefined));
  // An operator ends its own, an administrator any.
  const mayEnd = ({ user }: Session) =>
    may && me.state === "in" && (me.user.role === Role.ADMIN || me.user.name === user);
  const columns: readonly Column<Session>[] = [
    {
      head: "Host",
      lead: true,
      cell: (session) => (
        <Link to={`/hosts/${session.hostId}`}>
          <Word>{session.host}</Word>
        </Link>
      ),
    },
    { head: "Who", cell: (session) => <Word>{session.user}</Word> },
    {
      head: "State",
      cell: (session) =>
        session.entered ? <State tone="good">in use</State> : <State tone="idle">not entered yet</State>,
    },
    { head: "Last used", wide: true, cell: (session) => <When at={session.activeAt} /> },
    {
      head: "Time left",
      cell: ({ expiresAt }) => (
        <span className="number nowrap">{expiresAt && span((timestampMs(expiresAt) - now) / 1000)}</span>
      ),
    },
    {
      head: "End",
      acts: true,
      cell: (session) =>
        mayEnd(session) && (
          <button type="button" className="danger" onClick={() => setAsked(session)}>
            End
          </button>
        ),
    },
  ];
  return (
    <>
      <Table rows={sessions} columns={columns} name={({ sessionId }) => sessionId} />
      {asked && (
        <FormDialog
          title="End this console session?"
          action="End session"
          danger
          pending={close.isPending}
          error={close.error}
          onSubmit={() => close.mutate({ sessionId: asked.sessionId })}
          onClose={() => setAsked(undefined)}
        >
          <p>
            Whoever looks at <Word>{asked.host}</Word> in it is cut off at once.
          </p>
        </FormDialog>
      )}
    </>
  );
}
