//! Refuses a schema whose rules nobody would enforce: a value without a bound, and a rule that its
//! kind of field has no check for, which the documentation would promise all the same.

use crate::model::{Field, FieldKind, Format, JsonForm, Message};
use std::error::Error;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Checks every field's rules; `of_api` where its JSON Schema has to say exactly what is taken.
pub fn check(message: &Message, of_api: bool) -> Result<()> {
    for field in &message.fields {
        if let Some(fault) = fault(field, of_api) {
            return Err(format!("{}.{} {fault}", message.name, field.name).into());
        }
    }
    Ok(())
}

fn fault(field: &Field, of_api: bool) -> Option<&'static str> {
    let rules = &field.rules;
    let text = field.kind == FieldKind::String;
    let whole = matches!(field.kind, FieldKind::Uint32 | FieldKind::Uint64);
    let number = whole || field.kind == FieldKind::Double;
    // A UUID is as long as it is.
    let sized = text && rules.format != Format::Uuid
        || matches!(field.kind, FieldKind::Bytes | FieldKind::Texts);
    let many = field.repeated || field.kind == FieldKind::Texts;
    let plain = !field.sensitive && field.json_form != JsonForm::Raw;
    let format_fits = match rules.format {
        Format::Any => true,
        Format::FieldLines => field.kind == FieldKind::Bytes,
        _ => text && plain,
    };
    let lines = rules.format == Format::FieldLines;
    let faults = [
        (field.comment.is_empty(), "has no comment"),
        (sized && rules.max_size() == 0, "has no max_bytes"),
        (
            of_api && field.kind != FieldKind::Bytes && rules.max_bytes > 0,
            "cannot have max_bytes but max_characters: JSON Schema counts characters",
        ),
        (!sized && rules.max_bytes > 0, "cannot have max_bytes"),
        (
            rules.max_characters > 0
                && (!sized || rules.max_bytes > 0 || field.kind == FieldKind::Bytes),
            "cannot have max_characters",
        ),
        (many && rules.max_items == 0, "has no max_items"),
        (!many && rules.max_items > 0, "cannot have max_items"),
        (
            rules.required && (field.presence || field.repeated || !(text || whole)),
            "cannot be required",
        ),
        (rules.bounded() && !number, "cannot have min or max"),
        (
            rules.bounded() && range(field).is_none_or(|(min, max)| min > max),
            "has no number between its min and its max",
        ),
        (!format_fits, "cannot have this format"),
        (field.sensitive && !text, "cannot be sensitive"),
        (
            lines != (field.json_form == JsonForm::FieldLines),
            "has field lines in one encoding only",
        ),
    ];
    let found = faults.into_iter().find(|(is_so, _)| *is_so);
    found.map(|(_, fault)| fault)
}

/// The least and the greatest value of a number that has bounds. Without a `max` it ends where its
/// type does, which is no bound for a double: `None`.
pub fn range(field: &Field) -> Option<(u64, u64)> {
    let rules = &field.rules;
    let type_max = match field.kind {
        FieldKind::Uint32 => u32::MAX.into(),
        FieldKind::Uint64 => u64::MAX,
        _ => 0,
    };
    let max = match rules.max {
        0 => type_max,
        max if type_max == 0 || max <= type_max => max,
        _ => 0,
    };
    (rules.bounded() && max > 0).then(|| (rules.min.max(rules.required.into()), max))
}
