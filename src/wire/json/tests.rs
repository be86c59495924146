//! The rules of the compatibility JSON, one test a rule. Whole messages are in `tests/vectors`.

use super::*;
use crate::wire::messages::AgentToPlatform;
use crate::wire::{
    Problem,
    messages::{
        Command, CommandParameters, CommandStatus, ErrorCode, Heartbeat, HttpResponse,
        PlatformToAgent, Response, ResponseResult, StatusUpdate,
    },
};
use proptest::prelude::*;

fn from_agent(text: &str) -> Result<AgentToPlatform, DecodeError> {
    Json.decode(Bytes::copy_from_slice(text.as_bytes()))
}

fn written<E: Envelope>(message: E) -> String {
    let mut out = BytesMut::new();
    Json.encode(message, &mut out);
    String::from_utf8(out.to_vec()).expect("JSON is UTF-8")
}

/// Reads it and writes it again.
fn again(text: &str) -> String {
    written(from_agent(text).unwrap_or_else(|error| unreachable!("{text}: {error}")))
}

fn fault(text: &str) -> String {
    match from_agent(text) {
        Err(DecodeError::Malformed(fault)) => fault,
        other => unreachable!("{text}: {other:?}"),
    }
}

fn heartbeat(text: &str) -> Heartbeat {
    match from_agent(text) {
        Ok(AgentToPlatform::Heartbeat(message)) => message,
        other => unreachable!("{text}: {other:?}"),
    }
}

fn answer(text: &str) -> HttpResponse {
    match from_agent(text) {
        Ok(AgentToPlatform::HttpResponse(message)) => message,
        other => unreachable!("{text}: {other:?}"),
    }
}

#[test]
fn the_tag_may_stand_anywhere_and_strangers_are_passed_over() {
    let text =
        r#" {"new": [{"type": "ack"}, null], "uptime_seconds": 5, "x": {}, "type": "heartbeat"} "#;
    assert_eq!(heartbeat(text).uptime_seconds, Some(5));
}

#[test]
fn a_type_counts_only_under_its_own_tag() {
    for text in [
        r#"{"message_type":"heartbeat"}"#,
        r#"{"type":"error","code":"internal"}"#,
    ] {
        assert!(
            matches!(from_agent(text), Err(DecodeError::UnknownType { .. })),
            "{text}"
        );
    }
}

