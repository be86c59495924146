// A page that keeps a list of things people make: the table, the dialogs that make and change one, and the question
// before one goes.

import type { DescMessage, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import { useMutation } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import type { Method } from "../api/call";
import { client, keyOf, useList } from "../api/query";
import { Answer, Empty, FormDialog, More, Page } from "./parts";
import { type Column, Table } from "./table";

/** What a dialog of such a page is given. */
export interface Opened {
  close: () => void;
  /** Something was made or changed: the list is read anew. */
  changed: () => void;
}

interface Removal<Row> {
  /** On the button: Remove, Revoke. */
  word: string;
  title: string;
  may?: (row: Row) => boolean;
  /** Asks the platform for it. */
  act: (row: Row) => Promise<unknown>;
  text: (row: Row) => ReactNode;
}

export function Register<I extends DescMessage, O extends DescMessage, Row>({
  title,
  tabs,
  method,
  request,
  rows,
  name,
  columns,
  empty,
  add,
  dialog,
  edit,
  remove,
  more,
}: {
  title: string;
  /** Above the list: where else one can go. */
  tabs?: ReactNode;
  method: Method<I, O>;
  request: MessageInitShape<I>;
  rows: (answer: MessageShape<O>) => readonly Row[];
  name: (row: Row) => string;
  columns: readonly Column<Row>[];
  empty: { title: string; text?: string };
  /** On the button that makes one; absent where nobody here may. */
  add?: string;
  /** Makes one, or changes the one that it is given. */
  dialog?: (row: Row | undefined, opened: Opened) => ReactNode;
  /** Which rows can be changed; absent: none. */
  edit?: (row: Row) => boolean;
  remove?: Removal<Row>;
  /** More buttons of a row. */
  more?: (row: Row, changed: () => void) => ReactNode;
}) {
  const list = useList(method, request);
  const [open, setOpen] = useState<{ row?: Row }>();
  const [removed, setRemoved] = useState<Row>();
  const changed = () => void client.invalidateQueries({ queryKey: keyOf(method) });
  const removal = useMutation<unknown, Error, Row>({
    mutationFn: (row) => remove?.act(row) ?? Promise.resolve(),
    onSuccess: () => {
      setRemoved(undefined);
      changed();
    },
  });
  const acts: Column<Row> = {
    head: "Change",
    acts: true,
    cell: (row) => (
      <>
        {more?.(row, changed)}
        {edit?.(row) && (
          <button type="button" onClick={() => setOpen({ row })}>
            Edit
          </button>
        )}
        {remove && (remove.may?.(row) ?? true) && (
          <button
            type="button"
            className="danger"
            onClick={() => {
              removal.reset();
              setRemoved(row);
            }}
          >
            {remove.word}
          </button>
        )}
      </>
    ),
  };
  const all = edit || remove || more ? [...columns, acts] : columns;
  return (
    <Page
      title={title}
      actions={
        add && (
          <button type="button" className="primary" onClick={() => setOpen({})}>
            {add}
          </button>
        )
      }
    >
      {tabs}
      <section className="panel">
        <Answer of={list}>
          {({ pages }) => {
            const shown = pages.flatMap((page) => rows(page));
            if (!shown.length) return <Empty title={empty.title}>{empty.text}</Empty>;
            return (
              <>
                <Table rows={shown} columns={all} name={name} />
                <More of={list} />
              </>
            );
          }}
        </Answer>
      </section>
      {open && dialog?.(open.row, { close: () => setOpen(undefined), changed })}
      {remove && removed !== undefined && (
        <FormDialog
          title={remove.title}
          action={remove.word}
          danger
          pending={removal.isPending}
          error={removal.error}
          onSubmit={() => removal.mutate(removed)}
          onClose={() => setRemoved(undefined)}
        >
          <p>{remove.text(removed)}</p>
        </FormDialog>
      )}
    </Page>
  );
}
