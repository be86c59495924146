//! Alerts of a real platform over a real store, by moments that the test says. `clocks` is what becomes of them where
//! the clock of people is set, `looks` what one look does and what it leaves.

mod clocks;
mod looks;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::watch::{Looked, Watch, storage_percent};
use crate::audit::Entry;
use crate::clock::{Now, UnixMillis};
use crate::ids::{AlertChannelId, AlertRuleId, CommandId, GroupId, HostId, random_uuid};
use crate::platform::Platform;
use crate::platform::identity::Grants;
use crate::platform::store::alert_channels::{AlertChannel, ChannelTarget};
use crate::platform::store::alert_rules::{AlertRule, Condition};
use crate::platform::store::alerts::{AlertFilter, AlertRecord, AlertState, Severity};
use crate::platform::store::commands::{NewCommand, Priority};
use crate::platform::store::deliveries::{Step, Transition};
use crate::platform::store::groups::{HostChange, LabelSelector, NewGroup};
use crate::platform::store::{Change, NewHost};
use crate::secret::{SecretHash, random};

/// A platform whose rules are those of the test alone, and who watches it.
pub(super) struct Fixture {
    pub platform: Arc<Platform>,
    watch: Watch,
    pub begun: Now,
}

fn audit(action: &str) -> Entry {
    Entry::new(UnixMillis::now(), "admin", action, "target")
}

fn change(action: &str) -> Change {
    audit(action).into()
}

impl Fixture {
    pub(super) async fn new(dir: &Path) -> Self {
        let fixture = Self::again(dir, Now::of_clocks()).await;
        let store = &fixture.platform.store;
        for rule in store.alert_rules().await.expect("read") {
            let deleted = store.delete_alert_rule(rule.id, audit("alert_rule.delete"));
            deleted.await.expect("deleted");
        }
        fixture
    }

    /// The platform after a start at that moment.
    async fn again(dir: &Path, begun: Now) -> Self {
        let platform = Platform::fresh(dir).await;
        let watch = Watch::new(&platform.config, begun);
        Self {
            platform,
            watch,
            begun,
        }
    }

    pub(super) async fn host(&self, name: &str) -> HostId {
        let id = HostId::random(random());
        let host = NewHost {
            id,
            name: name.to_owned(),
            auth_token: SecretHash::of(&random::<32>()),
            at: self.begun.wall,
        };
        let change = audit("host.create").host(id).into();
        let made = self.platform.store.create_host(host, change);
        made.await.expect("made");
        id
    }

    async fn update(&self, rule: AlertRule) {
        let store = &self.platform.store;
        let updated = store.update_alert_rule(rule, audit("alert_rule.update"));
        updated.await.expect("updated");
        self.platform.alerts.rules_changed();
    }

    async fn rule_of(&self, rule: AlertRule) -> AlertRule {
        let store = &self.platform.store;
        let made = store.create_alert_rule(rule.clone(), change("alert_rule.create"));
        made.await.expect("made");
        self.platform.alerts.rules_changed();
        rule
    }

    pub(super) async fn rule(&self, name: &str, condition: Condition) -> AlertRule {
        self.rule_of(rule(name, condition)).await
    }

    async fn channel(&self) {
        self.channel_of("hook").await;
    }

    async fn channel_of(&self, name: &str) {
        let channel = AlertChannel {
            id: AlertChannelId(random_uuid(random())),
            name: name.to_owned(),
            disabled: false,
            target: ChannelTarget::Webhook {
                url: "http://127.0.0.1:9/".to_owned(),
                sealed: Vec::new(),
            },
            created: self.begun.wall,
        };
        let store = &self.platform.store;
        let made = store.create_alert_channel(channel, change("alert_channel.create"));
        made.await.expect("made");
    }

    fn at(&self, seconds: u64) -> Now {
        let after = Duration::from_secs(seconds);
        Now {
            wall: self.begun.wall.plus(after),
            steady: self.begun.steady + after,
        }
    }

    /// Looks so many seconds after the beginning; answers in how many to look again, where that is known.
    pub(super) async fn look(&mut self, seconds: u64) -> Option<u64> {
        let now = self.at(seconds);
        let looked = self.look_by(now).await;
        assert!(looked.is_whole);
        let next = looked.next?;
        let wait = next.saturating_duration_since(now.steady);
        Some(Duration::from_millis(wait.as_millis() as u64).as_secs())
    }

