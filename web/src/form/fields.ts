// A message of the schema as a form: what its fields are to whoever fills them in, what they were given, and what
// is wrong with that by the schema's own rules. What it looks like is `form.tsx`'s. The platform checks again.

import { type DescEnum, type DescField, type DescMessage, getOption, ScalarType } from "@bufbuild/protobuf";
import { TimestampSchema, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Format, type Rules, rules } from "fleetwire/link/v1/options";

/** What is typed, by the field's name: text, or a box, or several, or a form within. */
export type Draft = { [field: string]: string | boolean | string[] | Draft | undefined };

export type Kind =
  | "text"
  | "long"
  | "number"
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
      return "number";
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
      value[field.localName] = inner.value;
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
      const lines = linesOf(text);
      if (rule.maxItems && lines.length > rule.maxItems)
        return { fault: `At most ${rule.maxItems}, one a line.` };
      return tooLong(lines, rule) ?? { value: lines };
    }
    case "pairs": {
      const pairs = linesOf(text).map((line): [string, string] => {
        const at = line.indexOf("=");
        return at < 0 ? [line, ""] : [line.slice(0, at).trim(), line.slice(at + 1).trim()];
      });
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
    default: {
      const given = kindOf(field) === "long" ? text : text.trim();
      if (!given) return rule.required ? { fault: "This is needed." } : { value: undefined };
      if (rule.format === Format.UUID && !UUID.test(given)) return { fault: "This is no id." };
      return tooLong([given], rule) ?? { value: given };
    }
  }
}

function readNumber(field: DescField, rule: Rules, text: string): Read {
  if (!text) return rule.required ? { fault: "This is needed." } : { value: undefined };
  const number = Number(text);
  const whole = field.scalar !== ScalarType.DOUBLE && field.scalar !== ScalarType.FLOAT;
  if (!Number.isFinite(number) || number < 0 || (whole && !Number.isSafeInteger(number))) {
    return { fault: whole ? "This is no whole number." : "This is no number." };
  }
  if (rule.min && number < Number(rule.min)) return { fault: `At least ${rule.min}.` };
  if (rule.max && number > Number(rule.max)) return { fault: `At most ${rule.max}.` };
  return { value: field.scalar === ScalarType.UINT64 ? BigInt(number) : number };
}

/** The schema refuses the unspecified value of what is to be done: an enum of actions is always wanted. */
export function isWanted(field: DescField): boolean {
  return field.name === "operation" || field.name === "direction";
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
