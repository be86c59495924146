//! `inventory`: reads what the kernel says in /proc and /sys, what the operating system says in /etc, and
//! asks the package manager and systemd for their lists. Each part stands alone: one that cannot be read
//! is named, and the others are told.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use tokio::time::Instant;

use super::allowed::{InventoryRules, invalid, kind_refused};
use super::bus::{Bus, within};
use super::faults::failed;
use super::packages::{self, Packages};
use super::process::Watch;
use super::service::{Services, shorten};
use super::{Executor, Fault, Job, Outcome, Reports, Stop};
use crate::files;
use crate::wire::messages::{
    Disk, Hardware, Inventory, InventoryPart, InventoryResult, NetworkInterface, OperatingSystem,
    ResponseResult, ServiceUnit,
};

/// The largest file that is read.
const FILE_BYTES_MAX: usize = 4 << 20;
/// The most of a part's texts, in bytes, so that a response stays within its bound.
const PACKAGES_BYTES_MAX: usize = 256 << 10;
const SERVICES_BYTES_MAX: usize = 128 << 10;
/// The most of what else is listed.
const DISKS_MAX: usize = 256;
const INTERFACES_MAX: usize = 256;
const ADDRESSES_MAX: usize = 64;
/// Block devices that are no disks: in memory, made of others, or empty drives.
const NO_DISKS: &[&str] = &["loop", "ram", "zram", "dm-", "md", "sr", "fd", "nbd"];

const ALL: [InventoryPart; 5] = [
    InventoryPart::Hardware,
    InventoryPart::OperatingSystem,
    InventoryPart::Packages,
    InventoryPart::Network,
    InventoryPart::Services,
];

/// Says what the host is made of.
#[derive(Debug)]
pub(super) struct Inventories {
    rules: Option<InventoryRules>,
    packages: Packages,
    bus: Bus,
    files: Files,
}

/// Where the kernel and the operating system say what they are.
#[derive(Clone, Debug)]
struct Files {
    proc: PathBuf,
    sys: PathBuf,
    etc: PathBuf,
}

impl Inventories {
    pub(super) fn new(rules: Option<InventoryRules>, packages: Packages, bus: Bus) -> Self {
        Self {
            rules,
            packages,
            bus,
            files: Files {
                proc: "/proc".into(),
                sys: "/sys".into(),
                etc: "/etc".into(),
            },
        }
    }

    async fn read(
        &self,
        part: InventoryPart,
        watch: Watch<'_>,
        into: &mut InventoryResult,
    ) -> Result<(), Fault> {
        let files = self.files.clone();
        match part {
            InventoryPart::Hardware => into.hardware = apart(move || files.hardware()).await,
            InventoryPart::OperatingSystem => {
                into.operating_system = apart(move || files.operating_system()).await;
            }
            InventoryPart::Network => {
                into.network = apart(move || files.network()).await.unwrap_or_default();
                if into.network.is_empty() {
                    return Err(failed("unreadable", "/sys names no interface".to_owned()));
                }
            }
            InventoryPart::Packages => {
                let all = self.packages.installed(watch).await?;
                let count = all.len();
                into.packages = packages::bounded(all, PACKAGES_BYTES_MAX);
                if into.packages.len() < count {
                    into.output.push_str("packages: ");
                    let note = packages::shortened(into.packages.len(), count);
                    into.output.push_str(&note);
                }
            }
            InventoryPart::Services => {
                let listed = within(watch.deadline, watch.stop, Services::list(&self.bus)).await;
                into.services = bounded(listed.map_err(|cut| cut.fault(None))??);
            }
            InventoryPart::Unspecified | InventoryPart::Unknown(_) => {}
        }
        match part {
            InventoryPart::Hardware if into.hardware.is_none() => Err(failed(
                "unreadable",
                "/proc/cpuinfo cannot be read".to_owned(),
            )),
            InventoryPart::OperatingSystem if into.operating_system.is_none() => Err(failed(
                "unreadable",
                "the system says neither its name nor its kernel".to_owned(),
            )),
            _ => Ok(()),
        }
    }
}

