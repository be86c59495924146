//! What hosts gave, for people: what there is to print of a result once its host has ended, and an inventory in
//! the few words that somebody wants of it.

use serde_json::Value;

use super::text::{cell, number};

/// The longest list in a cell.
const LISTED_MAX: usize = 8;

/// What somebody wants to know of a host, by what each is called.
pub(super) const FACTS: [&str; 9] = [
    "host name",
    "system",
    "kernel",
    "processors",
    "memory",
    "disks",
    "addresses",
    "packages",
    "services",
];

/// What there is to show of a result, of which so many bytes of output were shown.
pub(super) fn rest(whole: &Value, shown: u64) -> String {
    let of = |kind: &str| whole.get(kind).filter(|result| !result.is_null());
    if let Some(service) = of("service_operation") {
        return format!(
            "{} ({}), {}\n",
            cell(&service["active_state"]),
            cell(&service["sub_state"]),
            cell(&service["enabled_state"])
        );
    }
    if let Some(system) = of("system_operation") {
        let parts = ["hostname", "time", "time_zone"].map(|part| text(system, part));
        let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        return format!("{}\n", parts.join("  "));
    }
    if let Some(inventory) = of("inventory") {
        return facts(inventory)
            .iter()
            .map(|(name, fact)| format!("{name}: {fact}\n"))
            .collect();
    }
    let packages = of("package_operation").and_then(|result| result["packages"].as_array());
    if let Some(packages) = packages.filter(|packages| !packages.is_empty()) {
        let lines = packages.iter().map(|package| {
            let parts = ["name", "version", "architecture"].map(|part| text(package, part));
            format!("{}\n", parts.join(" ").trim_end())
        });
        return lines.collect();
    }
    let result = of("script").or_else(|| of("package_operation"));
    let Some(result) = result else {
        return of("raw").map_or_else(String::new, |raw| format!("{}\n", cell(raw)));
    };
    let output = text(result, "output");
    let bytes = result["output_bytes"].as_u64().unwrap_or_default();
    if bytes > 0 && shown >= bytes {
        return String::new();
    }
    // The end of it is kept.
    let begin = bytes.saturating_sub(output.len() as u64);
    let skipped = (shown.saturating_sub(begin) as usize).min(output.len());
    let skipped = output.ceil_char_boundary(skipped);
    // Of an agent that does not say how much it was, what was shown is not known to be all.
    let missing = begin.saturating_sub(shown);
    let gap = if missing > 0 {
        format!("(there are {missing} bytes more before this, which are not kept)\n")
    } else {
        String::new()
    };
    format!("{gap}{}", &output[skipped..])
}

