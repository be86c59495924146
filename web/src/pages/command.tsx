// One command as it gets on: how many of its hosts are where, what each prints, and what can be done about it.

import { type Command, CommandService, CommandState, type CommandSummary } from "fleetwire/api/v1/command";
import { type Delivery, DeliveryService, DeliveryState } from "fleetwire/api/v1/delivery";
import { useState } from "react";
import { Link, useParams } from "react-router";
import { useCall, useChange, useList, useMay } from "../api/query";
import { useWatch } from "../live/watch";
import { Result } from "../ui/delivery-dialog";
import { DeliveryRows } from "../ui/delivery-rows";
import { ResultFacts } from "../ui/message-facts";
import { Answer, Empty, Failed, FormDialog, Loading, More, Page, Panel, State, Wrong } from "../ui/parts";
import { Output, Word } from "../ui/text";
import { At, When } from "../ui/time";
import { commandShown, deliveryWord, human, UNDER_WAY } from "../ui/words";

/** Rows that are shown at first, and more of them each time that somebody asks. */
const ROWS_MAX = 500;
/** Rows of one state that are asked for at once. */
const PAGE_SIZE = 100;
/** With so few hosts what each printed stands open. */
const OPEN_MAX = 3;

export default function CommandPage() {
  const { id = "" } = useParams();
  const watched = useWatch(id);
  const { command } = watched;
  if (!command) {
    return (
      <Page title="Command" back={{ to: "/commands", text: "Commands" }}>
        <section className="panel">{watched.error ? <Failed error={watched.error} /> : <Loading />}</section>
      </Page>
    );
  }
  const deliveries = [...watched.deliveries.values()].sort((a, b) => rank(a) - rank(b));
  const [text, tone] = commandShown(command);
  return (
    <Page
      title={human(command.commandType)}
      back={{ to: "/commands", text: "Commands" }}
      beside={<State tone={tone}>{text}</State>}
      actions={<Actions command={command} />}
    >
      <Wrong error={watched.error} />
      <Panel>
        <Progress summary={command.summary} />
      </Panel>
      {deliveries.length <= OPEN_MAX &&
        deliveries.map((delivery) => (
          <Printed
            key={delivery.hostId}
            delivery={delivery}
            live={watched.output.get(delivery.hostId) ?? ""}
          />
        ))}
      <div className="columns">
        <Panel title="What">
          {command.parameters.value && <ResultFacts message={command.parameters.value} />}
        </Panel>
        <About command={command} />
      </div>
      <Hosts command={command} deliveries={deliveries} output={watched.output} />
    </Page>
  );
}

/** What became of it on each host: of all of them as it is followed, or of those in one state as the platform has it. */
function Hosts({
  command,
  deliveries,
  output,
}: {
  command: Command;
  deliveries: Delivery[];
  output: Map<string, string>;
}) {
  const [state, setState] = useState(DeliveryState.UNSPECIFIED);
  const [rows, setRows] = useState(ROWS_MAX);
  return (
    <Panel
      title="Hosts"
      flush
      actions={
        Number(command.summary?.total ?? 0) > 1 && (
          <select aria-label="State" value={state} onChange={(event) => setState(Number(event.target.value))}>
            <option value={DeliveryState.UNSPECIFIED}>Any state</option>
            {PARTS.map(([name, state]) => (
              <option key={name} value={state}>
                {deliveryWord(state)[0]} ({String(command.summary?.[name] ?? 0)})
              </option>
            ))}
          </select>
        )
      }
    >
      {state !== DeliveryState.UNSPECIFIED ? (
        <InState key={state} commandId={command.id} state={state} output={output} />
      ) : deliveries.length ? (
        <>
          <DeliveryRows deliveries={deliveries.slice(0, rows)} show="host" output={output} />
          {deliveries.length > rows && (
            <div className="more">
              <button type="button" onClick={() => setRows(rows + ROWS_MAX)}>
                Show more of {deliveries.length}
              </button>
            </div>
          )}
        </>
      ) : (
        <Empty title="No hosts" />
      )}
    </Panel>
  );
}

function InState({
  commandId,
  state,
  output,
}: {
  commandId: string;
  state: DeliveryState;
  output: Map<string, string>;
}) {
  const list = useList(DeliveryService.method.listDeliveries, {
    commandId,
    states: [state],
    pageSize: PAGE_SIZE,
  });
  return (
    <Answer of={list}>
      {({ pages }) => {
        const rows = pages.flatMap(({ deliveries }) => deliveries);
        return (
          <>
            {rows.length ? (
              <DeliveryRows deliveries={rows} show="host" output={output} />
            ) : list.hasNextPage ? (
              <p className="more muted">None among the first hosts.</p>
            ) : (
              <Empty title="No host is in this state" />
            )}
            <More of={list} />
          </>
        );
      }}
    </Answer>
  );
}

/** What somebody has to see to comes first, then what runs. */
const FIRST: readonly DeliveryState[] = [
  DeliveryState.FAILED,
  DeliveryState.INTERRUPTED,
  DeliveryState.DEAD,
  DeliveryState.EXPIRED,
  DeliveryState.RUNNING,
];
const rank = ({ state }: Delivery) => (FIRST.includes(state) ? FIRST.indexOf(state) : FIRST.length);

const PARTS: readonly (readonly [keyof CommandSummary & string, DeliveryState])[] = [
  ["succeeded", DeliveryState.SUCCEEDED],
  ["failed", DeliveryState.FAILED],
  ["interrupted", DeliveryState.INTERRUPTED],
  ["dead", DeliveryState.DEAD],
  ["expired", DeliveryState.EXPIRED],
  ["running", DeliveryState.RUNNING],
  ["received", DeliveryState.RECEIVED],
  ["sent", DeliveryState.SENT],
  ["queued", DeliveryState.QUEUED],
  ["cancelled", DeliveryState.CANCELLED],
];

