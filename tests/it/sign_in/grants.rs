//! Somebody who sees some hosts asks for one that is not among them: by its id and its name, in filters, in
//! the message track, and by following what happens. It is answered as one that is not there.

use fleetwire::schema::api as pb;
use hyper::Method as Verb;
use serde_json::{Value, json};

use super::doors::{DOORS, Door, Method, Refusal, Visitor, method};
use super::text;
use crate::certificates::AGENTS;
use crate::certificates::machine::refused_without;
use crate::events::{connect_json, hear, say};
use crate::support::{Agent, Platform, until_status, until_true};

const GET_HOST: Method<pb::GetHostRequest, pb::GetHostResponse> =
    method("GET", "/api/hosts/{host_id}", "HostService/GetHost", "host");
const LIST_HOSTS: Method<pb::ListHostsRequest, pb::ListHostsResponse> =
    method("GET", "/api/hosts", "HostService/ListHosts", "");
const REVOKE: Method<pb::RevokeHostRequest, pb::RevokeHostResponse> = method(
    "POST",
    "/api/hosts/{host_id}/revoke",
    "HostService/RevokeHost",
    "",
);
const INSTALL: Method<pb::InstallPackagesRequest, pb::InstallPackagesResponse> = method(
    "POST",
    "/api/hosts/{host_id}/packages/install",
    "CommandService/InstallPackages",
    "",
);
const GET_COMMAND: Method<pb::GetCommandRequest, pb::GetCommandResponse> = method(
    "GET",
    "/api/commands/{command_id}",
    "CommandService/GetCommand",
    "command",
);
const LIST_COMMANDS: Method<pb::ListCommandsRequest, pb::ListCommandsResponse> =
    method("GET", "/api/commands", "CommandService/ListCommands", "");
const OPEN: Method<pb::OpenSessionRequest, pb::OpenSessionResponse> =
    method("POST", "/api/sessions", "SessionService/OpenSession", "");
const LIST_SESSIONS: Method<pb::ListSessionsRequest, pb::ListSessionsResponse> =
    method("GET", "/api/sessions", "SessionService/ListSessions", "");
const CLOSE: Method<pb::CloseSessionRequest, pb::CloseSessionResponse> = method(
    "DELETE",
    "/api/sessions/{session_id}",
    "SessionService/CloseSession",
    "",
);
const LIST_AUDIT: Method<pb::ListAuditEntriesRequest, pb::ListAuditEntriesResponse> =
    method("GET", "/api/audit", "AuditService/ListAuditEntries", "");
const LIST_MESSAGES: Method<pb::ListMessagesRequest, pb::ListMessagesResponse> =
    method("GET", "/api/messages", "MessageService/ListMessages", "");

/// Two hosts with their agents, in a group each.
struct Fleet {
    platform: Platform,
    mine: String,
    theirs: String,
    my_group: String,
    their_group: String,
    _agents: [Agent; 2],
}

impl Fleet {
    async fn start() -> Self {
        let platform = Platform::start(&[]);
        let agents = ["mine", "theirs"].map(|name| Agent::start(&platform, name));
        let [mine, their] = ["mine", "theirs"].map(|name| {
            let host = until_status(&platform, name, "online");
            text(&host, "id").to_owned()
        });
        let mut groups = Vec::new();
        for (name, host) in [("mine", &mine), ("theirs", &their)] {
            let group = json!({"name": format!("group-{name}")});
            let group = admin(&platform, Verb::POST, "/api/groups", group).await;
            let group = text(&group, "id").to_owned();
            let change = json!({"add_group_ids": [group]});
            admin(
                &platform,
                Verb::PATCH,
                &format!("/api/hosts/{host}"),
                change,
            )
            .await;
            groups.push(group);
        }
        let [my_group, their_group] = groups.try_into().expect("two groups");
        Self {
            platform,
            mine,
            theirs: their,
            my_group,
            their_group,
            _agents: agents,
        }
    }

    /// The API key of somebody of this role who sees the one host.
    async fn key(&self, role: &str) -> String {
        let key = json!({
            "name": role, "role": role,
            "grants": {"all_hosts": false, "group_ids": [self.my_group]},
        });
        let key = admin(&self.platform, Verb::POST, "/api/api-keys", key).await;
        text(&key, "secret").to_owned()
    }

    /// Somebody of this role who sees the one host.
    async fn somebody(&self, role: &str) -> Visitor<'_> {
        Visitor::with(&self.platform, &self.key(role).await)
    }
}