    async fn look_by(&mut self, now: Now) -> Looked {
        let looked = self.watch.look(&self.platform, now).await;
        looked.expect("looked")
    }

    /// All alerts but those that are pending, the oldest first.
    pub(super) async fn alerts(&self) -> Vec<AlertRecord> {
        self.alerts_in(None).await
    }

    async fn alerts_in(&self, state: Option<AlertState>) -> Vec<AlertRecord> {
        let filter = AlertFilter {
            now: self.begun.wall,
            state,
            host: None,
            granted: Grants::All,
            before: None,
            count: 1000,
        };
        let found = self.platform.store.alerts(filter).await.expect("read");
        found.into_iter().rev().map(|shown| shown.alert).collect()
    }

    /// Of each alert its rule's name and whether it fires.
    async fn shown(&self) -> Vec<(String, bool)> {
        let alerts = self.alerts().await.into_iter();
        let shown = alerts.map(|alert| (alert.rule_name, alert.state == AlertState::Firing));
        shown.collect()
    }

    /// What is to be sent to the one channel: of each alert the first message.
    async fn messages(&self) -> Vec<serde_json::Value> {
        let later = UnixMillis(u64::MAX >> 1);
        let store = &self.platform.store;
        let channels = store.alert_channels().await.expect("read");
        let due = store.due_notifications(channels[0].id, later, 1000);
        let due = due.await.expect("read").into_iter();
        let read = |body: String| serde_json::from_str(&body).expect("JSON");
        due.map(|due| read(due.body)).collect()
    }

    async fn command(&self, host: HostId, created: UnixMillis) -> CommandId {
        self.command_to(&[host], created).await
    }

    async fn command_to(&self, hosts: &[HostId], created: UnixMillis) -> CommandId {
        let command = NewCommand {
            id: CommandId::random(random()),
            kind: "script".to_owned(),
            parameters: vec![1],
            timeout_seconds: 60,
            priority: Priority::Normal,
            user: "ada".to_owned(),
            created,
            expires: None,
            not_before: None,
            plan: Default::default(),
            targets: "{}".to_owned(),
            redrive_of: None,
            hosts: hosts.iter().copied().map(Into::into).collect(),
        };
        let id = command.id;
        let made = self
            .platform
            .store
            .create_command(command, change("command.create"));
        made.await.expect("made");
        id
    }

    /// It does not wait for this host any more.
    async fn sent(&self, command: CommandId, host: HostId) {
        let sent = Transition {
            command,
            host,
            at: self.begun.wall,
            step: Step::Sent { once: false },
        };
        let applied = self.platform.store.apply(vec![sent]);
        applied.await.expect("applied");
    }
}

pub(super) fn rule(name: &str, condition: Condition) -> AlertRule {
    AlertRule {
        id: AlertRuleId(random_uuid(random())),
        name: name.to_owned(),
        severity: Severity::Warning,
        hold: Duration::ZERO,
        group: None,
        labels: Vec::new(),
        channels: Vec::new(),
        disabled: false,
        condition,
        created: UnixMillis(0),
    }
}

pub(super) const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn firing(name: &str) -> (String, bool) {
    (name.to_owned(), true)
}

fn over(name: &str) -> (String, bool) {
    (name.to_owned(), false)
}

#[tokio::test]
async fn a_host_that_stays_away_over_a_restart_is_told_of_once() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut fixture = Fixture::new(dir.path()).await;
    fixture.channel().await;
    fixture
        .rule("gone", Condition::HostOffline(seconds(600)))
        .await;
    let host = fixture.host("kvm").await;
    fixture.host("never there").await;
    let seen = vec![(host, fixture.begun.wall)];
    let noted = fixture.platform.store.hosts_seen(seen);
    noted.await.expect("noted");
    // Nobody can say yet; then it is known when.
    let grace = fixture.look(0).await.expect("after the time to come back");
    assert!((80..=300).contains(&grace), "{grace}");
    assert_eq!(fixture.look(grace + 1).await, Some(599 - grace));
    assert_eq!(fixture.look(599).await, Some(1));
    assert_eq!(fixture.shown().await, []);
    assert_eq!(fixture.look(600).await, None);
    assert_eq!(fixture.shown().await, [firing("gone")]);
    assert_eq!(fixture.messages().await.len(), 1);

    // Another process finds it open, within the time to come back and after it.
    for start in [700, 1000] {
        let begun = fixture.at(start);
        drop(fixture);
        fixture = Fixture::again(dir.path(), begun).await;
        for second in [0, 1, grace + 1, 1000] {
            fixture.look(second).await;
            assert_eq!(fixture.shown().await, [firing("gone")], "{second}");
            assert_eq!(fixture.messages().await.len(), 1, "{second}");
        }
    }
}

