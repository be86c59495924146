//! Who may call what: all methods by all roles, at both doors, and what those see who are granted the hosts
//! of some groups only.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower_service::Service as _;

use super::*;
use crate::ids::GroupId;
use crate::platform::identity::{Access, Grants, NewApiKey};

/// A value that stands for any id or name in a path.
const ANY: &str = "5b1f6a52-6d0e-4a6e-9d58-0f4f6f1f7c11";

struct Fixture {
    _dir: tempfile::TempDir,
    platform: Arc<Platform>,
    admin: Secret,
}

impl Fixture {
    async fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let platform = Platform::fresh(dir.path()).await;
        let token = std::fs::read_to_string(dir.path().join("admin-token")).expect("there");
        Self {
            _dir: dir,
            platform,
            admin: Secret::new(token.trim().to_owned()),
        }
    }

    /// A key that may do so much.
    async fn key(&self, role: Role, grants: Grants) -> Secret {
        let now = UnixMillis::now();
        let identity = &self.platform.identity;
        let admin = identity.authenticate(now, &self.admin).expect("known");
        let new = NewApiKey {
            user: None,
            name: "test".to_owned(),
            access: Some(Access { role, grants }),
            expires: None,
        };
        let made = identity.create_api_key(&admin, now, new, |audit, _, _| Ok(audit.into()));
        made.await.expect("made").1
    }

    async fn send(&self, request: Request<Body>) -> (StatusCode, Bytes, axum::http::HeaderMap) {
        let mut router = router(self.platform.clone());
        let answer = router.call(request).await.expect("answered");
        let (parts, body) = answer.into_parts();
        // What goes on for as long as somebody follows has no end to wait for.
        let kind = parts
            .headers
            .get("content-type")
            .map(|kind| kind.as_bytes());
        if matches!(kind, Some(b"text/event-stream" | b"application/grpc")) {
            return (parts.status, Bytes::new(), parts.headers);
        }
        let body = body.collect().await.map(|body| body.to_bytes());
        (parts.status, body.unwrap_or_default(), parts.headers)
    }

    async fn rest(
        &self,
        key: Option<&Secret>,
        verb: &str,
        path: &str,
        body: Option<Value>,
    ) -> (StatusCode, Value) {
        let mut request = Request::builder().method(verb).uri(path);
        if let Some(key) = key {
            request = request.header("authorization", format!("Bearer {}", key.expose()));
        }
        let body = match body {
            Some(body) => {
                request = request.header("content-type", "application/json");
                Body::from(body.to_string())
            }
            None => Body::empty(),
        };
        let (status, body, _) = self.send(request.body(body).expect("a request")).await;
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }

    /// The code of what a gRPC call with an empty message comes to.
    async fn grpc(&self, key: Option<&Secret>, about: &About) -> i32 {
        let path = format!("/fleetwire.api.v1.{}/{}", about.service, about.name);
        let mut request = Request::builder()
            .method("POST")
            .uri(path)
            .version(axum::http::Version::HTTP_2)
            .header("content-type", "application/grpc");
        if let Some(key) = key {
            request = request.header("authorization", format!("Bearer {}", key.expose()));
        }
        // Not compressed, no bytes.
        let body = Body::from(&[0_u8; 5][..]);
        let (_, _, headers) = self.send(request.body(body).expect("a request")).await;
        let status = headers.get("grpc-status");
        status.map_or(0, |status| {
            status.to_str().expect("text").parse().expect("a number")
        })
    }

    async fn must(&self, verb: &str, path: &str, body: Value) -> Value {
        let (status, answer) = self.rest(Some(&self.admin), verb, path, Some(body)).await;
        assert!(status.is_success(), "{verb} {path}: {answer}");
        answer
    }
}

fn any_path(path: &str) -> String {
    let parts = path
        .split('/')
        .map(|part| if part.starts_with('{') { ANY } else { part });
    parts.collect::<Vec<_>>().join("/")
}

