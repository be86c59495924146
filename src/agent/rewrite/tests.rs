//! Each header that is mapped, and those near it that are not.

use bytes::Bytes;

use super::*;
use crate::agent::target::{Credential, Routes, TargetOptions, Trust};
use crate::wire::fields::FieldLimits;

const PUBLIC: &str = "http://abc.localhost:8080";

fn route(prefix: &str, url: &str, options: TargetOptions) -> Route {
    let target = Target::new(url, options).expect("a target");
    Routes::new([(prefix.to_owned(), target)])
        .expect("routes")
        .all()[0]
        .clone()
}

fn plain() -> Route {
    route("/", "http://10.0.0.5:8000", TargetOptions::default())
}

fn https() -> Route {
    let options = TargetOptions {
        trust: Some(Trust::Insecure),
        ..TargetOptions::default()
    };
    route("/", "https://kvm", options)
}

fn fields(lines: &str) -> FieldLines {
    let limits = FieldLimits {
        bytes: 4096,
        count: 64,
    };
    FieldLines::parse(Bytes::from(lines.to_owned()), limits).expect("fields")
}

fn text(fields: &FieldLines) -> String {
    String::from_utf8(fields.as_bytes().to_vec()).expect("ASCII in this test")
}

fn up(route: &Route, lines: &str) -> String {
    text(&Mapping::new(Some(PUBLIC), route).request(&fields(lines)))
}

fn down(public: &str, route: &Route, lines: &str) -> String {
    match Mapping::new(Some(public), route).answer(302, &fields(lines)) {
        Mapped::Fields(fields) => text(&fields),
        Mapped::ToHttps => "to https".to_owned(),
    }
}

#[test]
fn host_and_origin_go_as_a_pair() {
    let lines = "A: 1\r\nHost: abc.localhost:8080\r\nOrigin: http://abc.localhost:8080\r\nB: 2\r\n";
    assert_eq!(
        up(&plain(), lines),
        "A: 1\r\nHost: 10.0.0.5:8000\r\nOrigin: http://10.0.0.5:8000\r\nB: 2\r\n"
    );
    assert_eq!(
        up(&https(), lines),
        "A: 1\r\nHost: kvm\r\nOrigin: https://kvm\r\nB: 2\r\n"
    );
    let with = |host| {
        route(
            "/",
            "http://10.0.0.5",
            TargetOptions {
                host,
                ..TargetOptions::default()
            },
        )
    };
    assert_eq!(up(&with(HostMode::Public), lines), lines);
    assert_eq!(
        up(&with(HostMode::Fixed("kvm.lan".into())), lines),
        "A: 1\r\nHost: kvm.lan\r\nOrigin: http://kvm.lan\r\nB: 2\r\n"
    );
    let unix = route("/", "unix:/run/web.sock", TargetOptions::default());
    assert_eq!(
        up(&unix, "Host: abc.localhost:8080\r\n"),
        "Host: localhost\r\n"
    );
}

#[test]
fn there_is_exactly_one_host() {
    assert_eq!(up(&plain(), "A: 1\r\n"), "Host: 10.0.0.5:8000\r\nA: 1\r\n");
    assert_eq!(
        up(&plain(), "Host: a\r\nhost: b\r\n"),
        "Host: 10.0.0.5:8000\r\n"
    );
}

#[test]
fn a_foreign_or_absent_origin_stays() {
    for origin in [
        "null",
        "http://evil.example",
        "https://abc.localhost:8080",
        "http://abc.localhost:80801",
        "http://abc.localhost:8080.evil.example",
        "http://abc.localhost:8080/",
    ] {
        let lines = format!("Host: 10.0.0.5:8000\r\nOrigin: {origin}\r\n");
        assert_eq!(up(&plain(), &lines), lines);
    }
}

#[test]
fn a_referer_keeps_its_path_and_foreign_ones_go() {
    let referer = |route: &Route, value| {
        let lines = format!("Host: x\r\nReferer: {value}\r\n");
        up(route, &lines)
            .split_once("Referer: ")
            .map(|(_, value)| value.trim_end().to_owned())
    };
    assert_eq!(
        referer(
            &plain(),
            "http://abc.localhost:8080/a?b=http://abc.localhost:8080/"
        )
        .as_deref(),
        Some("http://10.0.0.5:8000/a?b=http://abc.localhost:8080/")
    );
    assert_eq!(
        referer(&plain(), "http://abc.localhost:8080").as_deref(),
        Some("http://10.0.0.5:8000")
    );
    assert_eq!(referer(&plain(), "http://other.example/"), None);
    assert_eq!(
        referer(&plain(), "http://abc.localhost:8080.evil.example/"),
        None
    );
    let mapped = route("/kvm", "http://10.0.0.5/ui", TargetOptions::default());
    assert_eq!(
        referer(&mapped, "http://abc.localhost:8080/kvm/x").as_deref(),
        Some("http://10.0.0.5/ui/x")
    );
    assert_eq!(
        referer(&mapped, "http://abc.localhost:8080/other").as_deref(),
        Some("http://10.0.0.5/other")
    );
}

