// All commands, the newest first.

import { type Command, CommandService, CommandState } from "fleetwire/api/v1/command";
import { useState } from "react";
import { Link } from "react-router";
import { useList, useMay } from "../api/query";
import { Answer, Choice, Empty, More, Page, State } from "../ui/parts";
import { type Column, Table } from "../ui/table";
import { Word } from "../ui/text";
import { When } from "../ui/time";
import { brief, commandShown, human } from "../ui/words";

const STATES = [
  ["0", "All"],
  [String(CommandState.QUEUED), "Queued"],
  [String(CommandState.RUNNING), "Running"],
  [String(CommandState.PAUSED), "Paused"],
  [String(CommandState.FINISHED), "Finished"],
] as const;

export default function Commands() {
  const [state, setState] = useState<string>("0");
  const may = useMay(CommandService.method.createCommand);
  const commands = useList(CommandService.method.listCommands, { state: Number(state), pageSize: 50 });
  return (
    <Page
      title="Commands"
      actions={
        may && (
          <Link to="/run" className="button primary">
            Run a command
          </Link>
        )
      }
    >
      <section className="panel">
        <header>
          <Choice label="State" value={state} options={STATES} onChange={setState} />
        </header>
        <Answer of={commands}>
          {({ pages }) => {
            const rows = pages.flatMap(({ commands }) => commands);
            return rows.length ? (
              <>
                <CommandRows commands={rows} />
                <More of={commands} />
              </>
            ) : (
              <Empty title="No commands">What hosts are asked to do shows here as it gets on.</Empty>
            );
          }}
        </Answer>
      </section>
    </Page>
  );
}

const COLUMNS: readonly Column<Command>[] = [
  {
    head: "Command",
    lead: true,
    cell: (command) => (
      <>
        <Link to={`/commands/${command.id}`}>{human(command.commandType)}</Link>
        <div className="muted small">
          <Word>{brief(command)}</Word>
        </div>
      </>
    ),
  },
  {
    head: "State",
    cell: (command) => {
      const [text, tone] = commandShown(command);
      return <State tone={tone}>{text}</State>;
    },
  },
  {
    head: "Succeeded",
    number: true,
    cell: ({ summary }) => `${summary?.succeeded ?? 0} / ${summary?.total ?? 0}`,
  },
  { head: "For", cell: (command) => <Word>{command.targets}</Word> },
  { head: "By", wide: true, cell: (command) => <Word>{command.user}</Word> },
  { head: "Asked for", cell: (command) => <When at={command.createdAt} /> },
];

export function CommandRows({ commands }: { commands: Command[] }) {
  return <Table rows={commands} columns={COLUMNS} name={({ id }) => id} />;
}
