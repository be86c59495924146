// Console sessions as a table: who is in which, for how much longer, and their end.

import { type Timestamp, timestampMs } from "@bufbuild/protobuf/wkt";
import { Role } from "fleetwire/api/v1/role";
import { type Session, SessionService } from "fleetwire/api/v1/session";
import { useState } from "react";
import { Link } from "react-router";
import { useChange, useMay, useSession } from "../api/query";
import { FormDialog, State } from "./parts";
import { type Column, Table } from "./table";
import { Word } from "./text";
import { span, useNow, When } from "./time";

const ms = (at: Timestamp | undefined) => (at ? timestampMs(at) : Number.POSITIVE_INFINITY);

/** When a session ends if nobody uses it from here on, in milliseconds since 1970. */
export function endsAt({ expiresAt, activeAt, idleTimeoutSeconds }: Session): number {
  return Math.min(ms(expiresAt), ms(activeAt) + (idleTimeoutSeconds || Number.POSITIVE_INFINITY) * 1000);
}

/** Which sessions the reader may end: an operator its own, an administrator any. */
export function useMayEnd(): (session: Session) => boolean {
  const me = useSession();
  const may = useMay(SessionService.method.closeSession);
  return ({ user }) => may && me.state === "in" && (me.user.role === Role.ADMIN || me.user.name === user);
}

export function SessionState({ session }: { session: Session }) {
  return session.entered ? <State tone="good">in use</State> : <State tone="idle">not entered yet</State>;
}

export function SessionRows({
  sessions,
  ofOne,
}: {
  sessions: Session[];
  /** All are of one host: then each is known by who is in it. */
  ofOne?: boolean;
}) {
  const now = useNow();
  const mayEnd = useMayEnd();
  const [asked, setAsked] = useState<Session>();
  const lead: Column<Session> = {
    head: ofOne ? "Who" : "Console of",
    lead: true,
    cell: ({ sessionId, user, host }) => (
      <Link to={`/sessions/${sessionId}`}>
        <Word>{ofOne ? user : host}</Word>
      </Link>
    ),
  };
  const who: Column<Session> = { head: "Who", cell: ({ user }) => <Word>{user}</Word> };
  const columns: readonly Column<Session>[] = [
    ...(ofOne ? [lead] : [lead, who]),
    { head: "State", cell: (session) => <SessionState session={session} /> },
    { head: "Last used", wide: true, cell: (session) => <When at={session.activeAt} /> },
    {
      head: "Time left",
      cell: (session) => <span className="number nowrap">{span((endsAt(session) - now) / 1000)}</span>,
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
      {asked && <EndSession session={asked} onClose={() => setAsked(undefined)} />}
    </>
  );
}

/** Asks before a session is ended. */
export function EndSession({ session, onClose }: { session: Session; onClose: () => void }) {
  const close = useChange(SessionService.method.closeSession, onClose);
  return (
    <FormDialog
      title="End this console session?"
      action="End session"
      danger
      pending={close.isPending}
      error={close.error}
      onSubmit={() => close.mutate({ sessionId: session.sessionId })}
      onClose={onClose}
    >
      <p>
        <Word>{session.user}</Word>, who looks at <Word>{session.host}</Word> in it, is cut off at once.
      </p>
    </FormDialog>
  );
}
