//! The package managers: what each is called, what it is told for each action, what its exit means, and
//! how it is asked what is installed. Running them is the affair of `packages`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use crate::wire::messages::{Package, PackageAction};

/// Where programs are looked for.
const FOLDERS: &[&str] = &[
    "/usr/bin",
    "/bin",
    "/usr/sbin",
    "/sbin",
    "/usr/local/bin",
    "/usr/local/sbin",
];

/// How long apt waits for another that holds its lock, where the command has no time limit.
const LOCK_WAIT: Duration = Duration::from_secs(600);

/// A package manager.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Manager {
    /// Debian and what comes from it.
    Apt,
    /// SUSE.
    Zypper,
    /// Fedora, and what comes from it.
    Dnf,
    /// Alpine.
    Apk,
    /// Arch.
    Pacman,
}

/// In the order in which they are looked for. A machine may have a second one for other systems' packages:
/// dnf on SUSE, and any on Debian.
const MANAGERS: [Manager; 5] = [
    Manager::Apt,
    Manager::Zypper,
    Manager::Dnf,
    Manager::Apk,
    Manager::Pacman,
];

/// A program's arguments.
type Arguments = Vec<OsString>;

/// What a manager is asked to do.
pub(super) struct Request<'a> {
    pub action: PackageAction,
    pub packages: &'a [String],
    /// Whether it is to go ahead where it would ask.
    pub yes: bool,
    /// The folder that it takes for the whole system.
    pub root: Option<&'a Path>,
    /// How long it may take.
    pub time: Option<Duration>,
}

impl Manager {
    /// The manager of this machine.
    pub(super) fn detect() -> Option<Self> {
        MANAGERS
            .into_iter()
            .find(|manager| find(manager.program()).is_some())
    }