async fn admin(platform: &Platform, verb: Verb, path: &str, body: Value) -> Value {
    let answer = platform.client().call(verb, path, Some(&body)).await;
    answer.expect(path)
}

fn not_there(code: &str) -> Option<(u16, String)> {
    Some((404, code.to_owned()))
}

fn what<T>(asked: Result<T, Refusal>) -> Option<(u16, String)> {
    asked.err().map(Refusal::what)
}

fn list<'a>(answer: &'a Value, name: &str) -> &'a Vec<Value> {
    answer[name]
        .as_array()
        .unwrap_or_else(|| panic!("{name} of {answer}"))
}

#[tokio::test]
async fn a_host_outside_of_ones_grants_is_not_there_by_id_or_by_name() {
    let fleet = Fleet::start().await;
    let (operator, limited) = (
        fleet.somebody("operator").await,
        fleet.somebody("admin").await,
    );
    let seed = json!({"host_id": fleet.theirs, "packages": ["curl"]});
    let owner = Visitor::with(&fleet.platform, &fleet.platform.admin_token());
    let command = owner.ask(Door::Rest, &INSTALL, seed).await;
    let command = text(&command.expect("accepted"), "command_id").to_owned();
    let session = fleet.platform.operate_json(&["session", "open", "theirs"]);
    let session = text(&session, "session_id");
    for door in DOORS {
        for host in [&*fleet.theirs, "theirs"] {
            let of_host = json!({ "host_id": host });
            let refused = what(operator.ask(door, &GET_HOST, of_host.clone()).await);
            assert_eq!(refused, not_there("host_unknown"));
            let refused = what(limited.ask(door, &REVOKE, of_host.clone()).await);
            assert_eq!(refused, not_there("host_unknown"));
            let install = json!({"host_id": host, "packages": ["curl"]});
            let refused = what(operator.ask(door, &INSTALL, install).await);
            assert_eq!(refused, not_there("host_unknown"));
            let refused = what(operator.ask(door, &OPEN, json!({ "host": host })).await);
            assert_eq!(refused, not_there("host_unknown"));
        }
        let of_command = json!({ "command_id": command });
        let refused = operator.ask(door, &GET_COMMAND, of_command).await;
        assert_eq!(refused.map_err(|refusal| refusal.status), Err(404));
        let of_session = json!({ "session_id": session });
        let refused = what(limited.ask(door, &CLOSE, of_session).await);
        assert_eq!(refused, not_there("session_unknown"));
        // Its own is there, by both.
        for host in [&*fleet.mine, "mine"] {
            let shown = operator
                .ask(door, &GET_HOST, json!({ "host_id": host }))
                .await;
            assert_eq!(shown.expect("shown")["id"], *fleet.mine);
        }
    }
    until_status(&fleet.platform, "theirs", "online");
    assert_eq!(list(&json!({"s": fleet.platform.sessions()}), "s").len(), 1);
}

#[tokio::test]
async fn a_host_outside_of_ones_grants_is_in_no_list_whatever_is_asked_for() {
    let fleet = Fleet::start().await;
    let (operator, limited) = (
        fleet.somebody("operator").await,
        fleet.somebody("admin").await,
    );
    let owner = Visitor::with(&fleet.platform, &fleet.platform.admin_token());
    for host in [&fleet.mine, &fleet.theirs] {
        let install = json!({"host_id": host, "packages": ["curl"]});
        let accepted = owner.ask(Door::Rest, &INSTALL, install).await;
        accepted.expect("accepted");
    }
    for name in ["mine", "theirs"] {
        fleet.platform.operate_json(&["session", "open", name]);
    }
    for door in DOORS {
        for (filter, count) in [
            (json!({}), 1),
            (json!({"name": "theirs"}), 0),
            (json!({"group_id": fleet.their_group}), 0),
            (json!({"group_id": fleet.my_group}), 1),
            (json!({"status": "online"}), 1),
        ] {
            let hosts = operator.ask(door, &LIST_HOSTS, filter.clone()).await;
            let hosts = hosts.expect("listed");
            assert_eq!(list(&hosts, "hosts").len(), count, "{filter}");
        }
        for host in [&*fleet.theirs, "theirs"] {
            let of_host = json!({ "host": host });
            let refused = what(operator.ask(door, &LIST_COMMANDS, of_host.clone()).await);
            assert_eq!(refused, not_there("host_unknown"));
            let refused = what(limited.ask(door, &LIST_AUDIT, of_host).await);
            assert_eq!(refused, not_there("host_unknown"));
        }
        let commands = operator.ask(door, &LIST_COMMANDS, json!({})).await;
        let commands = commands.expect("listed");
        let of: Vec<_> = list(&commands, "commands").iter().collect();
        assert_eq!((of.len(), &of[0]["host_id"]), (1, &json!(fleet.mine)));
        let sessions = operator.ask(door, &LIST_SESSIONS, json!({})).await;
        let sessions = sessions.expect("listed");
        assert!(
            list(&sessions, "sessions")
                .iter()
                .all(|session| session["host_id"] == *fleet.mine)
        );
        let audit = limited.ask(door, &LIST_AUDIT, json!({})).await;
        let audit = audit.expect("listed");
        assert!(!list(&audit, "entries").is_empty());
        assert!(!audit.to_string().contains(&fleet.theirs), "{audit}");
    }
}

