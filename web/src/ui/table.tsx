// Tables, as columns say them. On a phone's width each row folds into a card: what leads it and its buttons stand
// first, the rest below with the names of their columns.

import type { ReactNode } from "react";

export interface Column<Row> {
  /** Its name; one that only has buttons shows none. */
  head: string;
  cell: (row: Row) => ReactNode;
  /** Not on a phone. */
  wide?: boolean;
  /** Numbers, at the end of the column. */
  number?: boolean;
  /** What the row is known by. */
  lead?: boolean;
  /** Buttons. */
  acts?: boolean;
  /** A box to choose the row with. */
  choice?: boolean;
}

export function Table<Row>({
  rows,
  columns,
  name,
}: {
  rows: readonly Row[];
  columns: readonly Column<Row>[];
  /** What tells a row from the others. */
  name: (row: Row) => string;
}) {
  return (
    <div className="scroll">
      <table className="table">
        <thead>
          <tr>
            {columns.map((column) => (
              <th key={column.head} className={styled(column)}>
                {column.acts || column.choice ? (
                  <span className="visually-hidden">{column.head}</span>
                ) : (
                  column.head
                )}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={name(row)}>
              {columns.map((column) => (
                <td
                  key={column.head}
                  className={styled(column)}
                  data-head={column.lead || column.acts || column.choice ? undefined : column.head}
                >
                  {column.acts ? <div className="acts">{column.cell(row)}</div> : column.cell(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function styled({ wide, number, lead, acts, choice }: Omit<Column<never>, "cell">): string | undefined {
  const words = [wide && "wide", number && "end number", lead && "lead", acts && "end", choice && "box"];
  return words.filter(Boolean).join(" ") || undefined;
}
