// A message of the schema as a form: what its fields are to whoever fills them in, what they were given, and what
// is wrong with that by the schema's own rules. What it looks like is `form.tsx`'s. The platform checks again.

import {
  type DescEnum,
  type DescField,
  type DescMessage,
  getOption,
  isFieldSet,
  type Message,
  ScalarType,
} from "@bufbuild/protobuf";
import { type Timestamp, TimestampSchema, timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { Format, type Rules, rules } from "fleetwire/link/v1/options";

/** What is typed, by the field's name: text, or a box, or several, or a form within. */
export type Draft = { [field: string]: string | boolean | string[] | Draft | undefined };

export type Kind =
  | "text"
  | "long"
  | "number"
  | "span"
  | "check"
  | "choice"
  | "choices"
  | "lines"
  | "pairs"
  | "time"
  | "form";

/** The longest text that stands in one line. */
const LINE_CHARACTERS_MAX = 10_000;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

export function rulesOf(field: DescField): Rules {
  return getOption(field, rules);
}

/** How a field is filled in. */
export function kindOf(field: DescField): Kind {
  if (field.fieldKind === "map") return "pairs";
  if (field.fieldKind === "list") return field.enum ? "choices" : "lines";
  if (field.enum) return "choice";
  if (field.message) return field.message.typeName === TimestampSchema.typeName ? "time" : "form";
  switch (field.scalar) {
    case ScalarType.BOOL:
      return "check";
    case ScalarType.STRING:
      return rulesOf(field).maxCharacters > LINE_CHARACTERS_MAX ? "long" : "text";
    default:
      return /(^|_)seconds$/.test(field.name) ? "span" : "number";
  }
}

/** What can be chosen of an enum: its value of 0 says nothing. */
export function options(desc: DescEnum): { name: string; number: number }[] {
  return desc.values
    .filter(({ number }) => number !== 0)
    .map(({ localName, number }) => ({ name: localName.toLowerCase(), number }));
}

/** A form's values as the message's, and what is wrong, by the path of the field: `options.yes`. */
export interface Filled {
  value: Record<string, unknown>;
  faults: Map<string, string>;
}

export function fill(desc: DescMessage, draft: Draft, without: readonly string[] = [], path = ""): Filled {
  const value: Record<string, unknown> = {};
  const faults = new Map<string, string>();
  for (const field of desc.fields) {
    if (without.includes(field.name)) continue;
    const typed = draft[field.name];
    const at = path + field.name;
    if (field.message && kindOf(field) === "form") {
      if (typed === undefined) continue;
      const inner = fill(field.message, typed as Draft, [], `${at}.`);
      if (field.oneof) value[field.oneof.localName] = { case: field.localName, value: inner.value };
      else value[field.localName] = inner.value;
      for (const [path, fault] of inner.faults) faults.set(path, fault);
      continue;
    }
    const read = readTyped(field, typed);
    if ("fault" in read) faults.set(at, read.fault);
    else if (read.value !== undefined) value[field.localName] = read.value;
  }
  return { value, faults };
}

type Read = { value: unknown } | { fault: string };

function readTyped(field: DescField, typed: Draft[string]): Read {
  const rule = rulesOf(field);
  const text = typeof typed === "string" ? typed : "";
  switch (kindOf(field)) {
    case "check":
      return { value: typed === true ? true : undefined };
    case "choice": {
      const chosen = field.enum && options(field.enum).find(({ name }) => name === text);
      return chosen
        ? { value: chosen.number }
        : isWanted(field)
          ? { fault: "Choose one." }
          : { value: undefined };
    }
    case "choices": {
      const names = Array.isArray(typed) ? typed : [];
      const all = field.enum ? options(field.enum) : [];
      return { value: all.filter(({ name }) => names.includes(name)).map(({ number }) => number) };
    }
    case "lines": {
      const lines = isExact(field) ? exactLines(text) : linesOf(text);
      if (rule.maxItems && lines.length > rule.maxItems)
        return { fault: `At most ${rule.maxItems}, one a line.` };
      if (rule.format === Format.UUID && lines.some((line) => !UUID.test(line)))
        return { fault: "One of these is no id." };
      return tooLong(lines, rule) ?? { value: lines };
    }
    case "pairs": {
      const exact = isExact(field);
      const pairs = (exact ? exactLines(text).filter(Boolean) : linesOf(text)).map(
        (line): [string, string] => {
          // Labels are written with a colon too; where every character counts it is a part of the name.
          const at = exact ? line.indexOf("=") : line.search(/[:=]/);
          if (at < 0) return [line, ""];
          const value = line.slice(at + 1);
          return [line.slice(0, at).trim(), exact ? value : value.trim()];
        },
      );
      if (new Set(pairs.map(([name]) => name)).size < pairs.length)
        return { fault: "A name stands here twice." };
      if (rule.maxItems && pairs.length > rule.maxItems)
        return { fault: `At most ${rule.maxItems}, one a line.` };
      if (pairs.some(([name]) => !name)) return { fault: "Each line is a name, = and a value." };
      return tooLong(pairs.flat(), rule) ?? { value: Object.fromEntries(pairs) };
    }
    case "time": {
      if (!text) return { value: undefined };
      const ms = Date.parse(text);
      return Number.isNaN(ms) ? { fault: "This is no time." } : { value: timestampFromMs(ms) };
    }
    case "number":
      return readNumber(field, rule, text.trim());
    case "span": {
      const seconds = spanRead(text);
      if (Number.isNaN(seconds)) return { fault: "A time is written such as 45 s, 10 min, 2 h or 7 d." };
      return readNumber(field, rule, seconds === undefined ? "" : String(seconds));
    }
    default: {
      const given = kindOf(field) === "long" ? text : text.trim();
      if (!given) return rule.required ? { fault: "This is needed." } : { value: undefined };
      if (rule.format === Format.UUID && !UUID.test(given)) return { fault: "This is no id." };
      return tooLong([given], rule) ?? { value: given };
    }
  }
}

const SPANS: readonly (readonly [number, string, RegExp])[] = [
  [86_400, "d", /^d(ays?)?$/],
  [3_600, "h", /^h(ours?)?$/],
  [60, "min", /^m(in(utes?)?)?$/],
  [1, "s", /^s(ec(onds?)?)?$/],
];

/** Seconds out of `90`, `90 s`, `10 min`, `2h` or `7 days`; nothing of nothing, and no number of anything else. */
export function spanRead(text: string): number | undefined {
  if (!text.trim()) return undefined;
  const [, count, unit = ""] = /^\s*(\d{1,10})\s*([a-z]*)\s*$/i.exec(text) ?? [];
  const found = SPANS.find(([, , words]) => words.test(unit.toLowerCase() || "s"));
  return count && found ? Number(count) * found[0] : Number.NaN;
}

/** The same the other way, whole: `10 min`, `90 s`. */
export function spanText(seconds: number): string {
  const [unit, word] = SPANS.find(([unit]) => seconds >= unit && seconds % unit === 0) ?? [1, "s"];
  return `${seconds / unit} ${word}`;
}

/** What was typed to get this message: a form begins with it where something is changed. */
export function draftOf(desc: DescMessage, message: Message): Draft {
  const draft: Draft = {};
  const fields = message as unknown as Record<string, unknown>;
  for (const field of desc.fields) {
    if (!isFieldSet(message, field)) continue;
    const value = field.oneof
      ? (fields[field.oneof.localName] as { value: unknown }).value
      : fields[field.localName];
    const typed = typedOf(field, value);
    if (typed !== undefined) draft[field.name] = typed;
  }
  return draft;
}

function typedOf(field: DescField, value: unknown): Draft[string] {
  const name = (number: unknown) =>
    field.enum && options(field.enum).find((option) => option.number === number)?.name;
  switch (kindOf(field)) {
    case "check":
      return value === true;
    case "choice":
      return name(value);
    case "choices":
      return (value as number[]).flatMap((number) => name(number) ?? []);
    case "lines":
      return (value as unknown[]).join("\n");
    case "pairs":
      return Object.entries(value as Record<string, unknown>)
        .map(([key, value]) => `${key}=${value}`)
        .join("\n");
    case "form":
      return field.message ? draftOf(field.message, value as Message) : undefined;
    case "span":
      return spanText(Number(value));
    case "time":
      return localTime(timestampMs(value as Timestamp));
    default:
      return String(value);
  }
}

/** A time as a field of the browser's has it, by the clock of this machine. */
export function localTime(ms: number): string {
  const at = new Date(ms - new Date(ms).getTimezoneOffset() * 60_000);
  return at.toISOString().slice(0, 16);
}

function readNumber(field: DescField, rule: Rules, text: string): Read {
  if (!text) return rule.required ? { fault: "This is needed." } : { value: undefined };
  const number = Number(text);
  const whole = field.scalar !== ScalarType.DOUBLE && field.scalar !== ScalarType.FLOAT;
  if (!Number.isFinite(number) || number < 0 || (whole && !Number.isSafeInteger(number))) {
    return { fault: whole ? "This is no whole number." : "This is no number." };
  }
  const said = (bound: bigint) => (kindOf(field) === "span" ? spanText(Number(bound)) : String(bound));
  if (rule.min && number < Number(rule.min)) return { fault: `At least ${said(rule.min)}.` };
  if (rule.max && number > Number(rule.max)) return { fault: `At most ${said(rule.max)}.` };
  return { value: field.scalar === ScalarType.UINT64 ? BigInt(number) : number };
}

/** The schema refuses the unspecified value of what is to be done: an enum of actions is always wanted. */
export function isWanted(field: DescField): boolean {
  return field.name === "operation" || field.name === "direction";
}

/** A script is given what was typed: spaces and empty lines are arguments as well. */
function isExact(field: DescField): boolean {
  return field.parent.typeName === "fleetwire.link.v1.Script";
}

/** The line that ends with the text is none of its own. */
function exactLines(text: string): string[] {
  return text ? text.replace(/\n$/, "").split("\n") : [];
}

function linesOf(text: string): string[] {
  return text
    .split("\n")
    .map((line) => line.trim())
    .filter(Boolean);
}

/** Counted as the schema counts: code points, or bytes of UTF-8. */
function tooLong(texts: string[], rule: Rules): Read | undefined {
  const { maxCharacters, maxBytes } = rule;
  if (maxCharacters && texts.some((text) => [...text].length > maxCharacters)) {
    return { fault: `At most ${maxCharacters} characters.` };
  }
  if (maxBytes && texts.some((text) => new TextEncoder().encode(text).length > maxBytes)) {
    return { fault: `At most ${maxBytes} bytes.` };
  }
  return undefined;
}
