//! `package_operation`: what the owner allows, one run of the package manager, and what it changed, which
//! the manager's own list says before and after. What each manager is told is in `managers`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use tokio::time::Instant;

use super::allowed::{PackageRules, invalid, kind_refused, refused};
use super::family::{Mark, Owner};
use super::faults::{self, failed};
use super::managers::{Manager, Request, find};
use super::process::{self, End, Printed, Program, Run, Watch};
use super::{Executor, Fault, Job, Outcome, Reports, Stop};
use crate::wire::messages::{
    Package, PackageAction, PackageOperation, PackageResult, ResponseResult,
};
use crate::wire::package_name;

/// Most packages that a result lists.
const PACKAGES_MAX: usize = 8192;
/// Most bytes of them, so that a response stays within its bound.
const LIST_BYTES_MAX: usize = 384 << 10;
/// Most names of packages that were installed or removed.
const NAMES_MAX: usize = 1024;
/// The most that a manager's list may have: more than 100,000 packages.
const LISTING_BYTES_MAX: usize = 16 << 20;

/// Runs package managers.
#[derive(Debug)]
pub(super) struct Packages {
    rules: Option<PackageRules>,
    owner: Owner,
    manager: Option<Manager>,
    root: Option<PathBuf>,
}

impl Packages {
    pub(super) fn new(rules: Option<PackageRules>, owner: Owner) -> Self {
        let named = rules.as_ref().and_then(|rules| rules.manager);
        Self {
            manager: named.or_else(Manager::detect),
            root: rules.as_ref().and_then(|rules| rules.root.clone()),
            rules,
            owner,
        }
    }

    /// The mark of what runs for this command.
    pub(super) fn mark(&self, job: &Job) -> Mark {
        self.owner.mark(&job.id)
    }

    /// What is installed, for an inventory.
    pub(super) async fn installed(&self, watch: Watch<'_>) -> Result<Vec<Package>, Fault> {
        let manager = self.manager.ok_or_else(no_manager)?;
        list(manager, self.root.as_ref(), watch).await
    }

    fn allow(&self, operation: &PackageOperation) -> Result<Manager, Fault> {
        let Some(rules) = &self.rules else {
            return Err(kind_refused("package_operation"));
        };
        let action = match operation.operation {
            PackageAction::Install => "install",
            PackageAction::Remove => "remove",
            PackageAction::Update => "update",
            PackageAction::Upgrade => "upgrade",
            PackageAction::List => "list",
            PackageAction::Unspecified | PackageAction::Unknown(_) => {
                return Err(invalid("operation", "say which"));
            }
        };
        if !rules.allows_operation(action) {
            let what = format!("the operation {action}");
            return Err(refused("package_operation.operations", &what));
        }
        let manager = self.manager.ok_or_else(no_manager)?;
        for package in &operation.packages {
            let name = manager.name_of(package);
            if !rules.allows_package(name) {
                let what = format!("the package {name}");
                return Err(refused("package_operation.packages", &what));
            }
        }
        let is_for_all =
            operation.operation == PackageAction::Upgrade && operation.packages.is_empty();
        if is_for_all && !rules.allows_every_package() {
            let what = "an upgrade of all packages, for which `*` has to be among the patterns";
            return Err(refused("package_operation.packages", what));
        }
        Ok(manager)
    }
}

fn no_manager() -> Fault {
    Fault {
        reason: "not_supported",
        detail: "this host has none of the package managers apt, zypper, dnf, apk and pacman"
            .to_owned(),
    }
}

impl Executor for Packages {
    type Parameters = PackageOperation;

