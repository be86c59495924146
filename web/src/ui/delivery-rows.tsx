// Deliveries as a table: of one host, of one command, or of many. A row opens to its history and its result.

import type { Delivery } from "fleetwire/api/v1/delivery";
import { useState } from "react";
import { Link } from "react-router";
import { DeliveryDialog } from "./delivery-dialog";
import { Empty, State } from "./parts";
import { type Column, Table } from "./table";
import { plain, Word } from "./text";
import { When } from "./time";
import { deliveryWord, human } from "./words";

/** What a table of deliveries names in its first columns. */
export type Named = "command" | "host" | "both";

export function DeliveryState({ delivery }: { delivery: Delivery }) {
  const [text, tone] = deliveryWord(delivery.state);
  return (
    <State tone={tone}>
      {delivery.held ? `waits for wave ${delivery.wave}` : text}
      {delivery.progressPercent !== undefined && ` ${delivery.progressPercent} %`}
    </State>
  );
}

export function DeliveryRows({
  deliveries,
  show,
  output,
  chosen,
  onChoose,
}: {
  deliveries: Delivery[];
  show: Named;
  /** What hosts have printed so far, by host id, where somebody follows that. */
  output?: Map<string, string>;
  chosen?: Set<string>;
  onChoose?: (chosen: Set<string>) => void;
}) {
  const [open, setOpen] = useState<Delivery>();
  if (!deliveries.length) return <Empty title="Nothing here" />;
  const toggle = (key: string) => {
    const next = new Set(chosen);
    if (!next.delete(key)) next.add(key);
    onChoose?.(next);
  };
  const columns: Column<Delivery>[] = [
    {
      head: "State",
      cell: (delivery) => <DeliveryState delivery={delivery} />,
    },
    { head: "Reason", cell: ({ reason }) => reason && <Word>{reason.replaceAll("_", " ")}</Word> },
    { head: "Since", wide: true, cell: (delivery) => <When at={delivery.updatedAt} /> },
    {
      head: "More",
      acts: true,
      cell: (delivery) => (
        <button type="button" className="link" onClick={() => setOpen(delivery)}>
          Details
        </button>
      ),
    },
  ];
  if (show !== "command") {
    columns.unshift({
      head: "Host",
      lead: true,
      cell: (delivery) => (
        <Link to={`/hosts/${delivery.hostId}`}>
          <Word>{delivery.host}</Word>
        </Link>
      ),
    });
  }
  if (show !== "host") {
    columns.unshift({
      head: "Command",
      lead: show === "command",
      cell: (delivery) => <Link to={`/commands/${delivery.commandId}`}>{human(delivery.commandType)}</Link>,
    });
  }
  if (onChoose) {
    columns.unshift({
      head: "Choose",
      choice: true,
      cell: (delivery) => (
        <input
          type="checkbox"
          aria-label={`Choose ${plain(`${human(delivery.commandType)} on ${delivery.host}`)}`}
          checked={chosen?.has(keyOf(delivery)) ?? false}
          onChange={() => toggle(keyOf(delivery))}
        />
      ),
    });
  }
  return (
    <>
      <Table rows={deliveries} columns={columns} name={keyOf} />
      {open && (
        <DeliveryDialog delivery={open} live={output?.get(open.hostId)} onClose={() => setOpen(undefined)} />
      )}
    </>
  );
}

export function keyOf({ commandId, hostId }: Delivery): string {
  return `${commandId} ${hostId}`;
}