/// Reading /sys may wait for a device.
async fn apart<T: Send + 'static>(read: impl FnOnce() -> Option<T> + Send + 'static) -> Option<T> {
    tokio::task::spawn_blocking(read).await.ok().flatten()
}

fn bounded(services: Vec<ServiceUnit>) -> Vec<ServiceUnit> {
    let mut left = SERVICES_BYTES_MAX;
    services
        .into_iter()
        .take_while(|service| {
            let bytes = 160 + service.name.len() + service.description.len();
            let room = left >= bytes;
            left = left.saturating_sub(bytes);
            room
        })
        .collect()
}

fn name(part: InventoryPart) -> &'static str {
    match part {
        InventoryPart::Hardware => "hardware",
        InventoryPart::OperatingSystem => "operating_system",
        InventoryPart::Packages => "packages",
        InventoryPart::Network => "network",
        InventoryPart::Services => "services",
        InventoryPart::Unspecified | InventoryPart::Unknown(_) => "unknown",
    }
}

impl Executor for Inventories {
    type Parameters = Inventory;

    fn check(&self, inventory: &Inventory) -> Result<(), Fault> {
        if self.rules.is_none() {
            return Err(kind_refused("inventory"));
        }
        match inventory.parts.iter().find(|part| !ALL.contains(part)) {
            Some(_) => Err(invalid(
                "parts",
                "one of them is none that this agent knows",
            )),
            None => Ok(()),
        }
    }

    async fn run(
        &self,
        job: &Job,
        inventory: &Inventory,
        _reports: &Reports,
        mut stop: Stop,
    ) -> Outcome {
        let begun = Instant::now();
        let deadline = job.time_limit.map(|limit| begun + limit);
        let mut result = InventoryResult {
            hardware: None,
            operating_system: None,
            packages: Vec::new(),
            network: Vec::new(),
            services: Vec::new(),
            execution_time: 0.0,
            output: String::new(),
        };
        let wanted: Vec<_> = ALL
            .into_iter()
            .filter(|part| inventory.parts.is_empty() || inventory.parts.contains(part))
            .collect();
        let mut missing = 0;
        let mut fault = None;
        for part in &wanted {
            let watch = Watch {
                mark: self.packages.mark(job),
                deadline,
                reports: None,
                stop: &mut stop,
            };
            if let Err(why) = self.read(*part, watch, &mut result).await {
                missing += 1;
                let line = format!("{}: {}\n", name(*part), why.detail);
                result.output.push_str(&line);
                if matches!(why.reason, "cancelled" | "timed_out") {
                    fault = Some(why);
                    break;
                }
            }
        }
        if fault.is_none() && missing == wanted.len() {
            let detail = format!("nothing could be read: {}", result.output.trim_end());
            fault = Some(failed("unreadable", detail));
        }
        result.execution_time = begun.elapsed().as_secs_f64();
        Outcome::of(fault, Some(ResponseResult::Inventory(result)))
    }
}

impl Files {
    fn hardware(&self) -> Option<Hardware> {
        let processors = read(&self.proc.join("cpuinfo"))?;
        let of = |name: &str| value(&processors, ':', name);
        let identity = self.sys.join("class/dmi/id");
        let identity = |name: &str| read(&identity.join(name));
        let tree = || read(&self.proc.join("device-tree/model"));
        let model = identity("product_name").or_else(tree);
        let count = processors
            .lines()
            .filter(|line| line.starts_with("processor"))
            .count();
        Some(Hardware {
            vendor: line(identity("sys_vendor")),
            model: line(model),
            serial_number: line(identity("product_serial")),
            processor: line(of("model name").or_else(|| of("Hardware"))),
            processors: u32::try_from(count).unwrap_or(u32::MAX),
            memory_bytes: self.memory().unwrap_or_default(),
            disks: self.disks(),
        })
    }

