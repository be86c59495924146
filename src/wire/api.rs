//! The messages of the API, checked: generated from `proto/` by `build/messages.rs`. The schema's
//! comments are their documentation.

#![allow(
    clippy::large_enum_variant,
    clippy::too_many_lines,
    clippy::needless_question_mark,
    clippy::manual_map,
    clippy::doc_markdown,
    clippy::redundant_closure,
    unused_imports,
    unused_variables,
    reason = "generated"
)]

use super::{
    check::{self, FieldInvalid, Max, Place},
    values::{Name, Secret, Timestamp},
};
use crate::{ids::Uuid, schema::api as pb};
use bytes::Bytes;
use std::collections::BTreeMap;

include!(concat!(env!("OUT_DIR"), "/api_messages.rs"));
