// The words and tones in which states of the schema are shown.

import { type Command, CommandSchema, CommandState } from "fleetwire/api/v1/command";
import { DeliveryState } from "fleetwire/api/v1/delivery";
import type { Event } from "fleetwire/api/v1/event";
import { Role } from "fleetwire/api/v1/role";
import { enumName } from "../api/codec";
import type { Tone } from "./parts";

type Shown = readonly [text: string, tone: Tone];

const DELIVERY: Record<DeliveryState, Shown> = {
  [DeliveryState.UNSPECIFIED]: ["unknown", "idle"],
  [DeliveryState.QUEUED]: ["queued", "idle"],
  [DeliveryState.SENT]: ["sent", "busy"],
  [DeliveryState.RECEIVED]: ["received", "busy"],
  [DeliveryState.RUNNING]: ["running", "busy"],
  [DeliveryState.SUCCEEDED]: ["succeeded", "good"],
  [DeliveryState.FAILED]: ["failed", "bad"],
  [DeliveryState.INTERRUPTED]: ["interrupted", "bad"],
  [DeliveryState.CANCELLED]: ["cancelled", "idle"],
  [DeliveryState.EXPIRED]: ["expired", "warn"],
  [DeliveryState.DEAD]: ["dead", "bad"],
};

const COMMAND: Record<CommandState, Shown> = {
  [CommandState.UNSPECIFIED]: ["unknown", "idle"],
  [CommandState.QUEUED]: ["queued", "idle"],
  [CommandState.RUNNING]: ["running", "busy"],
  [CommandState.PAUSED]: ["paused", "warn"],
  [CommandState.FINISHED]: ["finished", "good"],
};

/** A command's state: one that has finished is what became of it. */
export function commandShown({ state, summary }: Command): Shown {
  const shown = COMMAND[state] ?? COMMAND[0];
  if (state !== CommandState.FINISHED || !summary) return shown;
  const { failed, interrupted, dead, expired, succeeded, cancelled } = summary;
  if (failed + interrupted + dead + expired > 0n)
    return [succeeded > 0n ? "failed in part" : "failed", "bad"];
  return succeeded > 0n ? shown : [cancelled > 0n ? "cancelled" : shown[0], "idle"];
}

/** What of a command's parameters tells it from others of its kind. */
const TELLING = ["operation", "direction", "packages", "service", "hostname", "path", "content", "arguments"];

/** What a command is to do, in a line. */
export function brief({ parameters }: Command): string {
  const field = CommandSchema.oneofs[0]?.fields.find(({ localName }) => localName === parameters.case);
  const words = TELLING.map((name) => {
    const of = field?.message?.fields.find((field) => field.name === name);
    if (!of) return "";
    const value = (parameters.value as unknown as Record<string, unknown>)[of.localName];
    if (of.enum) return enumName(of.enum, value as number).replaceAll("_", " ");
    if (Array.isArray(value)) return value.join(" ");
    const lines = String(value ?? "").split("\n");
    return lines.find((line) => line.trim() && !line.startsWith("#")) ?? "";
  });
  const line = words.filter(Boolean).join(" ");
  return line.length > BRIEF_MAX ? `${line.slice(0, BRIEF_MAX)}…` : line;
}

/** Characters of what a command is to do, where there is a line for it. */
const BRIEF_MAX = 80;

export const deliveryWord = (state: DeliveryState): Shown => DELIVERY[state] ?? DELIVERY[0];
/** Where a delivery has not ended. */
export const UNDER_WAY = [
  DeliveryState.QUEUED,
  DeliveryState.SENT,
  DeliveryState.RECEIVED,
  DeliveryState.RUNNING,
] as const;

export const ROLES: readonly (readonly [Role, string])[] = [
  [Role.VIEWER, "viewer"],
  [Role.OPERATOR, "operator"],
  [Role.ADMIN, "administrator"],
];
export const roleWord = (role: Role) => ROLES.find(([known]) => known === role)?.[1] ?? "unknown";

/** A name of the schema as people read it: `package_operation` is `Package operation`. */
export function human(name: string): string {
  const words = name.replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** What has happened, in a few words. */
export function happening({ what }: Event): Shown {
  switch (what.case) {
    case "hostOnline":
      return ["came online", "good"];
    case "hostOffline":
      return ["went offline", "bad"];
    case "hostCreated":
      return ["was made", "idle"];
    case "hostEnrolled":
      return ["was enrolled", "good"];
    case "hostUpdated":
      return ["was changed", "idle"];
    case "hostRevoked":
      return ["was revoked", "bad"];
    case "hostDuplicated":
      return ["is in use twice", "bad"];
    case "sessionOpened":
      return ["console session opened", "busy"];
    case "sessionEntered":
      return ["console session entered", "busy"];
    case "sessionClosed":
      return ["console session ended", "idle"];
    case "deliveryUpdated":
      return [`command ${what.value.status}`, DELIVERY_TONES[what.value.status] ?? "idle"];
    default:
      return ["", "idle"];
  }
}

const DELIVERY_TONES: Record<string, Tone> = Object.fromEntries(Object.values(DELIVERY));

/** A count of bytes in its largest unit: `1.2 MB`. */
export function bytes(count: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  const power = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(count, 1)) / 3));
  return `${(count / 1000 ** power).toFixed(power ? 1 : 0)} ${units[power]}`;
}
