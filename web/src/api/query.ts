// The API in React: a call is a query whose key is its method and its request, so that what happened can be laid
// over every answer that tells of it (live/apply). Nothing is asked for again on a timer.

import {
  create,
  type DescMessage,
  type DescMethod,
  type JsonValue,
  type MessageInitShape,
  type MessageShape,
} from "@bufbuild/protobuf";
import {
  keepPreviousData,
  QueryClient,
  useInfiniteQuery,
  useMutation,
  useQuery,
} from "@tanstack/react-query";
import { AuditService } from "fleetwire/api/v1/audit";
import { useRef, useSyncExternalStore } from "react";
import { allows, call, type Method, Refused } from "./call";
import { write } from "./codec";
import { current, role, subscribe, token } from "./session";

export const client = new QueryClient({
  defaultOptions: {
    queries: {
      // Events say when something is no longer right.
      staleTime: Number.POSITIVE_INFINITY,
      gcTime: 5 * 60_000,
      refetchOnWindowFocus: false,
      refetchOnReconnect: false,
      networkMode: "always",
      // Messages hold 64-bit integers, which have no JSON to compare.
      structuralSharing: false,
      retry: (failures, error) =>
        failures < 2 && error instanceof Refused && (error.status === 0 || error.status === 503),
    },
    // What was asked for without a network fails at once: it is not sent by itself when nobody looks any more.
    // And its answer may be a secret: none is kept once nobody shows it.
    mutations: { networkMode: "always", gcTime: 0 },
  },
});

// Not all that is written there is told as an event: whoever opens it reads it anew.
client.setQueryDefaults([AuditService.method.listAuditEntries.name], { staleTime: 0 });

/** Calls as who is signed in; once more with a new credential where the first is not taken. */
export async function calling<I extends DescMessage, O extends DescMessage>(
  method: Method<I, O>,
  init: MessageInitShape<I>,
  more?: RequestInit,
): Promise<MessageShape<O>> {
  const credential = await token();
  try {
    return await call(method, init, credential, more);
  } catch (error) {
    if (!(error instanceof Refused) || error.status !== 401) throw error;
    return call(method, init, await token(credential), more);
  }
}

/** What a query of a method is kept under. */
export function keyOf<I extends DescMessage, O extends DescMessage>(
  method: Method<I, O>,
  init?: MessageInitShape<I>,
): [string, ...JsonValue[]] {
  return init === undefined ? [method.name] : [method.name, write(method.input, create(method.input, init))];
}

/** One answer, kept current. */
export function useCall<I extends DescMessage, O extends DescMessage>(
  method: Method<I, O>,
  init: MessageInitShape<I>,
  options: { enabled?: boolean; keep?: boolean } = {},
) {
  return useQuery({
    queryKey: keyOf(method, init),
    queryFn: ({ signal }) => calling(method, init, { signal }),
    enabled: options.enabled ?? true,
    placeholderData: options.keep ? keepPreviousData : undefined,
  });
}

/** A message that comes in pages. */
type Page<O extends DescMessage> = MessageShape<O> & { nextPageToken: string };

/** A list that comes in pages, as far as it was asked for. */
export function useList<I extends DescMessage, O extends DescMessage>(
  method: Method<I, O>,
  init: MessageInitShape<I>,
  options: { enabled?: boolean } = {},
) {
  return useInfiniteQuery({
    queryKey: [...keyOf(method, init), "pages"],
    queryFn: ({ signal, pageParam }) =>
      calling(method, { ...(init as object), pageToken: pageParam } as unknown as MessageInitShape<I>, {
        signal,
      }) as Promise<Page<O>>,
    initialPageParam: "",
    getNextPageParam: (last: Page<O>) => last.nextPageToken || undefined,
    enabled: options.enabled ?? true,
    placeholderData: keepPreviousData,
  });
}

/** A change. What creates something carries a key with which trying again is safe. */
export function useChange<I extends DescMessage, O extends DescMessage>(
  method: Method<I, O>,
  done?: (answer: MessageShape<O>, init: MessageInitShape<I>) => void,
) {
  // Of the last try, where nobody knows whether it was done: the same, asked for again, is done once.
  const unsure = useRef<{ asked: string; key: string }>(undefined);
  return useMutation<MessageShape<O>, Error, MessageInitShape<I>>({
    mutationFn: async (init) => {
      const asked = JSON.stringify(write(method.input, create(method.input, init)));
      const key = unsure.current?.asked === asked ? unsure.current.key : randomKey();
      unsure.current = { asked, key };
      try {
        const answer = await calling(method, init, { headers: { "idempotency-key": key } });
        unsure.current = undefined;
        return answer;
      } catch (error) {
        if (error instanceof Refused && error.status > 0 && error.status < 500) unsure.current = undefined;
        throw error;
      }
    },
    onSuccess: (answer, init) => done?.(answer, init),
  });
}

/** Sixteen random bytes in hexadecimal; `randomUUID` is not there over plain HTTP. */
export function randomKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export function useSession() {
  return useSyncExternalStore(subscribe, current);
}

/** Whether who is signed in may call a method. */
export function useMay(method: DescMethod): boolean {
  useSession();
  return allows(role(), method);
}
