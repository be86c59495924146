// Dead letters: deliveries that came to nothing and that nobody has seen to, each with its reason. They are asked for
// again, or put away.

import { type Delivery, DeliveryService } from "fleetwire/api/v1/delivery";
import { useState } from "react";
import { calling, client, keyOf, randomKey, useList, useMay } from "../api/query";
import { DeliveryRows, keyOf as nameOf } from "../ui/delivery-rows";
import { Answer, Empty, FormDialog, More, Page } from "../ui/parts";

type What = "redrive" | "discard";

const WORDS: Record<What, { title: string; action: string; text: string }> = {
  redrive: {
    title: "Ask for them again?",
    action: "Redrive",
    text: "Each command is asked for again on these hosts, under a new id.",
  },
  discard: {
    title: "Put them away?",
    action: "Discard",
    text: "They stay in the history, and are no dead letters any more.",
  },
};

export default function DeadLetters() {
  const letters = useList(DeliveryService.method.listDeliveries, { dead: true, pageSize: 100 });
  const may = useMay(DeliveryService.method.redriveDeliveries);
  const [chosen, setChosen] = useState<Set<string>>(new Set());
  const [asked, setAsked] = useState<What>();
  const rows = letters.data?.pages.flatMap(({ deliveries }) => deliveries) ?? [];
  const there = rows.filter((delivery) => chosen.has(nameOf(delivery)));
  return (
    <Page
      title="Dead letters"
      actions={
        may &&
        rows.length > 0 && (
          <>
            <button
              type="button"
              className="plain"
              onClick={() => setChosen(there.length === rows.length ? new Set() : new Set(rows.map(nameOf)))}
            >
              {there.length === rows.length ? "Choose none" : "Choose all shown"}
            </button>
            <button
              type="button"
              className="primary"
              disabled={!there.length}
              onClick={() => setAsked("redrive")}
            >
              Redrive{there.length > 0 && ` ${there.length}`}
            </button>
            <button type="button" disabled={!there.length} onClick={() => setAsked("discard")}>
              Discard{there.length > 0 && ` ${there.length}`}
            </button>
          </>
        )
      }
    >
      <section className="panel">
        <Answer of={letters}>
          {() =>
            rows.length ? (
              <>
                <DeliveryRows
                  deliveries={rows}
                  show="both"
                  chosen={chosen}
                  onChoose={may ? setChosen : undefined}
                />
                <More of={letters} />
              </>
            ) : (
              <Empty title="No dead letters">
                What a host refused, or did not begin in time, waits here until somebody sees to it.
              </Empty>
            )
          }
        </Answer>
      </section>
      {asked && (
        <See
          what={asked}
          letters={there}
          onClose={(done) => {
            setAsked(undefined);
            if (done) setChosen(new Set());
          }}
        />
      )}
    </Page>
  );
}

/** Sees to the chosen ones, one request a command. */
function See({
  what,
  letters,
  onClose,
}: {
  what: What;
  letters: Delivery[];
  onClose: (done: boolean) => void;
}) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const words = WORDS[what];
  const see = async () => {
    setBusy(true);
    setError(undefined);
    const { redriveDeliveries, discardDeliveries } = DeliveryService.method;
    try {
      for (const commandId of new Set(letters.map(({ commandId }) => commandId))) {
        const hosts = letters.filter((letter) => letter.commandId === commandId).map(({ hostId }) => hostId);
        const headers = { "idempotency-key": randomKey() };
        if (what === "redrive") await calling(redriveDeliveries, { commandId, hosts }, { headers });
        else await calling(discardDeliveries, { commandId, hosts });
      }
      onClose(true);
    } catch (error) {
      setError(error);
    } finally {
      setBusy(false);
      void client.invalidateQueries({ queryKey: keyOf(DeliveryService.method.listDeliveries) });
    }
  };
  return (
    <FormDialog
      title={words.title}
      action={`${words.action} ${letters.length}`}
      pending={busy}
      error={error}
      onSubmit={() => void see()}
      onClose={() => onClose(false)}
    >
      <p>{words.text}</p>
    </FormDialog>
  );
}