/// What an inventory has of [`FACTS`]. What could not be read is a dash.
pub(super) fn facts(inventory: &Value) -> [(&'static str, String); 9] {
    let (system, hardware) = (&inventory["operating_system"], &inventory["hardware"]);
    let items = |list: &Value| list.as_array().cloned().unwrap_or_default();
    let joined = |words: [&Value; 2]| {
        let words = words.into_iter().filter_map(Value::as_str);
        let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
        cell(&words.join(" ").into())
    };
    let processors = match (number(hardware, "processors"), text(hardware, "processor")) {
        (0, _) => "-".to_owned(),
        (count, "") => count.to_string(),
        (count, name) => format!("{count} × {}", cell(&name.into())),
    };
    let disks = items(&hardware["disks"]);
    let disks = disks.iter().map(|disk| {
        let size = number(disk, "size_bytes");
        format!("{} {}", cell(&disk["name"]), bytes(size))
    });
    let interfaces = items(&inventory["network"]);
    let of_this_machine = |address: &&Value| {
        let address = address.as_str().unwrap_or_default();
        !(address.starts_with("127.")
            || address.starts_with("::1/")
            || address.starts_with("fe80:"))
    };
    let addresses = interfaces.iter().flat_map(|interface| {
        let addresses = interface["addresses"].as_array().into_iter().flatten();
        addresses
            .filter(of_this_machine)
            .map(move |address| format!("{} {}", cell(&interface["name"]), cell(address)))
    });
    let count = |list: &Value| match list.as_array().map_or(0, Vec::len) {
        0 => "-".to_owned(),
        count => count.to_string(),
    };
    let services = items(&inventory["services"]);
    let with = |state: &str| {
        let those = services.iter().filter(|unit| unit["active_state"] == state);
        those.count()
    };
    let services = match (services.len(), with("failed")) {
        (0, _) => "-".to_owned(),
        (_, 0) => format!("{} active", with("active")),
        (_, failed) => format!("{} active, {failed} failed", with("active")),
    };
    let values = [
        cell(&system["hostname"]),
        joined([&system["name"], &system["version"]]),
        joined([&system["kernel"], &system["architecture"]]),
        processors,
        match number(hardware, "memory_bytes") {
            0 => "-".to_owned(),
            size => bytes(size),
        },
        list(disks),
        list(addresses),
        count(&inventory["packages"]),
        services,
    ];
    let mut values = values.into_iter();
    FACTS.map(|name| (name, values.next().unwrap_or_default()))
}

fn list(items: impl Iterator<Item = String>) -> String {
    let items: Vec<_> = items.collect();
    let shown = &items[..items.len().min(LISTED_MAX)];
    match items.len() - shown.len() {
        _ if items.is_empty() => "-".to_owned(),
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// A size, in the unit that leaves it between 1 and 1024.
fn bytes(size: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if size < 1024 {
        return format!("{size} B");
    }
    #[allow(
        clippy::cast_precision_loss,
        reason = "one digit after the point is shown"
    )]
    let mut size = size as f64 / 1024.0;
    let mut unit = 0;
    while size >= 1024.0 && unit + 1 < UNITS.len() {
        size /= 1024.0;
        unit += 1;
    }
    format!("{size:.1} {}", UNITS[unit])
}

fn text<'a>(of: &'a Value, member: &str) -> &'a str {
    of[member].as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_inventory_is_a_few_words() {
        let inventory = json!({
            "operating_system": {"name": "Debian GNU/Linux", "version": "12 (bookworm)", "kernel": "6.1",
                "architecture": "x86_64", "hostname": "kvm"},
            "hardware": {"processor": "Xeon", "processors": 8, "memory_bytes": 16_u64 << 30,
                "disks": [{"name": "sda", "size_bytes": "1536"}]},
            "network": [{"name": "lo", "addresses": ["127.0.0.1/8", "::1/128"]},
                {"name": "eth0", "addresses": ["192.0.2.7/24", "fe80::1/64"]}],
            "services": [{"active_state": "active"}, {"active_state": "failed"}],
        });
        let facts = facts(&inventory).map(|(_, fact)| fact);
        assert_eq!(
            facts,
            [
                "kvm",
                "Debian GNU/Linux 12 (bookworm)",
                "6.1 x86_64",
                "8 × Xeon",
                "16.0 GiB",
                "sda 1.5 KiB",
                "eth0 192.0.2.7/24",
                "-",
                "1 active, 1 failed",
            ]
        );
        let shown = rest(&json!({"inventory": inventory}), 0);
        assert!(shown.contains("memory: 16.0 GiB\n"), "{shown}");
        let long = list((0..10).map(|number| number.to_string()));
        assert_eq!(long, "0, 1, 2, 3, 4, 5, 6, 7 and 2 more");
    }

    #[test]
    fn what_was_shown_is_not_shown_again() {
        let script =
            |output: &str, bytes: u64| json!({"script": {"output": output, "output_bytes": bytes}});
        assert_eq!(rest(&script("abcdef", 6), 0), "abcdef");
        assert_eq!(rest(&script("abcdef", 6), 4), "ef");
        assert_eq!(rest(&script("abcdef", 6), 6), "");
        assert_eq!(rest(&script("def", 6), 3), "def");
        let gap = rest(&script("def", 6), 1);
        assert!(gap.contains("2 bytes") && gap.ends_with("def"), "{gap}");
        // Bytes that are no text are three in its place.
        assert_eq!(rest(&script("\u{fffd}a", 2), 2), "");
        assert_eq!(rest(&json!({"delivery": {}}), 0), "");
    }
}
