// Times as people read them: how long ago, with the exact one behind it. All of them share one clock.

import { type Timestamp, timestampMs } from "@bufbuild/protobuf/wkt";
import { useSyncExternalStore } from "react";

const TICK_MS = 5_000;
let now = Date.now();
const listeners = new Set<() => void>();
let timer: ReturnType<typeof setInterval> | undefined;

function subscribe(listener: () => void) {
  if (!listeners.size) {
    now = Date.now();
    timer = setInterval(() => {
      now = Date.now();
      for (const listener of listeners) listener();
    }, TICK_MS);
  }
  listeners.add(listener);
  return () => {
    listeners.delete(listener);
    if (!listeners.size) clearInterval(timer);
  };
}

/** The present, a few seconds late at most. */
export function useNow(): number {
  return useSyncExternalStore(subscribe, () => now);
}

const UNITS: [number, string][] = [
  [86_400, "d"],
  [3_600, "h"],
  [60, "min"],
  [1, "s"],
];

/** A span in its largest unit, and in the next where the first is small: `3 h 20 min`, `45 s`. */
export function span(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const at = UNITS.findIndex(([unit]) => whole >= unit);
  if (at < 0) return "0 s";
  const [unit, name] = UNITS[at] as [number, string];
  const count = Math.floor(whole / unit);
  const next = UNITS[at + 1];
  const rest = next ? Math.floor((whole % unit) / next[0]) : 0;
  return count < 3 && next && rest > 0 ? `${count} ${name} ${rest} ${next[1]}` : `${count} ${name}`;
}

const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

/** How long ago, or in how long. */
export function When({ at }: { at: Timestamp | undefined }) {
  const now = useNow();
  if (!at) return <span className="muted">never</span>;
  const ms = timestampMs(at);
  const seconds = (now - ms) / 1000;
  const text =
    Math.abs(seconds) < 10 ? "just now" : seconds > 0 ? `${span(seconds)} ago` : `in ${span(-seconds)}`;
  return (
    <time className="nowrap number" dateTime={new Date(ms).toISOString()} title={exact.format(ms)}>
      {text}
    </time>
  );
}

/** The exact time. */
export function At({ at }: { at: Timestamp | undefined }) {
  if (!at) return <span className="muted">never</span>;
  const ms = timestampMs(at);
  return (
    <time className="nowrap number" dateTime={new Date(ms).toISOString()}>
      {exact.format(ms)}
    </time>
  );
}
