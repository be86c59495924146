//! Random messages of the link, made from the schema's descriptors and their rules, so that a new
//! message or field is covered without anybody thinking of it.

use fleetwire::schema::DESCRIPTORS;
use proptest::{
    collection::vec,
    option,
    prelude::*,
    sample::select,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use prost_reflect::{
    DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor,
    OneofDescriptor, Value,
};
use std::time::{SystemTime, UNIX_EPOCH};

/// The seed of this run: printed, and set by `FLEETWIRE_SEED`.
pub fn seed() -> u64 {
    let seed = std::env::var("FLEETWIRE_SEED").ok().map_or_else(
        || {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
            now.as_secs() << 20 | u64::from(now.subsec_micros())
        },
        |seed| seed.parse().expect("FLEETWIRE_SEED is a number"),
    );
    println!("FLEETWIRE_SEED={seed}");
    seed
}

/// A runner for one property: it counts its cases over all that it runs.
pub fn runner(seed: u64, cases: u32) -> TestRunner {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
}

/// The two envelopes.
pub fn envelopes() -> [MessageDescriptor; 2] {
    let pool = DescriptorPool::decode(DESCRIPTORS).unwrap();
    ["AgentToPlatform", "PlatformToAgent"].map(|name| {
        pool.get_message_by_name(&format!("fleetwire.link.v1.{name}"))
            .unwrap()
    })
}

/// A random envelope; shown as protobuf's JSON.
#[derive(Clone)]
pub struct Random(pub DynamicMessage);

impl std::fmt::Debug for Random {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", serde_json::to_string(&self.0).unwrap())
    }
}

/// Envelopes that hold that message, within all rules.
pub fn enveloped(field: &FieldDescriptor) -> BoxedStrategy<Random> {
    let field = field.clone();
    let Kind::Message(kind) = field.kind() else {
        panic!("an envelope holds messages");
    };
    message(&kind)
        .prop_map(move |content| {
            let mut envelope = DynamicMessage::new(field.parent_message().clone());
            envelope.set_field(&field, Value::Message(content));
            Random(envelope)
        })
        .boxed()
}

type Slot = Option<(FieldDescriptor, Value)>;

/// Messages of that kind, within all rules.
fn message(descriptor: &MessageDescriptor) -> BoxedStrategy<DynamicMessage> {
    let descriptor = descriptor.clone();
    let mut slots: Vec<BoxedStrategy<Slot>> = Vec::new();
    for field in descriptor.fields() {
        if field
            .containing_oneof()
            .is_none_or(|oneof| oneof.is_synthetic())
        {
            slots.push(slot(&field));
        }
    }
    for oneof in descriptor.oneofs().filter(|oneof| !oneof.is_synthetic()) {
        slots.push(one_of(&oneof));
    }
    slots
        .prop_map(move |slots| {
            let mut message = DynamicMessage::new(descriptor.clone());
            for (field, value) in slots.into_iter().flatten() {
                message.set_field(&field, value);
            }
            message
        })
        .boxed()
}

fn one_of(oneof: &OneofDescriptor) -> BoxedStrategy<Slot> {
    let fields: Vec<_> = oneof.fields().collect();
    // What keeps an unknown type must not claim a known one.
    let names: Vec<_> = fields.iter().map(|field| field.name().to_owned()).collect();
    let tag = json_oneof_tag(oneof);
    let values = fields.into_iter().map(|field| {
        let (names, tag) = (names.clone(), tag.clone());
        one(&field)
            .prop_filter("a known type", move |value| {
                match (value.as_message(), &tag) {
                    (Some(message), Some(tag)) => {
                        message.get_field_by_name(tag).is_none_or(|name| {
                            !names
                                .iter()
                                .any(|known| Some(known.as_str()) == name.as_str())
                        })
                    }
                    _ => true,
                }
            })
            .prop_map(move |value| Some((field.clone(), value)))
            .boxed()
    });
    let values: Vec<_> = values.chain([Just(None).boxed()]).collect();
    select(values).prop_flat_map(|chosen| chosen).boxed()
}

