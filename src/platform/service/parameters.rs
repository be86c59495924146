//! What a command is to do: its parameters between the API's words and what is kept of them, the rules that
//! the schema has no words for, and what the audit log says of them. The agent holds to the same rules:
//! what is refused here would be refused there, later.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use prost::Message;
use sha2::{Digest as _, Sha256};

use super::{ErrorKind, ServiceError};
use crate::audit::Entry;
use crate::audit::export::hex;
use crate::ids::HostName;
use crate::schema::pb;
use crate::wire::api::{
    AgentUpdate, CommandParameters, CreateCommandRequestParameters, FileTransfer, Inventory,
    InventoryPart, PackageAction, PackageOperation, Script, ServiceAction, ServiceOperation,
    SystemAction, SystemOperation, TransferDirection,
};
use crate::wire::package_name;

/// The most bytes of a command's parameters: with all that goes beside them they fit into a message of the
/// link, in either encoding.
const PARAMETERS_BYTES_MAX: usize = 512 * 1024;
/// How long an Ed25519 signature is, in bytes.
const SIGNATURE_BYTES: usize = 64;
/// Names of so many things are written into the audit log.
const NAMED_MAX: usize = 32;

impl From<CreateCommandRequestParameters> for CommandParameters {
    fn from(parameters: CreateCommandRequestParameters) -> Self {
        use CreateCommandRequestParameters as Asked;
        match parameters {
            Asked::PackageOperation(operation) => Self::PackageOperation(operation),
            Asked::ServiceOperation(operation) => Self::ServiceOperation(operation),
            Asked::SystemOperation(operation) => Self::SystemOperation(operation),
            Asked::Script(script) => Self::Script(script),
            Asked::FileTransfer(transfer) => Self::FileTransfer(transfer),
            Asked::Inventory(inventory) => Self::Inventory(inventory),
            Asked::AgentUpdate(update) => Self::AgentUpdate(update),
        }
    }
}

/// The command's type, as the link names it.
pub(super) const fn kind(parameters: &CommandParameters) -> &'static str {
    match parameters {
        CommandParameters::PackageOperation(_) => "package_operation",
        CommandParameters::ServiceOperation(_) => "service_operation",
        CommandParameters::SystemOperation(_) => "system_operation",
        CommandParameters::Script(_) => "script",
        CommandParameters::FileTransfer(_) => "file_transfer",
        CommandParameters::Inventory(_) => "inventory",
        CommandParameters::AgentUpdate(_) => "agent_update",
    }
}

/// The parameters as they are kept and sent, once they are such as can be run. `within` is where they stand in
/// the request.
///
/// # Errors
/// Names the field that is at fault.
pub(super) fn encoded(
    parameters: CommandParameters,
    within: &str,
) -> Result<Vec<u8>, ServiceError> {
    check(&parameters).map_err(|mut error| {
        let field = error.field.take().unwrap_or_default();
        error.field = Some(format!("{within}{field}"));
        error
    })?;
    let bytes = match parameters {
        CommandParameters::PackageOperation(operation) => {
            pb::PackageOperation::from(operation).encode_to_vec()
        }
        CommandParameters::ServiceOperation(operation) => {
            pb::ServiceOperation::from(operation).encode_to_vec()
        }
        CommandParameters::SystemOperation(operation) => {
            pb::SystemOperation::from(operation).encode_to_vec()
        }
        CommandParameters::Script(script) => pb::Script::from(script).encode_to_vec(),
        CommandParameters::FileTransfer(transfer) => {
            pb::FileTransfer::from(transfer).encode_to_vec()
        }
        CommandParameters::Inventory(inventory) => pb::Inventory::from(inventory).encode_to_vec(),
        CommandParameters::AgentUpdate(update) => pb::AgentUpdate::from(update).encode_to_vec(),
    };
    if bytes.len() > PARAMETERS_BYTES_MAX {
        let detail = format!(
            "a command's parameters have at most {PARAMETERS_BYTES_MAX} bytes, and these have {}",
            bytes.len()
        );
        let mut error = refused("", "parameters_too_large", &detail);
        error.field = Some(within.trim_end_matches('.').to_owned());
        return Err(error);
    }
    Ok(bytes)
}

