//! Users, groups and API keys over REST, as an administrator has them and as others do not. The rules
//! behind are tested in `identity`; what is tested here is that they hold for whoever comes by the door.

use fleetwire::net::http_client::HttpError;
use fleetwire::schema::api as pb;
use fleetwire::secret::Secret;
use hyper::Method;
use serde_json::{Value, json};

use crate::sign_in::doors::{DOORS, Method as ByBoth, Refusal, Visitor, method};
use crate::support::{Client, Platform};

const PASSWORD: &str = "correct horse battery staple";

async fn call(client: &Client, method: Method, path: &str, body: Value) -> Value {
    asked(client, method, path, body)
        .await
        .unwrap_or_else(|code| panic!("{path}: {code}"))
}

/// The answer, or the stable code of the refusal.
async fn asked(client: &Client, method: Method, path: &str, body: Value) -> Result<Value, String> {
    let body = (!body.is_null()).then_some(&body);
    let code = |error: HttpError| {
        error
            .code()
            .map_or_else(|| error.to_string(), str::to_owned)
    };
    client.call(method, path, body).await.map_err(code)
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name]
        .as_str()
        .unwrap_or_else(|| panic!("{name} of {value}"))
}

#[tokio::test]
async fn a_group_is_made_changed_as_it_was_seen_and_removed() {
    let platform = Platform::start(&[]);
    let admin = platform.client();
    let made = call(&admin, Method::POST, "/api/groups", json!({"name": "lab"})).await;
    assert_eq!((&made["name"], &made["hosts"]), (&json!("lab"), &json!(0)));
    let again = asked(&admin, Method::POST, "/api/groups", json!({"name": "lab"})).await;
    assert_eq!(again, Err("name_taken".to_owned()));
    let invalid = asked(&admin, Method::POST, "/api/groups", json!({"name": "a b"})).await;
    assert_eq!(invalid, Err("name_invalid".to_owned()));

    let path = format!("/api/groups/{}", text(&made, "id"));
    let change = json!({"description": "the rack by the door", "etag": made["etag"]});
    let changed = call(&admin, Method::PATCH, &path, change.clone()).await;
    assert_eq!(
        (&changed["name"], &changed["description"]),
        (&made["name"], &change["description"])
    );
    let late = asked(&admin, Method::PATCH, &path, change).await;
    assert_eq!(late, Err("changed_meanwhile".to_owned()));
    assert_eq!(call(&admin, Method::GET, &path, Value::Null).await, changed);

    for name in ["a", "b", "c"] {
        call(&admin, Method::POST, "/api/groups", json!({"name": name})).await;
    }
    let (mut names, mut token) = (Vec::new(), String::new());
    loop {
        let page = format!("/api/groups?page_size=3&page_token={token}");
        let page = call(&admin, Method::GET, &page, Value::Null).await;
        let groups = page["groups"].as_array().expect("a list");
        names.extend(groups.iter().map(|group| text(group, "name").to_owned()));
        token = text(&page, "next_page_token").to_owned();
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(names, ["a", "b", "c", "lab"]);

    call(&admin, Method::DELETE, &path, Value::Null).await;
    let gone = asked(&admin, Method::GET, &path, Value::Null).await;
    assert_eq!(gone, Err("not_found".to_owned()));
}

#[tokio::test]
async fn a_user_is_what_an_administrator_makes_of_it() {
    let platform = Platform::start(&[]);
    let admin = platform.client();
    let group = call(&admin, Method::POST, "/api/groups", json!({"name": "lab"})).await;
    let lab = json!({"all_hosts": false, "group_ids": [group["id"]]});
    let new =
        json!({"name": "Ada@example.com", "role": "operator", "grants": lab, "password": PASSWORD});
    let made = call(&admin, Method::POST, "/api/users", new.clone()).await;
    assert_eq!(made["name"], "ada@example.com");
    assert_eq!((&made["role"], &made["grants"]), (&json!("operator"), &lab));
    assert_eq!(
        (&made["has_password"], &made["built_in"]),
        (&json!(true), &json!(false))
    );
    assert!(!made.to_string().contains(PASSWORD));
    assert_eq!(
        asked(&admin, Method::POST, "/api/users", new).await,
        Err("name_taken".to_owned())
    );
    for (wrong, code) in [
        (json!({"name": "eve"}), "role_invalid"),
        (json!({"name": "e v e", "role": "viewer"}), "name_invalid"),
        (
            json!({"name": "eve", "role": "viewer", "password": "short"}),
            "password_weak",
        ),
        (
            json!({"name": "eve", "role": "viewer", "grants": {"group_ids": [made["id"]]}}),
            "group_unknown",
        ),
    ] {
        let refused = asked(&admin, Method::POST, "/api/users", wrong.clone()).await;
        assert_eq!(refused, Err(code.to_owned()), "{wrong}");
    }

    let path = format!("/api/users/{}", text(&made, "id"));
    let change = json!({"role": "viewer", "disabled": true, "etag": made["etag"]});
    let changed = call(&admin, Method::PATCH, &path, change.clone()).await;
    assert_eq!(
        (&changed["role"], &changed["disabled"]),
        (&json!("viewer"), &json!(true))
    );
    assert_eq!(changed["grants"], lab, "what was not named stays");
    let late = asked(&admin, Method::PATCH, &path, change).await;
    assert_eq!(late, Err("changed_meanwhile".to_owned()));

    let users = call(&admin, Method::GET, "/api/users?name=EXAMPLE", Value::Null).await;
    assert_eq!(users["users"], json!([changed]));
    let all = call(&admin, Method::GET, "/api/users", Value::Null).await;
    let built_in = &all["users"].as_array().expect("a list")[1];
    let built_in = format!("/api/users/{}", text(built_in, "id"));
    for change in [json!({"disabled": true}), json!({"role": "viewer"})] {
        let refused = asked(&admin, Method::PATCH, &built_in, change).await;
        assert_eq!(refused, Err("built_in".to_owned()));
    }
    assert!(
        asked(&admin, Method::DELETE, &built_in, Value::Null)
            .await
            .is_err()
    );

    call(&admin, Method::DELETE, &path, Value::Null).await;
    let audit = call(&admin, Method::GET, "/api/audit?action=user.", Value::Null).await;
    let entries = audit["entries"].as_array().expect("a list");
    let actions: Vec<_> = entries.iter().map(|entry| text(entry, "action")).collect();
    assert!(
        actions.starts_with(&["user.delete", "user.update", "user.create"]),
        "{actions:?}"
    );
}

#[tokio::test]
async fn an_api_key_is_shown_once_and_may_no_more_than_it_was_given() {
    let platform = Platform::start(&[]);
    let admin = platform.client();
    let user = json!({"name": "robot", "role": "operator", "grants": {"all_hosts": true}});
    let user = call(&admin, Method::POST, "/api/users", user).await;
    let new = json!({"name": "inventory", "user_id": user["id"], "role": "viewer"});
    let made = call(&admin, Method::POST, "/api/api-keys", new).await;
    let secret = text(&made, "secret").to_owned();
    let more = json!({"name": "more", "user_id": user["id"], "role": "admin"});
    let more = asked(&admin, Method::POST, "/api/api-keys", more).await;
    assert_eq!(more, Err("grant_insufficient".to_owned()), "than its owner");

    let robot = platform
        .anonymous()
        .with_bearer(Secret::new(secret.clone()));
    call(&robot, Method::GET, "/api/hosts", Value::Null).await;
    let refused = asked(&robot, Method::GET, "/api/users", Value::Null).await;
    assert_eq!(refused, Err("role_insufficient".to_owned()));
    let refused = asked(
        &robot,
        Method::POST,
        "/api/sessions",
        json!({"host": "kvm"}),
    )
    .await;
    assert_eq!(refused, Err("role_insufficient".to_owned()));
    let refused = json!({"name": "more", "role": "operator"});
    let refused = asked(&robot, Method::POST, "/api/api-keys", refused).await;
    assert_eq!(
        refused,
        Err("grant_insufficient".to_owned()),
        "than the key that makes it"
    );

    let of = format!("/api/api-keys?user_id={}", text(&user, "id"));
    let listed = call(&admin, Method::GET, &of, Value::Null).await;
    assert!(!listed.to_string().contains(&secret), "it is shown once");
    let keys = listed["api_keys"].as_array().expect("a list");
    assert_eq!((keys.len(), &keys[0]["name"]), (1, &json!("inventory")));
    assert!(keys[0]["used_at"].is_string(), "{listed}");
    let seen = call(&robot, Method::GET, "/api/api-keys", Value::Null).await;
    assert_eq!(
        seen["api_keys"].as_array().map(Vec::len),
        Some(1),
        "its own alone"
    );

    let path = format!("/api/api-keys/{}", text(&made["api_key"], "id"));
    call(&admin, Method::DELETE, &path, Value::Null).await;
    let refused = asked(&robot, Method::GET, "/api/hosts", Value::Null).await;
    assert_eq!(refused, Err("token_invalid".to_owned()));
}

#[tokio::test]
async fn a_credential_is_kept_as_what_it_is_known_by_and_nothing_more() {
    let platform = Platform::start(&[]);
    let admin = platform.client();
    let make = async |path: &str, body: Value| call(&admin, Method::POST, path, body).await;
    let user = json!({
        "name": "ada", "role": "viewer", "grants": {"all_hosts": true}, "password": PASSWORD,
    });
    make("/api/users", user).await;
    let key = make("/api/api-keys", json!({"name": "ci", "role": "viewer"})).await;
    let token = make("/api/enrolment-tokens", json!({})).await;
    let host = make("/api/hosts", json!({"name": "kvm"})).await;
    let signed_in = json!({"user": "ada", "password": PASSWORD});
    let signed_in = make("/api/auth/sign-in", signed_in).await;
    let secrets = [
        PASSWORD,
        text(&key, "secret"),
        text(&token, "token"),
        text(&host, "auth_token"),
        text(&signed_in, "access_token"),
        text(&signed_in, "refresh_token"),
    ];

    let has = |kept: &[u8], text: &str| kept.windows(text.len()).any(|at| at == text.as_bytes());
    let mut files = 0;
    let mut places = vec![platform.data_dir()];
    while let Some(path) = places.pop() {
        if path.is_dir() {
            let inside = std::fs::read_dir(&path).expect("there");
            places.extend(inside.map(|file| file.expect("a file").path()));
            continue;
        }
        let kept = std::fs::read(&path).expect("read");
        files += usize::from(has(&kept, "ada"));
        for secret in secrets {
            assert!(!has(&kept, secret), "{} has {secret}", path.display());
        }
    }
    assert!(files > 0, "what was made is in one of them");
}

#[tokio::test]
async fn a_rule_of_the_schema_holds_at_both_doors() {
    const LIST: ByBoth<pb::ListUsersRequest, pb::ListUsersResponse> =
        method("GET", "/api/users", "UserService/ListUsers", "");
    const GET: ByBoth<pb::GetUserRequest, pb::GetUserResponse> =
        method("GET", "/api/users/{user_id}", "UserService/GetUser", "user");
    const CREATE: ByBoth<pb::CreateUserRequest, pb::CreateUserResponse> =
        method("POST", "/api/users", "UserService/CreateUser", "user");
    let platform = Platform::start(&[]);
    let admin = Visitor::with(&platform, &platform.admin_token());
    for door in DOORS {
        let many = admin.ask(door, &LIST, json!({"page_size": 1001})).await;
        let endless = json!({"user_id": "x".repeat(254)});
        let endless = admin.ask(door, &GET, endless).await;
        let nobody = admin.ask(door, &CREATE, json!({"role": "viewer"})).await;
        let long = json!({"name": "ada", "role": "viewer", "password": "x".repeat(10_000)});
        let long = admin.ask(door, &CREATE, long).await;
        for (what, asked) in [
            ("too many", many),
            ("too long an id", endless),
            ("none", nobody),
            ("too long", long),
        ] {
            let refused = asked.map_err(Refusal::what);
            let rule = Err((400, "field_invalid".to_owned()));
            assert_eq!(refused, rule, "{what}, {door:?}");
        }
    }
}