    fn memory(&self) -> Option<u64> {
        let memory = read(&self.proc.join("meminfo"))?;
        let kilobytes = value(&memory, ':', "MemTotal")?;
        let kilobytes: u64 = kilobytes.trim_end_matches("kB").trim().parse().ok()?;
        kilobytes.checked_mul(1024)
    }

    fn disks(&self) -> Vec<Disk> {
        let block = self.sys.join("block");
        let names = folders(&block).into_iter();
        let disks = names.filter(|name| !NO_DISKS.iter().any(|begin| name.starts_with(begin)));
        disks
            .map(|name| {
                // In units of 512 bytes, whatever the disk's own are.
                let size = read(&block.join(&name).join("size"));
                let size: u64 = size.and_then(|size| size.trim().parse().ok()).unwrap_or(0);
                Disk {
                    model: line(read(&block.join(&name).join("device/model"))),
                    size_bytes: size.saturating_mul(512),
                    name: shorten(name, 256),
                }
            })
            .take(DISKS_MAX)
            .collect()
    }

    fn operating_system(&self) -> Option<OperatingSystem> {
        let release = read(&self.etc.join("os-release"));
        let kernel = |name: &str| read(&self.proc.join("sys/kernel").join(name));
        let version = kernel("osrelease");
        if release.is_none() && version.is_none() {
            return None;
        }
        let release = release.unwrap_or_default();
        let of = |name: &str| {
            let value = value(&release, '=', name)?;
            Some(value.trim_matches(['"', '\'']).to_owned())
        };
        let architecture = kernel("arch").unwrap_or_else(|| std::env::consts::ARCH.to_owned());
        let uptime = read(&self.proc.join("uptime"));
        let seconds = uptime.and_then(|uptime| uptime.split('.').next()?.parse().ok());
        Some(OperatingSystem {
            name: line(of("NAME")),
            version: line(of("VERSION").or_else(|| of("VERSION_ID"))),
            id: shorten(line(of("ID")), 64),
            kernel: line(version),
            architecture: shorten(line(Some(architecture)), 64),
            hostname: shorten(line(kernel("hostname")), 253),
            uptime_seconds: seconds.unwrap_or_default(),
        })
    }

    fn network(&self) -> Option<Vec<NetworkInterface>> {
        let addresses = addresses();
        let class = self.sys.join("class/net");
        let interfaces = folders(&class).into_iter().map(|name| {
            let of = |file: &str| read(&class.join(&name).join(file));
            // IFF_UP is the first bit.
            let flags = of("flags").and_then(|flags| {
                u32::from_str_radix(flags.trim().trim_start_matches("0x"), 16).ok()
            });
            NetworkInterface {
                hardware_address: shorten(line(of("address")), 64),
                addresses: addresses.get(&name).cloned().unwrap_or_default(),
                up: flags.is_some_and(|flags| flags & 1 == 1),
                name: shorten(name, 64),
            }
        });
        Some(interfaces.take(INTERFACES_MAX).collect())
    }
}

/// The addresses of each interface, with the length of their prefix.
fn addresses() -> BTreeMap<String, Vec<String>> {
    let mut addresses = BTreeMap::<String, Vec<String>>::new();
    for interface in nix::ifaddrs::getifaddrs().into_iter().flatten() {
        let ip = |address: &Option<nix::sys::socket::SockaddrStorage>| {
            let address = address.as_ref()?;
            let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
            v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
        };
        let (Some(address), Some(mask)) = (ip(&interface.address), ip(&interface.netmask)) else {
            continue;
        };
        let prefix = match mask {
            IpAddr::V4(mask) => mask.to_bits().count_ones(),
            IpAddr::V6(mask) => mask.to_bits().count_ones(),
        };
        let of = addresses.entry(interface.interface_name).or_default();
        if of.len() < ADDRESSES_MAX {
            of.push(format!("{address}/{prefix}"));
        }
    }
    addresses
}

