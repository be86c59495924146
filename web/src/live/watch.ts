// Follows one command: how each of its hosts stands and what they print, from the platform's own stream. Where the
// stream breaks off it is asked for again; it begins with everything as it stands.

import { type Command, CommandService, CommandState } from "fleetwire/api/v1/command";
import type { Delivery } from "fleetwire/api/v1/delivery";
import { useEffect, useState } from "react";
import { Refused, stream } from "../api/call";
import { token } from "../api/session";
import { printed } from "./printed";

/** News within so long is shown at once: a script may print faster than a page is drawn. */
const TOGETHER_MS = 60;
const AGAIN_MS = 2000;

export interface Watched {
  command?: Command;
  /** By host id, in the order in which they came. */
  deliveries: Map<string, Delivery>;
  /** What hosts that run print, from the end of what they had printed before somebody followed, by host id. */
  output: Map<string, string>;
  error?: unknown;
}

export function useWatch(commandId: string): Watched {
  const [watched, setWatched] = useState<Watched>({ deliveries: new Map(), output: new Map() });
  useEffect(() => {
    const abort = new AbortController();
    const deliveries = new Map<string, Delivery>();
    const output = printed();
    let command: Command | undefined;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const show = (error?: unknown) => {
      timer = undefined;
      setWatched({ command, deliveries: new Map(deliveries), output: output.texts(), error });
    };
    let credential: string | undefined;
    let refused: string | undefined;
    const watch = async () => {
      const method = CommandService.method.watchCommand;
      credential = await token(refused);
      output.again();
      for await (const { message } of stream(method, { commandId }, credential, abort.signal)) {
        refused = undefined;
        if (message.case === "command") command = message.value;
        else if (message.case === "delivery") deliveries.set(message.value.hostId, message.value);
        else if (message.case === "progress") {
          const { hostId, output: text, outputOffset, progressPercent } = message.value;
          output.add(hostId, outputOffset, text);
          const delivery = deliveries.get(hostId);
          if (delivery) deliveries.set(hostId, { ...delivery, progressPercent });
        }
        timer ??= setTimeout(show, TOGETHER_MS);
      }
    };
    const follow = async () => {
      while (!abort.signal.aborted) {
        try {
          await watch();
        } catch (error) {
          if (abort.signal.aborted) return;
          const status = error instanceof Refused ? error.status : 0;
          if (status === 401 && refused === undefined) refused = credential;
          else if (status >= 400 && status < 500) return show(error);
        }
        show();
        if (command?.state === CommandState.FINISHED) return;
        await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
      }
    };
    void follow();
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, [commandId]);
  return watched;
}