#[tokio::test]
async fn the_message_track_is_that_of_ones_own_hosts() {
    let fleet = Fleet::start().await;
    let operator = fleet.somebody("operator").await;
    let owner = Visitor::with(&fleet.platform, &fleet.platform.admin_token());
    // A stranger is not let in: messages of nobody.
    refused_without(&fleet.platform, AGENTS, "agt_nobody").await;
    until_true("a message of nobody", async || {
        let all = owner.ask(Door::Rest, &LIST_MESSAGES, json!({})).await;
        let all = all.expect("listed");
        let messages = list(&all, "messages");
        messages.iter().any(|message| {
            message["message_type"] == "hello"
                && message["host_id"].as_str().is_none_or(str::is_empty)
        })
    })
    .await;
    for door in DOORS {
        let hosts = async |visitor: &Visitor<'_>, filter: Value| {
            let found = visitor.ask(door, &LIST_MESSAGES, filter).await;
            let found = found.expect("listed");
            let of = |message: &Value| message["host_id"].as_str().unwrap_or_default().to_owned();
            let mut hosts: Vec<_> = list(&found, "messages").iter().map(of).collect();
            hosts.sort();
            hosts.dedup();
            hosts
        };
        let mut all = vec![String::new(), fleet.mine.clone(), fleet.theirs.clone()];
        all.sort();
        assert_eq!(hosts(&owner, json!({})).await, all);
        let mine = [fleet.mine.clone()];
        assert_eq!(hosts(&operator, json!({})).await, mine);
        let hellos = json!({"message_type": "hello"});
        assert_eq!(hosts(&operator, hellos).await, mine);
        let refused = json!({"outcome": "refused"});
        assert_eq!(hosts(&operator, refused).await, [""; 0]);
        let of_mine = json!({"host_id": fleet.mine});
        assert_eq!(hosts(&operator, of_mine).await, mine);
        let of_theirs = json!({"host_id": fleet.theirs});
        assert_eq!(hosts(&operator, of_theirs.clone()).await, [""; 0]);
        assert_eq!(hosts(&owner, of_theirs).await, [&*fleet.theirs]);
    }
}

#[tokio::test]
async fn what_happens_to_a_host_outside_of_ones_grants_is_not_told() {
    let fleet = Fleet::start().await;
    let key = fleet.key("operator").await;
    let mut followers = Vec::new();
    for watch in [
        json!({}),
        json!({"host_ids": [fleet.theirs, fleet.mine]}),
        json!({"group_ids": [fleet.their_group, fleet.my_group]}),
        json!({"host_ids": [fleet.theirs], "group_ids": [fleet.my_group]}),
        json!({"host_ids": [fleet.mine], "group_ids": [fleet.their_group]}),
    ] {
        let mut socket = connect_json(&fleet.platform, &key).await;
        say(&mut socket, &json!({ "watch": watch })).await;
        let mark = hear(&mut socket).await.expect("told");
        assert!(mark["mark"].is_object(), "{mark}");
        followers.push((watch, socket));
    }
    for name in ["theirs", "mine"] {
        fleet.platform.operate_json(&["session", "open", name]);
        let path = format!("/api/hosts/{name}/revoke");
        admin(&fleet.platform, Verb::POST, &path, json!({})).await;
    }
    for (watch, socket) in &mut followers {
        loop {
            let heard = hear(socket).await.expect("it goes on");
            let event = &heard["event"];
            if event.is_object() {
                assert_eq!(event["host_id"], *fleet.mine, "{watch}: {heard}");
            }
            if event["host_revoked"].is_object() {
                break;
            }
        }
    }
}
