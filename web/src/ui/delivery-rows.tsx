// Deliveries as a table: of one host, of one command, or of many. A row opens to its history and its result.

import type { Delivery } from "fleetwire/api/v1/delivery";
import { useState } from "react";
import { Link } from "react-router";
import { DeliveryDialog } from "./delivery-dialog";
import { Empty, State } from "./parts";
import { Word } from "./text";
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
  chosen,
  onChoose,
}: {
  deliveries: Delivery[];
  show: Named;
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
  return (
    <div className="scroll">
      <table className="table">
        <thead>
          <tr>
            {onChoose && (
              <th>
                <span className="visually-hidden">Choose</span>
              </th>
            )}
            {show !== "host" && <th>Command</th>}
            {show !== "command" && <th>Host</th>}
            <th>State</th>
            <th className="wide">Reason</th>
            <th className="wide">Since</th>
            <th className="end">
              <span className="visually-hidden">More</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {deliveries.map((delivery) => {
            const key = keyOf(delivery);
            return (
              <tr key={key}>
                {onChoose && (
                  <td>
                    <input
                      type="checkbox"
                      aria-label="Choose"
                      checked={chosen?.has(key) ?? false}
                      onChange={() => toggle(key)}
                    />
                  </td>
                )}
                {show !== "host" && (
                  <td>
                    <Link to={`/commands/${delivery.commandId}`}>{human(delivery.commandType)}</Link>
                  </td>
                )}
                {show !== "command" && (
                  <td>
                    <Link to={`/hosts/${delivery.hostId}`}>
                      <Word>{delivery.host}</Word>
                    </Link>
                  </td>
                )}
                <td>
                  <DeliveryState delivery={delivery} />
                </td>
                <td className="wide">
                  <Word>{delivery.reason.replaceAll("_", " ")}</Word>
                </td>
                <td className="wide">
                  <When at={delivery.updatedAt} />
                </td>
                <td className="end">
                  <button type="button" className="link" onClick={() => setOpen(delivery)}>
                    Details
                  </button>
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
      {open && <DeliveryDialog delivery={open} onClose={() => setOpen(undefined)} />}
    </div>
  );
}

export function keyOf({ commandId, hostId }: Delivery): string {
  return `${commandId} ${hostId}`;
}