function Progress({ summary }: { summary: CommandSummary | undefined }) {
  if (!summary) return null;
  const total = Number(summary.total) || 1;
  let from = 0;
  const parts = PARTS.map(([name, state]) => {
    const count = Number(summary[name]);
    const [text, tone] = deliveryWord(state);
    const part = { name, text, tone, count, from };
    from += count;
    return part;
  }).filter(({ count }) => count > 0);
  return (
    <div className="stack">
      <div className="progress">
        <svg viewBox={`0 0 ${total} 1`} preserveAspectRatio="none" aria-hidden="true">
          {parts
            .filter(({ tone }) => tone !== "idle")
            .map(({ name, tone, count, from }) => (
              <rect key={name} className={`fill-${tone}`} x={from} width={count} height="1" />
            ))}
        </svg>
      </div>
      <div className="row" role="status">
        {parts.map(({ name, text, tone, count }) => (
          <State key={name} tone={tone}>
            <span className="number">
              {count} {text}
            </span>
          </State>
        ))}
      </div>
    </div>
  );
}

/** What a host prints as it does, and what it gave once it has ended. */
function Printed({ delivery, live }: { delivery: Delivery; live: string }) {
  const ended = !(UNDER_WAY as readonly DeliveryState[]).includes(delivery.state);
  const { commandId, hostId } = delivery;
  const answer = useCall(DeliveryService.method.getDelivery, { commandId, hostId }, { enabled: ended });
  const [text, tone] = deliveryWord(delivery.state);
  const result = ended ? answer.data?.result : undefined;
  return (
    <Panel
      title={
        <Link to={`/hosts/${hostId}`}>
          <Word>{delivery.host}</Word>
        </Link>
      }
      actions={<State tone={tone}>{text}</State>}
    >
      <div className="stack">
        {delivery.detail && (
          <p className="note warn">
            <Word>{delivery.detail}</Word>
          </p>
        )}
        {result?.case ? (
          <Result result={result} />
        ) : live ? (
          <Output text={live} label={`Output of ${delivery.host}`} />
        ) : (
          <p className="muted">{ended ? "It gave nothing." : "It has printed nothing yet."}</p>
        )}
      </div>
    </Panel>
  );
}

function About({ command }: { command: Command }) {
  const { waveState, schedule } = command;
  return (
    <Panel title="About it">
      <dl className="facts">
        <dt>For</dt>
        <dd>
          <Word>{command.targets}</Word>
        </dd>
        <dt>Asked for</dt>
        <dd>
          <At at={command.createdAt} /> by <Word>{command.user}</Word>
        </dd>
        {command.finishedAt ? (
          <>
            <dt>Finished</dt>
            <dd>
              <At at={command.finishedAt} />
            </dd>
          </>
        ) : (
          <>
            <dt>To be begun</dt>
            <dd>
              until <At at={command.expiresAt} />
            </dd>
          </>
        )}
        {schedule?.notBefore && (
          <>
            <dt>Not before</dt>
            <dd>
              <At at={schedule.notBefore} />
            </dd>
          </>
        )}
        {waveState && (
          <>
            <dt>Wave</dt>
            <dd className="number">
              {String(waveState.current)} of {String(waveState.total)}
              {waveState.nextAt && (
                <>
                  , the next <When at={waveState.nextAt} />
                </>
              )}
            </dd>
          </>
        )}
        {command.redriveOf && (
          <>
            <dt>Again for</dt>
            <dd>
              <Link to={`/commands/${command.redriveOf}`} className="mono">
                {command.redriveOf}
              </Link>
            </dd>
          </>
        )}
        <dt>Id</dt>
        <dd className="mono">{command.id}</dd>
      </dl>
    </Panel>
  );
}

function Actions({ command }: { command: Command }) {
  const may = useMay(CommandService.method.cancelCommand);
  const [asked, setAsked] = useState(false);
  const cancel = useChange(CommandService.method.cancelCommand, () => setAsked(false));
  const resume = useChange(CommandService.method.resumeCommand);
  const [aborting, setAborting] = useState(false);
  const abort = useChange(CommandService.method.abortCommand, () => setAborting(false));
  const commandId = command.id;
  if (!may || command.state === CommandState.FINISHED) return null;
  return (
    <>
      {command.state === CommandState.PAUSED && (
        <>
          <button
            type="button"
            className="primary"
            disabled={resume.isPending}
            onClick={() => resume.mutate({ commandId })}
          >
            Go on
          </button>
          <button type="button" onClick={() => setAborting(true)}>
            End what was not begun
          </button>
        </>
      )}
      <button type="button" className="danger" onClick={() => setAsked(true)}>
        Cancel
      </button>
      <Wrong error={resume.error} />
      {aborting && (
        <FormDialog
          title="End what was not begun?"
          action="End it"
          danger
          pending={abort.isPending}
          error={abort.error}
          onSubmit={() => abort.mutate({ commandId })}
          onClose={() => setAborting(false)}
        >
          <p>Hosts of the waves that have not begun do not get it any more.</p>
        </FormDialog>
      )}
      {asked && (
        <FormDialog
          title="Cancel this command?"
          action="Cancel command"
          danger
          pending={cancel.isPending}
          error={cancel.error}
          onSubmit={() => cancel.mutate({ commandId })}
          onClose={() => setAsked(false)}
        >
          <p>Hosts that were not sent it do not get it. Those that have it end it where they can.</p>
        </FormDialog>
      )}
    </>
  );
}
