//! What analytics have summed up is what the orders' database says, also when it is gathered anew.

use std::time::{Duration, Instant};

use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use sqlx::Row;

use crate::processes::{ADMIN_TOKEN, Cluster};
use crate::shop::Shop;

/// At most 2 s behind; much more on a busy machine that has just lost nodes.
const BEHIND_PATIENCE: Duration = Duration::from_secs(60);
/// How long the rebuild of what a test has sold may take.
const REBUILD_PATIENCE: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Checks both after the orders have come to rest.
pub async fn equal_those_of_the_orders(cluster: &Cluster, shop: &Shop) {
    let token = shop.staff_token().await;
    let began = Instant::now();
    let expected = loop {
        let expected = of_the_orders(cluster).await;
        assert!(expected["confirmed"].as_u64() > Some(0), "{expected}");
        let told = told(shop, &token, &expected).await;
        if told.sums == expected {
            break expected;
        }
        assert!(began.elapsed() < BEHIND_PATIENCE, "the orders' database says {expected}, analytics {}", told.sums);
        tokio::time::sleep(LOOK_EVERY).await;
    };
    rebuilt(cluster, shop, &token, &expected).await;
}

/// Has analytics gather everything anew: no answer is half of it without saying so, and the last is as the first.
async fn rebuilt(cluster: &Cluster, shop: &Shop, token: &str, expected: &Value) {
    let path = format!("{}/admin/v1/analytics/rebuild", cluster.nodes.values().next().expect("a node").admin);
    let client = Client::new();
    let post = |body: Value| client.post(&path).bearer_auth(ADMIN_TOKEN).json(&body).send();
    let refused = post(json!({"reason": " "})).await.expect("the admin API answers");
    assert!(refused.status().is_client_error(), "{}", refused.status());
    let begun = post(json!({"reason": "a test"})).await.expect("the admin API answers");
    assert_eq!(begun.status(), StatusCode::ACCEPTED);
    let begun: Value = begun.json().await.expect("progress");
    assert!(begun["rows"].as_u64() > Some(0), "{begun}");
    let (began, mut said) = (Instant::now(), 0);
    loop {
        let told = told(shop, token, expected).await;
        match told.rebuilding {
            true => said += 1,
            false => assert_eq!(told.sums, *expected, "half of it, and nothing says so"),
        }
        let progress = client.get(&path).bearer_auth(ADMIN_TOKEN).send().await.expect("the admin API answers");
        let progress: Value = progress.json().await.expect("progress");
        if progress["intakes_left"] == 0 {
            assert_eq!(progress["incomplete"], json!([]));
            break;
        }
        assert!(began.elapsed() < REBUILD_PATIENCE, "{progress}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let after = told(shop, token, expected).await;
    assert!(!after.rebuilding && after.sums == *expected, "{expected} before, {} after", after.sums);
    eprintln!("gathered anew in {} ms, {said} answers said so: {expected}", began.elapsed().as_millis());
}

struct Told {
    sums: Value,
    rebuilding: bool,
}

/// What analytics say of the same figures.
async fn told(shop: &Shop, token: &str, like: &Value) -> Told {
    let (status, summary) = shop.ask(Method::GET, "/analytics/summary", Some(token), &[], None).await;
    assert!(status.is_success(), "{status} {summary}");
    let figures = like.as_object().expect("figures").keys().map(|name| (name.clone(), summary[name].clone()));
    Told { sums: Value::Object(figures.collect()), rebuilding: summary.get("rebuilding").is_some() }
}

async fn of_the_orders(cluster: &Cluster) -> Value {
    let pool = sqlx::MySqlPool::connect(&cluster.database.url).await.expect("the database answers");
    let rows = sqlx::query("SELECT data FROM nakku_order.order_state WHERE part = ''").fetch_all(&pool).await;
    let [mut placed, mut confirmed, mut cancelled, mut cancelled_after_confirmation] = [0u64; 4];
    let [mut gross, mut cancelled_minor, mut refunds] = [0i64; 3];
    for row in rows.expect("orders") {
        let head: Value = serde_json::from_slice(&row.get::<Vec<u8>, _>("data")).expect("an order's head");
        let Some(total) = head["terms"]["total_minor"].as_i64() else { continue };
        let (is_confirmed, is_cancelled) = (!head["confirmed_at"].is_null(), head["status"] == "cancelled");
        placed += 1;
        refunds += head["refunded_minor"].as_i64().unwrap_or_default();
        if is_confirmed {
            confirmed += 1;
            gross += total;
        }
        if is_cancelled {
            cancelled += 1;
        }
        if is_confirmed && is_cancelled {
            cancelled_after_confirmation += 1;
            cancelled_minor += total;
        }
    }
    json!({
        "placed": placed, "confirmed": confirmed, "cancelled": cancelled,
        "cancelled_after_confirmation": cancelled_after_confirmation, "gross_minor": gross,
        "net_minor": gross - cancelled_minor, "cancelled_minor": cancelled_minor, "refunds_minor": refunds,
    })
}
