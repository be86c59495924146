// Channels: where alerts are sent. What kinds there are follows from the schema. A webhook's secret is shown once.

import {
  type AlertChannel,
  AlertChannelService,
  AlertChannelSpecSchema,
  type TestAlertChannelResponse,
} from "fleetwire/api/v1/alert_channel";
import { useState } from "react";
import { calling, useChange } from "../api/query";
import { draftOf } from "../form/fields";
import { SpecDialog } from "../form/spec-dialog";
import { AlertTabs } from "../ui/alerts";
import { FormDialog, Secret, ShownDialog, State, Wrong } from "../ui/parts";
import { type Opened, Register } from "../ui/register";
import type { Column } from "../ui/table";
import { Word } from "../ui/text";
import { When } from "../ui/time";
import { human } from "../ui/words";

const TARGET = AlertChannelSpecSchema.oneofs[0];

function Target({ channel: { spec } }: { channel: AlertChannel }) {
  switch (spec?.target.case) {
    case "webhook":
      return <Word>{spec.target.value.url}</Word>;
    case "email":
      return <Word>{spec.target.value.recipients.join(", ")}</Word>;
    default:
      return <span className="muted">unknown</span>;
  }
}

const COLUMNS: readonly Column<AlertChannel>[] = [
  { head: "Channel", lead: true, cell: ({ spec }) => <Word>{spec?.name ?? ""}</Word> },
  { head: "Kind", cell: ({ spec }) => human(spec?.target.case ?? "unknown") },
  { head: "Where", cell: (channel) => <Target channel={channel} /> },
  {
    head: "State",
    cell: ({ spec }) =>
      spec?.disabled ? (
        <State tone="idle" hollow>
          off
        </State>
      ) : (
        <State tone="good">on</State>
      ),
  },
  { head: "Made", wide: true, cell: ({ createdAt }) => <When at={createdAt} /> },
];

export default function AlertChannels() {
  const { deleteAlertChannel } = AlertChannelService.method;
  return (
    <Register
      title="Alert channels"
      tabs={<AlertTabs channels />}
      method={AlertChannelService.method.listAlertChannels}
      request={{}}
      rows={({ channels }) => channels}
      name={({ id }) => id}
      columns={COLUMNS}
      empty={{ title: "No channels", text: "Alerts are shown here, and sent nowhere. Add a channel." }}
      add="Add a channel"
      dialog={(channel, opened) => <Edit channel={channel} opened={opened} />}
      edit={() => true}
      more={(channel) => <Others channel={channel} />}
      remove={{
        word: "Remove",
        title: "Remove this channel?",
        act: ({ id }) => calling(deleteAlertChannel, { alertChannelId: id }),
        text: ({ spec }) => (
          <>
            Nothing is sent to <Word>{spec?.name ?? ""}</Word> any more, nor what waits to be.
          </>
        ),
      }}
    />
  );
}

function Edit({ channel, opened }: { channel: AlertChannel | undefined; opened: Opened }) {
  const create = useChange(AlertChannelService.method.createAlertChannel, ({ secret }) => {
    opened.changed();
    if (!secret) opened.close();
  });
  const update = useChange(AlertChannelService.method.updateAlertChannel, () => {
    opened.changed();
    opened.close();
  });
  if (create.data?.secret) return <ShownSecret secret={create.data.secret} onClose={opened.close} />;
  if (!TARGET) return null;
  return (
    <SpecDialog
      title={channel ? "Edit channel" : "Add a channel"}
      desc={AlertChannelSpecSchema}
      oneof={TARGET}
      begin={() => (channel?.spec ? draftOf(AlertChannelSpecSchema, channel.spec) : { webhook: {} })}
      fixed={channel !== undefined}
      pending={create.isPending || update.isPending}
      error={create.error ?? update.error}
      onSave={(spec) =>
        channel ? update.mutate({ alertChannelId: channel.id, spec }) : create.mutate({ spec })
      }
      onClose={opened.close}
    />
  );
}

function ShownSecret({ secret, onClose }: { secret: string; onClose: () => void }) {
  return (
    <ShownDialog title="The secret, shown this once" done="Done" onClose={onClose}>
      <p className="muted">
        Requests are signed with it, as Standard Webhooks has it: the receiver checks each of them.
      </p>
      <Secret label="Secret" text={secret} />
    </ShownDialog>
  );
}

/** What can be done beside changing it: a trial, and a webhook's new secret. */
function Others({ channel: { id, spec } }: { channel: AlertChannel }) {
  const [outcome, setOutcome] = useState<TestAlertChannelResponse>();
  const [secret, setSecret] = useState("");
  const [asked, setAsked] = useState(false);
  const trial = useChange(AlertChannelService.method.testAlertChannel, setOutcome);
  const rotate = useChange(AlertChannelService.method.rotateAlertChannelSecret, ({ secret }) => {
    setAsked(false);
    setSecret(secret);
  });
  return (
    <>
      <button type="button" disabled={trial.isPending} onClick={() => trial.mutate({ alertChannelId: id })}>
        {trial.isPending ? "Sending…" : "Test"}
      </button>
      {spec?.target.case === "webhook" && (
        <button type="button" onClick={() => setAsked(true)}>
          New secret
        </button>
      )}
      {(outcome || trial.error) && (
        <ShownDialog
          title="What came of the trial"
          onClose={() => {
            setOutcome(undefined);
            trial.reset();
          }}
        >
          {outcome?.delivered && <p className="note good">The message was taken.</p>}
          {outcome && !outcome.delivered && (
            <p className="note bad">
              <Word>{outcome.error}</Word>
            </p>
          )}
          <Wrong error={trial.error} />
        </ShownDialog>
      )}
      {asked && (
        <FormDialog
          title="Give it another secret?"
          action="New secret"
          pending={rotate.isPending}
          error={rotate.error}
          onSubmit={() => rotate.mutate({ alertChannelId: id })}
          onClose={() => setAsked(false)}
        >
          <p>The one before signs nothing any more: the receiver has to be told of the new one.</p>
        </FormDialog>
      )}
      {secret && <ShownSecret secret={secret} onClose={() => setSecret("")} />}
    </>
  );
}