#[test]
fn kept_credentials_take_the_place_of_the_browsers() {
    let credential = Some(Credential::parse("Bearer kept").expect("a credential"));
    let route = route(
        "/",
        "http://kvm",
        TargetOptions {
            credential,
            ..TargetOptions::default()
        },
    );
    let kept = "Host: kvm\r\nAuthorization: Bearer kept\r\n";
    assert_eq!(up(&route, "Host: x\r\n"), kept);
    assert_eq!(
        up(
            &route,
            "Host: x\r\nAuthorization: Basic Zm9v\r\nauthorization: b\r\n"
        ),
        kept
    );
    let through = "Host: 10.0.0.5:8000\r\nAuthorization: Basic Zm9v\r\n";
    assert_eq!(up(&plain(), through), through);
}

#[test]
fn nothing_to_change_gives_the_same_blob() {
    let lines =
        fields("Content-Type: text/html\r\nLocation: /login\r\nX: http://10.0.0.5:8000/\r\n");
    let Mapped::Fields(mapped) = Mapping::new(Some(PUBLIC), &plain()).answer(302, &lines) else {
        panic!("not to https");
    };
    assert_eq!(mapped.as_bytes().as_ptr(), lines.as_bytes().as_ptr());
}

#[test]
fn the_devices_own_urls_become_public() {
    for (name, value, expected) in [
        (
            "Location",
            "http://10.0.0.5:8000/a?b#c",
            "http://abc.localhost:8080/a?b#c",
        ),
        (
            "Location",
            "HTTP://10.0.0.5:8000",
            "http://abc.localhost:8080",
        ),
        ("Location", "//10.0.0.5:8000/a", "//abc.localhost:8080/a"),
        ("Location", "/a", "/a"),
        ("Location", "http://10.0.0.5/a", "http://10.0.0.5/a"),
        (
            "Location",
            "http://10.0.0.5:80001/a",
            "http://10.0.0.5:80001/a",
        ),
        (
            "Location",
            "http://10.0.0.5:8000@evil.example/",
            "http://10.0.0.5:8000@evil.example/",
        ),
        ("Location", "http://other.example/", "http://other.example/"),
        (
            "content-location",
            "http://10.0.0.5:8000/a",
            "http://abc.localhost:8080/a",
        ),
        (
            "Refresh",
            "5; URL=http://10.0.0.5:8000/a",
            "5; URL=http://abc.localhost:8080/a",
        ),
        (
            "Refresh",
            "0;url='http://10.0.0.5:8000/a' ",
            "0;url='http://abc.localhost:8080/a'",
        ),
        ("Refresh", "5", "5"),
        (
            "Access-Control-Allow-Origin",
            "http://10.0.0.5:8000",
            "http://abc.localhost:8080",
        ),
        (
            "Access-Control-Allow-Origin",
            "http://10.0.0.5:8000/a",
            "http://10.0.0.5:8000/a",
        ),
        ("Access-Control-Allow-Origin", "*", "*"),
    ] {
        let mapped = down(
            PUBLIC,
            &plain(),
            &format!("A: 1\r\n{name}: {value}\r\nB: 2\r\n"),
        );
        assert_eq!(mapped, format!("A: 1\r\n{name}: {expected}\r\nB: 2\r\n"));
    }
}

#[test]
fn sources_of_a_policy_become_public() {
    let policy = "Content-Security-Policy: default-src 'self' 10.0.0.5:8000; \
        connect-src ws://10.0.0.5:8000/ws wss://10.0.0.5:8000 http://other:8000;img-src \
        http://10.0.0.5:8000/i/,script-src data:\r\n";
    assert_eq!(
        down(PUBLIC, &plain(), policy),
        "Content-Security-Policy: default-src 'self' abc.localhost:8080; \
        connect-src ws://abc.localhost:8080/ws ws://abc.localhost:8080 http://other:8000;img-src \
        http://abc.localhost:8080/i/,script-src data:\r\n"
    );
    let report = "Content-Security-Policy-Report-Only: connect-src ws://kvm\r\n";
    assert_eq!(
        down("https://abc.console.example", &https(), report),
        "Content-Security-Policy-Report-Only: connect-src wss://abc.console.example\r\n"
    );
}