#[tokio::test]
async fn every_method_is_for_those_whom_the_schema_names() {
    let fixture = Fixture::new().await;
    let mut keys = Vec::new();
    for role in Role::ALL {
        keys.push((role, fixture.key(role, Grants::All).await));
    }
    assert!(METHODS.len() > 10, "the table is there");
    for about in METHODS {
        let path = any_path(about.path);
        // Nothing is in it, so that nothing comes of it where it is let in.
        let body = || about.body.then(|| json!({}));
        let name = about.name;
        let (status, problem) = fixture.rest(None, about.verb, &path, body()).await;
        let grpc = fixture.grpc(None, about).await;
        let Some(needed) = about.role else {
            assert_ne!(problem["code"], "token_invalid", "{name}");
            assert_ne!(grpc, 16, "{name}");
            continue;
        };
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{name}");
        assert_eq!(
            (&problem["code"], grpc),
            (&json!("token_invalid"), 16),
            "{name}"
        );
        for (role, key) in &keys {
            let (status, problem) = fixture.rest(Some(key), about.verb, &path, body()).await;
            let grpc = fixture.grpc(Some(key), about).await;
            let refused = (status, problem["code"].as_str(), grpc)
                == (StatusCode::FORBIDDEN, Some("role_insufficient"), 7);
            assert_eq!(
                refused,
                *role < needed,
                "{name} {role:?}: {status} {problem} {grpc}"
            );
            assert_ne!(status, StatusCode::UNAUTHORIZED, "{name} {role:?}");
        }
    }
}

#[tokio::test]
async fn a_host_outside_a_grant_is_not_there() {
    let fixture = Fixture::new().await;
    let group = fixture
        .must("POST", "/api/groups", json!({"name": "lab"}))
        .await;
    let group: GroupId = group["id"].as_str().expect("an id").parse().expect("an id");
    let mut ids = Vec::new();
    for name in ["inside", "outside"] {
        let made = fixture
            .must("POST", "/api/hosts", json!({"name": name}))
            .await;
        let id = made["id"].as_str().expect("an id").to_owned();
        let groups = if name == "inside" {
            vec![group.to_string()]
        } else {
            Vec::new()
        };
        let path = format!("/api/hosts/{id}");
        let said = json!({"labels": {"site": name}, "add_group_ids": groups});
        fixture.must("PATCH", &path, said).await;
        let path = format!("/api/hosts/{id}/packages/install");
        fixture
            .must("POST", &path, json!({"packages": ["nginx"]}))
            .await;
        ids.push(id);
    }
    let [inside, outside] = &ids[..] else {
        panic!("two hosts");
    };
    let operator = fixture
        .key(Role::Operator, Grants::Groups([group].into()))
        .await;
    let get = async |path: &str| fixture.rest(Some(&operator), "GET", path, None).await;
    let names = |(status, list): (StatusCode, Value), of: &str, name: &str| -> Vec<String> {
        assert_eq!(status, StatusCode::OK, "{list}");
        let items = list[of].as_array().expect("a list").iter();
        items
            .map(|item| item[name].as_str().expect("text").to_owned())
            .collect()
    };

    // In lists and their filters.
    assert_eq!(names(get("/api/hosts").await, "hosts", "name"), ["inside"]);
    for filter in [
        "name=outside",
        "labels=site%3Doutside",
        "status=offline&name=out",
    ] {
        let path = format!("/api/hosts?{filter}");
        assert_eq!(
            names(get(&path).await, "hosts", "name"),
            [""; 0],
            "{filter}"
        );
    }
    assert_eq!(
        names(get("/api/labels").await, "labels", "value"),
        ["inside"]
    );
    assert_eq!(
        names(get("/api/commands").await, "commands", "host_id"),
        [&**inside]
    );
    // By id, by name, and as what other things are of.
    for path in [
        format!("/api/hosts/{outside}"),
        "/api/hosts/outside".to_owned(),
        format!("/api/commands?host={outside}"),
        "/api/sessions?host=outside".to_owned(),
    ] {
        let (status, problem) = get(&path).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(problem["code"], "host_unknown", "{path}");
    }
    let all = fixture
        .rest(
            Some(&fixture.admin),
            "GET",
            "/api/commands?host=outside",
            None,
        )
        .await;
    let [command] = &names(all, "commands", "id")[..] else {
        panic!("one command");
    };
    assert_eq!(
        get(&format!("/api/commands/{command}")).await.1["code"],
        "command_unknown"
    );
    // And nothing can be done to it.
    for (verb, path, body) in [
        (
            "POST",
            "/api/hosts/outside/packages/install",
            json!({"packages": ["nginx"]}),
        ),
        ("POST", "/api/sessions", json!({"host": "outside"})),
    ] {
        let (_, problem) = fixture.rest(Some(&operator), verb, path, Some(body)).await;
        assert_eq!(problem["code"], "host_unknown", "{path}");
    }
    // An administrator of some hosts only makes none, and does not move any.
    let admin = fixture
        .key(Role::Admin, Grants::Groups([group].into()))
        .await;
    for (verb, path, body) in [
        ("POST", "/api/hosts", json!({"name": "new"})),
        ("POST", "/api/enrolment-tokens", json!({"name": "outside"})),
        ("POST", "/api/groups", json!({"name": "new"})),
        (
            "PATCH",
            "/api/hosts/inside",
            json!({"remove_group_ids": [group.to_string()]}),
        ),
        ("GET", "/api/enrolment-tokens", json!(null)),
        (
            "DELETE",
            &format!("/api/enrolment-tokens/{ANY}"),
            json!(null),
        ),
        ("GET", "/api/audit/export", json!(null)),
    ] {
        let body = (!body.is_null()).then_some(body);
        let (_, problem) = fixture.rest(Some(&admin), verb, path, body).await;
        assert_eq!(problem["code"], "grant_insufficient", "{verb} {path}");
    }
    let log = fixture.rest(Some(&admin), "GET", "/api/audit", None).await;
    let hosts = names(log, "entries", "host_id");
    assert!(
        !hosts.is_empty() && hosts.iter().all(|host| host == inside),
        "{hosts:?}"
    );
}

