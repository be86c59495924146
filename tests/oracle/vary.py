"""The same message in other spellings that every reader must take alike, and broken ones."""

import datetime
import json

import schema as s
from google.protobuf.descriptor import FieldDescriptor as F

STRANGERS = {"x_new": [{"type": "ack"}, None, 1e300], "ünknown": "\u2028", "": {}}
JUNK = [None, True, 0, -1, 1.5, 7.0, "7", "-7", "", "x", [], ["x"], {}, {"a": "b"}, "é", "€", 2**64, "a" * 70, "/x y", "a\r\nb", 1e308]


def spelled_otherwise(message, value, schema, random):
    """The members in another order, with strangers and nulls among them, numbers and times in other forms."""
    fields = message.DESCRIPTOR.fields_by_name
    out = []
    for name, item in value.items():
        field = fields.get(name)
        if field is not None and not s.is_repeated(field):
            item = other_form(field, item, getattr(message, name), schema, random)
        out.append((name, item))
    if random.random() < 0.5:
        out += random.sample(sorted(STRANGERS.items()), random.randint(0, 3))
        out += [(name, None) for name in fields if name not in value and random.random() < 0.3]
        # The schema's own members stand once; an envelope's field and a oneof's may share a name.
        out = list(dict(out).items())
    random.shuffle(out)
    return dict(out)


def other_form(field, item, content, schema, random):
    if field.message_type is not None and isinstance(item, dict):
        return spelled_otherwise(content, item, schema, random)
    if field.message_type is not None:
        zone = datetime.timezone(datetime.timedelta(minutes=random.randint(-1439, 1439)))
        moment = datetime.datetime.fromisoformat(item[:19] + "+00:00")
        if not 3 < moment.year < 9998:
            return item
        there = moment.astimezone(zone).isoformat()
        return there[:19] + item[19:-1] + there[19:]
    if isinstance(item, int) and not isinstance(item, bool) and field.type in (F.TYPE_UINT32, F.TYPE_UINT64, F.TYPE_DOUBLE):
        return random.choice([item, str(item), float(item) if item < 2**53 else item])
    return item


def whole(message, value, schema, random):
    """The text of an envelope, spelled otherwise."""
    field = next(field for field, _ in message.ListFields())
    tag = schema.tag(field.message_type)
    content = {name: item for name, item in value.items() if name != tag}
    pairs = list(spelled_otherwise(getattr(message, field.name), content, schema, random).items())
    pairs.insert(random.randint(0, len(pairs)), (tag, value[tag]))
    return json.dumps(dict(pairs), ensure_ascii=random.random() < 0.5, indent=random.choice([None, 1]))


def broken(value, random):
    """The text with one thing changed, which may or may not be a message still."""
    value = json.loads(json.dumps(value))
    places = list(walk(value))
    holder, key = random.choice(places)
    action = random.randrange(4)
    if action == 0:
        del holder[key]
    elif action == 1 and isinstance(holder, dict):
        holder[random.choice([key + "_encoding", "type", "body", "headers", "code", "auth_token"])] = random.choice(JUNK)
    else:
        holder[key] = random.choice(JUNK)
    text = json.dumps(value, ensure_ascii=random.random() < 0.5)
    if random.random() < 0.1:
        at = random.randrange(len(text))
        text = text[:at] + random.choice(['"', "{", "]", ",", "\\", " ", "0", "\\ud800"]) + text[at + random.randint(0, 1) :]
    return text


def walk(value):
    keys = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in list(keys):
        yield value, key
        yield from walk(value[key])