    pub(super) fn program(self) -> &'static str {
        match self {
            Self::Apt => "apt-get",
            Self::Zypper => "zypper",
            Self::Dnf => "dnf",
            Self::Apk => "apk",
            Self::Pacman => "pacman",
        }
    }

    /// What it has in its environment beside what every program has.
    pub(super) fn environment(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Apt => &[
                ("DEBIAN_FRONTEND", "noninteractive"),
                ("APT_LISTCHANGES_FRONTEND", "none"),
            ],
            _ => &[],
        }
    }

    /// The arguments for everything but a list.
    pub(super) fn arguments(self, request: &Request<'_>) -> Arguments {
        let mut arguments = match self {
            Self::Apt => apt(request),
            Self::Zypper => zypper(request),
            Self::Dnf => dnf(request),
            Self::Apk => apk(request),
            Self::Pacman => pacman(request),
        };
        if !request.packages.is_empty() {
            arguments.push("--".into());
            arguments.extend(request.packages.iter().map(OsString::from));
        }
        arguments
    }

    /// The program that lists what is installed, and its arguments.
    pub(super) fn list(self, root: Option<&Path>) -> (&'static str, Arguments) {
        let of_root = |option: &str, below: &str| match root {
            Some(root) => {
                let mut argument = OsString::from(option);
                argument.push(root.join(below));
                Some(argument)
            }
            None => None,
        };
        match self {
            Self::Apt => {
                let mut arguments: Arguments = Vec::new();
                arguments.extend(of_root("--admindir=", "var/lib/dpkg"));
                let format = "${db:Status-Abbrev}\t${Package}\t${Version}\t${Architecture}\n";
                arguments.extend(["-W".into(), format!("-f={format}").into()]);
                ("dpkg-query", arguments)
            }
            Self::Zypper | Self::Dnf => {
                let mut arguments: Arguments = Vec::new();
                arguments.extend(of_root("--root=", ""));
                let format = "%{NAME}\t%|EPOCH?{%{EPOCH}:}|%{VERSION}-%{RELEASE}\t%{ARCH}\n";
                arguments.extend(["-qa", "--qf", format].map(OsString::from));
                ("rpm", arguments)
            }
            Self::Apk => {
                let mut arguments = rooted("--root", root);
                arguments.extend(["list", "--installed"].map(OsString::from));
                ("apk", arguments)
            }
            Self::Pacman => {
                let mut arguments = pacman_root(root);
                arguments.push("-Q".into());
                ("pacman", arguments)
            }
        }
    }

    /// The package that a line of that list names; `None` for one that names none that is installed.
    pub(super) fn listed(self, line: &str) -> Option<Package> {
        let package = |name: &str, version: &str, architecture: &str| Package {
            name: name.to_owned(),
            version: version.to_owned(),
            architecture: architecture.to_owned(),
        };
        match self {
            Self::Apt => {
                let mut fields = line.split('\t');
                // The second letter is how it is: `i` and what is on its way there or half removed.
                let is_there = !matches!(fields.next()?.as_bytes().get(1)?, b'n' | b'c');
                is_there.then_some(package(fields.next()?, fields.next()?, fields.next()?))
            }
            Self::Zypper | Self::Dnf => {
                let mut fields = line.split('\t');
                let found = package(fields.next()?, fields.next()?, fields.next()?);
                // Keys that it trusts stand among the packages.
                (found.name != "gpg-pubkey").then_some(found)
            }
            Self::Apk => {
                // musl-1.2.5-r0 x86_64 {musl} (MIT) [installed]
                let mut fields = line.split(' ');
                let mut parts = fields.next()?.rsplitn(3, '-');
                let (release, version) = (parts.next()?, parts.next()?);
                let name = parts.next()?;
                Some(package(
                    name,
                    &format!("{version}-{release}"),
                    fields.next()?,
                ))
            }
            Self::Pacman => {
                let (name, version) = line.split_once(' ')?;
                Some(package(name, version, ""))
            }
        }
    }

    /// Whether this exit is a success.
    pub(super) fn is_success(self, code: u8) -> bool {
        // zypper's 102 and 103: done, and the host or zypper itself is to be started anew.
        code == 0 || (self == Self::Zypper && matches!(code, 102 | 103))
    }

    /// Whether it ended because it would have asked: told that nobody says yes, it says so in its way.
    pub(super) fn would_ask(self, code: u8, output: &str) -> bool {
        let end = output.trim_end();
        match self {
            Self::Apt => code == 1 && end.contains("Abort."),
            Self::Zypper => code == 4 && end.contains("Cannot read input"),
            Self::Dnf => code == 1 && end.contains("Operation aborted"),
            // It never asks.
            Self::Apk => false,
            Self::Pacman => code == 1 && (end.ends_with("[Y/n]") || end.ends_with("[y/N]")),
        }
    }

    /// The name of what is asked for, without the version, the architecture or the place that it is to
    /// come from: what the owner's patterns are held against.
    pub(super) fn name_of(self, package: &str) -> &str {
        let until = |signs: &[char]| {
            let end = package
                .char_indices()
                .find(|(index, sign)| *index > 0 && signs.contains(sign));
            &package[..end.map_or(package.len(), |(index, _)| index)]
        };
        match self {
            Self::Apt => until(&['=', '/', ':']),
            Self::Apk => until(&['=', '~', '@']),
            Self::Zypper => until(&['=']),
            Self::Pacman => package.rsplit('/').next().unwrap_or(package),
            Self::Dnf => package,
        }
    }

    /// Why a name that is one by its letters is none for this manager: it would be taken for a file, for
    /// another action, or for a place.
    pub(super) fn misreads(self, package: &str) -> Option<&'static str> {
        let is_file = [".deb", ".rpm", ".apk", ".dsc", ".changes", ".ddeb", ".tar"];
        let lower = package.to_ascii_lowercase();
        if is_file.iter().any(|ending| lower.ends_with(ending)) || lower.contains(".pkg.") {
            return Some("it names a file, which this manager would install");
        }
        let slash = package.contains('/');
        match self {
            Self::Apt if package.ends_with('-') => {
                Some("apt takes a `-` at the end for the wish to remove it")
            }
            Self::Apt | Self::Pacman => None,
            Self::Zypper | Self::Dnf | Self::Apk if slash => Some("it names a path"),
            Self::Zypper | Self::Dnf | Self::Apk => None,
        }
    }
}