#[tokio::test]
async fn a_member_that_is_at_fault_is_named() {
    let fixture = Fixture::new().await;
    for (path, body, field) in [
        ("/api/hosts", json!({"nam": "kvm"}), "nam"),
        ("/api/hosts", json!({"name": 1}), "name"),
        (
            "/api/deliveries/discard",
            json!({"filter": {"befor": "2026-01-01T00:00:00Z"}}),
            "filter.befor",
        ),
    ] {
        let (status, answer) = fixture
            .rest(Some(&fixture.admin), "POST", path, Some(body))
            .await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{answer}");
        assert_eq!(answer["field"], field, "{answer}");
    }
}

#[tokio::test]
async fn a_change_asks_for_the_state_that_it_has_seen() {
    let fixture = Fixture::new().await;
    fixture
        .must("POST", "/api/hosts", json!({"name": "kvm"}))
        .await;
    let send = async |verb: &str, condition: (&'static str, &str), body: Value| {
        let token = format!("Bearer {}", fixture.admin.expose());
        let request = Request::builder()
            .method(verb)
            .uri("/api/hosts/kvm")
            .header("authorization", token)
            .header("content-type", "application/json")
            .header(condition.0, condition.1)
            .body(Body::from(body.to_string()));
        let (status, body, headers) = fixture.send(request.expect("a request")).await;
        let etag = headers
            .get("etag")
            .map(|etag| etag.to_str().expect("text").to_owned());
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        (status, etag.unwrap_or_default(), body)
    };
    let (status, first, host) = send("GET", ("accept", "*/*"), json!({})).await;
    assert_eq!(
        (
            status,
            format!("\"{}\"", host["etag"].as_str().expect("text"))
        ),
        (StatusCode::OK, first.clone())
    );
    let (status, ..) = send("GET", ("if-none-match", &first), json!({})).await;
    assert_eq!(status, StatusCode::NOT_MODIFIED);

    let change = json!({"labels": {"site": "lab"}});
    let (status, second, host) = send("PATCH", ("if-match", &first), change.clone()).await;
    assert_eq!(
        (status, &host["labels"]),
        (StatusCode::OK, &json!({"site": "lab"}))
    );
    assert_ne!(first, second);
    for stale in [&*first, "\"never\""] {
        let (status, _, problem) = send("PATCH", ("if-match", stale), change.clone()).await;
        assert_eq!(status, StatusCode::PRECONDITION_FAILED, "{problem}");
        assert_eq!(problem["code"], "changed_meanwhile");
    }
    // What is not said stays; what is taken away and given anew is there.
    let more = json!({"name": "kvm-2", "labels": {"rack": "7", "site": "attic"},
        "remove_labels": ["site", "none"]});
    let (_, _, host) = send("PATCH", ("if-match", &second), more).await;
    assert_eq!(
        (&host["name"], &host["labels"]),
        (&json!("kvm-2"), &json!({"rack": "7", "site": "attic"}))
    );
    let less = json!({"remove_labels": ["rack"], "name": "kvm"});
    let path = format!("/api/hosts/{}", host["id"].as_str().expect("an id"));
    let (_, host) = fixture
        .rest(Some(&fixture.admin), "PATCH", &path, Some(less))
        .await;
    assert_eq!(host["labels"], json!({"site": "attic"}));
    for (change, code) in [
        (json!({"labels": {"a b": "x"}}), "label_invalid"),
        (json!({"remove_labels": ["a b"]}), "label_invalid"),
        (json!({"name": ""}), "name_invalid"),
        (json!({"add_group_ids": [host["id"]]}), "group_unknown"),
        (json!({"group_ids": []}), "request_invalid"),
    ] {
        let refused = fixture.rest(Some(&fixture.admin), "PATCH", &path, Some(change.clone()));
        assert_eq!(refused.await.1["code"], code, "{change}");
    }
    let (status, third, _) = send("PATCH", ("if-match", "*"), change.clone()).await;
    assert_eq!(status, StatusCode::OK);
    let (status, ..) = send(
        "GET",
        ("if-none-match", &format!("\"x\", W/{third}")),
        json!({}),
    )
    .await;
    assert_eq!(status, StatusCode::NOT_MODIFIED);
}

