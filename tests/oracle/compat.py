"""The compatibility JSON, a second time: from descriptors alone, sharing no code with the program."""

import base64
import datetime
import json
import math
import re
from decimal import Decimal

import schema as s
from google.protobuf.descriptor import FieldDescriptor as F

TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:([Zz])|([+-])(\d\d):(\d\d))", re.ASCII)
FORMATS = {
    s.STREAM_ID: re.compile(r"[!-~]{1,64}"),
    s.UUID: re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"),
    s.METHOD: TOKEN,
    s.REQUEST_TARGET: re.compile(r"/[^\x00-\x20\x7f]*|\*"),
    s.NAME: re.compile(r"[a-z0-9_.]+"),
    s.ORIGIN: re.compile(r"https?://[A-Za-z0-9._:\[\]-]+"),
}
RANGES = {F.TYPE_UINT32: (0, 2**32 - 1), F.TYPE_UINT64: (0, 2**64 - 1), F.TYPE_ENUM: (-(2**31), 2**31 - 1)}
LINES_MAX, LINES_BYTES_MAX, DEPTH_MAX = 200, 64 << 10, 64


class Refused(Exception):
    """The text is no message."""


class Number(str):
    """A number's text."""


def demand(condition, what):
    if not condition:
        raise Refused(what)


def load(text):
    """JSON with numbers as they are written and objects as lists of pairs, whose members may repeat."""
    try:
        value = json.loads(text, object_pairs_hook=Pairs, parse_int=Number, parse_float=Number, parse_constant=Number)
        text.encode()
    except (ValueError, RecursionError) as error:
        raise Refused("no JSON") from error
    check(value)
    return value


class Pairs(list):
    """An object."""


def check(value):
    if isinstance(value, Number):
        demand(NUMBER.fullmatch(value), "a constant")
    elif isinstance(value, str):
        demand(not any("\ud800" <= c <= "\udfff" for c in value), "half a surrogate pair")
    elif isinstance(value, Pairs):
        for name, item in value:
            check(name)
            check(item)
    elif isinstance(value, list):
        for item in value:
            check(item)


def depth(value):
    items = [item for _, item in value] if isinstance(value, Pairs) else value
    return 1 + max(map(depth, items), default=0) if isinstance(items, list) else 0


def dump(value):
    """The text of a loaded value."""
    if isinstance(value, Number):
        return value
    if isinstance(value, Pairs):
        return "{" + ",".join(f"{json.dumps(name)}:{dump(item)}" for name, item in value) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(dump, value)) + "]"
    return json.dumps(value)


def plain_text(value):
    demand(isinstance(value, str) and not isinstance(value, Number), "not a string")
    return value