    fn check(&self, operation: &PackageOperation) -> Result<(), Fault> {
        for (index, package) in operation.packages.iter().enumerate() {
            if !package_name::fits(package) {
                return Err(invalid(&format!("packages[{index}]"), package_name::WHAT));
            }
        }
        let manager = self.allow(operation)?;
        for (index, package) in operation.packages.iter().enumerate() {
            if let Some(reason) = manager.misreads(package) {
                return Err(invalid(&format!("packages[{index}]"), reason));
            }
        }
        match operation.operation {
            PackageAction::Install | PackageAction::Remove if operation.packages.is_empty() => {
                Err(invalid("packages", "name one at least"))
            }
            PackageAction::Update | PackageAction::List if !operation.packages.is_empty() => Err(
                invalid("packages", "this operation is about all: name none"),
            ),
            _ => Ok(()),
        }
    }

    async fn run(
        &self,
        job: &Job,
        operation: &PackageOperation,
        reports: &Reports,
        stop: Stop,
    ) -> Outcome {
        let manager = match self.allow(operation) {
            Ok(manager) => manager,
            Err(fault) => return Outcome::failed(fault),
        };
        let begun = Instant::now();
        let mut going = Going {
            manager,
            packages: self,
            job,
            begun,
            deadline: job.time_limit.map(|limit| begun + limit),
            reports,
            stop,
        };
        match operation.operation {
            PackageAction::List => going.list().await,
            _ => going.change(operation).await,
        }
    }
}

/// One operation that is being done.
struct Going<'a> {
    manager: Manager,
    packages: &'a Packages,
    job: &'a Job,
    begun: Instant,
    deadline: Option<Instant>,
    reports: &'a Reports,
    stop: Stop,
}

