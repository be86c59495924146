// The API's JSON to and from the generated messages. It is the schema's own mapping: members as fields are
// named, enums by their short names in lower case, whole numbers as numbers. What a later version adds is passed
// over, as the API's documents ask of clients.

import {
  create,
  type DescEnum,
  type DescField,
  type DescMessage,
  isFieldSet,
  type JsonValue,
  type MessageShape,
  ScalarType,
} from "@bufbuild/protobuf";
import { base64Decode, base64Encode } from "@bufbuild/protobuf/wire";
import { type Timestamp, TimestampSchema, timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";

type JsonObject = { [name: string]: JsonValue };
type Fields = Record<string, unknown>;

/** Reads a message out of an answer. */
export function read<Desc extends DescMessage>(desc: Desc, json: JsonValue | undefined): MessageShape<Desc> {
  const message = create(desc);
  const fields = message as unknown as Fields;
  const members = isObject(json) ? json : {};
  for (const field of desc.fields) {
    const member = members[field.name];
    if (member === undefined || member === null) continue;
    const value = readField(field, member);
    if (field.oneof) fields[field.oneof.localName] = { case: field.localName, value };
    else fields[field.localName] = value;
  }
  return message;
}

/** Writes what is set of a message, for a request. */
export function write(desc: DescMessage, message: unknown): JsonObject {
  const json: JsonObject = {};
  for (const field of desc.fields) {
    if (!isFieldSet(message as MessageShape<DescMessage>, field)) continue;
    const fields = message as Fields;
    const value = field.oneof
      ? (fields[field.oneof.localName] as { value: unknown }).value
      : fields[field.localName];
    json[field.name] = writeField(field, value);
  }
  return json;
}

/** What an enum's value is called in JSON. */
export function enumName(desc: DescEnum, number: number): string {
  return desc.value[number]?.localName.toLowerCase() ?? "";
}

function enumNumber(desc: DescEnum, name: JsonValue): number {
  const known = desc.values.find((value) => value.localName.toLowerCase() === name);
  return known?.number ?? 0;
}

function isObject(json: JsonValue | undefined): json is JsonObject {
  return typeof json === "object" && json !== null && !Array.isArray(json);
}

function readField(field: DescField, json: JsonValue): unknown {
  switch (field.fieldKind) {
    case "list":
      return Array.isArray(json) ? json.map((item) => readOne(field, item)) : [];
    case "map": {
      const entries = isObject(json) ? Object.entries(json) : [];
      return Object.fromEntries(entries.map(([key, value]) => [key, readOne(field, value)]));
    }
    default:
      return readOne(field, json);
  }
}

function readOne(field: DescField, json: JsonValue): unknown {
  if (field.message) return readMessage(field.message, json);
  if (field.enum) return enumNumber(field.enum, json);
  return readScalar(field.scalar ?? ScalarType.STRING, json);
}

function readMessage(desc: DescMessage, json: JsonValue): unknown {
  if (desc.typeName !== TimestampSchema.typeName) return read(desc, json);
  const ms = Date.parse(String(json));
  return timestampFromMs(Number.isNaN(ms) ? 0 : ms);
}

function readScalar(type: ScalarType, json: JsonValue): unknown {
  switch (type) {
    case ScalarType.UINT64:
    case ScalarType.INT64:
      return BigInt(typeof json === "number" || typeof json === "string" ? json : 0);
    case ScalarType.BYTES:
      return base64Decode(String(json));
    case ScalarType.BOOL:
      return json === true;
    case ScalarType.STRING:
      return String(json);
    default:
      return Number(json);
  }
}

function writeField(field: DescField, value: unknown): JsonValue {
  switch (field.fieldKind) {
    case "list":
      return (value as unknown[]).map((item) => writeOne(field, item));
    case "map": {
      const entries = Object.entries(value as Fields);
      return Object.fromEntries(entries.map(([key, value]) => [key, writeOne(field, value)]));
    }
    default:
      return writeOne(field, value);
  }
}

function writeOne(field: DescField, value: unknown): JsonValue {
  if (field.message) {
    if (field.message.typeName !== TimestampSchema.typeName) return write(field.message, value);
    return new Date(timestampMs(value as Timestamp)).toISOString();
  }
  if (field.enum) return enumName(field.enum, value as number);
  if (typeof value === "bigint") return Number(value);
  if (value instanceof Uint8Array) return base64Encode(value);
  return value as JsonValue;
}