fn slot(field: &FieldDescriptor) -> BoxedStrategy<Slot> {
    let kept = field.clone();
    let some = if field.is_map() {
        let names = "[A-Za-z_][A-Za-z0-9_]{0,8}".prop_map(MapKey::String);
        let texts = ".{0,8}".prop_map(Value::String);
        // One at most: the reflection keeps no order of more.
        proptest::collection::hash_map(names, texts, 0..2)
            .prop_map(Value::Map)
            .boxed()
    } else if field.is_list() {
        let max = rule(field, "max_items").min(4) as usize;
        vec(one(field), 0..=max).prop_map(Value::List).boxed()
    } else {
        one(field)
    };
    let some = some.prop_map(move |value| (kept.clone(), value));
    // Numbers with a least value are not absent either.
    if rule(field, "required") > 0 || rule(field, "min") > 0 {
        some.prop_map(Some).boxed()
    } else {
        option::weighted(0.7, some).boxed()
    }
}

/// One value of the field.
fn one(field: &FieldDescriptor) -> BoxedStrategy<Value> {
    // Whichever it is counted in, so many bytes are within it.
    let max_bytes = rule(field, "max_bytes").max(rule(field, "max_characters")) as usize;
    let (min, max) = (rule(field, "min"), rule(field, "max"));
    let required = rule(field, "required") > 0;
    match field.kind() {
        Kind::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
        Kind::Uint32 if max > 0 => (min as u32..=max as u32).prop_map(Value::U32).boxed(),
        Kind::Uint32 if required => (1..=u32::MAX).prop_map(Value::U32).boxed(),
        Kind::Uint32 => any::<u32>().prop_map(Value::U32).boxed(),
        Kind::Uint64 if max > 0 => (min..=max).prop_map(Value::U64).boxed(),
        // Both sides of 2^53, where the JSON form changes.
        Kind::Uint64 => prop_oneof![any::<u64>(), 0..9_u64, (1 << 53) - 2..(1 << 53) + 3_u64]
            .prop_map(Value::U64)
            .boxed(),
        Kind::Double if max > 0 => prop_oneof![
            min as f64..=max as f64,
            (min as u32 * 10..=max as u32 * 10).prop_map(|tenths| f64::from(tenths) / 10.0),
        ]
        .prop_map(Value::F64)
        .boxed(),
        Kind::Double => prop_oneof![
            any::<f64>().prop_filter("JSON has none", |number| number.is_finite()),
            (-1000..1000_i32).prop_map(|number| f64::from(number) / 10.0),
        ]
        .prop_map(Value::F64)
        .boxed(),
        Kind::Enum(kind) => {
            let known: Vec<_> = kind.values().map(|value| value.number()).collect();
            prop_oneof![9 => select(known), 1 => any::<i32>()]
                .prop_map(Value::EnumNumber)
                .boxed()
        }
        Kind::Message(kind) if kind.full_name() == "google.protobuf.Timestamp" => (
            -62_135_596_800_i64..=253_402_300_799,
            prop_oneof![
                Just(0),
                0..1_000_000_000_i32,
                (0..1000).prop_map(|ms| ms * 1_000_000)
            ],
        )
            .prop_map(move |(seconds, nanos)| {
                let mut time = DynamicMessage::new(kind.clone());
                time.set_field_by_name("seconds", Value::I64(seconds));
                time.set_field_by_name("nanos", Value::I32(nanos));
                Value::Message(time)
            })
            .boxed(),
        Kind::Message(kind) => message(&kind).prop_map(Value::Message).boxed(),
        Kind::String if json_form(field) == 3 => json_text().prop_map(Value::String).boxed(),
        Kind::String => text(rule(field, "format"), max_bytes, required)
            .prop_map(Value::String)
            .boxed(),
        Kind::Bytes if rule(field, "format") == 5 => field_lines()
            .prop_map(|lines| Value::Bytes(lines.into()))
            .boxed(),
        Kind::Bytes => prop_oneof![
            vec(any::<u8>(), 0..64),
            ".{0,64}".prop_map(String::into_bytes)
        ]
        .prop_map(|bytes| Value::Bytes(bytes.into()))
        .boxed(),
        other => panic!("{}: no strategy for {other:?}", field.full_name()),
    }
}