impl Going<'_> {
    fn watch(&mut self, heard: bool) -> Watch<'_> {
        Watch {
            mark: self.packages.mark(self.job),
            deadline: self.deadline,
            reports: heard.then_some(self.reports),
            stop: &mut self.stop,
        }
    }

    async fn installed(&mut self) -> Result<Vec<Package>, Fault> {
        let (manager, packages) = (self.manager, self.packages);
        list(manager, packages.root.as_ref(), self.watch(false)).await
    }

    async fn list(&mut self) -> Outcome {
        let mut result = self.result(None);
        let fault = match self.installed().await {
            Ok(packages) => {
                let count = packages.len();
                result.packages = bounded(packages, LIST_BYTES_MAX);
                if result.packages.len() < count {
                    result.output = shortened(result.packages.len(), count);
                }
                None
            }
            Err(fault) => Some(self.limited(fault)),
        };
        result.execution_time = self.begun.elapsed().as_secs_f64();
        outcome(fault, result)
    }

    async fn change(&mut self, operation: &PackageOperation) -> Outcome {
        let before = match self.installed().await {
            Ok(before) => before,
            Err(fault) => return outcome(Some(self.limited(fault)), self.result(None)),
        };
        let mut names = operation.packages.clone();
        if let Some(fault) = self.narrow(operation.operation, &mut names, &before) {
            return outcome(Some(fault), self.result(None));
        }
        if names.is_empty() && !operation.packages.is_empty() {
            return outcome(None, self.result(None));
        }
        let time = self
            .deadline
            .map(|at| at.saturating_duration_since(Instant::now()));
        let arguments = self.manager.arguments(&Request {
            action: operation.operation,
            packages: &names,
            yes: operation
                .options
                .as_ref()
                .is_some_and(|options| options.yes),
            root: self.packages.root.as_deref(),
            time,
        });
        let program = match found(self.manager.program()) {
            Ok(path) => Program::new(path).arguments(arguments),
            Err(fault) => return outcome(Some(fault), self.result(None)),
        };
        let program = with_environment(program, self.manager);
        let run = match process::run(program, self.watch(true)).await {
            Ok(run) => run,
            Err(error) => {
                let why = format!("{}: {error}", self.manager.program());
                return outcome(Some(faults::start_failed(&why)), self.result(None));
            }
        };
        let fault = self.fault(&run, operation);
        let mut result = self.result(Some(&run));
        // What was cut may have done a part. Looking takes its time after the limit, within bounds.
        let looked = self.deadline.map(|at| at.max(Instant::now() + LOOK_AFTER));
        self.deadline = looked;
        self.stop = never();
        match self.installed().await {
            Ok(after) => {
                let (installed, removed) = difference(&before, &after);
                for (names, count) in [(&installed, "installed"), (&removed, "removed")] {
                    if names.len() > NAMES_MAX {
                        let note = shortened(NAMES_MAX, names.len());
                        result.output.push_str(&format!("\n{count}: {note}"));
                    }
                }
                result.installed_packages = installed.into_iter().take(NAMES_MAX).collect();
                result.removed_packages = removed.into_iter().take(NAMES_MAX).collect();
            }
            Err(fault) => {
                let note = format!("\nwhat it changed is not known: {}\n", fault.detail);
                result.output.push_str(&note);
            }
        }
        result.output = end_of(result.output);
        result.execution_time = self.begun.elapsed().as_secs_f64();
        outcome(fault, result)
    }

    /// Leaves away what the manager would do more to than was asked.
    fn narrow(
        &self,
        action: PackageAction,
        names: &mut Vec<String>,
        before: &[Package],
    ) -> Option<Fault> {
        let is_installed = |name: &str| before.iter().any(|package| package.name == name);
        if self.manager == Manager::Pacman && action == PackageAction::Upgrade {
            // Its only way to bring one package to the newest version installs it as well.
            names.retain(|name| is_installed(self.manager.name_of(name)));
        }
        if self.manager == Manager::Apt && action != PackageAction::Install {
            // apt takes it for the wish to install, unless there is a package of that name.
            let wish = names
                .iter()
                .find(|name| name.ends_with('+') && !is_installed(name));
            if let Some(name) = wish {
                let detail = format!("there is no package {name} that could be removed");
                return Some(failed("not_installed", detail));
            }
        }
        None
    }

    fn fault(&self, run: &Run, operation: &PackageOperation) -> Option<Fault> {
        let yes = operation
            .options
            .as_ref()
            .is_some_and(|options| options.yes);
        match run.end {
            End::Exited(code) if self.manager.is_success(code) => None,
            End::Exited(code) if !yes && self.manager.would_ask(code, &run.printed.text()) => {
                let detail = "the package manager would ask, and nothing was done: `options.yes` \
                              lets it go ahead";
                Some(failed("would_ask", detail.to_owned()))
            }
            End::Exited(code) => {
                let name = self.manager.program();
                Some(failed("exit_code", format!("{name} exited with {code}")))
            }
            end => faults::of_end(end, self.job.time_limit),
        }
    }

    /// A fault of a listing, with the command's own limit in its words.
    fn limited(&self, fault: Fault) -> Fault {
        match fault.reason {
            "timed_out" => faults::timed_out(self.job.time_limit),
            _ => fault,
        }
    }

    fn result(&self, run: Option<&Run>) -> PackageResult {
        let exit_code = run.and_then(|run| match run.end {
            End::Exited(code) => Some(code.into()),
            _ => None,
        });
        PackageResult {
            installed_packages: Vec::new(),
            execution_time: self.begun.elapsed().as_secs_f64(),
            output: run.map(|run| run.printed.text()).unwrap_or_default(),
            removed_packages: Vec::new(),
            packages: Vec::new(),
            exit_code,
            output_bytes: run.map(|run| run.printed.bytes).unwrap_or_default(),
        }
    }
}

/// How long it may take to look at what was changed, past the time limit.
const LOOK_AFTER: Duration = Duration::from_secs(30);

/// A stop that nobody tells.
fn never() -> Stop {
    Stop(tokio::sync::watch::channel(false).1)
}

fn with_environment(mut program: Program, manager: Manager) -> Program {
    for (name, value) in manager.environment() {
        let set = ((*name).to_owned(), (*value).to_owned());
        program.environment.extend([set]);
    }
    program
}

fn found(program: &str) -> Result<PathBuf, Fault> {
    find(program).ok_or_else(|| faults::start_failed(&format!("{program} is not installed")))
}

