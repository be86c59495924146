// Console sessions as a table: who is in which, for how much longer, and their end.

import { timestampMs } from "@bufbuild/protobuf/wkt";
import { Role } from "fleetwire/api/v1/role";
import { type Session, SessionService } from "fleetwire/api/v1/session";
import { useState } from "react";
import { Link } from "react-router";
import { useChange, useMay, useSession } from "../api/query";
import { Confirm, State } from "./parts";
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
  return (
    <div className="scroll">
      <table className="table">
        <thead>
          <tr>
            <th>Host</th>
            <th>Who</th>
            <th>State</th>
            <th className="wide">Last used</th>
            <th>Time left</th>
            <th>
              <span className="visually-hidden">End</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {sessions.map((session) => (
            <tr key={session.sessionId}>
              <td>
                <Link to={`/hosts/${session.hostId}`}>
                  <Word>{session.host}</Word>
                </Link>
              </td>
              <td>
                <Word>{session.user}</Word>
              </td>
              <td>
                {session.entered ? (
                  <State tone="good">in use</State>
                ) : (
                  <State tone="idle">not entered yet</State>
                )}
              </td>
              <td className="wide">
                <When at={session.activeAt} />
              </td>
              <td className="number nowrap">
                {session.expiresAt && span((timestampMs(session.expiresAt) - now) / 1000)}
              </td>
              <td className="end">
                {mayEnd(session) && (
                  <button type="button" className="danger" onClick={() => setAsked(session)}>
                    End
                  </button>
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {asked && (
        <Confirm
          title="End this console session?"
          action="End session"
          danger
          pending={close.isPending}
          error={close.error}
          onConfirm={() => close.mutate({ sessionId: asked.sessionId })}
          onClose={() => setAsked(undefined)}
        >
          <p>
            Whoever looks at <Word>{asked.host}</Word> in it is cut off at once.
          </p>
        </Confirm>
      )}
    </div>
  );
}