/// The file of a program.
pub(super) fn find(program: &str) -> Option<PathBuf> {
    FOLDERS
        .iter()
        .map(|folder| Path::new(folder).join(program))
        .find(|path| path.is_file())
}

fn apt(request: &Request<'_>) -> Arguments {
    let wait = request.time.unwrap_or(LOCK_WAIT).as_secs();
    let mut arguments: Arguments = vec!["-q".into()];
    let mut set = |option: String| arguments.extend(["-o".into(), option.into()]);
    set("Dpkg::Use-Pty=0".to_owned());
    set(format!("DPkg::Lock::Timeout={wait}"));
    // A name is a name: apt-get would take `a.` for a pattern, and remove what it fits.
    set("APT::Cmd::Pattern-Only=true".to_owned());
    // Settings that somebody changed stay as they are.
    set("DPkg::Options::=--force-confdef".to_owned());
    set("DPkg::Options::=--force-confold".to_owned());
    if let Some(root) = request.root {
        let root = root.display();
        set(format!("Dir={root}"));
        set(format!("Dir::State::status={root}/var/lib/dpkg/status"));
        set(format!("DPkg::Options::=--root={root}"));
    }
    let yes = if request.yes {
        "--assume-yes"
    } else {
        "--assume-no"
    };
    arguments.push(yes.into());
    let words: &[&str] = match (request.action, request.packages.is_empty()) {
        (PackageAction::Remove, _) => &["remove"],
        (PackageAction::Update, _) => &["update"],
        (PackageAction::Upgrade, true) => &["upgrade", "--with-new-pkgs"],
        (PackageAction::Upgrade, false) => &["install", "--only-upgrade"],
        _ => &["install"],
    };
    arguments.extend(words.iter().map(OsString::from));
    arguments
}

fn zypper(request: &Request<'_>) -> Arguments {
    let mut arguments: Arguments = vec!["--no-color".into()];
    arguments.extend(rooted("--root", request.root));
    // Without it, zypper asks, reads nothing and gives up.
    if request.yes || request.action == PackageAction::Update {
        arguments.push("--non-interactive".into());
    }
    let words: &[&str] = match request.action {
        PackageAction::Remove => &["remove"],
        PackageAction::Update => &["refresh"],
        PackageAction::Upgrade => &["update"],
        _ => &["install"],
    };
    arguments.extend(words.iter().map(OsString::from));
    if request.yes && matches!(words, ["install" | "update"]) {
        arguments.push("--auto-agree-with-licenses".into());
    }
    arguments
}

fn dnf(request: &Request<'_>) -> Arguments {
    let mut arguments: Arguments = vec!["--color=never".into()];
    if let Some(root) = request.root {
        let mut argument = OsString::from("--installroot=");
        argument.push(root);
        arguments.push(argument);
    }
    let yes = request.yes || request.action == PackageAction::Update;
    arguments.push(if yes { "--assumeyes" } else { "--assumeno" }.into());
    let words: &[&str] = match request.action {
        PackageAction::Remove => &["remove"],
        PackageAction::Update => &["makecache", "--refresh"],
        PackageAction::Upgrade => &["upgrade"],
        _ => &["install"],
    };
    arguments.extend(words.iter().map(OsString::from));
    arguments
}

fn apk(request: &Request<'_>) -> Arguments {
    let mut arguments = rooted("--root", request.root);
    let words: &[&str] = match request.action {
        PackageAction::Remove => &["del"],
        PackageAction::Update => &["update"],
        PackageAction::Upgrade => &["upgrade"],
        _ => &["add"],
    };
    arguments.push("--no-progress".into());
    arguments.extend(words.iter().map(OsString::from));
    arguments
}

