// One caller for every method of the API: path, query, body and rights follow from what the schema says of the
// method (its HTTP rule and its policy), so that no address stands anywhere else. Who calls is `session`'s.

import {
  create,
  type DescMessage,
  type DescMethod,
  getOption,
  type JsonValue,
  type MessageInitShape,
  type MessageShape,
} from "@bufbuild/protobuf";
import { type Policy, policy } from "fleetwire/api/v1/options";
import { Role } from "fleetwire/api/v1/role";
import { http } from "google/api/annotations";
import { read, write } from "./codec";

/** A method as the generated service has it. */
export interface Method<I extends DescMessage, O extends DescMessage> extends DescMethod {
  readonly input: I;
  readonly output: O;
}

/** A refusal, with the API's stable word for it. */
export class Refused extends Error {
  override readonly name = "Refused";
  constructor(
    /** The HTTP status; 0 where nobody answered. */
    readonly status: number,
    readonly code: string,
    detail: string,
    /** The field at fault, as in `packages[3]`. */
    readonly field?: string,
  ) {
    super(detail);
  }
}

/** Where a request goes, and with what. */
export interface Route {
  verb: string;
  path: string;
  body?: string;
}

/** Works out a request from the method's HTTP rule: what the path does not name goes into the query or the body. */
export function route(method: DescMethod, message: MessageShape<DescMessage>): Route {
  const { pattern, body } = getOption(method, http);
  if (typeof pattern.value !== "string" || !pattern.case) throw new Error(`${method.name} has no HTTP rule`);
  const members = write(method.input, message);
  const path = pattern.value.replace(/\{(\w+)\}/g, (_, name: string) => {
    const value = members[name];
    delete members[name];
    return encodeURIComponent(String(value ?? ""));
  });
  const verb = pattern.case.toUpperCase();
  if (body) return { verb, path, body: JSON.stringify(members) };
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(members)) {
    for (const item of Array.isArray(value) ? value : [value]) query.append(name, String(item));
  }
  return { verb, path: query.size ? `${path}?${query}` : path };
}

/** What the schema says of who may call a method. */
export function policyOf(method: DescMethod): Policy {
  return getOption(method, policy);
}

/** Whether a role may call a method. */
export function allows(role: Role, method: DescMethod): boolean {
  const { anyone, role: least } = policyOf(method);
  return anyone || (least !== Role.UNSPECIFIED && role >= least);
}

/** Sends a request as it is, with a credential where there is one. */
export async function send(route: Route, credential?: string, more: RequestInit = {}): Promise<Response> {
  const headers = new Headers(more.headers);
  if (credential) headers.set("authorization", `Bearer ${credential}`);
  if (route.body !== undefined) headers.set("content-type", "application/json");
  let answer: Response;
  try {
    answer = await fetch(route.path, {
      ...more,
      method: route.verb,
      headers,
      body: route.body,
      credentials: "omit",
      cache: "no-store",
      redirect: "error",
    });
  } catch (error) {
    // Whoever asked does not want it any more; that it took too long is another thing.
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new Refused(
      0,
      "unreachable",
      "The platform does not answer. It may be restarting, or the network is down.",
    );
  }
  if (answer.ok) return answer;
  const problem: unknown = await answer.json().catch(() => ({}));
  const of = (name: string) => {
    const value = (problem as Record<string, unknown> | null)?.[name];
    return typeof value === "string" ? value : undefined;
  };
  const detail = of("detail") ?? `The platform answered ${answer.status}.`;
  throw new Refused(answer.status, of("code") ?? "unknown", sentence(detail), of("field"));
}

/** What is only read and has not come after so long is asked for once more. */
const ANSWERED_MS_MAX = 60_000;

/** An answer that broke off. */
function cut(error: unknown): unknown {
  if (error instanceof DOMException && error.name === "AbortError") return error;
  return new Refused(0, "unreachable", "The platform's answer broke off.");
}

/** Calls a method that answers once. */
export async function call<I extends DescMessage, O extends DescMessage>(
  method: Method<I, O>,
  init: MessageInitShape<I>,
  credential?: string,
  more?: RequestInit,
): Promise<MessageShape<O>> {
  const asked = route(method, create(method.input, init));
  const reads = asked.verb === "GET" && !more?.signal?.aborted;
  const late = reads ? AbortSignal.timeout(ANSWERED_MS_MAX) : undefined;
  const signals = [more?.signal, late].filter((signal) => !!signal);
  const signal = signals.length > 1 ? AbortSignal.any(signals) : signals[0];
  const answer = await send(asked, credential, { ...more, signal });
  const json = answer.status === 204 ? {} : await answer.json().catch((error) => Promise.reject(cut(error)));
  return parse(method, json);
}

/** Calls a method that answers more than once, and hands on each answer as it comes. */
export async function* stream<I extends DescMessage, O extends DescMessage>(
  method: Method<I, O>,
  init: MessageInitShape<I>,
  credential: string,
  signal: AbortSignal,
): AsyncGenerator<MessageShape<O>> {
  const answer = await send(route(method, create(method.input, init)), credential, { signal });
  if (!answer.body) return;
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    text += value;
    const events = text.split("\n\n");
    text = events.pop() ?? "";
    for (const event of events) {
      if (event.startsWith("data: ")) yield parse(method, JSON.parse(event.slice("data: ".length)));
    }
  }
}

/** The answer's message, of which REST may show one field alone. */
function parse<I extends DescMessage, O extends DescMessage>(
  method: Method<I, O>,
  json: JsonValue,
): MessageShape<O> {
  const shown = getOption(method, http).responseBody;
  return read(method.output, shown ? { [shown]: json } : json);
}

/** The API's details begin in lower case, as they stand behind a code. */
function sentence(detail: string): string {
  const text = detail.charAt(0).toUpperCase() + detail.slice(1);
  return /[.!?]$/.test(text) ? text : `${text}.`;
}