fn read(path: &Path) -> Option<String> {
    files::read_text(path, FILE_BYTES_MAX).ok()
}

/// The names in a folder, sorted.
fn folders(path: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    names
}

/// What stands behind a name and a sign on a line of their own.
fn value(text: &str, sign: char, name: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(sign)?;
        (key.trim() == name).then(|| value.trim().to_owned())
    })
}

/// One line of at most as many letters as a text may have.
fn line(text: Option<String>) -> String {
    let text = text.unwrap_or_default();
    let text = text.trim_matches(|sign: char| sign.is_whitespace() || sign == '\0');
    shorten(text.lines().next().unwrap_or_default().to_owned(), 256)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_read_from_what_its_kernel_says() {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let files = Files {
            proc: folder.path().join("proc"),
            sys: folder.path().join("sys"),
            etc: folder.path().join("etc"),
        };
        assert_eq!(files.hardware(), None);
        assert_eq!(files.operating_system(), None);
        write(
            "proc/cpuinfo",
            "processor\t: 0\nmodel name\t: Made 1\n\nprocessor\t: 1\nmodel name\t: Made 1\n",
        );
        write("proc/meminfo", "MemTotal:        2048 kB\nMemFree: 1 kB\n");
        write("proc/sys/kernel/osrelease", "6.1.0\n");
        write("proc/sys/kernel/hostname", "made\n");
        write("proc/uptime", "90061.52 1.0\n");
        write("sys/class/dmi/id/sys_vendor", "Maker\n");
        write("sys/class/dmi/id/product_name", "Machine\n");
        write("sys/block/sda/size", "8\n");
        write("sys/block/sda/device/model", "Disk   \n");
        write("sys/block/loop0/size", "8\n");
        write("sys/class/net/made0/address", "02:00:00:00:00:01\n");
        write("sys/class/net/made0/flags", "0x1003\n");
        write("sys/class/net/made1/flags", "0x1002\n");
        write(
            "etc/os-release",
            "PRETTY_NAME=\"x\"\nNAME=\"Made OS\"\nVERSION=\"12 (made)\"\nID=made\n",
        );
        let hardware = files.hardware().expect("hardware");
        assert_eq!(
            (hardware.vendor.as_str(), hardware.model.as_str()),
            ("Maker", "Machine")
        );
        assert_eq!(
            (hardware.processor.as_str(), hardware.processors),
            ("Made 1", 2)
        );
        assert_eq!(
            (hardware.memory_bytes, hardware.serial_number.as_str()),
            (2 << 20, "")
        );
        assert_eq!(
            hardware.disks,
            [Disk {
                name: "sda".into(),
                model: "Disk".into(),
                size_bytes: 4096
            }]
        );
        let system = files.operating_system().expect("a system");
        assert_eq!(
            (system.name.as_str(), system.version.as_str()),
            ("Made OS", "12 (made)")
        );
        assert_eq!(
            (system.id.as_str(), system.kernel.as_str()),
            ("made", "6.1.0")
        );
        assert_eq!(
            (system.hostname.as_str(), system.uptime_seconds),
            ("made", 90061)
        );
        let network = files.network().expect("a network");
        let seen: Vec<_> = network
            .iter()
            .map(|one| (one.name.as_str(), one.up))
            .collect();
        assert_eq!(seen, [("made0", true), ("made1", false)]);
        assert_eq!(network[0].hardware_address, "02:00:00:00:00:01");
    }

    #[test]
    fn this_machine_has_a_loopback() {
        let loopback = addresses().remove("lo").expect("lo");
        assert!(loopback.contains(&"127.0.0.1/8".to_owned()), "{loopback:?}");
    }
}