/// An agent's request for a certificate, by a key of its own.
fn request_for_a_certificate() -> String {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).expect("a key");
    let request = rcgen::CertificateParams::default().serialize_request(&key);
    request.expect("signed").pem().expect("PEM")
}

#[tokio::test]
async fn an_agent_enrols_and_renews_at_either_door() {
    let fixture = Fixture::new().await;
    let token = fixture
        .must("POST", "/api/enrolment-tokens", json!({}))
        .await["token"]
        .clone();
    let csr = request_for_a_certificate();
    let members = |answer: &Value| {
        let members = answer.as_object().expect("an object").keys();
        members.cloned().collect::<Vec<_>>()
    };

    let path = "/v1/agent/enroll";
    let body = json!({"token": token, "name": "kvm", "csr": csr});
    let (status, enrolled) = fixture.rest(None, "POST", path, Some(body)).await;
    assert_eq!(status, StatusCode::CREATED, "{enrolled}");
    let kept = [
        "auth_token",
        "ca_pem",
        "certificate",
        "host_id",
        "name",
        "renew_after_seconds",
        "server_name",
    ];
    assert_eq!(members(&enrolled), kept);
    assert_eq!(enrolled["renew_after_seconds"], 20 * 24 * 60 * 60);
    let path = "/v1/agent/renew";
    let body = json!({"auth_token": enrolled["auth_token"], "csr": csr});
    let (status, renewed) = fixture.rest(None, "POST", path, Some(body)).await;
    assert_eq!(status, StatusCode::OK, "{renewed}");
    assert_eq!(members(&renewed), [&kept[..3], &kept[5..]].concat());

    // The same key is the same agent, whatever it comes by, until it has connected.
    use pb::enrolment_service_server::EnrolmentService as _;
    let grpc = Grpc(fixture.platform.clone());
    let request = pb::RenewCertificateRequest {
        auth_token: renewed["auth_token"].as_str().expect("a token").to_owned(),
        csr: csr.clone(),
    };
    let again = grpc.renew_certificate(tonic::Request::new(request)).await;
    let again = again.expect("renewed").into_inner();
    assert_ne!(again.auth_token, renewed["auth_token"]);
    let request = pb::EnrolHostRequest {
        token: token.as_str().expect("a token").to_owned(),
        name: "kvm".to_owned(),
        csr: request_for_a_certificate(),
    };
    let thief = grpc.enrol_host(tonic::Request::new(request)).await;
    let refused = thief.expect_err("used").code();
    assert_eq!(refused, tonic::Code::Unauthenticated);
}

#[tokio::test]
async fn a_key_for_trying_again_is_nothing_to_whoever_has_no_credential() {
    let fixture = Fixture::new().await;
    let token = fixture
        .must("POST", "/api/enrolment-tokens", json!({}))
        .await["token"]
        .clone();
    let body = json!({"token": token, "name": "kvm", "csr": request_for_a_certificate()});
    let mut ids = Vec::new();
    for _ in 0..2 {
        let request = Request::builder()
            .method("POST")
            .uri("/v1/agent/enroll")
            .header("content-type", "application/json")
            .header("idempotency-key", ANY)
            .body(Body::from(body.to_string()));
        let (status, answer, _) = fixture.send(request.expect("a request")).await;
        assert_eq!(status, StatusCode::CREATED);
        let answer: Value = serde_json::from_slice(&answer).expect("JSON");
        ids.push((answer["host_id"].clone(), answer["auth_token"].clone()));
    }
    assert_eq!(ids[0].0, ids[1].0);
    assert_ne!(ids[0].1, ids[1].1, "what was lost is made anew");
}
