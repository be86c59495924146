//! What is a target, what is a route, and what is neither.

use super::*;

fn target(url: &str) -> Target {
    Target::new(url, TargetOptions::default()).expect("a target")
}

fn refused(url: &str) -> TargetError {
    Target::new(url, TargetOptions::default()).expect_err("refused")
}

#[test]
fn urls_become_addresses() {
    let tcp = |host: &str, port| Address::Tcp {
        host: host.into(),
        port,
    };
    for (url, address, authority) in [
        (
            "http://127.0.0.1:8000",
            tcp("127.0.0.1", 8000),
            "127.0.0.1:8000",
        ),
        ("http://KVM.lan", tcp("KVM.lan", 80), "kvm.lan"),
        ("http://kvm:80/", tcp("kvm", 80), "kvm"),
        ("http://kvm:443/", tcp("kvm", 443), "kvm:443"),
        ("http://[::1]:8000/base", tcp("::1", 8000), "[::1]:8000"),
        ("http://[::1]", tcp("::1", 80), "[::1]"),
        (
            "unix:/run/kvm.sock",
            Address::Unix("/run/kvm.sock".into()),
            "localhost",
        ),
    ] {
        let target = target(url);
        assert_eq!(
            (target.address(), target.authority()),
            (&address, authority),
            "{url}"
        );
    }
}

#[test]
fn malformed_urls_say_what_is_wrong() {
    for (url, error) in [
        ("ftp://a", TargetError::Scheme),
        ("127.0.0.1:80", TargetError::Scheme),
        ("http://", TargetError::Host),
        ("http://a b", TargetError::Host),
        ("http://a\r\nb", TargetError::Host),
        ("http://[::1", TargetError::Host),
        ("http://u:p@a", TargetError::UserInfo),
        ("http://a:0", TargetError::Port),
        ("http://a:65536", TargetError::Port),
        ("http://a:", TargetError::Port),
        ("http://a:+1", TargetError::Port),
        ("http://[::1]x", TargetError::Port),
        ("http://a/b?c", TargetError::Path),
        ("http://a?c", TargetError::Path),
        ("unix:relative.sock", TargetError::Path),
        ("https://a", TargetError::TrustMissing),
    ] {
        assert_eq!(refused(url), error, "{url:?}");
    }
    let trusted = TargetOptions {
        trust: Some(Trust::Insecure),
        ..TargetOptions::default()
    };
    assert_eq!(
        Target::new("http://a", trusted).expect_err("refused"),
        TargetError::TrustUnused
    );
}

#[test]
fn the_longest_prefix_of_whole_segments_wins() {
    let routes = Routes::new([
        ("/".to_owned(), target("http://root")),
        ("/api".to_owned(), target("http://api")),
        ("/api/video/".to_owned(), target("http://video/stream")),
    ])
    .expect("routes");
    for (path, authority, up) in [
        ("/", "root", "/"),
        ("/apis", "root", "/apis"),
        ("/api", "api", "/api"),
        ("/api?x=/api/video", "api", "/api?x=/api/video"),
        ("/api/video", "video", "/stream"),
        ("/api/video?x", "video", "/stream?x"),
        ("/api/video//%2F+", "video", "/stream//%2F+"),
    ] {
        let (_, route) = routes.find(path).expect("a route");
        assert_eq!(route.target().authority(), authority, "{path}");
        assert_eq!(route.path_up(path), up, "{path}");
    }
}

#[test]
fn a_path_in_the_url_stands_for_the_prefix_both_ways() {
    let route = |prefix: &str, url| {
        Routes::new([(prefix.to_owned(), target(url))])
            .expect("routes")
            .all()[0]
            .clone()
    };
    let strip = route("/kvm", "http://a/");
    assert_eq!(strip.path_up("/kvm"), "/");
    assert_eq!(strip.path_up("/kvm?a"), "/?a");
    assert_eq!(strip.path_up("/kvm/x"), "/x");
    assert_eq!(strip.path_down("/x").as_deref(), Some("/kvm/x"));
    let add = route("/", "http://a/ui/");
    assert_eq!(add.path_up("/x"), "/ui/x");
    assert_eq!(add.path_down("/ui").as_deref(), Some("/"));
    assert_eq!(add.path_down("/uix"), None);
    assert_eq!(route("/kvm", "http://a").path_down("/kvm"), None);
}

