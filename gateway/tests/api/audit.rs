//! Whatever changes something wants a reason and is in the audit log, with who did it.

use std::collections::BTreeSet;
use std::io::Write;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use async_trait::async_trait;
use nakku_cluster::events::{Envelope, Signal, Watch};
use nakku_cluster::handle::{Outcome, Router};
use nakku_cluster::status::ClusterStatus;
use nakku_cluster::store::{ListedRow, StateTable};
use nakku_cluster::{Address, Ask, Cluster, Failure, Query};
use nakku_gateway::{AdminSettings, Secret, WebhookSettings};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::broadcast;
use tracing_subscriber::EnvFilter;

use crate::contract;
use crate::support::{ADMIN_TOKEN, Answer, fresh_key, on_shop};

static LINES: Mutex<Vec<u8>> = Mutex::new(Vec::new());

struct Noted;

impl Write for Noted {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LINES.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Keeps the audit log of this process from here on.
pub fn keep() {
    static ONCE: OnceLock<()> = OnceLock::new();
    ONCE.get_or_init(|| {
        let lines =
            tracing_subscriber::fmt().json().with_writer(|| Noted).with_env_filter(EnvFilter::new("nakku::audit"));
        lines.init();
    });
}

/// What the audit log says with this reason: operator, act, on what.
fn noted(reason: &str) -> Vec<(String, String, String)> {
    let lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
    let lines = std::str::from_utf8(&lines).expect("UTF-8").lines();
    let fields = lines.map(|line| serde_json::from_str::<Value>(line).expect("JSON")["fields"].clone());
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    fields
        .filter(|fields| fields["reason"] == reason)
        .map(|fields| (text(&fields["operator"]), text(&fields["act"]), text(&fields["on"])))
        .collect()
}

/// Route, a path of it that leads to nothing that tests need, what its body has beside the reason, and what is noted.
const ACTS: &[(&str, &str, &str, &str, &str)] = &[
    (
        "POST /admin/v1/entities/{kind}/{key}/passivate",
        "entities/cart.cart/u-x/passivate",
        "{}",
        "passivate",
        "cart.cart/u-x",
    ),
    (
        "POST /admin/v1/entities/{kind}/{key}/restart",
        "entities/cart.cart/u-x/restart",
        "{}",
        "restart",
        "cart.cart/u-x",
    ),
    (
        "POST /admin/v1/entities/{kind}/{key}/release",
        "entities/cart.cart/u-x/release",
        "{}",
        "release",
        "cart.cart/u-x",
    ),
    (
        "POST /admin/v1/entities/passivate",
        "entities/passivate",
        r#"{"kind":"cart.cart","idle_ms":99999999}"#,
        "passivate_matching",
        r#"{"kind":"cart.cart","idle_ms":99999999}"#,
    ),
    (
        "POST /admin/v1/entities/{kind}/{key}/effects/{effect}/retry",
        "entities/cart.cart/u-x/effects/mail:3/retry",
        "{}",
        "retry_effect",
        "mail:3 of cart.cart/u-x",
    ),
    (
        "POST /admin/v1/entities/{kind}/{key}/effects/{effect}/give-up",
        "entities/cart.cart/u-x/effects/mail/give-up",
        "{}",
        "give_up_effect",
        "mail of cart.cart/u-x",
    ),
    (
        "POST /admin/v1/entities/{kind}/{key}/reminder/fire",
        "entities/cart.cart/u-x/reminder/fire",
        "{}",
        "fire_reminder",
        "cart.cart/u-x",
    ),
    (
        "POST /admin/v1/entities/{kind}/{key}/reminder/cancel",
        "entities/cart.cart/u-x/reminder/cancel",
        "{}",
        "cancel_reminder",
        "cart.cart/u-x",
    ),
    (
        "POST /admin/v1/shards/{service}/{number}/move",
        "shards/order/0/move",
        r#"{"node":"nobody"}"#,
        "move_shard",
        "order/0 to nobody",
    ),
    ("POST /admin/v1/shards/{service}/{number}/unpin", "shards/order/9999/unpin", "{}", "unpin_shard", "order/9999"),
    ("POST /admin/v1/nodes/{name}/drain", "nodes/nobody/drain", "{}", "drain", "nobody"),
    ("POST /admin/v1/nodes/{name}/undrain", "nodes/nobody/undrain", "{}", "undrain", "nobody"),
    (
        "POST /admin/v1/nodes/{name}/log-level",
        "nodes/nobody/log-level",
        r#"{"directives":"debug","for_s":1}"#,
        "log_level",
        "nobody: debug for 1 s",
    ),
    ("POST /admin/v1/nodes/{name}/profile", "nodes/nobody/profile?seconds=1", "{}", "profile", "nobody for 1 s"),
    ("POST /admin/v1/rebalancing/pause", "rebalancing/pause", "{}", "pause_rebalancing", "all shards"),
    ("POST /admin/v1/rebalancing/resume", "rebalancing/resume", "{}", "resume_rebalancing", "all shards"),
    (
        "POST /admin/v1/dead-letters/{group}/{intake}/{sequence}/replay",
        "dead-letters/nakku-analytics/order-0/999999/replay",
        "{}",
        "replay_dead_letter",
        "nakku-analytics order-0 999999",
    ),
    ("POST /admin/v1/analytics/rebuild", "analytics/rebuild", "{}", "rebuild_analytics", "all intakes"),
];

/// What is noted without a reason in words.
const OTHERS: &[&str] = &[
    "POST /admin/v1/users",
    "POST /admin/v1/users/{id}/erase",
    "POST /admin/v1/webhooks",
    "PATCH /admin/v1/webhooks/{id}",
    "DELETE /admin/v1/webhooks/{id}",
    "POST /admin/v1/webhooks/{id}/replay",
    "POST /admin/v1/webhooks/{id}/rotate-secret",
    // Logs who logs in and out.
    "POST /admin/v1/session",
    "DELETE /admin/v1/session",
];

/// A cluster in which nothing can be done, so that all of it can be tried.
struct Nowhere;

fn nowhere() -> Failure {
    Failure::Unavailable { what: "everything".into(), retry_after_ms: 1000 }
}

#[async_trait]
impl Router for Nowhere {
    async fn ask(&self, _: Address, _: Vec<u8>, _: Ask) -> Outcome {
        Outcome::Failed(nowhere())
    }

