//! Compiles the schema in `proto/` without an installed protoc and generates from it what both
//! ends are made of: see `build/` for one generator a file.

#[path = "build/api.rs"]
mod api;
#[path = "build/api_page.rs"]
mod api_page;
#[path = "build/asyncapi.rs"]
mod asyncapi;
#[path = "build/cli.rs"]
mod cli;
#[path = "build/console.rs"]
mod console;
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
#[path = "build/link_schema.rs"]
mod link_schema;
#[path = "build/mcp.rs"]
mod mcp;
#[path = "build/messages.rs"]
mod messages;
#[path = "build/model.rs"]
mod model;
#[path = "build/openapi.rs"]
mod openapi;
#[path = "build/rules.rs"]
mod rules;
#[path = "build/services.rs"]
mod services;

use std::{
    env,
    error::Error,
    fs,
    path::{Path, PathBuf},
};

const PROTO_ROOT: &str = "proto";
/// Where `make web` leaves the console. It is always there, and empty where nothing was built: for a folder that is
/// not there cargo would run this each time.
const CONSOLE: &str = "web/dist";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={PROTO_ROOT}");
    println!("cargo::rerun-if-changed=build");
    println!("cargo::rerun-if-changed={CONSOLE}");
    let out_dir = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);

    let mut compiler = protox::Compiler::new([PROTO_ROOT])?;
    compiler.include_imports(true).include_source_info(true);
    for package in [model::LINK, model::API] {
        compiler.open_files(model::files(PROTO_ROOT, package)?)?;
    }
    // The pool keeps the options on the schema; the plain descriptor set, which prost wants, does not.
    let pool = compiler.descriptor_pool();
    let link = model::Schema::read(&pool, model::LINK)?;
    let mut api = model::Schema::read(&pool, model::API)?;
    api.borrow_from(&link)?;

    let mut files = compiler.file_descriptor_set();
    // What only says how to read the rest is of no use to prost.
    files.file.retain(|file| file.package() != "google.api");
    // prost takes a field that has any option for one that asks not to be packed.
    for message in files.file.iter_mut().flat_map(|f| &mut f.message_type) {
        message
            .field
            .iter_mut()
            .for_each(|field| field.options = None);
    }
    let secret = [&link, &api]
        .into_iter()
        .flat_map(|schema| &schema.messages)
        .filter(|message| message.has_sensitive_field());
    let built = |feature: &str| env::var_os(format!("CARGO_FEATURE_{feature}")).is_some();
    let grpc = tonic_prost_build::configure()
        .build_server(built("PLATFORM"))
        .build_client(built("CLI"))
        .build_transport(false);
    let secret: Vec<_> = secret.map(|message| &message.full_name).collect();
    let prost = || {
        let mut config = prost_build::Config::new();
        config.bytes(["."]).btree_map(["."]).skip_debug(&secret);
        config
    };
    prost()
        .extern_path(format!(".{}", model::LINK), "crate::schema::pb")
        .service_generator(grpc.service_generator())
        .compile_fds(files.clone())?;
    // After the API, for which the link's is nothing but a path.
    files.file.retain(|file| file.package() != model::API);
    prost().compile_fds(files)?;

    let write = |name: &str, text: String| fs::write(out_dir.join(name), text);
    fs::write(
        out_dir.join("descriptors.binpb"),
        compiler.encode_file_descriptor_set(),
    )?;
    write("messages.rs", messages::generate(&link)?)?;
    write("counted.rs", counted::generate(&link)?)?;
    write("dispatch.rs", dispatch::generate(&link)?)?;
    write("json.rs", json::generate(&link)?)?;
    write("protocol.md", docs::generate(&link)?)?;
    for (name, text) in link_schema::generate(&link)? {
        write(&name, text)?;
    }
    write("api_messages.rs", messages::generate(&api)?)?;
    write("api_json.rs", json::generate(&api)?)?;
    write("api.rs", api::generate(&api)?)?;
    let version = env::var("CARGO_PKG_VERSION")?;
    write("openapi.json", openapi::generate(&api, &version)?)?;
    write("cli.rs", cli::generate(&api)?)?;
    write("mcp.json", mcp::generate(&api)?)?;
    write("asyncapi.json", asyncapi::generate(&link, &api, &version)?)?;
    write("api_page.html", api_page::generate(&api, &version)?)?;
    write("console.rs", console::generate(Path::new(CONSOLE))?)?;
    Ok(())
}