class Codec:
    """Reads and writes envelopes of a schema."""

    def __init__(self, schema):
        self.schema = schema
        self.unknown_names = {}

    # Reading

    def read(self, envelope, text):
        value = load(text)
        demand(isinstance(value, Pairs), "not an object")
        out = self.schema.message(envelope)()
        for name, item in value:
            if name in s.TAGS.values() and item is not None:
                plain_text(item)
                field = out.DESCRIPTOR.fields_by_name.get(item)
                if field is not None and self.schema.tag(field.message_type) == name:
                    getattr(out, field.name).SetInParent()
                    self.read_message(value, getattr(out, field.name), name)
                    return out
        raise Refused("no known type")

    def read_message(self, value, out, tag=None):
        demand(isinstance(value, Pairs), "not an object")
        fields = out.DESCRIPTOR.fields_by_name
        oneof = self.schema.oneof(out.DESCRIPTOR)
        apart = oneof.numbers if oneof else set()
        members = {tag} | {name for name, field in fields.items() if field.number not in apart}
        encodings = {name + "_encoding" for name, field in fields.items() if self.schema.form(field) == s.TEXT_OR_BASE64}
        members |= encodings | ({oneof.tag or oneof.content, oneof.content} if oneof else set())
        seen = {}
        for name, item in value:
            if name in members:
                demand(name not in seen, "stands twice")
                seen[name] = item
            else:
                demand(depth(item) <= DEPTH_MAX, "too deep")
        seen = {name: item for name, item in seen.items() if item is not None and name != tag}
        for encoding in encodings & set(seen):
            demand(seen[encoding] == "base64", "no such encoding")
        for name in members & set(fields) & set(seen):
            self.read_field(fields[name], seen[name], out, seen.get(name + "_encoding"))
        if oneof:
            self.read_oneof(oneof, seen, out)
        for field in out.DESCRIPTOR.fields:
            self.check_rules(field, out)

    def read_oneof(self, oneof, seen, out):
        content = seen.get(oneof.content)
        demand(depth(content) <= DEPTH_MAX, "too deep")
        if not oneof.tag:
            if content is not None:
                setattr(out, oneof.rest.name, dump(content))
        elif oneof.tag in seen:
            name = plain_text(seen[oneof.tag])
            if name in oneof.known:
                getattr(out, name).SetInParent()
                self.read_message(content if content is not None else Pairs(), getattr(out, name))
            else:
                rest = getattr(out, oneof.rest.name)
                rest.SetInParent()
                setattr(rest, oneof.tag, name)
                setattr(rest, oneof.content, "" if content is None else dump(content))
                for field in rest.DESCRIPTOR.fields:
                    self.check_rules(field, rest)

    def read_field(self, field, value, out, encoding):
        if s.is_map(field):
            demand(isinstance(value, Pairs), "not an object")
            demand(len(value) <= self.schema.rules(field)["max_items"], "too many")
            demand(len({name for name, _ in value}) == len(value), "stands twice")
            for name, text in value:
                getattr(out, field.name)[plain_text(name)] = plain_text(text)
        elif s.is_repeated(field):
            demand(isinstance(value, list) and not isinstance(value, Pairs), "not a list")
            demand(len(value) <= self.schema.rules(field)["max_items"], "too many")
            getattr(out, field.name).extend(self.read_one(field, item, None) for item in value)
        elif field.message_type is None:
            setattr(out, field.name, self.read_one(field, value, encoding))
        elif field.message_type.full_name == "google.protobuf.Timestamp":
            time = getattr(out, field.name)
            time.SetInParent()
            time.seconds, time.nanos = read_time(plain_text(value))
        else:
            getattr(out, field.name).SetInParent()
            self.read_message(value, getattr(out, field.name))

    def read_one(self, field, value, encoding):
        form = self.schema.form(field)
        if form == s.FIELD_LINES:
            return read_lines(value)
        if form == s.TEXT_OR_BASE64:
            data = plain_text(value).encode()
            return read_base64(data) if encoding else data
        if field.type == F.TYPE_BOOL:
            demand(isinstance(value, bool), "not a boolean")
            return value
        if field.type == F.TYPE_STRING:
            return plain_text(value)
        if field.type == F.TYPE_ENUM and not isinstance(value, Number):
            return self.read_name(field.enum_type, plain_text(value))
        number = read_number(value)
        if field.type == F.TYPE_DOUBLE:
            demand(math.isfinite(float(number)), "not finite")
            return float(number)
        demand(number == number.to_integral_value() if number.adjusted() < 60 else False, "not whole")
        low, high = RANGES[field.type]
        demand(low <= int(number) <= high, "out of range")
        return int(number)

    def read_name(self, enum, name):
        for number, known in s.enum_names(enum).items():
            if name == known:
                return number
        demand(re.fullmatch("[!-~]{1,64}", name), "no name")
        hashed = 0x811C9DC5
        for byte in name.encode():
            hashed = (hashed ^ byte) * 0x01000193 % 2**32
        number = (hashed | 1 << 31) - 2**32
        self.unknown_names[number] = name
        return number

    def check_rules(self, field, out):
        """The bounds and formats of a field that has been read; an envelope's own do not matter here."""
        rules = self.schema.rules(field)
        if s.is_map(field):
            for name, text in getattr(out, field.name).items():
                demand(name, "an empty name")
                self.check_size(rules, name)
                self.check_size(rules, text)
            return
        if field.message_type is not None:
            demand(not rules["required"] or out.HasField(field.name), "missing")
            return
        if field.containing_oneof is not None and not out.HasField(field.name):
            return
        value = getattr(out, field.name)
        for item in value if s.is_repeated(field) else [value]:
            self.check_value(field, rules, item)

    def check_value(self, field, rules, value):
        if isinstance(value, str | bytes):
            if not value:
                in_oneof = self.schema.form(field) == s.RAW and field.containing_oneof is not None
                needed = rules["required"] or in_oneof or s.is_repeated(field) and rules["format"]
                demand(not needed, "missing")
                return
            self.check_size(rules, value)
            pattern = FORMATS.get(rules["format"])
            demand(pattern is None or pattern.fullmatch(value), "not of its format")
        else:
            demand(not rules["required"] or value, "missing")
            bounded = rules["min"] or rules["max"]
            demand(not bounded or rules["min"] <= value <= (rules["max"] or math.inf), "out of range")

    def check_size(self, rules, value):
        size = len(value.encode() if isinstance(value, str) else value)
        demand(not rules["max_bytes"] or size <= rules["max_bytes"], "too long")
        # A text's characters are its code points, as in JSON Schema.
        demand(not rules["max_characters"] or len(value) <= rules["max_characters"], "too long")

    # Writing

    def write(self, message):
        """A dictionary of what the envelope holds, ready for json.dumps."""
        field = next(field for field, _ in message.ListFields())
        tag = self.schema.tag(field.message_type)
        return {tag: field.name, **self.write_message(getattr(message, field.name))}

    def write_message(self, message):
        out = {}
        oneof = self.schema.oneof(message.DESCRIPTOR)
        for field in message.DESCRIPTOR.fields:
            present = any(field.number == other.number for other, _ in message.ListFields())
            if oneof and field.number in oneof.numbers:
                if present:
                    self.write_oneof(oneof, field, getattr(message, field.name), out)
            elif present or field.name == "headers" and self.schema.form(field) == s.FIELD_LINES:
                self.write_field(field, getattr(message, field.name), out)
        return out

    def write_oneof(self, oneof, field, value, out):
        if field.number != oneof.rest.number:
            if oneof.tag:
                out[oneof.tag] = field.name
            out[oneof.content] = self.write_message(value)
        elif oneof.tag:
            out[oneof.tag] = getattr(value, oneof.tag)
            if getattr(value, oneof.content):
                out[oneof.content] = json.loads(getattr(value, oneof.content))
        else:
            out[oneof.content] = json.loads(value)

    def write_field(self, field, value, out):
        form = self.schema.form(field)
        if form == s.FIELD_LINES:
            out[field.name] = write_lines(value)
        elif form == s.TEXT_OR_BASE64:
            try:
                out[field.name] = value.decode()
            except UnicodeDecodeError:
                out[field.name] = base64.b64encode(value).decode()
                out[field.name + "_encoding"] = "base64"
        elif s.is_map(field):
            out[field.name] = dict(value)
        elif s.is_repeated(field):
            out[field.name] = [self.write_one(field, item) for item in value]
        else:
            out[field.name] = self.write_one(field, value)

    def write_one(self, field, value):
        if field.type == F.TYPE_ENUM:
            names = {**self.unknown_names, **s.enum_names(field.enum_type)}
            return names.get(value, value)
        if field.type == F.TYPE_UINT64 and value > 2**53:
            return str(value)
        if field.message_type is None:
            return value
        if field.message_type.full_name == "google.protobuf.Timestamp":
            return write_time(value)
        return self.write_message(value)


