// Any message of the schema as facts: each field that is set, by its descriptor. What a command asks and what it
// gave is shown so, also of kinds that come later.

import { type DescField, type DescMessage, isFieldSet, type Message } from "@bufbuild/protobuf";
import { type Timestamp, TimestampSchema } from "@bufbuild/protobuf/wkt";
import type { ReactNode } from "react";
import { enumName } from "../api/codec";
import { kinds } from "./kinds";
import { labelText } from "./labels";
import { Output, Word } from "./text";
import { At } from "./time";
import { bytes, human } from "./words";

/** Items of a list that are shown; the API and the command have the rest. */
const ITEMS_MAX = 200;

export function ResultFacts({ message, without = [] }: { message: Message; without?: readonly string[] }) {
  const desc = kinds.getMessage(message.$typeName);
  return desc ? <Facts desc={desc} message={message} without={without} /> : null;
}

function Facts({
  desc,
  message,
  without,
}: {
  desc: DescMessage;
  message: Message;
  without: readonly string[];
}) {
  const set = desc.fields.filter((field) => isFieldSet(message, field) && !without.includes(field.name));
  if (!set.length) return null;
  return (
    <dl className="facts">
      {set.map((field) => (
        <Fact
          key={field.number}
          field={field}
          value={(message as unknown as Record<string, unknown>)[field.localName]}
        />
      ))}
    </dl>
  );
}

function Fact({ field, value }: { field: DescField; value: unknown }) {
  return (
    <>
      <dt>{human(field.name)}</dt>
      <dd>{shown(field, value)}</dd>
    </>
  );
}

function shown(field: DescField, value: unknown): ReactNode {
  if (field.fieldKind === "list") {
    const items = value as unknown[];
    return (
      <ul className="stack plain-list">
        {items.slice(0, ITEMS_MAX).map((item, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: what is shown does not change
          <li key={index}>{one(field, item)}</li>
        ))}
        {items.length > ITEMS_MAX && <li className="muted">and {items.length - ITEMS_MAX} more</li>}
      </ul>
    );
  }
  if (field.fieldKind === "map") {
    return Object.entries(value as Record<string, unknown>).map(([key, value]) => (
      <div key={key}>
        <Word>{labelText(key, String(value))}</Word>
      </div>
    ));
  }
  return one(field, value);
}

function one(field: DescField, value: unknown): ReactNode {
  if (field.enum) return human(enumName(field.enum, value as number));
  if (field.message?.typeName === TimestampSchema.typeName) return <At at={value as Timestamp} />;
  if (field.message) {
    const words = line(field.message, value as Message);
    return words ?? <Facts desc={field.message} message={value as Message} without={[]} />;
  }
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value === "number" && field.name === "execution_time") return `${value.toFixed(2)} s`;
  if (/(^|_)bytes$/.test(field.name) && !(value instanceof Uint8Array)) return bytes(Number(value));
  if (typeof value === "string" && value.includes("\n"))
    return <Output text={value} label={human(field.name)} />;
  return <Word>{String(value)}</Word>;
}

/** A small message of texts and numbers alone stands in one line. */
function line(desc: DescMessage, message: Message): ReactNode {
  if (desc.fields.length > 4 || desc.fields.some((field) => field.fieldKind !== "scalar")) return undefined;
  const values = desc.fields.map((field) => {
    const value = (message as unknown as Record<string, unknown>)[field.localName];
    return typeof value === "boolean" ? value && human(field.name) : value;
  });
  return (
    <Word>
      {values
        .filter((value) => value !== undefined && value !== "" && value !== false)
        .map(String)
        .join(" · ")}
    </Word>
  );
}