#[tokio::test]
async fn a_host_that_flaps_does_so_over_a_restart() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut fixture = Fixture::new(dir.path()).await;
    fixture.channel().await;
    fixture
        .rule("flapping", Condition::HostFlapping(3, seconds(600)))
        .await;
    let host = fixture.host("kvm").await;
    let returns = async |fixture: &mut Fixture, at: &[u64]| {
        for second in at {
            let now = fixture.at(*second).steady;
            fixture.platform.alerts.replaced(now, host);
            fixture.look(*second).await;
        }
    };
    returns(&mut fixture, &[10, 20]).await;
    assert_eq!(fixture.shown().await, []);
    returns(&mut fixture, &[30]).await;
    assert_eq!(fixture.shown().await, [firing("flapping")]);
    assert_eq!(fixture.look(40).await, Some(570), "until it is over");

    // What was before is not known: it stays for the rule's time, and is not told again.
    let begun = fixture.at(50);
    drop(fixture);
    let mut fixture = Fixture::again(dir.path(), begun).await;
    assert_eq!(fixture.look(0).await, Some(600));
    returns(&mut fixture, &[100, 200]).await;
    assert_eq!(fixture.shown().await, [firing("flapping")]);
    returns(&mut fixture, &[590]).await;
    fixture.look(601).await;
    assert_eq!(fixture.shown().await, [firing("flapping")], "it goes on");
    assert_eq!(fixture.messages().await.len(), 1);
    fixture.look(701).await;
    assert_eq!(fixture.shown().await, [over("flapping")]);
    assert_eq!(fixture.alerts().await.len(), 1);
}

#[tokio::test]
async fn what_waits_for_a_host_is_told_by_number_and_by_age() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut fixture = Fixture::new(dir.path()).await;
    fixture.rule("deep", Condition::QueueDepth(3)).await;
    fixture.rule("old", Condition::QueueAge(seconds(100))).await;
    let (host, other) = (fixture.host("kvm").await, fixture.host("idle").await);
    fixture.command(other, fixture.begun.wall).await;
    for second in [0, 10] {
        let created = fixture.at(second).wall;
        fixture.command(host, created).await;
    }
    fixture.look(20).await;
    assert_eq!(fixture.shown().await, []);
    fixture.command(host, fixture.at(25).wall).await;
    fixture.look(31).await;
    assert_eq!(fixture.shown().await, [firing("deep")]);
    fixture.look(99).await;
    assert_eq!(fixture.shown().await, [firing("deep")]);
    fixture.look(110).await;
    let of: Vec<_> = fixture
        .alerts()
        .await
        .into_iter()
        .filter(|alert| alert.rule_name == "old")
        .filter_map(|alert| alert.host)
        .collect();
    assert_eq!(of.len(), 2, "of both: {of:?}");
    // They are gone, all of them.
    let hosts = [host, other];
    for host in hosts {
        let due = fixture
            .platform
            .store
            .due(host, fixture.begun.wall, true, 10);
        for delivery in due.await.expect("read").deliveries {
            fixture.sent(delivery.command, host).await;
        }
    }
    fixture.look(120).await;
    let shown = fixture.shown().await;
    assert!(shown.iter().all(|(_, fires)| !fires), "{shown:?}");
}