/// The parameters that are kept of a command of this type; `None` for a type that the API does not name.
///
/// # Errors
/// When they cannot be read.
pub(super) fn decoded(kind: &str, bytes: &[u8]) -> Result<Option<CommandParameters>, ServiceError> {
    Ok(Some(match kind {
        "package_operation" => CommandParameters::PackageOperation(read::<
            pb::PackageOperation,
            PackageOperation,
        >(bytes)?),
        "service_operation" => CommandParameters::ServiceOperation(read::<
            pb::ServiceOperation,
            ServiceOperation,
        >(bytes)?),
        "system_operation" => {
            CommandParameters::SystemOperation(read::<pb::SystemOperation, SystemOperation>(bytes)?)
        }
        "script" => CommandParameters::Script(read::<pb::Script, Script>(bytes)?),
        "file_transfer" => {
            CommandParameters::FileTransfer(read::<pb::FileTransfer, FileTransfer>(bytes)?)
        }
        "inventory" => CommandParameters::Inventory(read::<pb::Inventory, Inventory>(bytes)?),
        "agent_update" => {
            CommandParameters::AgentUpdate(read::<pb::AgentUpdate, AgentUpdate>(bytes)?)
        }
        _ => return Ok(None),
    }))
}

/// Says in an audit entry what is to be done. A script's text is not in it, which may hold what nobody else
/// is to read; its hash says which it was.
pub(super) fn audited(entry: Entry, parameters: &CommandParameters) -> Entry {
    let entry = entry.detail("command_type", kind(parameters));
    match parameters {
        CommandParameters::PackageOperation(of) => entry
            .detail("operation", of.operation.to_string())
            .detail("packages", named(&of.packages)),
        CommandParameters::ServiceOperation(of) => entry
            .detail("operation", of.operation.to_string())
            .detail("service", of.service.as_str()),
        CommandParameters::SystemOperation(of) => {
            let entry = entry.detail("operation", of.operation.to_string());
            match &*of.hostname {
                "" => entry,
                hostname => entry.detail("hostname", hostname),
            }
        }
        CommandParameters::Script(of) => {
            let digest = Sha256::digest(of.content.as_bytes());
            entry
                .detail("interpreter", of.interpreter.as_str())
                .detail("script_sha256", hex(&digest))
                .detail("run_as", of.user.as_str())
        }
        CommandParameters::FileTransfer(of) => entry
            .detail("direction", of.direction.to_string())
            .detail("path", of.path.as_str())
            .detail("sha256", of.sha256.as_str()),
        CommandParameters::Inventory(of) => {
            let parts: Vec<_> = of.parts.iter().map(ToString::to_string).collect();
            entry.detail("parts", named(&parts))
        }
        CommandParameters::AgentUpdate(of) => entry
            .detail("agent_version", of.version.as_str())
            .detail("sha256", of.sha256.as_str())
            .detail("signature", of.signature.as_str()),
    }
}