#[test]
fn an_unknown_type_is_named_unless_it_is_no_name() {
    let named = |text: &str| match from_agent(text) {
        Err(DecodeError::UnknownType { name }) => name,
        other => unreachable!("{other:?}"),
    };
    assert_eq!(
        named(r#"{"type":"frobnicate"}"#).as_deref(),
        Some("frobnicate")
    );
    assert_eq!(
        named(r#"{"message_type":"welcome"}"#).as_deref(),
        Some("welcome")
    );
    assert_eq!(named(r#"{"type":"a\nb"}"#), None);
    assert_eq!(named(&format!(r#"{{"type":"{}"}}"#, "x".repeat(65))), None);
    assert_eq!(named("{}"), None);
    assert_eq!(named(r#"{"type":null,"auth_token":"t"}"#), None);
}

#[test]
fn only_a_first_message_may_lack_its_type() {
    let first = Json
        .decode_first::<AgentToPlatform>(Bytes::from_static(br#"{"agent":"x","auth_token":"t"}"#));
    assert!(matches!(first, Ok(AgentToPlatform::Hello(hello)) if hello.auth_token.expose() == "t"));
    let other =
        Json.decode_first::<AgentToPlatform>(Bytes::from_static(br#"{"uptime_seconds":1}"#));
    assert_eq!(other, Err(DecodeError::UnknownType { name: None }));
    let typed = Json.decode_first::<AgentToPlatform>(Bytes::from_static(
        br#"{"auth_token":"t","type":"heartbeat"}"#,
    ));
    assert!(matches!(typed, Ok(AgentToPlatform::Heartbeat(_))));
}

#[test]
fn null_is_absent() {
    assert_eq!(
        again(r#"{"type":"heartbeat","cpu_percent":null}"#),
        r#"{"type":"heartbeat"}"#
    );
}

#[test]
fn whole_numbers_come_in_several_spellings() {
    for number in ["7", "7.0", "70e-1", r#""7""#] {
        assert_eq!(
            heartbeat(&format!(
                r#"{{"type":"heartbeat","uptime_seconds":{number}}}"#
            ))
            .uptime_seconds,
            Some(7)
        );
    }
    for number in [
        "7.5",
        "-1",
        "true",
        r#""""#,
        r#"" 7""#,
        "18446744073709551616",
        "[7]",
    ] {
        let text = format!(r#"{{"type":"heartbeat","uptime_seconds":{number}}}"#);
        assert!(fault(&text).starts_with("$.uptime_seconds: "), "{text}");
    }
    let big = r#"{"type":"heartbeat","uptime_seconds":"18446744073709551615"}"#;
    assert_eq!(again(big), big);
}

#[test]
fn no_number_is_without_end() {
    for number in ["NaN", "Infinity", r#""NaN""#, "1e999", r#""-Infinity""#] {
        assert!(
            fault(&format!(r#"{{"type":"heartbeat","load_1m":{number}}}"#))
                .starts_with("$.load_1m: ")
        );
    }
}

#[test]
fn a_member_that_stands_twice_is_refused() {
    assert!(
        fault(r#"{"type":"heartbeat","load_1m":1,"load_1m":2}"#)
            .starts_with("$.load_1m: stands twice")
    );
    assert!(fault(r#"{"type":"heartbeat","load_1m":null,"load_1m":2}"#).starts_with("$.load_1m: "));
    assert!(
        fault(r#"{"type":"heartbeat","type":"heartbeat"}"#).starts_with("$.type: stands twice")
    );
    assert!(from_agent(r#"{"type":"heartbeat","unknown":1,"unknown":2}"#).is_ok());
}

#[test]
fn enums_go_by_name_and_the_unknown_survive() {
    let code = |code| format!(r#"{{"type":"stream_reset","id":"1","code":{code}}}"#);
    let Ok(AgentToPlatform::StreamReset(reset)) = from_agent(&code(r#""cancelled""#)) else {
        unreachable!("a known name");
    };
    assert_eq!(reset.code, ErrorCode::Cancelled);
    for unknown in ["4242", r#""a_code_of_tomorrow""#, r#""CANCELLED""#, "-5"] {
        assert_eq!(again(&code(unknown)), code(unknown));
    }
    assert_eq!(again(&code("24")), code(r#""cancelled""#));
    assert_eq!(
        again(&code(r#""unspecified""#)),
        r#"{"type":"stream_reset","id":"1"}"#
    );
    for none in [r#""""#, r#""two words""#, "true", "99999999999"] {
        assert!(fault(&code(none)).starts_with("$.code: "));
    }
}

#[test]
fn headers_keep_order_repeats_and_bytes() {
    let text = r#"{"type":"http_response","id":"1","status":200,"headers":{"b":"1","set-cookie":["x=1","y=2"],"a":"café","none":null}}"#;
    let headers = answer(text).headers;
    assert_eq!(
        headers.as_bytes(),
        b"b: 1\r\nset-cookie: x=1\r\nset-cookie: y=2\r\na: caf\xe9\r\n"
    );
    assert_eq!(again(text), text.replace(r#","none":null"#, ""));
    let bare = r#"{"type":"http_response","id":"1","status":204,"headers":{}}"#;
    assert_eq!(
        again(r#"{"type":"http_response","id":"1","status":204}"#),
        bare
    );

    for (headers, place) in [
        (
            r#"{"a":"1","b":"€"}"#,
            "$.headers[1]: a character beyond U+00FF",
        ),
        (r#"{"a b":"1"}"#, "$.headers[0]: not the name"),
        (r#"{"a":"x\r\ny: z"}"#, "$.headers[0]: not the value"),
        (r#"{"a":7}"#, "$.headers[0]: expected a list"),
        (r#"{"a":["x",null]}"#, "$.headers[0]: expected a string"),
        (r#"["a"]"#, "$.headers: expected an object"),
    ] {
        let text =
            format!(r#"{{"type":"http_response","id":"1","status":200,"headers":{headers}}}"#);
        assert!(fault(&text).starts_with(place), "{}", fault(&text));
    }
}

#[test]
fn headers_are_bounded_before_memory_is_taken() {
    let values = vec![r#""x""#; 201].join(",");
    let text =
        format!(r#"{{"type":"http_response","id":"1","status":200,"headers":{{"a":[{values}]}}}}"#);
    assert!(fault(&text).starts_with("$.headers[0]: too many"));
}

#[test]
fn bodies_are_text_or_base64() {
    let body = |rest: &str| {
        format!(r#"{{"type":"http_response","id":"1","status":200,"headers":{{}},{rest}}}"#)
    };
    assert_eq!(
        answer(&body(r#""body":"caf\u00e9 \ud83d\ude00""#)).body,
        "café 😀".as_bytes()
    );
    let binary = body(r#""body":"/9j/4A==","body_encoding":"base64""#);
    assert_eq!(&answer(&binary).body[..], b"\xff\xd8\xff\xe0");
    assert_eq!(again(&binary), binary);
    let turned = body(r#""body_encoding":"base64","body":"/9j/4A==""#);
    assert_eq!(again(&turned), binary);
    for wrong in ["/9j/4A", "/9j/4B==", "/9j/ 4A==", "_9j_4A==", "/9j/4A==\\n"] {
        let text = body(&format!(r#""body":"{wrong}","body_encoding":"base64""#));
        assert!(fault(&text).starts_with("$.body: not base64"), "{wrong}");
    }
    assert!(fault(&body(r#""body":"a","body_encoding":"gzip""#)).starts_with("$.body_encoding: "));
    assert!(fault(&body(r#""body":"\ud800""#)).starts_with("$.body: half"));
}

#[test]
fn a_body_without_escapes_is_not_copied_unless_its_message_is_mostly_padding() {
    let is_slice = |padding: usize| {
        let text = Bytes::from(format!(
            r#"{{"type":"http_response","id":"1","status":200,"body":"plain","new":"{}"}}"#,
            "x".repeat(padding)
        ));
        let Ok(AgentToPlatform::HttpResponse(answer)) = Json.decode(text.clone()) else {
            unreachable!("well formed");
        };
        assert_eq!(answer.body, "plain");
        text.as_ptr_range().contains(&answer.body.as_ptr())
    };
    assert!(is_slice(100));
    assert!(!is_slice(1 << 20));
}

#[test]
fn commands_carry_their_type_beside_their_parameters() {
    let command = |rest: &str| -> Command {
        let text =
            format!(r#"{{"message_type":"command","message_id":"1","target_host":"h"{rest}}}"#);
        match Json.decode(text.into()) {
            Ok(PlatformToAgent::Command(command)) => command,
            other => unreachable!("{other:?}"),
        }
    };
    let typed = command(r#","parameters":{"packages":["a"]},"command_type":"package_operation""#);
    assert!(
        matches!(typed.parameters, Some(CommandParameters::PackageOperation(p)) if p.packages == ["a"])
    );
    let bare = command(r#","command_type":"package_operation""#);
    assert!(matches!(
        bare.parameters,
        Some(CommandParameters::PackageOperation(_))
    ));
    let unknown = command(r#","command_type":"frobnicate","parameters": {"a" : [1, 2.50]} "#);
    let Some(CommandParameters::Unknown(kept)) = &unknown.parameters else {
        unreachable!("{unknown:?}");
    };
    assert_eq!(
        kept.parameters.as_ref().map(|raw| raw.as_str()),
        Some(r#"{"a" : [1, 2.50]}"#)
    );
    assert!(
        written(PlatformToAgent::from(unknown.clone()))
            .contains(r#""command_type":"frobnicate","parameters":{"a" : [1, 2.50]}"#)
    );
    assert_eq!(command(r#","parameters":{}"#).parameters, None);

    let wrong = r#"{"message_type":"command","message_id":"1","target_host":"h","command_type":"package_operation","parameters":{"packages":[1]}}"#;
    let error = Json.decode::<PlatformToAgent>(Bytes::from_static(wrong.as_bytes()));
    assert!(
        matches!(error, Err(DecodeError::Malformed(fault)) if fault.starts_with("$.parameters.packages[0]: expected a string"))
    );
}

#[test]
fn a_result_is_handed_on_raw() {
    let text = r#"{"message_type":"response","message_id":"1","original_message_id":"2","status":"success","result":[1,{"a":null}]}"#;
    assert_eq!(again(text), text);
    let Ok(AgentToPlatform::Response(Response {
        result: Some(ResponseResult::Raw(raw)),
        ..
    })) = from_agent(text)
    else {
        unreachable!("raw");
    };
    assert_eq!(raw.as_str(), r#"[1,{"a":null}]"#);
}

#[test]
fn rules_are_the_same_as_in_binary() {
    let text = r#"{"message_type":"status_update","message_id":"1","original_message_id":"2","progress_percent":101}"#;
    let Err(DecodeError::Invalid(invalid)) = from_agent(text) else {
        unreachable!("a rule was passed by");
    };
    assert_eq!(
        (invalid.field, invalid.problem),
        ("progress_percent", Problem::OutOfRange(0, 100))
    );
}

#[test]
fn an_absent_status_is_unspecified() {
    let text = r#"{"message_type":"status_update","message_id":"1","original_message_id":"2"}"#;
    assert!(matches!(
        from_agent(text),
        Ok(AgentToPlatform::StatusUpdate(StatusUpdate {
            status: CommandStatus::Unspecified,
            ..
        }))
    ));
}

#[test]
fn what_is_no_json_is_refused() {
    for text in [
        "",
        " ",
        "null",
        "[]",
        "7",
        "{",
        "}",
        r#"{"type"}"#,
        r#"{"type":}"#,
        r#"{"type":"heartbeat""#,
        r#"{"type":"heartbeat",}"#,
        r#"{,"type":"heartbeat"}"#,
        r#"{"type":"heartbeat"} x"#,
        r#"{"type":"heartbeat"}{}"#,
        r#"{"x":[1,],"type":"heartbeat"}"#,
        r#"{"x":[,1],"type":"heartbeat"}"#,
        r#"{"x":01,"type":"heartbeat"}"#,
        r#"{"x":"\x","type":"heartbeat"}"#,
        r#"{"x":nul,"type":"heartbeat"}"#,
        "{\"x\":\"\n\",\"type\":\"heartbeat\"}",
        r#"{"type":7}"#,
        r#"{'type':'heartbeat'}"#,
        "\u{feff}{}",
    ] {
        assert!(
            matches!(from_agent(text), Err(DecodeError::Malformed(_))),
            "{text:?}"
        );
    }
    let bytes = Bytes::from_static(b"{\"type\":\"heartbeat\",\"x\":\"\xff\"}");
    assert!(matches!(
        Json.decode::<AgentToPlatform>(bytes),
        Err(DecodeError::Malformed(_))
    ));
}

#[test]
fn nesting_is_bounded_by_a_number_and_not_by_the_stack() {
    let nested = |depth: usize| {
        format!(
            r#"{{"type":"heartbeat","x":{}{}}}"#,
            "[".repeat(depth),
            "]".repeat(depth)
        )
    };
    assert!(from_agent(&nested(reader::DEPTH_MAX)).is_ok());
    assert!(fault(&nested(reader::DEPTH_MAX + 1)).contains("nested too deep"));
    assert!(fault(&nested(1 << 20)).contains("nested too deep"));
}

#[test]
fn no_error_shows_a_value() {
    for text in [
        r#"{"type":"hello","auth_token":["hunter2"]}"#,
        r#"{"type":"hello","auth_token":"hunter2","auth_token":"hunter2"}"#,
        r#"{"type":"hello","auth_token":"hunter2\x"}"#,
        r#"{"type":"hello","auth_token":"hunter2"#,
        r#"{"type":"hello","hunter2":"#,
        r#"{"type":"http_response","id":"1","status":"hunter2"}"#,
        r#"{"type":"hello","auth_token":"t","host_id":"hunter2"}"#,
    ] {
        let error = from_agent(text).expect_err("broken");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}

/// JSON values of every kind.
fn json_value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        ".{0,8}".prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            prop::collection::btree_map(".{0,4}", inner, 0..4)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn the_grammar_is_that_of_serde_json(value in json_value(), pretty: bool, cut: prop::sample::Index, insert in "[\\[\\]{},:\"\\\\0-9eE.+a-z \n-]{0,2}") {
        let mut text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.expect("JSON");
        prop_assert!(is_json(&text));
        let mut at = cut.index(text.len() + 1);
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        text.insert_str(at, &insert);
        prop_assert_eq!(is_json(&text), serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok(), "{}", text);
    }

    #[test]
    fn any_text_is_refused_or_read(text in ".{0,64}") {
        let _ = from_agent(&text);
    }
}