#[tokio::test]
async fn what_the_platform_counts_is_told() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut fixture = Fixture::new(dir.path()).await;
    let span = seconds(60);
    fixture
        .rule("slow", Condition::DeliveryLatency(500, span))
        .await;
    fixture
        .rule("guessing", Condition::FailedSignIns(5, span))
        .await;
    let figures = fixture.platform.delivery.figures();
    let fail = async |fixture: &Fixture, count| {
        for _ in 0..count {
            let address = "192.0.2.7".parse().expect("an address");
            let identity = &fixture.platform.identity;
            let now = UnixMillis::now();
            identity
                .note_failed_sign_in(now, "password", address, "credentials_invalid")
                .await;
        }
    };
    for _ in 0..200 {
        figures.received(Duration::from_millis(3));
    }
    fail(&fixture, 4).await;
    fixture.look(10).await;
    assert_eq!(fixture.shown().await, []);
    for _ in 0..5 {
        figures.received(Duration::from_millis(800));
    }
    fail(&fixture, 1).await;
    fixture.look(20).await;
    let mut shown = fixture.shown().await;
    shown.sort();
    assert_eq!(shown, [firing("guessing"), firing("slow")]);
    // Nothing more comes: it is over after the rule's time.
    for second in [30, 50, 69] {
        fixture.look(second).await;
        assert_eq!(fixture.alerts_in(Some(AlertState::Firing)).await.len(), 2);
    }
    for second in [80, 90] {
        fixture.look(second).await;
    }
    let mut shown = fixture.shown().await;
    shown.sort();
    assert_eq!(shown, [over("guessing"), over("slow")]);

    // What was counted before a restart is not known: what fires stays for the rule's time.
    fail(&fixture, 5).await;
    fixture.look(110).await;
    let begun = fixture.at(111);
    drop(fixture);
    let mut fixture = Fixture::again(dir.path(), begun).await;
    for (second, open) in [(0, 1), (50, 1), (61, 0)] {
        fixture.look(second).await;
        let alerts = fixture.alerts_in(Some(AlertState::Firing)).await;
        assert_eq!(alerts.len(), open, "{second}");
    }
}

#[tokio::test]
async fn the_platforms_file_system_is_told_of() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let found = storage_percent(dir.path().to_owned()).await;
    let found = found.expect("it says how full it is");
    assert!(found <= 100, "{found}");
    assert_eq!(storage_percent("/nowhere/at/all".into()).await, None);
    let mut fixture = Fixture::new(dir.path()).await;
    let full = found.saturating_sub(1);
    fixture.rule("full", Condition::PlatformStorage(full)).await;
    fixture
        .rule("fuller", Condition::PlatformStorage(101))
        .await;
    fixture.look(0).await;
    assert_eq!(fixture.shown().await, [firing("full")]);
}

#[tokio::test]
async fn a_rule_is_about_the_hosts_of_its_group_and_labels_as_they_are() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut fixture = Fixture::new(dir.path()).await;
    let store = fixture.platform.store.clone();
    let group = GroupId::random(random());
    let lab = NewGroup {
        id: group,
        name: "lab".parse().expect("a name"),
        description: String::new(),
        at: fixture.begun.wall,
    };
    let made = store.create_group(lab, change("group.create"));
    made.await.expect("made");
    let site = || "site".parse().expect("a key");
    let scoped = rule("scoped", Condition::QueueDepth(1));
    let scoped = AlertRule {
        group: Some(group),
        labels: vec![
            LabelSelector::Has("rack".parse().expect("a key")),
            LabelSelector::Is(site(), "<i>a</i>".parse().expect("a value")),
        ],
        ..scoped
    };
    fixture.rule_of(scoped).await;
    let host = fixture.host("kvm").await;
    fixture.command(host, fixture.begun.wall).await;
    let put = async |groups: &[GroupId], rack: bool, value: &str| {
        let rack = rack.then(|| ("rack".parse().expect("a key"), "".parse().expect("a value")));
        let site = (site(), value.parse().expect("a value"));
        let change = HostChange {
            name: None,
            labels: Some(rack.into_iter().chain([site]).collect()),
            groups: Some(groups.iter().copied().collect()),
        };
        let audit = audit("host.update").host(host);
        let put = store.update_host(host, None, change, audit);
        put.await.expect("changed");
    };
    let mut second = 0;
    for (groups, rack, value, fires) in [
        (&[][..], true, "<i>a</i>", false),
        (&[group], true, "<i>a</i>", true),
        (&[group], true, "a", false),
        (&[group], true, "<i>a</i>", true),
        (&[group], false, "<i>a</i>", false),
    ] {
        put(groups, rack, value).await;
        second += 11;
        fixture.look(second).await;
        let open = fixture.alerts_in(Some(AlertState::Firing)).await;
        assert_eq!(!open.is_empty(), fires, "{groups:?} {rack} {value}");
    }
}

