"""An independent reading of the compatibility JSON, to be compared with the program's.

    oracle.py DESCRIPTORS SCHEMA_FOLDER

A line in, a line out, each a JSON object. In: an envelope's name, a message of it in the binary encoding
(base64), the JSON that the program wrote for it, and a seed or the broken texts. Out: the JSON that this
codec writes; the binary that it reads out of the program's JSON; the message in other spellings; broken
texts, each with what this codec makes of it; and whether the JSON Schemas take the program's JSON and
refuse what this codec refuses.
"""

import base64
import json
import pathlib
import random
import re
import sys

import compat
import jsonschema
import schema
import vary

FILES = {"AgentToPlatform": "agent-to-platform", "PlatformToAgent": "platform-to-agent"}
BROKEN = 4


def main():
    known = schema.Schema(pathlib.Path(sys.argv[1]).read_bytes())
    validators = {name: validator(pathlib.Path(sys.argv[2]) / f"{file}.schema.json") for name, file in FILES.items()}
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line), known, validators)), flush=True)


def validator(path):
    text = json.loads(path.read_text())
    jsonschema.Draft202012Validator.check_schema(text)
    # What no pattern can say of a time, the format does: how many days a month has.
    formats = jsonschema.FormatChecker(formats=())
    formats.checks("date-time", raises=compat.Refused)(is_time)
    kind = jsonschema.validators.extend(jsonschema.Draft202012Validator, {"pattern": pattern})
    return kind(text, format_checker=formats)


def pattern(validator, pattern, value, schema):
    # Each of ours is of a whole text, at whose end Python's `$` would let a line end pass.
    if validator.is_type(value, "string") and not re.fullmatch(pattern, value):
        yield jsonschema.ValidationError(f"{value!r} does not match {pattern!r}")


def is_time(value):
    if isinstance(value, str):
        compat.read_time(value)
    return True


def answer(question, known, validators):
    envelope, validate = question["envelope"], validators[question["envelope"]]
    dice = random.Random(question["seed"])
    codec = compat.Codec(known)
    message = known.message(envelope).FromString(base64.b64decode(question["binary"]))
    written = codec.write(message)
    texts = question["broken"] or [vary.broken(written, dice) for _ in range(BROKEN)]
    program = json.loads(question["json"])
    return {
        "json": json.dumps(written),
        "read": read(codec, envelope, question["json"]),
        "other": vary.whole(message, written, known, dice),
        "broken": [{"json": text, "read": read(codec, envelope, text), "valid": is_valid(validate, text)} for text in texts],
        "invalid": [error.message[:300] for error in validate.iter_errors(program)],
    }


def read(codec, envelope, text):
    """The message in binary, or None where it is refused."""
    try:
        message = codec.read(envelope, text)
    except compat.Refused:
        return None
    return base64.b64encode(message.SerializeToString(deterministic=True)).decode()


def is_valid(validate, text):
    """Whether the text is JSON, which no schema decides, and as its schema has it."""
    try:
        compat.load(text)
    except compat.Refused:
        return False
    return validate.is_valid(json.loads(text))


if __name__ == "__main__":
    main()
