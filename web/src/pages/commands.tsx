// All commands, the newest first.

import { type Command, CommandService, CommandState } from "fleetwire/api/v1/command";
import { useState } from "react";
import { Link } from "react-router";
import { useList, useMay } from "../api/query";
import { Answer, Choice, Empty, More, Page, State } from "../ui/parts";
import { Word } from "../ui/text";
import { When } from "../ui/time";
import { commandShown, human } from "../ui/words";

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

export function CommandRows({ commands }: { commands: Command[] }) {
  return (
    <div className="scroll">
      <table className="table">
        <thead>
          <tr>
            <th>Command</th>
            <th>State</th>
            <th className="end">Succeeded</th>
            <th className="wide">For</th>
            <th className="wide">By</th>
            <th>Asked for</th>
          </tr>
        </thead>
        <tbody>
          {commands.map((command) => {
            const { summary } = command;
            const [text, tone] = commandShown(command);
            return (
              <tr key={command.id}>
                <td>
                  <Link to={`/commands/${command.id}`}>{human(command.commandType)}</Link>
                </td>
                <td>
                  <State tone={tone}>{text}</State>
                </td>
                <td className="end number">
                  {String(summary?.succeeded ?? 0)} / {String(summary?.total ?? 0)}
                </td>
                <td className="wide">
                  <Word>{command.targets}</Word>
                </td>
                <td className="wide">
                  <Word>{command.user}</Word>
                </td>
                <td>
                  <When at={command.createdAt} />
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}
