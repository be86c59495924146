// One console session, beside the tab that shows the device: who else is in, for how much longer, and its end. The
// device's page is not shown within this one: what it may send with its answers forbids that (docs/PROXY.md, 8).

import { useQuery } from "@tanstack/react-query";
import type { Event } from "fleetwire/api/v1/event";
import { type Session, SessionService } from "fleetwire/api/v1/session";
import { useState } from "react";
import { Link, useParams } from "react-router";
import { Refused } from "../api/call";
import { useCall, useList } from "../api/query";
import { endedKey } from "../live/apply";
import { Answer, Empty, More, Page, Panel, State } from "../ui/parts";
import { EndSession, endsAt, SessionRows, SessionState, useMayEnd } from "../ui/session-rows";
import { Word } from "../ui/text";
import { At, span, useNow, When } from "../ui/time";

const BACK = { to: "/sessions", text: "Console sessions" };

export default function SessionPage() {
  const { id = "" } = useParams();
  const answer = useCall(SessionService.method.getSession, { sessionId: id });
  const { data: ended } = useQuery<Event | null>({
    queryKey: endedKey(id),
    queryFn: () => null,
    enabled: false,
  });
  const isGone = answer.error instanceof Refused && answer.error.code === "session_unknown";
  const session = answer.data?.session;
  if (session) return <Shown session={session} ended={ended ?? isGone} />;
  return (
    <Page title="Console session" back={BACK}>
      <section className="panel">
        {isGone ? (
          <Empty title="This console session has ended">
            Its host's page opens another. What was done is in the audit log.
          </Empty>
        ) : (
          <Answer of={answer}>{() => <Empty title="There is no such console session" />}</Answer>
        )}
      </section>
    </Page>
  );
}

function Shown({ session, ended }: { session: Session; ended: Event | boolean }) {
  const mayEnd = useMayEnd();
  const [asked, setAsked] = useState(false);
  const { sessionId, host, hostId, consoleUrl } = session;
  return (
    <Page
      title={
        <>
          Console of <Word>{host}</Word>
        </>
      }
      back={BACK}
      beside={ended ? <State tone="idle">ended</State> : <SessionState session={session} />}
      actions={
        !ended && (
          <>
            {consoleUrl && (
              <a className="button primary" href={consoleUrl} target="_blank" rel="noreferrer">
                Show the device
              </a>
            )}
            {mayEnd(session) && (
              <button type="button" className="danger" onClick={() => setAsked(true)}>
                End session
              </button>
            )}
          </>
        )
      }
    >
      {ended && (
        <p className="note warn" role="status">
          This console session has ended{typeof ended === "object" && <Why session={session} event={ended} />}
          . The tab with the device shows nothing new any more. <Link to={`/hosts/${hostId}`}>Its host</Link>{" "}
          opens another.
        </p>
      )}
      <div className="columns">
        <Facts session={session} ended={Boolean(ended)} />
        <Others hostId={hostId} but={sessionId} />
      </div>
      {asked && !ended && <EndSession session={session} onClose={() => setAsked(false)} />}
    </Page>
  );
}

/** Why it has ended, behind a colon. */
function Why({ session, event }: { session: Session; event: Event }) {
  const { idleTimeoutSeconds } = session;
  switch (event.what.case === "sessionClosed" ? event.what.value.reason : "") {
    case "closed_by_user":
      return (
        <>
          : <Word>{event.actor}</Word> has ended it
        </>
      );
    case "idle":
      return `: nothing was done in it for ${span(idleTimeoutSeconds)}`;
    case "expired":
      return ": its time was over";
    case "never_entered":
      return ": nobody entered it in time";
    case "host_reenrolled":
      return ": its host was enrolled anew";
    case "host_revoked":
      return ": its host was revoked";
    default:
      return null;
  }
}

function Facts({ session, ended }: { session: Session; ended: boolean }) {
  const { host, hostId, user, createdAt, activeAt, expiresAt, entered, idleTimeoutSeconds } = session;
  const now = useNow();
  return (
    <Panel title="Session">
      <dl className="facts">
        <dt>Host</dt>
        <dd>
          <Link to={`/hosts/${hostId}`}>
            <Word>{host}</Word>
          </Link>
        </dd>
        <dt>Who</dt>
        <dd>
          <Word>{user}</Word>
        </dd>
        <dt>Opened</dt>
        <dd>
          <At at={createdAt} />
        </dd>
        {entered && (
          <>
            <dt>Last used</dt>
            <dd>
              <When at={activeAt} />
            </dd>
          </>
        )}
        {!ended && (
          <>
            <dt>Time left</dt>
            <dd>
              {entered ? (
                <>
                  <strong className="number">{span((endsAt(session) - now) / 1000)}</strong>
                  {", "}
                  and again {span(idleTimeoutSeconds)} each time that something is done at the device
                </>
              ) : (
                "a minute from its opening, until it is entered"
              )}
            </dd>
            <dt>Ends</dt>
            <dd>
              <When at={expiresAt} /> at the latest, on <At at={expiresAt} />
            </dd>
          </>
        )}
      </dl>
    </Panel>
  );
}

/** Who else is at the same device. */
function Others({ hostId, but }: { hostId: string; but: string }) {
  const sessions = useList(SessionService.method.listSessions, { host: hostId, pageSize: 100 });
  return (
    <Panel title="Who else is in" flush>
      <Answer of={sessions}>
        {({ pages }) => {
          const others = pages
            .flatMap(({ sessions }) => sessions)
            .filter(({ sessionId }) => sessionId !== but);
          return others.length ? (
            <>
              <SessionRows sessions={others} ofOne />
              <More of={sessions} />
            </>
          ) : (
            <Empty title="Nobody else">
              Whoever opens a console of this host as well stands here at once.
            </Empty>
          );
        }}
      </Answer>
    </Panel>
  );
}