/// Some names as the audit log has them: the first of them, and how many there are beside.
pub(super) fn named(names: &[String]) -> String {
    let first = names.iter().take(NAMED_MAX);
    let first = first.map(String::as_str).collect::<Vec<_>>().join(" ");
    match names.len().saturating_sub(NAMED_MAX) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

fn read<W, T>(bytes: &[u8]) -> Result<T, ServiceError>
where
    W: Message + Default,
    T: TryFrom<W>,
{
    let unreadable = || {
        let detail = "what the store has of this command cannot be read";
        ServiceError::new(ErrorKind::Internal, "internal", detail)
    };
    let wire = W::decode(bytes).map_err(|_| unreadable())?;
    T::try_from(wire).map_err(|_| unreadable())
}

fn check(parameters: &CommandParameters) -> Result<(), ServiceError> {
    match parameters {
        CommandParameters::PackageOperation(of) => check_packages(of),
        CommandParameters::ServiceOperation(of) => check_service(of),
        CommandParameters::SystemOperation(of) => check_system(of),
        CommandParameters::Script(of) => check_script(of),
        CommandParameters::FileTransfer(of) => check_transfer(of),
        CommandParameters::Inventory(of) => check_inventory(of),
        CommandParameters::AgentUpdate(of) => check_update(of),
    }
}

fn check_packages(of: &PackageOperation) -> Result<(), ServiceError> {
    match of.operation {
        PackageAction::Install | PackageAction::Remove if of.packages.is_empty() => {
            return Err(refused(
                "packages",
                "field_invalid",
                "name one package at least",
            ));
        }
        PackageAction::Update if !of.packages.is_empty() => {
            let detail = "an update refreshes the lists of all packages: upgrade brings some to the newest version";
            return Err(refused("packages", "field_invalid", detail));
        }
        PackageAction::Unspecified | PackageAction::Unknown(_) => return Err(no_operation()),
        _ => {}
    }
    for (index, package) in of.packages.iter().enumerate() {
        if !package_name::fits(package) {
            let field = format!("packages[{index}]");
            return Err(refused(&field, "package_invalid", package_name::WHAT));
        }
    }
    Ok(())
}

fn check_service(of: &ServiceOperation) -> Result<(), ServiceError> {
    if matches!(
        of.operation,
        ServiceAction::Unspecified | ServiceAction::Unknown(_)
    ) {
        return Err(no_operation());
    }
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b":-_.\\@".contains(&byte);
    if of.service.starts_with('-') || !of.service.bytes().all(fits) {
        let detail = "a service's name has letters, digits and : - _ . \\ @, and begins with no -";
        return Err(refused("service", "service_invalid", detail));
    }
    Ok(())
}

fn check_system(of: &SystemOperation) -> Result<(), ServiceError> {
    match of.operation {
        SystemAction::Unspecified | SystemAction::Unknown(_) => return Err(no_operation()),
        SystemAction::SetHostname => {
            if let Err(error) = of.hostname.parse::<HostName>() {
                return Err(refused("hostname", "hostname_invalid", &error.to_string()));
            }
        }
        SystemAction::SetTime => {
            if of.time.is_none() && of.time_zone.is_empty() {
                let detail = "say the time, the time zone, or both";
                return Err(refused("time", "field_invalid", detail));
            }
        }
        SystemAction::Reboot | SystemAction::Shutdown => {}
    }
    let sets = |action| of.operation == action;
    if !of.hostname.is_empty() && !sets(SystemAction::SetHostname) {
        let detail = "a hostname goes with set_hostname alone";
        return Err(refused("hostname", "field_invalid", detail));
    }
    if (of.time.is_some() || !of.time_zone.is_empty()) && !sets(SystemAction::SetTime) {
        let detail = "a time goes with set_time alone";
        return Err(refused("time", "field_invalid", detail));
    }
    // As in tz: it becomes a file's name there.
    let parts = || of.time_zone.split('/');
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"+-_".contains(&byte);
    let is_part = |part: &str| !part.is_empty() && part.bytes().all(fits);
    if !of.time_zone.is_empty() && !parts().all(is_part) {
        let detail = "a time zone looks like Europe/Berlin";
        return Err(refused("time_zone", "time_zone_invalid", detail));
    }
    Ok(())
}

fn check_script(of: &Script) -> Result<(), ServiceError> {
    for (field, path) in [
        ("interpreter", &of.interpreter),
        ("working_directory", &of.working_directory),
    ] {
        let climbs = path.split('/').any(|part| part == "..");
        if !path.is_empty() && (!path.starts_with('/') || climbs || has_controls(path)) {
            let detail = "it is an absolute path, without .. in it";
            return Err(refused(field, "path_invalid", detail));
        }
    }
    for (index, argument) in of.arguments.iter().enumerate() {
        if argument.contains('\0') {
            let field = format!("arguments[{index}]");
            let detail = "an argument has no NUL character";
            return Err(refused(&field, "field_invalid", detail));
        }
    }
    for (name, value) in &of.environment {
        let begins = !name.starts_with(|first: char| first.is_ascii_digit()) && !name.is_empty();
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if !begins || !name.bytes().all(fits) || value.contains('\0') {
            let detail = "a variable's name has letters, digits and _, and begins with no digit; \
                          its value has no NUL character";
            return Err(refused("environment", "environment_invalid", detail));
        }
    }
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if of.user.starts_with('-') || !of.user.bytes().all(fits) {
        let detail = "a user's name has letters, digits and . _ -, and begins with no -";
        return Err(refused("user", "user_invalid", detail));
    }
    Ok(())
}

fn check_transfer(of: &FileTransfer) -> Result<(), ServiceError> {
    let to_host = match of.direction {
        TransferDirection::ToHost => true,
        TransferDirection::FromHost => false,
        TransferDirection::Unspecified | TransferDirection::Unknown(_) => {
            let detail = "say which way: to_host or from_host";
            return Err(refused("direction", "field_invalid", detail));
        }
    };
    let climbs = of.path.split('/').any(|part| part == ".." || part == ".");
    let path = &of.path;
    if !path.starts_with('/') || path.ends_with('/') || climbs || has_controls(path) {
        let detail = "it is an absolute path of a file, without .. in it";
        return Err(refused("path", "path_invalid", detail));
    }
    if !to_host && (of.mode != 0 || !of.owner.is_empty() || of.overwrite) {
        let detail = "mode, owner and overwrite are for a file that is brought to a host";
        return Err(refused("mode", "field_invalid", detail));
    }
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if of.owner.starts_with('-') || !of.owner.bytes().all(fits) {
        let detail = "a user's name has letters, digits and . _ -, and begins with no -";
        return Err(refused("owner", "user_invalid", detail));
    }
    Ok(())
}

/// Whether a signature is right is known by who has the keys: the agents.
fn check_update(of: &AgentUpdate) -> Result<(), ServiceError> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b".+-".contains(&byte);
    if !of.version.starts_with(|c: char| c.is_ascii_digit()) || !of.version.bytes().all(fits) {
        let detail = "a version looks like 1.2.3 or 1.2.3-rc.1";
        return Err(refused("version", "field_invalid", detail));
    }
    if of.size_bytes == 0 {
        return Err(refused(
            "size_bytes",
            "field_invalid",
            "a program has bytes",
        ));
    }
    let signature = STANDARD.decode(&of.signature);
    if signature.is_ok_and(|signature| signature.len() == SIGNATURE_BYTES) {
        return Ok(());
    }
    let detail = "it is what fleetwire agents sign prints: 64 bytes in base64";
    Err(refused("signature", "signature_invalid", detail))
}