#[test]
fn dot_segments_do_not_leave_a_route() {
    let route = |prefix: &str, url| {
        Routes::new([(prefix.to_owned(), target(url))])
            .expect("routes")
            .all()[0]
            .clone()
    };
    let under_prefix = route("/auth", "http://a");
    for path in [
        "/auth/../admin",
        "/auth/x/../../admin",
        "/auth/%2e%2e/admin",
        "/auth/.%2E/admin",
        "/auth/..%2fadmin",
        "/auth/..%5Cadmin",
        "/auth/..\\admin",
        "/auth/x//../../admin",
        "/auth/./../admin",
        "/auth/..;a=b/admin",
        "/auth/..",
        "/auth/..?x",
    ] {
        assert!(under_prefix.is_left_by(path), "{path}");
    }
    for path in [
        "/auth",
        "/auth/",
        "/auth/x/../y",
        "/auth/x/y/../../",
        "/auth/...",
        "/auth/..x/..y",
        "/auth/.",
        "/auth?/../../x",
        "/auth/%252e%252e/x",
    ] {
        assert!(!under_prefix.is_left_by(path), "{path}");
    }
    assert!(route("/", "http://a/ui").is_left_by("/../x"));
    assert!(route("/kvm", "http://a/").is_left_by("/kvm/../x"));
    // Nothing lies above a whole device.
    assert!(!route("/", "http://a").is_left_by("/../x"));
    assert!(!route("/", "http://a/").is_left_by("/../x"));
}

#[test]
fn bad_routes_are_refused() {
    let refused = |prefixes: &[&str]| {
        let pairs = prefixes
            .iter()
            .map(|prefix| ((*prefix).to_owned(), target("http://a")));
        Routes::new(pairs).expect_err("refused")
    };
    assert_eq!(refused(&[]), TargetError::Count);
    assert_eq!(refused(&["a"]), TargetError::Prefix);
    assert_eq!(refused(&["/a?b"]), TargetError::Prefix);
    assert_eq!(
        refused(&["/a", "/a/"]),
        TargetError::Duplicate("/a/".into())
    );
    let only = Routes::new([("/a".to_owned(), target("http://a"))]).expect("routes");
    assert!(only.find("/b").is_none());
}

#[test]
fn credentials_become_a_header_that_debug_hides() {
    let value = |text| Credential::parse(text).map(|credential| credential.expose().to_vec());
    assert_eq!(
        value("admin:admin\n"),
        Ok(b"Basic YWRtaW46YWRtaW4=".to_vec())
    );
    assert_eq!(value("Bearer abc"), Ok(b"Bearer abc".to_vec()));
    for text in ["", "justone", "a:b\nc:d"] {
        assert_eq!(value(text), Err(TargetError::Credential), "{text:?}");
    }
    let debug = format!("{:?}", Credential::parse("Bearer abc"));
    assert!(!debug.contains("abc"), "{debug}");
}

#[test]
fn pins_and_host_modes_parse() {
    let digits = "ab".repeat(32);
    assert_eq!(
        Trust::pin(&format!("sha256:{digits}")),
        Ok(Trust::Pin([0xab; 32]))
    );
    assert_eq!(
        Trust::pin(&["AB"; 32].join(":")),
        Ok(Trust::Pin([0xab; 32]))
    );
    assert_eq!(Trust::pin(&digits[1..]), Err(TargetError::Pin));
    assert_eq!(Trust::pin(&"é".repeat(32)), Err(TargetError::Pin));
    assert_eq!("name:kvm:81".parse(), Ok(HostMode::Fixed("kvm:81".into())));
    assert_eq!("kvm".parse::<HostMode>(), Err(TargetError::HostMode));
    assert_eq!("name:a b".parse::<HostMode>(), Err(TargetError::Host));
}
