//! Compiles the schema in `proto/` without an installed protoc and generates from it what both
//! ends are made of: see `build/` for one generator a file.

#[path = "build/counted.rs"]
mod counted;
#[path = "build/dispatch.rs"]
mod dispatch;
#[path = "build/docs.rs"]
mod docs;
#[path = "build/json.rs"]
mod json;
#[path = "build/json_schema.rs"]
mod json_schema;
#[path = "build/messages.rs"]
mod messages;
#[path = "build/model.rs"]
mod model;
#[path = "build/rules.rs"]
mod rules;

use std::{env, error::Error, fs, path::PathBuf};

const PROTO_ROOT: &str = "proto";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={PROTO_ROOT}");
    println!("cargo::rerun-if-changed=build");
    let out_dir = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);

    let mut compiler = protox::Compiler::new([PROTO_ROOT])?;
    compiler.include_imports(true).include_source_info(true);
    compiler.open_files(model::link_files(PROTO_ROOT)?)?;
    // The pool keeps the options on the schema; the plain descriptor set, which prost wants, does not.
    let schema = model::Schema::read(&compiler.descriptor_pool())?;

    // prost takes a field that has any option for one that asks not to be packed.
    let mut files = compiler.file_descriptor_set();
    for message in files.file.iter_mut().flat_map(|f| &mut f.message_type) {
        message
            .field
            .iter_mut()
            .for_each(|field| field.options = None);
    }

    prost_build::Config::new()
        .bytes(["."])
        .skip_debug(
            schema
                .messages
                .iter()
                .filter(|m| m.has_sensitive_field())
                .map(|m| &m.full_name),
        )
        .compile_fds(files)?;

    fs::write(
        out_dir.join("descriptors.binpb"),
        compiler.encode_file_descriptor_set(),
    )?;
    fs::write(out_dir.join("messages.rs"), messages::generate(&schema)?)?;
    fs::write(out_dir.join("counted.rs"), counted::generate(&schema)?)?;
    fs::write(out_dir.join("dispatch.rs"), dispatch::generate(&schema)?)?;
    fs::write(out_dir.join("json.rs"), json::generate(&schema)?)?;
    fs::write(out_dir.join("protocol.md"), docs::generate(&schema)?)?;
    for (name, text) in json_schema::generate(&schema)? {
        fs::write(out_dir.join(name), text)?;
    }
    Ok(())
}
