// Entries of the audit log as a table.

import type { AuditEntry } from "fleetwire/api/v1/audit";
import { Link } from "react-router";
import { Empty, State } from "./parts";
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

export function AuditRows({ entries }: { entries: AuditEntry[] }) {
  if (!entries.length) return <Empty title="No entries" />;
  return (
    <div className="scroll">
      <table className="table">
        <thead>
          <tr>
            <th className="wide">No.</th>
            <th>When</th>
            <th>Who</th>
            <th>What</th>
            <th className="wide">To</th>
            <th className="wide">Details</th>
          </tr>
        </thead>
        <tbody>
          {entries.map((entry) => (
            <tr key={String(entry.sequence)}>
              <td className="number muted wide">{String(entry.sequence)}</td>
              <td>
                <span className="wide-only">
                  <At at={entry.at} />
                </span>
                <span className="narrow-only">
                  <When at={entry.at} />
                </span>
              </td>
              <td>
                <Named name={entry.actor} />
              </td>
              <td className="nowrap">
                <code>{entry.action}</code>
                {entry.outcome === "failed" && (
                  <>
                    {" "}
                    <State tone="bad">failed</State>
                  </>
                )}
              </td>
              <td className="nowrap wide">
                <Named name={entry.target} />
              </td>
              <td className="small wide">
                <span className="chips">
                  {Object.entries(entry.details).map(([name, value]) => (
                    <span className="chip" key={name} title={plain(value)}>
                      <Word>{`${name}: ${value}`}</Word>
                    </span>
                  ))}
                </span>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
