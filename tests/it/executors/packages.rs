//! `package_operation` with apt, dnf, zypper and pacman, each against a repository of two made packages
//! and a folder that stands for the system; and with apt against Debian's own. apk is in no package of
//! Debian's: only what it is told is tested, beside its code.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use fleetwire::agent::executors::{Ended, Outcome};
use fleetwire::wire::messages::{
    CommandParameters, PackageAction, PackageOperation, PackageOptions, PackageResult,
    ResponseResult,
};
use tempfile::TempDir;

use super::{check, reason, run, tool};

/// The made package that needs the other one, and has a file.
pub const MADE: &str = "fleetwire-made";
const NEEDED: &str = "fleetwire-needed";
const FILE: &str = "usr/share/fleetwire-made/file";

fn operation(operation: PackageAction, packages: &[&str], yes: bool) -> CommandParameters {
    CommandParameters::PackageOperation(PackageOperation {
        operation,
        packages: packages.iter().map(|name| (*name).to_owned()).collect(),
        options: Some(PackageOptions { yes }),
    })
}

fn result(outcome: &Outcome) -> &PackageResult {
    match &outcome.result {
        Some(ResponseResult::PackageOperation(result)) => result,
        other => panic!("{other:?} of {:?}", outcome.fault),
    }
}

/// A folder that stands for a system, beside what its packages come from.
pub struct System {
    manager: &'static str,
    folder: TempDir,
}

