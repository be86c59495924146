//! `files put` and `files get`: a file of this machine to hosts, by way of the platform, and a file of a host to
//! this machine. Both go on where they broke off. The other commands about files are generated.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args as _, ValueHint};
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::time::sleep;

use super::call::Client;
use super::connection::CallError;
use super::fleet::{self, Asking, Selected};
use super::server;
use super::text::number;
use super::usage::UsageError;
use super::{Error, output};
use crate::files::FileError;
use crate::net::own_origin::hash_text;
use crate::schema::api as pb;
use crate::schema::api::file_service_client::FileServiceClient;

/// The group of the generated commands that these belong to.
pub(super) const GROUP: &str = "file";
/// The subcommands' names.
pub(super) const PUT: &str = "put";
pub(super) const GET: &str = "get";
/// How much goes in one request: as much as the schema lets.
const PIECE_BYTES: usize = 1 << 20;
/// How often in a row the platform is asked in vain, and how long is waited each time.
const TRIES_MAX: u32 = 60;
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// Bring a file to hosts: fleetwire files put HOST LOCAL REMOTE
#[derive(clap::Args)]
pub(super) struct Put {
    /// The host, the file here, and its path there; the last two alone with --host, --group, --label or --all
    #[arg(value_name = "HOST LOCAL REMOTE", required = true)]
    words: Vec<String>,
    #[command(flatten)]
    selected: Selected,
    /// The permission bits that it gets there, in octal; without it 0600
    #[arg(long, value_name = "MODE", value_parser = octal)]
    mode: Option<u32>,
    /// Whom it is to belong to there; without it whom the agent runs as
    #[arg(long, value_name = "NAME")]
    owner: Option<String>,
    /// Put it in the place of a file that is there
    #[arg(long)]
    overwrite: bool,
    #[command(flatten)]
    asking: Asking,
}

/// Take a file from a host, and wait for it: fleetwire files get HOST REMOTE LOCAL
#[derive(clap::Args)]
pub(super) struct Get {
    /// The host, by name or id
    #[arg(value_name = "HOST")]
    host: String,
    /// The file's path there
    #[arg(value_name = "REMOTE")]
    remote: String,
    /// The file here, or the folder that it is to be in
    #[arg(value_name = "LOCAL", value_hint = ValueHint::AnyPath)]
    local: PathBuf,
    /// Leave the platform's copy there until it expires
    #[arg(long)]
    keep: bool,
    #[command(flatten)]
    asking: Asking,
}

/// The subcommands as clap has them.
pub(super) fn commands() -> [clap::Command; 2] {
    [
        Put::augment_args(clap::Command::new(PUT)),
        Get::augment_args(clap::Command::new(GET)),
    ]
}

pub(super) async fn put(args: Put, server: &server::Args, json: bool) -> Result<(), Error> {
    let mut words = args.words;
    let rest = words.split_off(words.len().saturating_sub(2));
    let [local, remote] = &rest[..] else {
        return Err(wrong("say which: fleetwire files put HOST LOCAL REMOTE").into());
    };
    let targets = args.selected.targets(words)?;
    let local = Local::open(Path::new(local))?;
    let parameters = json!({
        "direction": "to_host",
        "path": remote,
        "size_bytes": local.size,
        "sha256": hash_text(&local.sha256),
        "mode": args.mode.unwrap_or_default(),
        "owner": args.owner.unwrap_or_default(),
        "overwrite": args.overwrite,
    });
    if args.asking.is_dry_run() {
        // Which hosts it would go to does not hang on what goes there, and nothing is there yet.
        let work = ("inventory", json!({}));
        return fleet::ask(server, json, &args.asking, targets, work).await;
    }
    let mut client = Client::connect(server).await?;
    upload(&mut client, &local).await?;
    let work = ("file_transfer", parameters);
    fleet::ask(server, json, &args.asking, targets, work).await
}