#[test]
fn aliases_and_default_ports_are_the_device_too() {
    let options = TargetOptions {
        aliases: vec![
            "pikvm.local".into(),
            "kvm.lan:8443".into(),
            "kvm.home:443".into(),
        ],
        host: HostMode::Fixed("device:443".into()),
        trust: Some(Trust::Insecure),
        ..TargetOptions::default()
    };
    let route = route("/", "https://kvm:443", options);
    for url in [
        "https://kvm",
        "https://kvm:443",
        "http://kvm",
        "https://PiKVM.local",
        "https://kvm.lan:8443",
        "https://kvm.home",
        "https://kvm.home:443",
        "https://device",
    ] {
        let mapped = down(
            "https://abc.console.example",
            &route,
            &format!("Location: {url}/x\r\n"),
        );
        assert_eq!(
            mapped, "Location: https://abc.console.example/x\r\n",
            "{url}"
        );
    }
    let other = "Location: https://kvm.lan/x\r\n";
    assert_eq!(down("https://abc.console.example", &route, other), other);
    assert_eq!(up(&route, "Host: x\r\n"), "Host: device\r\n");
}

#[test]
fn a_redirect_to_its_own_https_is_told_not_looped() {
    for url in [
        "https://10.0.0.5:8000/",
        "https://10.0.0.5/",
        "https://10.0.0.5:8443/x",
    ] {
        let lines = format!("Location: {url}\r\n");
        assert_eq!(down(PUBLIC, &plain(), &lines), "to https", "{url}");
    }
    let other = "Location: https://sso.example/\r\n";
    assert_eq!(down(PUBLIC, &plain(), other), other);
    let https_device = "Location: https://kvm/\r\n";
    assert_eq!(
        down(PUBLIC, &https(), https_device),
        "Location: http://abc.localhost:8080/\r\n"
    );
    let created = Mapping::new(Some(PUBLIC), &plain())
        .answer(201, &fields("Location: https://10.0.0.5:8000/x\r\n"));
    assert_ne!(created, Mapped::ToHttps, "only a redirect can loop");
}

#[test]
fn a_public_host_is_the_device_as_well() {
    let options = TargetOptions {
        host: HostMode::Public,
        ..TargetOptions::default()
    };
    let route = route("/", "http://kvm", options);
    assert_eq!(
        down(
            "https://abc.console.example",
            &route,
            "Location: http://abc.console.example/x\r\n"
        ),
        "Location: https://abc.console.example/x\r\n"
    );
    assert_eq!(
        down(
            "https://abc.console.example",
            &route,
            "Location: https://abc.console.example/\r\n"
        ),
        "to https"
    );
}

#[test]
fn paths_follow_the_route() {
    let route = route("/kvm", "http://10.0.0.5/ui", TargetOptions::default());
    for (value, expected) in [
        (
            "http://10.0.0.5/ui/login",
            "http://abc.localhost:8080/kvm/login",
        ),
        ("/ui/login?a", "/kvm/login?a"),
        ("/other", "/other"),
        ("login", "login"),
        ("?page=2", "?page=2"),
        ("#top", "#top"),
    ] {
        let mapped = down(PUBLIC, &route, &format!("Location: {value}\r\n"));
        assert_eq!(mapped, format!("Location: {expected}\r\n"));
    }
}

#[test]
fn a_relative_reference_is_the_browsers_to_resolve() {
    let strip = route("/camera", "http://10.0.0.5/", TargetOptions::default());
    for lines in [
        "Location: ?page=2\r\n",
        "Location: #top\r\n",
        "Location: list\r\n",
        "Content-Location: \r\n",
        "Refresh: 5; url=\r\n",
        "Refresh: 5; url='?x'\r\n",
    ] {
        assert_eq!(down(PUBLIC, &strip, lines), lines);
    }
    assert_eq!(
        down(PUBLIC, &strip, "Location: /?page=2\r\n"),
        "Location: /camera/?page=2\r\n"
    );
}

#[test]
fn a_mapped_path_is_never_another_host() {
    let app = route("/", "http://10.0.0.5/app", TargetOptions::default());
    for (value, expected) in [
        ("/app//evil.example/", "/.//evil.example/"),
        ("/app/\\evil.example/", "/./\\evil.example/"),
        ("/app/\t/evil.example/", "/./\t/evil.example/"),
        ("/app/x//y", "/x//y"),
    ] {
        let lines = format!("Location: {value}\r\nRefresh: 0; url={value}\r\n");
        assert_eq!(
            down(PUBLIC, &app, &lines),
            format!("Location: {expected}\r\nRefresh: 0; url={expected}\r\n")
        );
    }
    // Behind an origin it is a path whatever it begins with.
    assert_eq!(
        down(PUBLIC, &app, "Location: http://10.0.0.5/app//x\r\n"),
        format!("Location: {PUBLIC}//x\r\n")
    );
}

#[test]
fn without_a_public_origin_only_host_is_mapped() {
    let route = plain();
    let mapping = Mapping::new(None, &route);
    let mapped = mapping.request(&fields("Host: a\r\nOrigin: http://a\r\n"));
    assert_eq!(text(&mapped), "Host: 10.0.0.5:8000\r\nOrigin: http://a\r\n");
    let lines = fields("Location: http://10.0.0.5:8000/\r\n");
    assert_eq!(mapping.answer(302, &lines), Mapped::Fields(lines));
}
