// Entries of the audit log as a table.

import type { AuditEntry } from "fleetwire/api/v1/audit";
import { Link } from "react-router";
import { Empty, State } from "./parts";
import { type Column, Table } from "./table";
import { plain, Word } from "./text";
import { At, When } from "./time";

/** What a log names by kind and id: short, with the whole of it behind, and a way there where there is one. */
function Named({ name }: { name: string }) {
  const [, kind, id] = /^([a-z_-]+):([0-9a-f]{8}-[0-9a-f-]{27})$/.exec(name) ?? [];
  if (!kind || !id) return <Word>{name}</Word>;
  const place = PLACES[kind];
  const text = `${kind} ${id.slice(0, 8)}`;
  return place ? (
    <Link className="nowrap" to={`${place}/${id}`} title={name}>
      {text}
    </Link>
  ) : (
    <span title={name}>{text}</span>
  );
}

const PLACES: Record<string, string> = { host: "/hosts", command: "/commands" };

const COLUMNS: readonly Column<AuditEntry>[] = [
  {
    head: "No.",
    wide: true,
    cell: (entry) => <span className="number muted">{String(entry.sequence)}</span>,
  },
  {
    head: "When",
    cell: (entry) => (
      <>
        <span className="wide-only">
          <At at={entry.at} />
        </span>
        <span className="narrow-only">
          <When at={entry.at} />
        </span>
      </>
    ),
  },
  { head: "Who", cell: (entry) => <Named name={entry.actor} /> },
  {
    head: "What",
    lead: true,
    cell: (entry) => (
      <span className="nowrap">
        <code>{entry.action}</code>
        {entry.outcome === "failed" && (
          <>
            {" "}
            <State tone="bad">failed</State>
          </>
        )}
      </span>
    ),
  },
  { head: "To", cell: (entry) => <Named name={entry.target} /> },
  {
    head: "Details",
    wide: true,
    cell: (entry) => (
      <span className="chips small">
        {Object.entries(entry.details).map(([name, value]) => (
          <span className="chip" key={name} title={plain(value)}>
            <Word>{`${name}: ${value}`}</Word>
          </span>
        ))}
      </span>
    ),
  },
];

export function AuditRows({ entries }: { entries: AuditEntry[] }) {
  if (!entries.length) return <Empty title="No entries" />;
  return <Table rows={entries} columns={COLUMNS} name={({ sequence }) => String(sequence)} />;
}
