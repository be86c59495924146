"""The link's schema as a descriptor set says it: messages, fields, and the options of options.proto."""

import re

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import FieldDescriptor

PACKAGE = "fleetwire.link.v1"
TAGS = {1: "type", 2: "message_type"}
FIELD_LINES, TEXT_OR_BASE64, RAW = 1, 2, 3
STREAM_ID, UUID, METHOD, REQUEST_TARGET, LINES, NAME, ORIGIN = range(1, 8)


class Schema:
    """Reads the set; gives message classes and options."""

    def __init__(self, data):
        self.pool = descriptor_pool.DescriptorPool()
        for file in descriptor_pb2.FileDescriptorSet.FromString(data).file:
            self.pool.AddSerializedFile(file.SerializeToString())

    def message(self, name):
        """The class of the package's message of that name."""
        return message_factory.GetMessageClass(self.pool.FindMessageTypeByName(f"{PACKAGE}.{name}"))

    def option(self, descriptor, name):
        """The value of one of our options, or None."""
        kind = {"json_tag": "MessageOptions", "json_oneof": "OneofOptions"}.get(name, "FieldOptions")
        # The options come as the default pool's type, which does not know our extensions.
        options = message_factory.GetMessageClass(self.pool.FindMessageTypeByName(f"google.protobuf.{kind}"))
        extension = self.pool.FindExtensionByName(f"{PACKAGE}.{name}")
        known = options.FromString(descriptor.GetOptions().SerializeToString())
        return known.Extensions[extension] if known.HasExtension(extension) else None

    def tag(self, descriptor):
        return TAGS.get(self.option(descriptor, "json_tag"))

    def form(self, field):
        return self.option(field, "json_form") or 0

    def rules(self, field):
        rules = self.option(field, "rules")
        names = ("required", "max_bytes", "max_characters", "max_items", "min", "max", "format")
        return {name: getattr(rules, name, 0) for name in names}

    def oneof(self, descriptor):
        """The message's one real oneof: its fields, tag and content members, and the field for the rest."""
        for oneof in descriptor.oneofs:
            if len(oneof.fields) == 1 and oneof.name == "_" + oneof.fields[0].name:
                continue
            json = self.option(oneof, "json_oneof")
            if json is None:
                return None
            rest = next(field for field in oneof.fields if self.keeps_rest(field, json))
            return Oneof(oneof.fields, json.tag, json.content, rest)
        return None

    def keeps_rest(self, field, json):
        if not json.tag:
            return self.form(field) == RAW
        if field.message_type is None:
            return False
        inner = {f.name: f for f in field.message_type.fields}
        return set(inner) == {json.tag, json.content} and self.form(inner[json.content]) == RAW


class Oneof:
    def __init__(self, fields, tag, content, rest):
        self.tag, self.content, self.rest = tag, content, rest
        self.numbers = {field.number for field in fields}
        self.known = {field.name: field for field in fields if field.number != rest.number}


def is_map(field):
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def is_repeated(field):
    return field.is_repeated if hasattr(field, "is_repeated") else field.label == FieldDescriptor.LABEL_REPEATED


def enum_names(enum):
    """Number to name in JSON."""
    shouting = re.sub(r"(?<!^)(?=[A-Z])", "_", enum.name).upper() + "_"
    return {value.number: value.name.removeprefix(shouting).lower() for value in enum.values}