    async fn list(&self, _: StateTable, _: &Query) -> Result<Vec<ListedRow>, Failure> {
        Err(nowhere())
    }

    async fn history(&self, _: &Address, _: u64, _: u32) -> Result<Vec<Envelope>, Failure> {
        Err(nowhere())
    }

    async fn status(&self) -> ClusterStatus {
        ClusterStatus::default()
    }

    fn is_ready(&self) -> bool {
        false
    }

    fn live(&self, _: Option<&[&str]>) -> Watch {
        Watch::of(broadcast::channel(1).1)
    }

    fn signal(&self, _: Signal) {}
}

#[tokio::test]
async fn every_act_wants_a_reason_and_is_noted() {
    keep();
    let known: BTreeSet<String> =
        ACTS.iter().map(|(route, ..)| *route).chain(OTHERS.iter().copied()).map(str::to_owned).collect();
    assert_eq!(contract::changing(), known, "what changes something is tried here");
    let with_reason: BTreeSet<String> = ACTS.iter().map(|(route, ..)| (*route).to_owned()).collect();
    let mut wanting = contract::wanting_reasons();
    wanting.remove("POST /admin/v1/users/{id}/erase");
    assert_eq!(wanting, with_reason);

    let settings =
        AdminSettings { listen: "127.0.0.1:0".parse().unwrap(), ..AdminSettings::new(Secret::new(ADMIN_TOKEN)) };
    let cluster = Cluster::new(Arc::new(Nowhere));
    let admin = nakku_gateway::start_admin(cluster, settings).await.expect("the admin listener starts");
    for (route, path, body, act, on) in ACTS {
        let send = async |reason: Option<&str>| {
            let mut body: Value = serde_json::from_str(body).unwrap();
            if let Some(reason) = reason {
                body["reason"] = reason.into();
            }
            let url = format!("http://{}/admin/v1/{path}", admin.local_address());
            Answer::to(reqwest::Client::new().post(url).bearer_auth(ADMIN_TOKEN).json(&body)).await
        };
        for nothing in [None, Some(""), Some("  ")] {
            let refused = send(nothing).await;
            assert_eq!(refused.status, 422, "{route}: {}", refused.body);
            assert_eq!(refused.problem("missing_field").body["field"], "reason", "{route}");
        }
        for wrong in ["x".repeat(201), "two\nlines".to_owned()] {
            send(Some(&wrong)).await.expect(422).problem("invalid_value");
        }
        let reason = fresh_key();
        send(Some(&reason)).await;
        let wanted = ("token".to_owned(), (*act).to_owned(), (*on).to_owned());
        assert_eq!(noted(&reason), [wanted], "{route}");
    }
    admin.drain(std::time::Duration::from_secs(5)).await;
}

#[test]
fn users_and_webhooks_are_noted_with_who_changed_them() {
    on_shop(async |shop| {
        let settings = AdminSettings {
            listen: "127.0.0.1:0".parse().unwrap(),
            webhooks: Some(WebhookSettings { allow_plain_http: true }),
            ..AdminSettings::new(Secret::new(ADMIN_TOKEN))
        };
        let admin = nakku_gateway::start_admin(shop.node.cluster(), settings).await.expect("the admin listener starts");
        let send = async |method: Method, path: &str, body: Value| {
            let url = format!("http://{}/admin/v1/{path}", admin.local_address());
            Answer::to(reqwest::Client::new().request(method, url).bearer_auth(ADMIN_TOKEN).json(&body)).await
        };
        let email = format!("noted-{}@example.com", fresh_key());
        let user =
            json!({ "email": email, "name": "N", "password": "correct horse", "roles": ["store"], "store": "s-x" });
        let user = send(Method::POST, "users", user).await.expect(201).body["id"].as_str().unwrap().to_owned();
        send(Method::POST, &format!("users/{user}/erase"), json!({ "reason": "legal" })).await.expect(200);
        let webhook = json!({ "url": "http://127.0.0.1:9/hook", "types": ["product.archived"] });
        let webhook = send(Method::POST, "webhooks", webhook).await.expect(201).body["id"].as_str().unwrap().to_owned();
        let path = format!("webhooks/{webhook}");
        send(Method::GET, &path, json!(null)).await.expect(200);
        send(Method::GET, "webhooks?limit=5", json!(null)).await.expect(200);
        send(Method::GET, &format!("{path}/attempts"), json!(null)).await.expect(200);
        send(Method::PATCH, &path, json!({ "enabled": false })).await.expect(200);
        send(Method::PATCH, &path, json!({ "enabled": true })).await.expect(200);
        send(Method::POST, &format!("{path}/replay"), json!({ "failed": true })).await.expect(200);
        send(Method::POST, &format!("{path}/rotate-secret"), json!({})).await.expect(200);
        send(Method::DELETE, &path, json!(null)).await.expect(204);

        let lines = LINES.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let acts: Vec<String> = std::str::from_utf8(&lines)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap()["fields"].clone())
            .filter(|fields| fields["on"] == user || fields["on"] == webhook)
            .map(|fields| format!("{} {}", fields["operator"].as_str().unwrap(), fields["act"].as_str().unwrap()))
            .collect();
        let wanted = [
            "create_user",
            "erase_user",
            "create_webhook",
            "change_webhook",
            "change_webhook",
            "replay_webhook",
            "rotate_webhook_secret",
            "remove_webhook",
        ];
        assert_eq!(acts, wanted.map(|act| format!("token {act}")));
        admin.drain(std::time::Duration::from_secs(5)).await;
    });
}