fn check_inventory(of: &Inventory) -> Result<(), ServiceError> {
    let known = |part: &InventoryPart| {
        !matches!(part, InventoryPart::Unspecified | InventoryPart::Unknown(_))
    };
    if of.parts.iter().all(known) {
        return Ok(());
    }
    let detail = "a part is hardware, operating_system, packages, network or services";
    Err(refused("parts", "field_invalid", detail))
}

fn has_controls(text: &str) -> bool {
    text.chars().any(char::is_control)
}

fn no_operation() -> ServiceError {
    refused("operation", "field_invalid", "say the operation")
}

/// A refusal that names a field.
pub(super) fn refused(field: &str, code: &'static str, detail: &str) -> ServiceError {
    let mut error = ServiceError::new(ErrorKind::Invalid, code, detail);
    error.field = Some(field.to_owned());
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(parameters: CommandParameters) -> (String, &'static str) {
        let error = encoded(parameters, "it.").expect_err("refused");
        (error.field.unwrap_or_default(), error.code)
    }

    fn script(change: impl FnOnce(&mut pb::Script)) -> CommandParameters {
        let mut script = pb::Script {
            content: "true".to_owned(),
            ..pb::Script::default()
        };
        change(&mut script);
        CommandParameters::Script(script.try_into().expect("within the schema"))
    }

    fn system(change: impl FnOnce(&mut pb::SystemOperation)) -> CommandParameters {
        let mut system = pb::SystemOperation::default();
        change(&mut system);
        CommandParameters::SystemOperation(system.try_into().expect("within the schema"))
    }

    #[test]
    fn what_no_host_could_run_is_refused_with_its_field() {
        let packages = |operation, packages: &[&str]| {
            CommandParameters::PackageOperation(PackageOperation {
                operation,
                packages: packages.iter().map(|&name| name.to_owned()).collect(),
                options: None,
            })
        };
        let service = |operation, service: &str| {
            CommandParameters::ServiceOperation(ServiceOperation {
                operation,
                service: service.to_owned(),
            })
        };
        let hostname = |name: &str| {
            system(|of| {
                of.operation = pb::SystemAction::SetHostname as i32;
                name.clone_into(&mut of.hostname);
            })
        };
        let invalid = "field_invalid";
        for (parameters, field, code) in [
            (packages(PackageAction::Install, &[]), "packages", invalid),
            (packages(PackageAction::Update, &["a"]), "packages", invalid),
            (
                packages(PackageAction::Unspecified, &["a"]),
                "operation",
                invalid,
            ),
            (
                packages(PackageAction::Unknown(99), &["a"]),
                "operation",
                invalid,
            ),
            (
                packages(PackageAction::Install, &["a", "-y"]),
                "packages[1]",
                "package_invalid",
            ),
            (
                packages(PackageAction::Remove, &["a;reboot"]),
                "packages[0]",
                "package_invalid",
            ),
            (
                service(ServiceAction::Unspecified, "a"),
                "operation",
                invalid,
            ),
            (
                service(ServiceAction::Stop, "-a"),
                "service",
                "service_invalid",
            ),
            (
                service(ServiceAction::Stop, "a b"),
                "service",
                "service_invalid",
            ),
            (hostname(""), "hostname", "hostname_invalid"),
            (hostname("a b"), "hostname", "hostname_invalid"),
            (
                system(|of| {
                    of.operation = pb::SystemAction::Reboot as i32;
                    of.hostname = "kvm".to_owned();
                }),
                "hostname",
                invalid,
            ),
            (
                system(|of| of.operation = pb::SystemAction::SetTime as i32),
                "time",
                invalid,
            ),
            (
                system(|of| {
                    of.operation = pb::SystemAction::SetTime as i32;
                    of.time_zone = "../etc".to_owned();
                }),
                "time_zone",
                "time_zone_invalid",
            ),
            (
                script(|of| of.interpreter = "sh".to_owned()),
                "interpreter",
                "path_invalid",
            ),
            (
                script(|of| of.working_directory = "/srv/../etc".to_owned()),
                "working_directory",
                "path_invalid",
            ),
            (
                script(|of| of.arguments = vec!["a".to_owned(), "\0".to_owned()]),
                "arguments[1]",
                invalid,
            ),
            (
                script(|of| {
                    of.environment.insert("A=B".to_owned(), String::new());
                }),
                "environment",
                "environment_invalid",
            ),
            (
                script(|of| of.user = "-c".to_owned()),
                "user",
                "user_invalid",
            ),
        ] {
            assert_eq!(
                refusal(parameters),
                (format!("it.{field}"), code),
                "{field}"
            );
        }
        let large = script(|of| of.content = "\u{1f980}".repeat(140_000));
        assert_eq!(refusal(large), ("it".to_owned(), "parameters_too_large"));
    }

    #[test]
    fn what_is_kept_is_read_again() {
        let asked = script(|of| of.arguments = vec!["$(reboot)".to_owned()]);
        let kept = encoded(asked.clone(), "script.").expect("good");
        assert_eq!(decoded(kind(&asked), &kept), Ok(Some(asked)));
        assert_eq!(decoded("dance", &kept), Ok(None));
        assert!(decoded("script", b"\xff").is_err());
    }

    #[test]
    fn the_audit_log_has_no_more_of_it_than_it_should() {
        let names: Vec<_> = (0..NAMED_MAX + 2).map(|n| n.to_string()).collect();
        assert!(
            named(&names).ends_with("31 and 2 more"),
            "{}",
            named(&names)
        );
        let secret = script(|of| of.content = "PASSWORD=x".to_owned());
        let entry = Entry::new(crate::clock::UnixMillis(0), "ada", "command.create", "");
        let entry = audited(entry, &secret);
        assert!(!format!("{entry:?}").contains("PASSWORD"));
    }
}
