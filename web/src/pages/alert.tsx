// One alert: what is wrong, since when, who looks after it, and where it was sent.

import { type Alert, type AlertNotification, AlertService, type AlertTry } from "fleetwire/api/v1/alert";
import { useParams } from "react-router";
import { useCall } from "../api/query";
import { Acknowledge, AlertHost, Beside, Severity, Standing } from "../ui/alerts";
import { Answer, Empty, Page, Panel, State, type Tone } from "../ui/parts";
import { Silence } from "../ui/silence";
import { type Column, Table } from "../ui/table";
import { Word } from "../ui/text";
import { At, When } from "../ui/time";

const BACK = { to: "/alerts", text: "Alerts" };
const SENT: Record<string, Tone> = { sent: "good", failed: "bad", waiting: "busy" };

export default function AlertPage() {
  const { id = "" } = useParams();
  const answer = useCall(AlertService.method.getAlert, { alertId: id });
  const alert = answer.data?.alert;
  if (!alert) {
    return (
      <Page title="Alert" back={BACK}>
        <section className="panel">
          <Answer of={answer}>{() => <Empty title="There is no such alert" />}</Answer>
        </section>
      </Page>
    );
  }
  return (
    <Page
      title={<Word>{alert.rule}</Word>}
      back={BACK}
      beside={<Standing alert={alert} />}
      actions={
        <>
          <Acknowledge alert={alert} primary />
          <Silence alert={alert} />
        </>
      }
    >
      <Facts alert={alert} />
      <Panel title="Where it was sent" flush>
        {answer.data?.notifications.length ? (
          answer.data.notifications.map((notification) => (
            <Notification key={notification.id} notification={notification} />
          ))
        ) : (
          <Empty title="Nowhere">
            Alerts go to the channels that there are, once they fire and no silence is for them.
          </Empty>
        )}
      </Panel>
    </Page>
  );
}

function Facts({ alert }: { alert: Alert }) {
  return (
    <Panel title="Alert">
      <dl className="facts">
        <dt>What</dt>
        <dd>
          <Word>{alert.detail}</Word>
        </dd>
        <dt>Severity</dt>
        <dd>
          <Severity severity={alert.severity} />
        </dd>
        <dt>Host</dt>
        <dd>
          <AlertHost alert={alert} />
        </dd>
        <dt>Since</dt>
        <dd>
          <At at={alert.since} />
        </dd>
        {alert.firedAt && (
          <>
            <dt>Fires since</dt>
            <dd>
              <At at={alert.firedAt} />
            </dd>
          </>
        )}
        {alert.resolvedAt && (
          <>
            <dt>Over since</dt>
            <dd>
              <At at={alert.resolvedAt} />
            </dd>
          </>
        )}
        <dt>Looked after by</dt>
        <dd>
          <Beside alert={alert} />
          {alert.acknowledgedAt && (
            <>
              {" "}
              <span className="muted">
                <When at={alert.acknowledgedAt} />
              </span>
            </>
          )}
        </dd>
        <dt>Id</dt>
        <dd className="mono">{alert.id}</dd>
      </dl>
    </Panel>
  );
}

const TRIES: readonly Column<AlertTry & { number: number }>[] = [
  { head: "Try", lead: true, cell: ({ number }) => number },
  { head: "When", cell: ({ at }) => <At at={at} /> },
  { head: "Took", number: true, cell: ({ durationMs }) => `${durationMs} ms` },
  {
    head: "Outcome",
    cell: ({ error }) =>
      error ? (
        <State tone="bad">
          <Word>{error}</Word>
        </State>
      ) : (
        <State tone="good">taken</State>
      ),
  },
];

function Notification({ notification }: { notification: AlertNotification }) {
  const { channel, state, error, attempts, createdAt, nextAt, tries } = notification;
  return (
    <div className="body part">
      <div className="between">
        <strong>
          <Word>{channel}</Word>
        </strong>
        <State tone={SENT[state] ?? "idle"}>
          <Word>{state}</Word>
        </State>
      </div>
      <p className="muted small">
        Made <When at={createdAt} />, tried {attempts} {attempts === 1 ? "time" : "times"}
        {nextAt && (
          <>
            , tried next <When at={nextAt} />
          </>
        )}
      </p>
      {error && !tries.length && (
        <p className="note warn">
          <Word>{error}</Word>
        </p>
      )}
      {tries.length > 0 && (
        <Table
          rows={tries.map((one, index) => ({ ...one, number: index + 1 }))}
          columns={TRIES}
          name={({ number }) => String(number)}
        />
      )}
    </div>
  );
}