impl System {
    fn new(manager: &'static str) -> Self {
        assert!(
            rustix::process::geteuid().is_root(),
            "package managers work as root"
        );
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("root")).unwrap();
        Self { manager, folder }
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    /// Writes a file below the folder.
    fn write(&self, path: &str, content: &str) {
        let path = self.folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn tool(&self, program: &str, arguments: &[&str]) -> String {
        String::from_utf8(tool(program, arguments, self.folder.path())).unwrap()
    }

    /// What its owner allows of `package_operation`, as the agent's settings have it.
    pub fn rules(&self) -> String {
        format!(
            "[package_operation]\nmanager = {:?}\nroot = {:?}\npackages = [\"fleetwire-*\"]\n",
            self.manager,
            self.root()
        )
    }

    async fn run(&self, action: PackageAction, packages: &[&str], yes: bool) -> Outcome {
        run(&self.rules(), operation(action, packages, yes)).await.0
    }

    /// The life of a package, as every manager is to do it.
    async fn live(&self) {
        let file = self.root().join(FILE);
        let outcome = self.run(PackageAction::Update, &[], false).await;
        assert_eq!(outcome.status, Ended::Succeeded, "{outcome:?}");
        let outcome = self.run(PackageAction::List, &[], false).await;
        assert_eq!(outcome.status, Ended::Succeeded, "{outcome:?}");
        assert_eq!(result(&outcome).packages, []);

        // It needs another one, which every manager asks about.
        let outcome = self.run(PackageAction::Install, &[MADE], false).await;
        assert_eq!(
            (outcome.status, reason(&outcome)),
            (Ended::Failed, "would_ask"),
            "{outcome:?}"
        );
        assert!(!file.exists());

        let (outcome, printed) = run(
            &self.rules(),
            operation(PackageAction::Install, &[MADE], true),
        )
        .await;
        assert_eq!(outcome.status, Ended::Succeeded, "{outcome:?}");
        let installed = result(&outcome);
        assert_eq!(installed.installed_packages, [MADE, NEEDED]);
        assert_eq!(installed.exit_code, Some(0));
        assert!(installed.output.contains(MADE) && installed.execution_time > 0.0);
        assert_eq!(
            String::from_utf8_lossy(&printed),
            installed.output,
            "streamed"
        );
        assert!(file.exists());

        let outcome = self.run(PackageAction::List, &[], false).await;
        let listed = &result(&outcome).packages;
        let names: Vec<_> = listed.iter().map(|package| package.name.as_str()).collect();
        assert_eq!(names, [MADE, NEEDED]);
        assert!(listed[0].version.starts_with("1.0"), "{listed:?}");

        let outcome = self.run(PackageAction::Install, &[MADE], true).await;
        assert_eq!(outcome.status, Ended::Succeeded, "again: {outcome:?}");
        assert_eq!(result(&outcome).installed_packages, [""; 0]);

        let outcome = self
            .run(PackageAction::Install, &["fleetwire-none"], true)
            .await;
        assert_eq!(
            (outcome.status, reason(&outcome)),
            (Ended::Failed, "exit_code"),
            "{outcome:?}"
        );

        let outcome = self.run(PackageAction::Upgrade, &[MADE], true).await;
        assert_eq!(outcome.status, Ended::Succeeded, "{outcome:?}");
        assert_eq!(result(&outcome).installed_packages, [""; 0]);

        let outcome = self.run(PackageAction::Remove, &[MADE], false).await;
        assert_eq!(
            (outcome.status, reason(&outcome)),
            (Ended::Failed, "would_ask"),
            "{outcome:?}"
        );
        let outcome = self.run(PackageAction::Remove, &[MADE], true).await;
        assert_eq!(outcome.status, Ended::Succeeded, "{outcome:?}");
        let removed = &result(&outcome).removed_packages;
        assert!(removed.contains(&MADE.to_owned()), "{removed:?}");
        assert!(!file.exists());
        self.refuse();
    }

    /// What its owner does not allow, and what no manager is given.
    fn refuse(&self) {
        for (action, packages, expected, part) in [
            (
                PackageAction::Install,
                &["sudo"][..],
                "not_allowed",
                "package_operation.packages",
            ),
            (
                PackageAction::Upgrade,
                &[],
                "not_allowed",
                "package_operation.packages",
            ),
            (
                PackageAction::Install,
                &["fleetwire-x; reboot"],
                "parameters_invalid",
                "packages[0]",
            ),
            (
                PackageAction::Install,
                &[MADE, "--root=/"],
                "parameters_invalid",
                "packages[1]",
            ),
            (
                PackageAction::Install,
                &["fleetwire-x.deb"],
                "parameters_invalid",
                "file",
            ),
            (
                PackageAction::Install,
                &[],
                "parameters_invalid",
                "packages",
            ),
            (
                PackageAction::Unspecified,
                &[],
                "parameters_invalid",
                "operation",
            ),
        ] {
            let fault = check(&self.rules(), &operation(action, packages, true)).expect_err(part);
            assert_eq!(fault.reason, expected, "{fault:?}");
            assert!(fault.detail.contains(part), "{fault:?}");
        }
        let only = format!("{}operations = [\"list\"]\n", self.rules());
        let fault = check(&only, &operation(PackageAction::Install, &[MADE], true));
        assert!(
            fault
                .expect_err("refused")
                .detail
                .contains("package_operation.operations")
        );
    }
}

/// A system of apt's with a repository of the two packages.
pub fn apt_system() -> System {
    let system = System::new("apt");
    let mut index = String::new();
    for (name, needs) in [
        (MADE, format!("Depends: {NEEDED}\n")),
        (NEEDED, String::new()),
    ] {
        let control = format!(
            "Package: {name}\nVersion: 1.0\nArchitecture: all\n{needs}\
             Maintainer: Fleetwire <fleetwire@example.com>\nDescription: made for a test\n"
        );
        system.write(&format!("{name}/DEBIAN/control"), &control);
        if name == MADE {
            system.write(&format!("{name}/{FILE}"), "made\n");
        }
        let file = format!("repository/{name}.deb");
        system.write("repository/mark", "");
        system.tool("dpkg-deb", &["--build", name, &file]);
        let size = fs::metadata(system.folder.path().join(&file))
            .unwrap()
            .len();
        let sum = system.tool("sha256sum", &[&file]);
        let sum = &sum[..64];
        write!(
            index,
            "{control}Filename: ./{name}.deb\nSize: {size}\nSHA256: {sum}\n\n"
        )
        .unwrap();
    }
    system.write("repository/Packages", &index);
    let repository = system.folder.path().join("repository");
    let source = format!("deb [trusted=yes] file:{} ./\n", repository.display());
    system.write("root/etc/apt/sources.list", &source);
    system.write("root/var/lib/dpkg/status", "");
    for folder in [
        "var/lib/dpkg/info",
        "var/lib/dpkg/updates",
        "var/lib/apt/lists/partial",
        "var/cache/apt/archives/partial",
        "var/log/apt",
        "etc/apt/preferences.d",
    ] {
        fs::create_dir_all(system.root().join(folder)).unwrap();
    }
    system
}

#[tokio::test]
async fn apt_installs_and_removes() {
    let system = apt_system();
    system.live().await;

    // apt-get takes such a name for a pattern, where nobody tells it not to.
    system.run(PackageAction::Install, &[MADE], true).await;
    let outcome = system
        .run(PackageAction::Remove, &["fleetwire-mad."], true)
        .await;
    assert_eq!(reason(&outcome), "exit_code", "{outcome:?}");
    let outcome = system
        .run(PackageAction::Remove, &["fleetwire-needed+"], true)
        .await;
    assert_eq!(reason(&outcome), "not_installed", "{outcome:?}");
    assert!(system.root().join(FILE).exists());
}

/// A repository of rpm packages.
fn rpm_repository(system: &System) -> String {
    let spec = format!(
        "Name: {MADE}\nVersion: 1.0\nRelease: 1\nSummary: made\nLicense: none\nBuildArch: noarch\n\
         Requires: {NEEDED}\n%description\nmade\n%package -n {NEEDED}\nSummary: needed\n\
         %description -n {NEEDED}\nneeded\n%install\nmkdir -p $(dirname %{{buildroot}}/{FILE})\n\
         echo made > %{{buildroot}}/{FILE}\n%files\n/{FILE}\n%files -n {NEEDED}\n"
    );
    system.write("made.spec", &spec);
    system.write("repository/mark", "");
    let folder = system.folder.path().display().to_string();
    let topdir = format!("_topdir {folder}/build");
    let rpmdir = format!("_rpmdir {folder}/repository");
    system.tool(
        "rpmbuild",
        &["-bb", "--define", &topdir, "--define", &rpmdir, "made.spec"],
    );
    system.tool("createrepo_c", &["--quiet", "repository"]);
    format!(
        "[made]\nname=made\nbaseurl=file://{folder}/repository\nenabled=1\ngpgcheck=0\ntype=rpm-md\n"
    )
}

#[tokio::test]
async fn dnf_installs_and_removes() {
    let system = System::new("dnf");
    let repository = rpm_repository(&system);
    system.write("root/etc/yum.repos.d/made.repo", &repository);
    system.live().await;
}

#[tokio::test]
async fn zypper_installs_and_removes() {
    let system = System::new("zypper");
    let repository = rpm_repository(&system);
    system.write("root/etc/zypp/repos.d/made.repo", &repository);
    system.live().await;
}

#[tokio::test]
async fn pacman_installs_and_removes() {
    let system = System::new("pacman");
    for (name, needs) in [(MADE, NEEDED), (NEEDED, "")] {
        let mut info =
            format!("pkgname = {name}\npkgver = 1.0-1\npkgdesc = made\narch = any\nsize = 5\n");
        let file = format!("{name}-1.0-1-any.pkg.tar.gz");
        let mut entry = String::new();
        for (key, value) in [
            ("FILENAME", file.as_str()),
            ("NAME", name),
            ("VERSION", "1.0-1"),
            ("ARCH", "any"),
            ("DEPENDS", needs),
        ] {
            if !value.is_empty() {
                write!(entry, "%{key}%\n{value}\n\n").unwrap();
            }
        }
        if !needs.is_empty() {
            writeln!(info, "depend = {needs}").unwrap();
        }
        system.write(&format!("{name}/.PKGINFO"), &info);
        let mut archive = vec!["-C", name, "-czf"];
        let path = format!("repository/{file}");
        archive.extend([path.as_str(), ".PKGINFO"]);
        if name == MADE {
            system.write(&format!("{name}/{FILE}"), "made\n");
            archive.push("usr");
        }
        system.write("repository/mark", "");
        system.tool("tar", &archive);
        system.write(&format!("database/{name}-1.0-1/desc"), &entry);
    }
    let [made, needed] = [MADE, NEEDED].map(|name| format!("{name}-1.0-1"));
    system.tool(
        "tar",
        &[
            "-C",
            "database",
            "-czf",
            "repository/made.db",
            &made,
            &needed,
        ],
    );
    let repository = system.folder.path().join("repository");
    let settings = format!(
        "[options]\nArchitecture = auto\nSigLevel = Never\n[made]\nServer = file://{}\n",
        repository.display()
    );
    system.write("root/etc/pacman.conf", &settings);
    for folder in ["var/lib/pacman", "var/cache/pacman/pkg"] {
        fs::create_dir_all(system.root().join(folder)).unwrap();
    }
    system.live().await;
}

#[tokio::test]
async fn debian_installs_a_package_of_its_own() {
    const PACKAGE: &str = "hello";
    const PROGRAM: &str = "/usr/bin/hello";
    let _alone = crate::support::this_machines_packages();
    let rules = "[package_operation]\nmanager = \"apt\"\npackages = [\"hello\"]\n";
    let (outcome, _) = run(rules, operation(PackageAction::Update, &[], true)).await;
    assert_eq!(outcome.status, Ended::Succeeded, "{outcome:?}");
    // An earlier run that was cut may have left it.
    run(rules, operation(PackageAction::Remove, &[PACKAGE], true)).await;

    let (outcome, printed) = run(rules, operation(PackageAction::Install, &[PACKAGE], true)).await;
    assert_eq!(outcome.status, Ended::Succeeded, "{outcome:?}");
    assert!(
        result(&outcome)
            .installed_packages
            .contains(&PACKAGE.to_owned())
    );
    assert!(
        String::from_utf8_lossy(&printed).contains("Setting up hello"),
        "streamed"
    );
    tool(PROGRAM, &[], Path::new("/"));

    let (outcome, _) = run(rules, operation(PackageAction::List, &[], true)).await;
    let listed = &result(&outcome).packages;
    assert!(listed.len() > 100 && listed.iter().any(|package| package.name == PACKAGE));

    let (outcome, _) = run(rules, operation(PackageAction::Remove, &[PACKAGE], true)).await;
    assert_eq!(outcome.status, Ended::Succeeded, "{outcome:?}");
    assert_eq!(result(&outcome).removed_packages, [PACKAGE]);
    assert!(!Path::new(PROGRAM).exists());
}
