// What became of one command on one host: the way there, and what it gave.

import { type Delivery, DeliveryService, type GetDeliveryResponse } from "fleetwire/api/v1/delivery";
import { useCall } from "../api/query";
import { ResultFacts } from "./message-facts";
import { Answer, Dialog, State } from "./parts";
import { Output, Word } from "./text";
import { At } from "./time";
import { deliveryWord, human } from "./words";

export function DeliveryDialog({
  delivery,
  live = "",
  onClose,
}: {
  delivery: Delivery;
  /** What it has printed so far. */
  live?: string;
  onClose: () => void;
}) {
  const { commandId, hostId } = delivery;
  const answer = useCall(DeliveryService.method.getDelivery, { commandId, hostId });
  return (
    <Dialog title={`${human(delivery.commandType)} on ${delivery.host}`} onClose={onClose}>
      <Answer of={answer}>{(answer) => <Told answer={answer} live={live} />}</Answer>
      <div className="actions">
        <button type="button" onClick={onClose}>
          Close
        </button>
      </div>
    </Dialog>
  );
}

function Told({ answer, live }: { answer: GetDeliveryResponse; live: string }) {
  const { delivery, history, result } = answer;
  return (
    <div className="stack">
      {delivery?.detail && (
        <p className="note warn">
          <Word>{delivery.detail}</Word>
        </p>
      )}
      {result.case ? <Result result={result} /> : live && <Output text={live} label="Output" />}
      <h3>How it got there</h3>
      <div className="scroll">
        <table className="table">
          <tbody>
            {history.map((change, index) => {
              const [text, tone] = deliveryWord(change.state);
              return (
                // biome-ignore lint/suspicious/noArrayIndexKey: a history only grows at its end
                <tr key={index}>
                  <td>
                    <State tone={tone}>{text}</State>
                  </td>
                  <td>
                    <Word>{change.reason.replaceAll("_", " ")}</Word>
                  </td>
                  <td className="end">
                    <At at={change.at} />
                  </td>
                </tr>
              );
            })}
          </tbody>
        </table>
      </div>
    </div>
  );
}

/** What it gave: what was printed as it was, and all else by the schema. */
export function Result({ result }: { result: GetDeliveryResponse["result"] }) {
  if (!result.case) return null;
  if (result.case === "raw") return <Output text={result.value} label="Result" />;
  const output = "output" in result.value ? result.value.output : "";
  return (
    <>
      {output && <Output text={output} label="Output" />}
      <ResultFacts message={result.value} without={["output"]} />
    </>
  );
}