def read_number(value):
    text = str.__str__(value) if isinstance(value, str) else ""
    demand(NUMBER.fullmatch(text), "not a number")
    try:
        return Decimal(text)
    except ArithmeticError as error:
        raise Refused("not a number") from error


def read_base64(data):
    try:
        out = base64.b64decode(data, validate=True)
    except ValueError as error:
        raise Refused("not base64") from error
    demand(base64.b64encode(out) == data, "not base64")
    return out


def read_lines(value):
    demand(isinstance(value, Pairs), "not an object")
    out, count = b"", 0
    for name, item in value:
        if item is None:
            continue
        for one in item if isinstance(item, list) and not isinstance(item, Pairs) else [item]:
            count += 1
            demand(TOKEN.fullmatch(name), "no field name")
            demand(VALUE.fullmatch(plain_text(one)), "no field value")
            out += name.encode() + b": " + one.encode("latin-1") + b"\r\n"
    demand(count <= LINES_MAX and len(out) <= LINES_BYTES_MAX, "too many fields")
    return out


def write_lines(lines):
    groups = {}
    for line in lines.split(b"\r\n")[:-1]:
        name, value = line.split(b":", 1)
        group = groups.setdefault(name.lower(), (name.decode(), []))
        group[1].append(value.strip(b" \t").decode("latin-1"))
    return {name: values[0] if len(values) == 1 else values for name, values in groups.values()}


def read_time(text):
    match = TIME.fullmatch(text)
    demand(match, "no time")
    try:
        moment = datetime.datetime(*map(int, match.groups()[:6]))
    except ValueError as error:
        raise Refused("no time") from error
    seconds = (moment - datetime.datetime(1970, 1, 1)) // datetime.timedelta(seconds=1)
    if match[9]:
        hours, minutes = int(match[10]), int(match[11])
        demand(hours < 24 and minutes < 60, "no offset")
        seconds -= (1 if match[9] == "+" else -1) * (hours * 3600 + minutes * 60)
    demand(-62135596800 <= seconds <= 253402300799, "beyond the calendar")
    return seconds, int((match[7] or "").ljust(9, "0"))


def write_time(time):
    moment = datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=time.seconds)
    digits = next(n for n in (0, 3, 6, 9) if time.nanos % 10 ** (9 - n) == 0)
    fraction = "." + f"{time.nanos:09}"[:digits] if digits else ""
    return f"{moment.year:04}-{moment:%m-%dT%H:%M:%S}{fraction}Z"