fn pacman(request: &Request<'_>) -> Arguments {
    let mut arguments = pacman_root(request.root);
    arguments.extend(["--color", "never", "--noprogressbar"].map(OsString::from));
    if request.yes || request.action == PackageAction::Update {
        arguments.push("--noconfirm".into());
    }
    let words: &[&str] = match (request.action, request.packages.is_empty()) {
        (PackageAction::Remove, _) => &["-R"],
        (PackageAction::Update, _) => &["-Sy"],
        (PackageAction::Upgrade, true) => &["-Su"],
        _ => &["-S", "--needed"],
    };
    arguments.extend(words.iter().map(OsString::from));
    arguments
}

fn rooted(option: &str, root: Option<&Path>) -> Arguments {
    root.map_or_else(Vec::new, |root| vec![option.into(), root.into()])
}

/// Its settings and its cache do not follow the root by themselves.
fn pacman_root(root: Option<&Path>) -> Arguments {
    let mut arguments = rooted("--root", root);
    if let Some(root) = root {
        arguments.extend(["--config".into(), root.join("etc/pacman.conf").into()]);
        let cache = root.join("var/cache/pacman/pkg");
        arguments.extend(["--cachedir".into(), cache.into()]);
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_as_each_manager_writes_them() {
        for (manager, line, found) in [
            (
                Manager::Apt,
                "ii \tcurl\t7.88.1-10\tamd64",
                Some(("curl", "7.88.1-10", "amd64")),
            ),
            (
                Manager::Apt,
                "iF \tcurl\t1\tamd64",
                Some(("curl", "1", "amd64")),
            ),
            (Manager::Apt, "rc \tcurl\t7.88.1-10\tamd64", None),
            (Manager::Apt, "un \tcurl\t\t", None),
            (
                Manager::Dnf,
                "bind\t32:9.16-1\tx86_64",
                Some(("bind", "32:9.16-1", "x86_64")),
            ),
            (Manager::Zypper, "gpg-pubkey\t1-2\t(none)", None),
            (
                Manager::Apk,
                "py3-a-b-1.2.5-r0 x86_64 {a} (MIT) [installed]",
                Some(("py3-a-b", "1.2.5-r0", "x86_64")),
            ),
            (Manager::Apk, "WARNING: x", None),
            (Manager::Pacman, "curl 8.1-1", Some(("curl", "8.1-1", ""))),
            (Manager::Pacman, "", None),
        ] {
            let listed = manager.listed(line);
            let listed = listed.as_ref().map(|package| {
                (
                    package.name.as_str(),
                    package.version.as_str(),
                    package.architecture.as_str(),
                )
            });
            assert_eq!(listed, found, "{manager:?} {line:?}");
        }
    }

    #[test]
    fn a_name_is_held_against_patterns_without_what_stands_behind_it() {
        for (manager, package, name) in [
            (Manager::Apt, "nginx=1.2", "nginx"),
            (Manager::Apt, "nginx:amd64", "nginx"),
            (Manager::Apt, "nginx/stable", "nginx"),
            (Manager::Apt, "standard^", "standard^"),
            (Manager::Apk, "nginx@edge", "nginx"),
            (Manager::Pacman, "nginx/sudo", "sudo"),
            (Manager::Zypper, "nginx:sudo", "nginx:sudo"),
            (Manager::Dnf, "@core", "@core"),
        ] {
            assert_eq!(manager.name_of(package), name);
        }
        assert!(Manager::Apt.misreads("sudo-").is_some());
        assert!(Manager::Apt.misreads("tmp/made.deb").is_some());
        assert!(Manager::Dnf.misreads("usr/bin/made").is_some());
        assert!(Manager::Pacman.misreads("core/made").is_none());
        assert!(Manager::Apt.misreads("g++").is_none());
    }

    #[test]
    fn names_stand_behind_the_end_of_the_options() {
        let packages = ["made".to_owned()];
        for manager in MANAGERS {
            for action in [
                PackageAction::Install,
                PackageAction::Remove,
                PackageAction::Upgrade,
            ] {
                let arguments = manager.arguments(&Request {
                    action,
                    packages: &packages,
                    yes: true,
                    root: None,
                    time: None,
                });
                assert!(
                    arguments.ends_with(&["--".into(), "made".into()]),
                    "{arguments:?}"
                );
            }
        }
    }
}
