//! The rules of the schema as functions: each takes a value as a peer sent it and gives it back as
//! a type that cannot be wrong, or names the field and what is the matter. The generated
//! conversions of `messages` call these, and `count` does before anything is decoded; nobody else.

use super::{
    fields::{FieldLimits, FieldLines},
    values::{Secret, Text, Timestamp},
};
use crate::{
    ids::{StreamId, Uuid},
    limits,
};
use bytes::Bytes;
use std::collections::BTreeMap;

/// A field that breaks a rule of the schema.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}.{field} {problem}")]
pub struct FieldInvalid {
    /// The message's name in the schema.
    pub message: &'static str,
    /// The field's.
    pub field: &'static str,
    /// What is the matter.
    pub problem: Problem,
}

/// What can be the matter with a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Required, and absent or empty.
    #[error("is missing")]
    Missing,
    /// Longer than that.
    #[error("is longer than {0}")]
    TooLong(Max),
    /// More values than so many.
    #[error("has more than {0} values")]
    TooMany(usize),
    /// Below the first or above the second number.
    #[error("is not within {0} to {1}")]
    OutOfRange(u64, u64),
    /// Not a finite number.
    #[error("is not a finite number")]
    NotFinite,
    /// Not of the format that the schema asks for.
    #[error("is not {0}")]
    Format(&'static str),
}

/// The largest size of a text or of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Max {
    /// So many bytes.
    #[error("{0} bytes")]
    Bytes(usize),
    /// So many characters of Unicode.
    #[error("{0} characters")]
    Characters(usize),
}

/// Where a value stands, for its error.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) message: &'static str,
    pub(super) field: &'static str,
}

impl Place {
    #[cold]
    fn invalid(self, problem: Problem) -> FieldInvalid {
        FieldInvalid {
            message: self.message,
            field: self.field,
            problem,
        }
    }
}

type Checked<T> = Result<T, FieldInvalid>;

fn within(text: &str, max: Max, place: Place) -> Checked<()> {
    let fits = match max {
        Max::Bytes(max) => text.len() <= max,
        Max::Characters(max) => text.len() <= max || text.chars().nth(max).is_none(),
    };
    if fits {
        Ok(())
    } else {
        Err(place.invalid(Problem::TooLong(max)))
    }
}

pub(super) fn count(count: usize, max: usize, place: Place) -> Checked<()> {
    if count > max {
        Err(place.invalid(Problem::TooMany(max)))
    } else {
        Ok(())
    }
}

/// The fault of an unknown type that claims a known one's name.
pub(super) fn named(place: Place) -> FieldInvalid {
    place.invalid(Problem::Format("a type that the schema does not name"))
}

pub(super) fn text(value: String, max: Max, place: Place) -> Checked<String> {
    within(&value, max, place)?;
    Ok(value)
}

pub(super) fn required_text(value: String, max: Max, place: Place) -> Checked<String> {
    if value.is_empty() {
        return Err(place.invalid(Problem::Missing));
    }
    text(value, max, place)
}

pub(super) fn bytes(value: Bytes, max: Max, place: Place) -> Checked<Bytes> {
    match max {
        Max::Bytes(most) | Max::Characters(most) if value.len() > most => {
            Err(place.invalid(Problem::TooLong(max)))
        }
        _ => Ok(value),
    }
}

pub(super) fn secret(value: String, max: Max, place: Place) -> Checked<Secret> {
    // Wrapped before it is looked at, so that it is wiped where it is refused.
    let secret = Secret::new(value);
    if secret.expose().is_empty() {
        return Err(place.invalid(Problem::Missing));
    }
    within(secret.expose(), max, place)?;
    Ok(secret)
}

pub(super) fn not_zero<T: Copy + Into<u64>>(value: T, place: Place) -> Checked<T> {
    if value.into() == 0 {
        Err(place.invalid(Problem::Missing))
    } else {
        Ok(value)
    }
}

pub(super) fn range<T: Copy + Into<u64>>(value: T, min: u64, max: u64, place: Place) -> Checked<T> {
    if (min..=max).contains(&value.into()) {
        Ok(value)
    } else {
        Err(place.invalid(Problem::OutOfRange(min, max)))
    }
}

pub(super) fn range_of_double(value: f64, min: u32, max: u32, place: Place) -> Checked<f64> {
    if (f64::from(min)..=f64::from(max)).contains(&value) {
        Ok(value)
    } else {
        Err(place.invalid(Problem::OutOfRange(min.into(), max.into())))
    }
}

pub(super) fn finite(value: f64, place: Place) -> Checked<f64> {
    if value.is_finite() {
        Ok(value)
    } else {
        Err(place.invalid(Problem::NotFinite))
    }
}

pub(super) fn timestamp(value: prost_types::Timestamp, place: Place) -> Checked<Timestamp> {
    Timestamp::new(value.seconds, value.nanos)
        .ok_or_else(|| place.invalid(Problem::Format("a time from year 1 to 9999")))
}

pub(super) fn field_lines(value: Bytes, max: Max, place: Place) -> Checked<FieldLines> {
    let (Max::Bytes(bytes) | Max::Characters(bytes)) = max;
    let limits = FieldLimits {
        bytes,
        ..limits::FIELDS
    };
    FieldLines::parse(value, limits)
        .map_err(|_| place.invalid(Problem::Format("a list of HTTP field lines within bounds")))
}

/// Names and texts, each bounded; a name is never empty.
pub(super) fn texts(
    value: BTreeMap<String, String>,
    max_items: usize,
    max: Max,
    place: Place,
) -> Checked<BTreeMap<String, String>> {
    count(value.len(), max_items, place)?;
    for (name, text) in &value {
        if name.is_empty() {
            return Err(place.invalid(Problem::Format("without an empty name")));
        }
        within(name, max, place)?;
        within(text, max, place)?;
    }
    Ok(value)
}

pub(super) fn stream_id(value: String, max: Max, place: Place) -> Checked<StreamId> {
    if value.is_empty() {
        return Err(place.invalid(Problem::Missing));
    }
    within(&value, max, place)?;
    StreamId::parse(&value)
        .ok_or_else(|| place.invalid(Problem::Format("1 to 64 visible ASCII characters")))
}

pub(super) fn uuid(value: String, place: Place) -> Checked<Uuid> {
    if value.is_empty() {
        return Err(place.invalid(Problem::Missing));
    }
    // The library also takes braces, upper case and the form without hyphens.
    match Uuid::try_parse(&value) {
        Ok(uuid) if uuid.to_string() == value => Ok(uuid),
        _ => Err(place.invalid(Problem::Format("a lower-case UUID"))),
    }
}

pub(super) fn parsed<T: Text>(value: String, max: Max, place: Place) -> Checked<T> {
    if value.is_empty() {
        return Err(place.invalid(Problem::Missing));
    }
    within(&value, max, place)?;
    T::parse(value).ok_or_else(|| place.invalid(Problem::Format(T::WHAT)))
}
