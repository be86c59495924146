//! The messages of the link, checked: generated from `proto/` by `build/messages.rs`,
//! `build/counted.rs` and `build/dispatch.rs`. The schema's comments are their documentation.

#![allow(
    clippy::large_enum_variant,
    clippy::too_many_lines,
    clippy::needless_question_mark,
    clippy::manual_map,
    clippy::doc_markdown,
    clippy::redundant_closure,
    reason = "generated"
)]

use super::{
    Envelope,
    check::{self, FieldInvalid, Max, Place},
    count::{Counted, Entry, Kind},
    fields::FieldLines,
    values::{Method, Name, Origin, RawJson, RequestTarget, Secret, Timestamp},
};
use crate::{
    ids::{StreamId, Uuid},
    schema::pb,
};
use bytes::Bytes;
use std::collections::BTreeMap;

include!(concat!(env!("OUT_DIR"), "/messages.rs"));
include!(concat!(env!("OUT_DIR"), "/counted.rs"));
include!(concat!(env!("OUT_DIR"), "/dispatch.rs"));

impl HttpResponse {
    /// Whether another head follows this one: 101 is no such answer.
    pub const fn is_interim(&self) -> bool {
        self.status < 200 && self.status != 101
    }
}

impl Hello {
    /// The least that an agent says: what opens the platform to it, and which protocols it speaks. With none of
    /// those it is one of the first peers.
    pub const fn new(auth_token: Secret, protocol_versions: Vec<u32>) -> Self {
        Self {
            auth_token,
            protocol_versions,
            capabilities: Vec::new(),
            host_id: None,
            instance_id: None,
            software: String::new(),
            limits: None,
            resume: None,
        }
    }
}
