use std::collections::HashSet;

use nakku_cluster::Failure;

use super::*;

#[test]
fn all_lists_every_code_once_and_in_order() {
    // `Internal` is the last of the enum, so equal length and ascending positions leave none out.
    assert_eq!(Code::ALL.len(), Code::Internal as usize + 1);
    for (position, code) in Code::ALL.iter().enumerate() {
        assert_eq!(*code as usize, position, "{code:?}");
    }
}

#[test]
fn entries_are_complete_and_agree_with_the_written_code() {
    let mut slugs = HashSet::new();
    for code in Code::ALL {
        let entry = code.entry();
        assert_eq!(serde_json::to_value(code).unwrap(), entry.slug, "{code:?}");
        assert!(slugs.insert(entry.slug), "{} stands twice", entry.slug);
        assert!((400..600).contains(&entry.status), "{code:?} has status {}", entry.status);
        assert!(!entry.title.is_empty() && !entry.title.ends_with('.'), "{code:?}: {}", entry.title);
        assert!(entry.advice.ends_with('.'), "{code:?}: {}", entry.advice);
    }
}

#[test]
fn every_failure_has_a_code_and_says_when_to_return() {
    let cases = [
        (Failure::Overloaded { queue: "q".into(), retry_after_ms: 1500 }, Code::Overloaded, Some(1500)),
        (Failure::Moved { shard: "order/3".into() }, Code::Unavailable, Some(1000)),
        (Failure::Unavailable { what: "order".into(), retry_after_ms: 20 }, Code::Unavailable, Some(20)),
        (Failure::TimedOut, Code::TimedOut, Some(1000)),
        (Failure::Cycle { path: vec![] }, Code::Internal, None),
        (Failure::Quarantined { entity: "cart.cart/u-1".into() }, Code::Quarantined, None),
        (Failure::Crashed { entity: "cart.cart/secret".into() }, Code::Internal, None),
        (Failure::Expired, Code::Expired, None),
        (Failure::Invalid { reason: "secret".into() }, Code::Internal, None),
    ];
    for (failure, code, retry_after_ms) in cases {
        let problem = Problem::from(failure.clone());
        assert_eq!(problem.code, code, "{failure:?}");
        assert_eq!(problem.retry_after, retry_after_ms.map(Duration::from_millis), "{failure:?}");
        assert!(!problem.detail.contains("secret"), "the inside of the server is not told");
    }
}

#[tokio::test]
async fn answers_as_problem_details() {
    let problem = Problem::new(Code::InsufficientStock, "2 of the lines can't be had")
        .member("lines", serde_json::json!([{"sku": "butter", "wanted": 3, "available": 1}]));
    let response = problem.into_response();
    assert_eq!(response.status(), StatusCode::CONFLICT);
    assert_eq!(response.headers()[CONTENT_TYPE], PROBLEM_JSON);
    let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["type"], "/docs#insufficient_stock");
    assert_eq!(body["code"], "insufficient_stock");
    assert_eq!(body["status"], 409);
    assert_eq!(body["lines"][0]["available"], 1);
}

#[test]
fn retry_after_is_in_whole_seconds_and_never_zero() {
    for (millis, seconds) in [(0, "1"), (999, "1"), (1001, "2")] {
        let problem = Problem::new(Code::Overloaded, "").retry_after(Duration::from_millis(millis));
        assert_eq!(problem.into_response().headers()[RETRY_AFTER], seconds);
    }
}

#[test]
fn unauthorized_names_the_scheme() {
    let response = Problem::new(Code::TokenMissing, "").into_response();
    assert_eq!(response.headers()[WWW_AUTHENTICATE], "Bearer");
}
