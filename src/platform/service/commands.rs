//! Commands: asked for, kept in the order of their host, and shown. They wait: nothing sends them yet.

use std::sync::Arc;
use std::time::Duration;

use prost::Message as _;

use super::page::{self, Page};
use super::{ErrorKind, ServiceError};
use crate::audit::Entry;
use crate::clock::UnixMillis;
use crate::ids::{CommandId, HostId};
use crate::platform::Platform;
use crate::platform::api::{Answer, Call, CommandService, InstallPackages};
use crate::platform::store::commands::{
    CommandFilter, CommandPlace, CommandRecord, NewCommand, Priority,
};
use crate::platform::store::deliveries::{DeliveryFilter, DeliveryState};
use crate::schema::pb;
use crate::secret::random;
use crate::wire::api::{
    Command, CommandParameters, CommandState, GetCommandRequest, GetCommandResponse,
    InstallPackagesRequest, InstallPackagesResponse, ListCommandsRequest, ListCommandsResponse,
    PackageAction, PackageOperation,
};

/// How long a command may wait for its host, where nobody says.
const EXPIRY: Duration = Duration::from_secs(24 * 60 * 60);
/// How long one may run, where nobody says.
const TIMEOUT_SECONDS: u32 = 15 * 60;
/// The command type of what is done with packages.
const PACKAGE_OPERATION: &str = "package_operation";

impl CommandService for Platform {
    async fn install_packages(
        self: Arc<Self>,
        call: Call,
        request: InstallPackagesRequest,
    ) -> Answer<InstallPackagesResponse> {
        check_packages(&request.packages)?;
        let host = self.find_host(&call, &request.host_id).await?;
        let (id, now) = (CommandId::random(random()), UnixMillis::now());
        let expires = request
            .expires_at
            .map_or(now.plus(EXPIRY), UnixMillis::from);
        if expires <= now {
            let detail =
                "a command that may not be begun any more is of no use: expires_at is past";
            return Err(refused("expires_at", "expiry_past", detail.to_owned()));
        }
        let operation = PackageOperation {
            operation: PackageAction::Install,
            packages: request.packages,
            options: request.options,
        };
        let packages = operation.packages.join(" ");
        let record = NewCommand {
            id,
            kind: PACKAGE_OPERATION.to_owned(),
            parameters: pb::PackageOperation::from(operation).encode_to_vec(),
            timeout_seconds: request.timeout.unwrap_or(TIMEOUT_SECONDS),
            user: call.actor().to_owned(),
            created: now,
            expires: Some(expires),
            priority: Priority::Normal,
            not_before: None,
            targets: String::new(),
            redrive_of: None,
            hosts: vec![host.id.into()],
        };
        let actor = call.actor();
        let audit = Entry::new(now, actor, "command.create", format!("command:{id}"))
            .host(host.id)
            .detail("host", host.name.as_str())
            .detail("command_type", PACKAGE_OPERATION)
            .detail("operation", "install")
            .detail("packages", packages);
        let answer = InstallPackagesResponse {
            command_id: id.into(),
            state: CommandState::Queued,
        };
        let change = call.change::<InstallPackages>(audit, &answer)?;
        self.store.create_command(record, change).await?;
        Ok(answer)
    }

    async fn list_commands(
        self: Arc<Self>,
        call: Call,
        request: ListCommandsRequest,
    ) -> Answer<ListCommandsResponse> {
        let page = Page::of(request.page_size, &request.page_token)?;
        let after = page.after().map(|place| place.parse().map(CommandPlace));
        let after = after.transpose().map_err(|_| page::token_invalid())?;
        let mut filter = CommandFilter {
            hosts: self.identity.granted_hosts(&call.caller),
            ..CommandFilter::default()
        };
        if !request.host.is_empty() {
            filter.hosts = Some(vec![self.find_host(&call, &request.host).await?.id]);
        }
        let found = self.store.commands(filter, after, page.size()).await?;
        let mut commands = Vec::with_capacity(found.found.len());
        for command in found.found {
            commands.push(self.shown(&call, command).await?);
        }
        let next = found.next.map(|place| place.0.to_string());
        Ok(ListCommandsResponse {
            commands: commands.into_iter().flatten().collect(),
            next_page_token: next.unwrap_or_default(),
        })
    }

    async fn get_command(
        self: Arc<Self>,
        call: Call,
        request: GetCommandRequest,
    ) -> Answer<GetCommandResponse> {
        let found = self.store.command(request.command_id.into()).await?;
        let seen = match found {
            Some(command) => self.shown(&call, command).await?,
            None => None,
        };
        let command = seen.ok_or_else(|| {
            let detail = "there is no command of this id";
            ServiceError::new(ErrorKind::NotFound, "command_unknown", detail)
        })?;
        Ok(GetCommandResponse {
            command: Some(command),
        })
    }
}

impl Platform {
    /// The command with the first of its hosts that the caller may see; `None` where there is none.
    async fn shown(
        &self,
        call: &Call,
        command: CommandRecord,
    ) -> Result<Option<Command>, ServiceError> {
        let filter = DeliveryFilter {
            command: Some(command.id),
            hosts: self.identity.granted_hosts(&call.caller),
            ..DeliveryFilter::default()
        };
        let page = self.store.deliveries(filter, None, 1).await?;
        let first = page.found.first();
        first.map(|first| show(first.host, command)).transpose()
    }
}

/// A name goes to a package manager among its arguments: it must not be taken for an option, nor hold what
/// no package's name has in any of them.
fn check_packages(packages: &[String]) -> Result<(), ServiceError> {
    if packages.is_empty() {
        let detail = "name one package at least".to_owned();
        return Err(refused("packages", "field_invalid", detail));
    }
    for (index, package) in packages.iter().enumerate() {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b".+-_:~@/=^".contains(&byte);
        let begins = package.bytes().next();
        if !begins.is_some_and(|byte| byte.is_ascii_alphanumeric() || b"@_".contains(&byte))
            || !package.bytes().all(fits)
        {
            let detail =
                "a package's name has letters, digits and . + - _ : ~ @ / = ^, and begins \
                          with no sign"
                    .to_owned();
            return Err(refused(
                &format!("packages[{index}]"),
                "package_invalid",
                detail,
            ));
        }
    }
    Ok(())
}

fn refused(field: &str, code: &'static str, detail: String) -> ServiceError {
    let mut error = ServiceError::new(ErrorKind::Invalid, code, detail);
    error.field = Some(field.to_owned());
    error
}

fn show(host: HostId, command: CommandRecord) -> Result<Command, ServiceError> {
    let unreadable = || {
        let detail = "what the store has of this command cannot be read";
        ServiceError::new(ErrorKind::Internal, "internal", detail)
    };
    let parameters =
        pb::PackageOperation::decode(&*command.parameters).map_err(|_| unreadable())?;
    let parameters = PackageOperation::try_from(parameters).map_err(|_| unreadable())?;
    Ok(Command {
        id: command.id.into(),
        host_id: host.into(),
        command_type: command.kind,
        state: if command.counts.of(DeliveryState::Expired) == 0 {
            CommandState::Queued
        } else {
            CommandState::Expired
        },
        user: command.user,
        created_at: Some(command.created.into()),
        expires_at: command.expires.map(Into::into),
        timeout: command.timeout_seconds,
        parameters: Some(CommandParameters::PackageOperation(parameters)),
    })
}
