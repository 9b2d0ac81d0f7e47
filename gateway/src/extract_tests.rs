use serde::Deserialize;

use super::*;

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Sample {
    name: String,
    quantity: u32,
    #[serde(default)]
    inner: Option<Inner>,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Inner {
    Cash,
    Card { token: String },
}

fn code_and_field(body: &str) -> (Code, Option<String>) {
    let problem = parse::<Sample>(body.as_bytes()).unwrap_err();
    let field = problem.members.and_then(|members| members["field"].as_str().map(str::to_owned));
    (problem.code, field)
}

#[test]
fn each_way_of_being_wrong_has_its_code_and_names_the_field() {
    let cases = [
        ("", Code::BrokenJson, None),
        ("{", Code::BrokenJson, None),
        (r#"{"name":"a","quantity":1} x"#, Code::BrokenJson, None),
        (r#"{"name":"a","quantity":1}{}"#, Code::BrokenJson, None),
        ("\u{feff}{}", Code::BrokenJson, None),
        ("[]", Code::InvalidValue, None),
        ("7", Code::WrongType, None),
        (r#"{"name":"a","quantity":1,"size":2}"#, Code::UnknownField, Some("size")),
        (r#"{"name":"a"}"#, Code::MissingField, None),
        (r#"{"name":7,"quantity":1}"#, Code::WrongType, Some("name")),
        (r#"{"name":"a","quantity":"1"}"#, Code::WrongType, Some("quantity")),
        (r#"{"name":"a","quantity":1.5}"#, Code::WrongType, Some("quantity")),
        (r#"{"name":"a","quantity":-1}"#, Code::InvalidValue, Some("quantity")),
        (r#"{"name":"a","quantity":4294967296}"#, Code::InvalidValue, Some("quantity")),
        (r#"{"name":"a","quantity":99999999999999999999}"#, Code::WrongType, Some("quantity")),
        (r#"{"name":"a","name":"b","quantity":1}"#, Code::InvalidValue, None),
        (r#"{"name":"a","quantity":1,"inner":"gold"}"#, Code::InvalidValue, Some("inner")),
        (r#"{"name":"a","quantity":1,"inner":{"card":{"token":1}}}"#, Code::WrongType, Some("inner.card.token")),
    ];
    for (body, code, field) in cases {
        let (found, found_field) = code_and_field(body);
        assert_eq!(found, code, "{body}");
        if field.is_some() {
            assert_eq!(found_field.as_deref(), field, "{body}");
        }
    }
}

#[test]
fn a_deep_nest_is_refused_and_not_followed() {
    let deep = "[".repeat(100_000);
    let problem = parse::<serde_json::Value>(deep.as_bytes()).unwrap_err();
    assert_eq!(problem.code, Code::BrokenJson);
}

#[test]
fn media_types() {
    for (declared, accepted) in [
        ("application/json", true),
        ("Application/JSON; charset=utf-8", true),
        ("application/merge-patch+json", true),
        ("text/plain", false),
        ("text/json", false),
        ("", false),
    ] {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, declared.parse().unwrap());
        assert_eq!(declares_json(&headers), accepted, "{declared}");
    }
    assert!(!declares_json(&HeaderMap::new()));
}
