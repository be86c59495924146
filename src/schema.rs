//! What `build.rs` made of `proto/` by way of prost, as it came. Only `wire` and tools that work on
//! the schema itself name these types: the program's own are in [`crate::wire::messages`].

/// The link's messages as prost has them: unchecked.
#[allow(missing_docs, clippy::all, reason = "generated")]
pub mod pb {
    include!(concat!(env!("OUT_DIR"), "/fleetwire.link.v1.rs"));
}

/// The API's messages as prost has them: unchecked. With the gRPC services of what is built, by way of
/// tonic: the platform's side, the callers' side.
#[allow(missing_docs, clippy::all, reason = "generated")]
pub mod api {
    include!(concat!(env!("OUT_DIR"), "/fleetwire.api.v1.rs"));
}

/// The schema as a `FileDescriptorSet` with its options and comments, for reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.binpb"));