pub(super) async fn get(args: Get, server: &server::Args, json: bool) -> Result<(), Error> {
    let to = match args.remote.rsplit('/').next() {
        Some(name) if args.local.is_dir() => args.local.join(name),
        _ => args.local,
    };
    let targets = json!({"hosts": [args.host]});
    let parameters = json!({"direction": "from_host", "path": args.remote});
    let work = ("file_transfer", parameters);
    let mut client = Client::connect(server).await?;
    let asked = fleet::ask_and_wait(&mut client, json, &args.asking, targets, work, None).await?;
    let Some(command) = asked else {
        return Ok(());
    };
    let files = client
        .once("FileService", "ListFiles", json!({"command_id": command}))
        .await?;
    let file = &files["files"][0];
    download(&mut client, file, &to).await?;
    if !args.keep {
        let request = json!({"file_id": file["id"]});
        if let Err(error) = client.once("FileService", "DeleteFile", request).await {
            output::beside(&format!("the platform keeps its copy: {error}"));
        }
    }
    if json {
        return output::json(file);
    }
    Ok(())
}

/// A file of this machine.
pub(super) struct Local {
    path: PathBuf,
    file: File,
    /// How many bytes it has.
    pub(super) size: u64,
    /// Their SHA-256.
    pub(super) sha256: [u8; 32],
}

impl Local {
    pub(super) fn open(path: &Path) -> Result<Self, UsageError> {
        let read = || {
            let mut file = File::open(path)?;
            if !file.metadata()?.is_file() {
                return Err(io::Error::other("it is no regular file"));
            }
            let (mut hasher, mut size) = (Sha256::new(), 0);
            let mut piece = vec![0; PIECE_BYTES];
            loop {
                match file.read(&mut piece)? {
                    0 => break,
                    count => {
                        hasher.update(&piece[..count]);
                        size += count as u64;
                    }
                }
            }
            Ok((file, size, hasher.finalize().into()))
        };
        let (file, size, sha256) = read().map_err(FileError::on("read", path))?;
        Ok(Self {
            path: path.to_owned(),
            file,
            size,
            sha256,
        })
    }

    fn piece(&self, at: u64) -> Result<Vec<u8>, UsageError> {
        let length = (self.size - at).min(PIECE_BYTES as u64);
        let mut piece = vec![0; usize::try_from(length).unwrap_or(PIECE_BYTES)];
        let read = self.file.read_exact_at(&mut piece, at);
        read.map_err(FileError::on("read", &self.path))?;
        Ok(piece)
    }
}

/// Brings a file to the platform, unless it has it; what an earlier call has left is gone on with.
pub(super) async fn upload(client: &mut Client<'_>, local: &Local) -> Result<(), Error> {
    let sha256 = hash_text(&local.sha256);
    let known = client.all("FileService", "ListFiles", json!({})).await?;
    let known = known["files"].as_array().map_or(&[][..], Vec::as_slice);
    let same = known.iter().filter(|file| {
        file["sha256"] == *sha256
            && number(file, "size_bytes") == local.size
            && (file["complete"] == true || file["host_id"].is_null())
    });
    // One that is whole before one that is not.
    let file = match same.max_by_key(|file| file["complete"] == true) {
        Some(file) => file.clone(),
        None => {
            let name = local.path.file_name().unwrap_or_default();
            let name: String = name.to_string_lossy().chars().take(255).collect();
            let name = name.replace(char::is_control, "_");
            let request = json!({"size_bytes": local.size, "sha256": sha256, "name": name});
            client.once("FileService", "CreateFile", request).await?
        }
    };
    let id = file["id"].as_str().unwrap_or_default().to_owned();
    let stands = |file: &Value| (number(file, "received_bytes"), file["complete"] == true);
    let (mut have, mut is_whole) = stands(&file);
    let mut line = Line::new("to the platform");
    let mut in_vain = 0;
    while !is_whole {
        line.show(have, local.size);
        let piece = local.piece(have.min(local.size))?;
        match write(client, &id, have, piece).await {
            Ok(file) => {
                (have, is_whole) = (file.received_bytes, file.complete);
                in_vain = 0;
            }
            Err(error) => {
                again(client, error, &mut in_vain).await?;
                let request = json!({"file_id": id});
                if let Ok(found) = client.once("FileService", "GetFile", request).await {
                    (have, is_whole) = stands(&found);
                }
            }
        }
    }
    line.show(local.size, local.size);
    line.end();
    Ok(())
}

