// What a host is made of, as it said when it was last asked; and asking it.

import { CommandService } from "fleetwire/api/v1/command";
import { type Delivery, DeliveryService, DeliveryState } from "fleetwire/api/v1/delivery";
import type { Host } from "fleetwire/api/v1/host";
import type { Disk, InventoryResult, NetworkInterface } from "fleetwire/link/v1/inventory";
import { Fragment, type ReactNode, useEffect, useState } from "react";
import { useCall, useChange, useList, useMay } from "../api/query";
import { DeliveryDialog } from "./delivery-dialog";
import { DeliveryState as DeliveryShown } from "./delivery-rows";
import { Answer, Empty, Panel, Wrong } from "./parts";
import { Word } from "./text";
import { When } from "./time";
import { bytes, UNDER_WAY } from "./words";

/** Of a host that was asked for much else an inventory may be found only after so many pages that have none. */
const PAGES_MAX = 20;
/** Items of a list that are shown here; the details have more. */
const ITEMS_MAX = 12;

export function Inventory({ host }: { host: Host }) {
  const may = useMay(CommandService.method.createCommand);
  const last = useLast(host.id, []);
  const taken = useLast(host.id, [DeliveryState.SUCCEEDED]);
  const take = useChange(CommandService.method.createCommand);
  const [open, setOpen] = useState<Delivery>();
  const answer = useCall(
    DeliveryService.method.getDelivery,
    { commandId: taken.delivery?.commandId ?? "", hostId: host.id },
    { enabled: taken.delivery !== undefined },
  );
  const result = answer.data?.result;
  const newer =
    last.delivery && last.delivery.commandId !== taken.delivery?.commandId ? last.delivery : undefined;
  const underWay = newer !== undefined && (UNDER_WAY as readonly DeliveryState[]).includes(newer.state);
  return (
    <Panel
      title="Inventory"
      actions={
        <>
          {taken.delivery && result?.case === "inventory" && (
            <>
              <span className="muted">
                taken <When at={taken.delivery.updatedAt} />
              </span>
              <button type="button" className="plain" onClick={() => setOpen(taken.delivery)}>
                All of it
              </button>
            </>
          )}
          {may && !host.revokedAt && (
            <button
              type="button"
              disabled={take.isPending || underWay}
              onClick={() =>
                take.mutate({
                  targets: { hosts: [host.id] },
                  parameters: { case: "inventory", value: {} },
                })
              }
            >
              Take inventory
            </button>
          )}
        </>
      }
    >
      <div className="stack">
        <Wrong error={take.error} />
        {newer && (
          <div className="row" role="status">
            <span>{underWay ? "It is asked for one:" : "The last one came to nothing:"}</span>
            <DeliveryShown delivery={newer} />
            {newer.detail && <Word>{newer.detail}</Word>}
          </div>
        )}
        {taken.delivery ? (
          <Answer of={answer}>
            {({ result }) =>
              result.case === "inventory" ? (
                <Told inventory={result.value} />
              ) : (
                <Empty title="What it said is not kept any more" />
              )
            }
          </Answer>
        ) : taken.looked ? (
          <Empty title="None was taken yet">The host says what it is made of when it is asked to.</Empty>
        ) : (
          <Answer of={taken.list}>{() => <p className="muted">Looking for the last one…</p>}</Answer>
        )}
      </div>
      {open && <DeliveryDialog delivery={open} onClose={() => setOpen(undefined)} />}
    </Panel>
  );
}

/** The newest inventory of a host in one of these states, or in any where none is named. */
function useLast(host: string, states: DeliveryState[]) {
  const list = useList(DeliveryService.method.listDeliveries, {
    host,
    commandType: "inventory",
    states,
    pageSize: 1,
  });
  const pages = list.data?.pages ?? [];
  const delivery = pages.flatMap(({ deliveries }) => deliveries)[0];
  // A page may have none though more follow.
  const goOn = list.data !== undefined && !delivery && list.hasNextPage && pages.length < PAGES_MAX;
  const { fetchNextPage, isFetching, error } = list;
  useEffect(() => {
    if (goOn && !isFetching && !error) void fetchNextPage();
  }, [goOn, isFetching, error, fetchNextPage]);
  return { list, delivery, looked: list.data !== undefined && !goOn };
}

function Told({ inventory }: { inventory: InventoryResult }) {
  const { hardware, operatingSystem: system, network, packages, services, output } = inventory;
  const failed = services.filter(({ activeState }) => activeState === "failed").length;
  const facts: [string, ReactNode][] = [];
  const text = (name: string, ...words: (string | undefined)[]) => {
    const known = words.filter(Boolean).join(" ");
    if (known) facts.push([name, <Word key={name}>{known}</Word>]);
  };
  text("Host name", system?.hostname);
  text("System", system?.name, system?.version);
  text("Kernel", system?.kernel, system?.architecture);
  text("Machine", hardware?.vendor, hardware?.model);
  text("Serial number", hardware?.serialNumber);
  if (hardware?.processors) text("Processors", `${hardware.processors} ×`, hardware.processor || "unnamed");
  if (hardware?.memoryBytes) text("Memory", bytes(Number(hardware.memoryBytes)));
  if (hardware?.disks.length) facts.push(["Disks", <Few key="disks" of={hardware.disks.map(diskText)} />]);
  if (network.length) facts.push(["Network", <Few key="network" of={network.map(networkText)} />]);
  if (packages.length) text("Packages", String(packages.length));
  if (services.length) text("Services", String(services.length), failed ? `(${failed} failed)` : "");
  return (
    <>
      {output && (
        <p className="note warn">
          <Word>{output.trim()}</Word>
        </p>
      )}
      <dl className="facts">
        {facts.map(([name, fact]) => (
          <Fragment key={name}>
            <dt>{name}</dt>
            <dd>{fact}</dd>
          </Fragment>
        ))}
      </dl>
    </>
  );
}

const diskText = ({ name, model, sizeBytes }: Disk) =>
  [name, model, bytes(Number(sizeBytes))].filter(Boolean).join(", ");

const networkText = ({ name, addresses, hardwareAddress, up }: NetworkInterface) =>
  [name, up ? "" : "down", ...addresses, hardwareAddress].filter(Boolean).join(", ");

function Few({ of }: { of: string[] }) {
  return (
    <ul className="plain-list">
      {of.slice(0, ITEMS_MAX).map((item) => (
        <li key={item}>
          <Word>{item}</Word>
        </li>
      ))}
      {of.length > ITEMS_MAX && <li className="muted">and {of.length - ITEMS_MAX} more</li>}
    </ul>
  );
}