#[tokio::test]
async fn text_of_others_is_text_in_messages() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut fixture = Fixture::new(dir.path()).await;
    fixture.channel().await;
    let name = "<script>\"\\\u{202e}&amp;{{7*7}}</script>\u{1f4a5}";
    fixture.rule(name, Condition::QueueDepth(1)).await;
    // No API takes such a name; were there one all the same, it would be text as well.
    let host_name = "<img src=x onerror=alert(1)>\r\nBcc: x\u{0}\u{1b}[2J";
    let host = fixture.host(host_name).await;
    fixture.command(host, fixture.begun.wall).await;
    fixture.look(0).await;
    let messages = fixture.messages().await;
    let [message] = &messages[..] else {
        panic!("one message: {messages:?}");
    };
    assert_eq!(message["data"]["rule"], name);
    assert_eq!(message["data"]["host"], host_name);
    let raw = message.to_string();
    assert!(!raw.chars().any(char::is_control), "{raw:?}");
    let alerts = fixture.alerts().await;
    assert_eq!(alerts[0].host, Some((host, host_name.to_owned())));
}

#[tokio::test]
async fn a_rule_holds_for_its_time_before_it_is_told() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut fixture = Fixture::new(dir.path()).await;
    let held = AlertRule {
        hold: seconds(60),
        ..rule("held", Condition::CertificateEnds(seconds(1000)))
    };
    let held = fixture.rule_of(held).await;
    let depth = AlertRule {
        hold: seconds(60),
        ..rule("depth", Condition::QueueDepth(1))
    };
    fixture.rule_of(depth).await;
    let host = fixture.host("kvm").await;
    fixture.look(0).await;
    let command = fixture.command(host, fixture.begun.wall).await;
    assert_eq!(fixture.look(10).await, Some(60));
    let pending = fixture.alerts_in(Some(AlertState::Pending)).await;
    assert_eq!(pending.len(), 1);
    assert_eq!(fixture.look(69).await, Some(10), "once it is asked again");
    fixture.look(79).await;
    assert_eq!(fixture.shown().await, [firing("depth")]);
    fixture.sent(command, host).await;
    assert_eq!(fixture.look(89).await, Some(60));
    assert_eq!(fixture.shown().await, [firing("depth")]);
    fixture.look(149).await;
    assert_eq!(fixture.shown().await, [over("depth")]);
    // A rule that is removed takes its alert with it.
    let gone = AlertRule {
        condition: Condition::QueueDepth(1),
        hold: Duration::ZERO,
        ..held
    };
    fixture.update(gone.clone()).await;
    fixture.command(host, fixture.begun.wall).await;
    fixture.look(150).await;
    assert_eq!(fixture.shown().await, [over("depth"), firing("held")]);
    let deleted = fixture
        .platform
        .store
        .delete_alert_rule(gone.id, audit("alert_rule.delete"));
    deleted.await.expect("deleted");
    fixture.platform.alerts.rules_changed();
    fixture.look(151).await;
    assert_eq!(fixture.shown().await, [over("depth"), over("held")]);
}

#[tokio::test]
async fn a_clock_that_leaps_ahead_removes_no_alert() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut fixture = Fixture::new(dir.path()).await;
    let full = rule("full", Condition::PlatformStorage(0));
    let full = fixture.rule_of(full).await;
    fixture.look(0).await;
    let deleted = fixture
        .platform
        .store
        .delete_alert_rule(full.id, audit("alert_rule.delete"));
    deleted.await.expect("deleted");
    fixture.platform.alerts.rules_changed();
    fixture.look(10).await;
    assert_eq!(fixture.shown().await, [over("full")]);
    let year = 366 * 24 * 60 * 60;
    for (wall, steady, kept) in [
        (20, 20, 1),
        (3620, 3620, 1),
        (year, 3630, 1),
        (year + 3000, 6630, 1),
        (6640, 6640, 1),
        (year, 6650, 1),
        (year + 3600, 10_250, 0),
    ] {
        let now = Now {
            wall: fixture.at(wall).wall,
            steady: fixture.at(steady).steady,
        };
        fixture.look_by(now).await;
        assert_eq!(fixture.alerts().await.len(), kept, "{wall}");
    }
}