fn text(format: u64, max_bytes: usize, required: bool) -> BoxedStrategy<String> {
    let pattern = match format {
        0 => {
            // A character takes four bytes at most.
            let most = (max_bytes / 4).min(40);
            let least = usize::from(required);
            let limit = Just("x".repeat(max_bytes.min(4096)));
            return prop_oneof![
                20 => proptest::string::string_regex(&format!("(?s).{{{least},{most}}}")).unwrap(),
                1 => limit,
            ]
            .boxed();
        }
        1 => "[0-9]{1,20}|[!-~]{1,64}",
        2 => "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
        3 => "[A-Z]{1,8}|[!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}",
        4 => r"/[!-~é€]{0,60}|\*",
        6 => "[a-z0-9_.]{1,64}",
        7 => "https?://[a-z0-9.-]{1,40}(:[0-9]{1,5})?",
        other => panic!("no strategy for format {other}"),
    };
    proptest::string::string_regex(pattern).unwrap().boxed()
}

/// Lines as senders of all kinds write them, names repeated in several spellings.
fn field_lines() -> impl Strategy<Value = Vec<u8>> {
    let name = prop_oneof![
        select(vec!["set-cookie", "Set-Cookie", "a", "A"]).prop_map(String::from),
        "[a-zA-Z0-9!#$&'*+.^_`|~-]{1,12}"
    ];
    let value = prop_oneof![
        "[ -~\t]{0,20}".prop_map(String::into_bytes),
        vec(0x80..=0xff_u8, 0..8)
    ];
    let space = select(vec!["", " ", " \t "]);
    vec((name, space, value), 0..8).prop_map(|lines| {
        let lines = lines.into_iter().map(|(name, space, value)| {
            [name.as_bytes(), b":", space.as_bytes(), &value, b"\r\n"].concat()
        });
        lines.collect::<Vec<_>>().concat()
    })
}

fn json_text() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<u64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        ".{0,8}".prop_map(Into::into),
    ];
    let value = leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Into::into),
            prop::collection::btree_map(".{0,4}", inner, 0..4)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    });
    // A bare null stands for nothing at all.
    value
        .prop_filter("absent", |value| !value.is_null())
        .prop_map(|value| value.to_string())
}

/// A number, flag or format out of the field's rules; 0 where it is not set.
fn rule(field: &FieldDescriptor, name: &str) -> u64 {
    let rules = extension(field.parent_pool(), &field.options(), "rules");
    match rules
        .as_ref()
        .and_then(Value::as_message)
        .and_then(|rules| rules.get_field_by_name(name))
        .as_deref()
    {
        Some(Value::Bool(flag)) => u64::from(*flag),
        Some(Value::U32(number)) => u64::from(*number),
        Some(Value::U64(number)) => *number,
        Some(Value::EnumNumber(number)) => *number as u64,
        _ => 0,
    }
}

fn json_form(field: &FieldDescriptor) -> i32 {
    let form = extension(field.parent_pool(), &field.options(), "json_form");
    form.and_then(|form| form.as_enum_number()).unwrap_or(0)
}

fn json_oneof_tag(oneof: &OneofDescriptor) -> Option<String> {
    let json = extension(oneof.parent_pool(), &oneof.options(), "json_oneof")?;
    let tag = json
        .as_message()?
        .get_field_by_name("tag")?
        .as_str()?
        .to_owned();
    Some(tag).filter(|tag| !tag.is_empty())
}

fn extension(pool: &DescriptorPool, options: &DynamicMessage, name: &str) -> Option<Value> {
    let extension = pool.get_extension_by_name(&format!("fleetwire.link.v1.{name}"))?;
    options
        .has_extension(&extension)
        .then(|| options.get_extension(&extension).into_owned())
}