/// Brings a piece, as it is: in JSON, which the generated commands are called by, it would be base64.
async fn write(
    client: &Client<'_>,
    id: &str,
    offset: u64,
    data: Vec<u8>,
) -> Result<pb::File, Error> {
    let connection = client.connection();
    let origin = connection.origin();
    let mut files = FileServiceClient::with_origin(connection.clone(), origin);
    let request = pb::WriteFileRequest {
        file_id: id.to_owned(),
        offset,
        data: data.into(),
    };
    let answer = connection.answer(files.write_file(request)).await?;
    Ok(answer.file.unwrap_or_default())
}

/// Brings a file from the platform, and checks what came.
async fn download(client: &mut Client<'_>, file: &Value, to: &Path) -> Result<(), Error> {
    let (size, mut at) = (number(file, "size_bytes"), 0);
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty());
    let made = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new(".")));
    let mut made = made.map_err(Error::Output)?;
    let (mut hasher, mut in_vain) = (Sha256::new(), 0);
    let mut line = Line::new("from the platform");
    while at < size {
        let request = json!({"file_id": file["id"], "offset": at});
        let read = async {
            let mut pieces = client.several("FileService", "ReadFile", request).await?;
            while let Some(piece) = pieces.next().await {
                let piece = piece?;
                made.write_all(&piece).map_err(Error::Output)?;
                hasher.update(&piece);
                at += piece.len() as u64;
                in_vain = 0;
                line.show(at, size);
            }
            Ok(())
        };
        if let Err(error) = read.await {
            again(client, error, &mut in_vain).await?;
        }
    }
    line.end();
    let sha256 = hash_text(&hasher.finalize().into());
    if file["sha256"] != *sha256 {
        let error = io::Error::other("what came has another SHA-256 than the host said");
        return Err(Error::Output(error));
    }
    made.as_file().sync_all().map_err(Error::Output)?;
    let kept = made.persist(to);
    kept.map(drop).map_err(|error| Error::Output(error.error))
}

/// Waits before another try, where one may help.
async fn again(client: &mut Client<'_>, error: Error, in_vain: &mut u32) -> Result<(), Error> {
    let passes = match &error {
        Error::Call(CallError::Reach(_)) | Error::Reach(_) => true,
        Error::Call(CallError::Refused { code, .. }) => code == "offset_wrong",
        _ => false,
    };
    *in_vain += 1;
    if !passes || *in_vain > TRIES_MAX {
        return Err(error);
    }
    sleep(TRY_AGAIN).await;
    // Where it does not connect, the next call says so.
    let _ = client.reconnect().await;
    Ok(())
}

/// How far it is, in one line at a terminal.
struct Line {
    what: &'static str,
    shown: Option<u64>,
    in_place: bool,
}

impl Line {
    fn new(what: &'static str) -> Self {
        Self {
            what,
            shown: None,
            in_place: io::stderr().is_terminal(),
        }
    }

    fn show(&mut self, have: u64, size: u64) {
        let percent = have.saturating_mul(100) / size.max(1);
        if self.in_place && self.shown.replace(percent) != Some(percent) {
            // A terminal that is gone is nobody's loss.
            let _ = write!(io::stderr(), "\r{}: {percent} %", self.what);
        }
    }

    fn end(&mut self) {
        if self.shown.take().is_some() {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

fn octal(text: &str) -> Result<u32, String> {
    let mode = u32::from_str_radix(text, 8).ok();
    mode.filter(|mode| (1..=0o7777).contains(mode))
        .ok_or_else(|| "permission bits look like 0644".to_owned())
}

fn wrong(what: &str) -> UsageError {
    UsageError::Request {
        field: "files".to_owned(),
        what: what.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permission_bits_are_octal() {
        assert_eq!(octal("0644"), Ok(0o644));
        assert_eq!(octal("755"), Ok(0o755));
        for wrong in ["", "0", "0888", "17777", "rw"] {
            assert!(octal(wrong).is_err(), "{wrong}");
        }
    }
}