/// What is installed, sorted by name.
async fn list(
    manager: Manager,
    root: Option<&PathBuf>,
    watch: Watch<'_>,
) -> Result<Vec<Package>, Fault> {
    let (name, arguments) = manager.list(root.map(PathBuf::as_path));
    let mut program = Program::new(found(name)?).arguments(arguments);
    program.errors = false;
    program.keep = LISTING_BYTES_MAX;
    let run = process::run(program, watch)
        .await
        .map_err(|error| faults::start_failed(&format!("{name}: {error}")))?;
    match run.end {
        End::Exited(0) => {}
        // pacman says so of an empty list.
        End::Exited(1) if run.printed.bytes == 0 => {}
        End::Exited(code) => {
            let detail = format!("{name}, which lists what is installed, exited with {code}");
            return Err(failed("exit_code", detail));
        }
        end => {
            return Err(faults::of_end(end, None).unwrap_or_else(faults::cancelled));
        }
    }
    Ok(read_list(manager, &run.printed))
}

fn read_list(manager: Manager, printed: &Printed) -> Vec<Package> {
    let text = printed.text();
    let mut packages: Vec<_> = text
        .lines()
        .filter_map(|line| manager.listed(line))
        .collect();
    packages.sort_by(|one, other| {
        one.name
            .cmp(&other.name)
            .then(one.version.cmp(&other.version))
    });
    packages
}

/// As many packages as a result holds, none of them longer than it may be.
pub(super) fn bounded(packages: Vec<Package>, bytes_max: usize) -> Vec<Package> {
    let mut left = bytes_max;
    let fits = |text: &str, max: usize| text.chars().count() <= max;
    packages
        .into_iter()
        .filter(|package| {
            !package.name.is_empty()
                && fits(&package.name, 256)
                && fits(&package.version, 256)
                && fits(&package.architecture, 64)
        })
        .take(PACKAGES_MAX)
        .take_while(|package| {
            // Beside the texts, the encoding takes a few bytes for each.
            let bytes =
                16 + package.name.len() + package.version.len() + package.architecture.len();
            let room = left >= bytes;
            left = left.saturating_sub(bytes);
            room
        })
        .collect()
}

pub(super) fn shortened(shown: usize, all: usize) -> String {
    format!("the first {shown} of {all} are listed\n")
}

/// The names that came, or are there in another version now, and those that are gone.
fn difference(before: &[Package], after: &[Package]) -> (BTreeSet<String>, BTreeSet<String>) {
    let (before, after) = (versions(before), versions(after));
    let none = BTreeSet::new();
    let mut installed = BTreeSet::new();
    let mut removed = BTreeSet::new();
    for key in before.keys().chain(after.keys()) {
        let was = before.get(key).unwrap_or(&none);
        let is = after.get(key).unwrap_or(&none);
        if is.difference(was).next().is_some() {
            installed.insert(key.0.to_owned());
        } else if was.difference(is).next().is_some() {
            removed.insert(key.0.to_owned());
        }
    }
    (installed, removed)
}

/// A package may be there for several architectures, and in several versions, as kernels are.
type Versions<'a> = BTreeMap<(&'a str, &'a str), BTreeSet<&'a str>>;

fn versions(packages: &[Package]) -> Versions<'_> {
    let mut versions = Versions::new();
    for package in packages {
        let key = (package.name.as_str(), package.architecture.as_str());
        versions.entry(key).or_default().insert(&package.version);
    }
    versions
}

/// The end of a text that a note was put behind.
fn end_of(text: String) -> String {
    let begin = text.len().saturating_sub(super::OUTPUT_BYTES_MAX);
    let begin = text.ceil_char_boundary(begin);
    if begin == 0 {
        text
    } else {
        text[begin..].to_owned()
    }
}

fn outcome(fault: Option<Fault>, result: PackageResult) -> Outcome {
    Outcome::of(fault, Some(ResponseResult::PackageOperation(result)))
}
