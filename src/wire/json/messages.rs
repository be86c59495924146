//! Each message of the schema in this encoding: generated from `proto/` by `build/json.rs`.

#![allow(
    clippy::match_same_arms,
    clippy::single_match,
    clippy::needless_pass_by_value,
    reason = "generated"
)]

use super::{
    fault::Read,
    forms,
    object::{
        Aside, JsonEnvelope, JsonMessage, double, integer, list, message, named, text, texts,
        timestamp, wide_integer,
    },
    reader::Reader,
    writer::{Members, Object},
};
use crate::schema::pb;
use bytes::BytesMut;

include!(concat!(env!("OUT_DIR"), "/json.rs"));
