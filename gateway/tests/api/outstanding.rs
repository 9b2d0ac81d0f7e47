//! What an operator may do with what an entity has outstanding: effects that fail, and reminders.

use std::time::{Duration, Instant};

use nakku_actors::user::email;
use nakku_cluster::{Ask, Key};
use nakku_gateway::Admin;
use reqwest::Method;
use serde_json::{Value, json};

use crate::mail;
use crate::support::{ADMIN_TOKEN, Answer, PATIENCE, Shop, eventually, fresh_key, on_shop};

/// After so many failures in a row the pauses are at their longest: 3.75 s at least.
const FAILURES: usize = 8;
const PAUSE_MIN: Duration = Duration::from_millis(3_750);

async fn ask(admin: &Admin, method: Method, path: &str) -> Answer {
    let url = format!("http://{}/admin/v1/entities/{path}", admin.local_address());
    let request = reqwest::Client::new().request(method.clone(), url).bearer_auth(ADMIN_TOKEN);
    Answer::to(if method == Method::POST { request.json(&json!({ "reason": "a test" })) } else { request }).await
}

async fn post(admin: &Admin, path: &str) -> Answer {
    ask(admin, Method::POST, path).await
}

async fn shown(admin: &Admin, path: &str) -> Value {
    ask(admin, Method::GET, path).await.expect(200).body
}

/// A customer whose welcome the mail server does not take: e-mail, and the path of the inbox.
async fn unwelcomed(shop: &'static Shop) -> (String, String) {
    let customer = shop.customer().await;
    let me = customer.get("/users/me").await.expect(200).body;
    let inbox = format!("notification.inbox/{}", me["id"].as_str().unwrap());
    (me["email"].as_str().unwrap().to_owned(), inbox)
}

#[test]
fn an_effect_that_fails_is_retried_now_and_not_after_its_pause() {
    on_shop(async |shop| {
        let admin = shop.admin().await;
        let (email, inbox) = unwelcomed(shop).await;
        let failed = eventually("it has failed often", async || {
            let failed = mail::attempts(&email);
            (failed.len() >= FAILURES).then_some(failed.len())
        })
        .await;
        let effect = eventually("the failures are shown", async || {
            let shown = shown(&admin, &inbox).await;
            let effect = shown["effects"].as_array()?.first()?.clone();
            (effect["attempts"].as_u64()? >= failed as u64).then_some(effect)
        })
        .await;
        assert_eq!(
            (&effect["step"], &effect["running"], &effect["calls"]),
            (&json!("mail"), &json!(true), &json!(["mailer"]))
        );

        // Still away: tried again at once, and goes on failing.
        let before = mail::attempts(&email);
        let path = format!("{inbox}/effects/mail:{}", effect["ordinal"]);
        assert_eq!(post(&admin, &format!("{path}/retry")).await.expect(200).body, json!({ "entities": 1 }));
        let after = eventually("it is tried", async || {
            let after = mail::attempts(&email);
            (after.len() > before.len()).then_some(after)
        })
        .await;
        let pause = after[before.len()].duration_since(after[before.len() - 1]);
        assert!(pause < PAUSE_MIN, "{pause:?}");

        mail::take(&email);
        let began = Instant::now();
        // The step has only one, so that its name will do.
        post(&admin, &format!("{inbox}/effects/mail/retry")).await.expect(200);
        eventually("it is sent", async || (shown(&admin, &inbox).await["effects"] == json!([])).then_some(())).await;
        assert!(began.elapsed() < PAUSE_MIN, "{:?}", began.elapsed());
        let gone = post(&admin, &format!("{path}/retry")).await.expect(404).problem("not_found");
        assert!(gone.body["detail"].as_str().unwrap().contains("nothing is outstanding"), "{}", gone.body);
        admin.drain(Duration::from_secs(5)).await;
    });
}

#[test]
fn an_effect_that_fails_is_given_up_as_if_its_attempts_were_used_up() {
    on_shop(async |shop| {
        let admin = shop.admin().await;
        let (email, inbox) = unwelcomed(shop).await;
        eventually("it has failed", async || (mail::attempts(&email).len() >= 3).then_some(())).await;
        let unknown = post(&admin, &format!("{inbox}/effects/letter/give-up")).await.expect(404).problem("not_found");
        assert!(unknown.body["detail"].as_str().unwrap().contains("outstanding are mail:1"), "{}", unknown.body);
        let given_up = post(&admin, &format!("{inbox}/effects/mail/give-up")).await.expect(200).body;
        assert_eq!(given_up, json!({ "entities": 1 }));
        // The answer came when it was durable.
        let now = shown(&admin, &inbox).await;
        assert_eq!((&now["effects"], &now["version"]), (&json!([]), &now["durable_version"]));
        let history = shown(&admin, &format!("{inbox}/history")).await;
        let last = history["events"].as_array().unwrap().last().unwrap().clone();
        assert_eq!((&last["event"], &last["cause"]), (&json!("notification.failed"), &json!("mail#1")));
        let tried = mail::attempts(&email).len();
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(mail::attempts(&email).len(), tried, "nobody tries any more");
        post(&admin, &format!("{inbox}/effects/mail/give-up")).await.expect(404).problem("not_found");
        admin.drain(Duration::from_secs(5)).await;
    });
}

#[test]
fn a_reminder_is_fired_and_can_not_be_cancelled() {
    on_shop(async |shop| {
        let admin = shop.admin().await;
        let claimed = email::reference(&format!("{}@example.com", fresh_key()));
        let claim = email::Command::Claim { user: Key::new(format!("u-{}", fresh_key())).unwrap() };
        shop.node.cluster().ask(&claimed, &claim, Ask::within(PATIENCE)).await.unwrap();
        let path = format!("user.email/{}", claimed.key());
        let before = shown(&admin, &path).await;
        assert!(before["wake_at_ms"].as_i64() > before["recent"][0]["at_ms"].as_i64(), "{before}");
        // It looks at the clock, and goes on waiting.
        assert_eq!(post(&admin, &format!("{path}/reminder/fire")).await.expect(200).body, json!({ "entities": 0 }));
        let refused = post(&admin, &format!("{path}/reminder/cancel")).await.expect(409).problem("wrong_state");
        assert!(refused.body["detail"].as_str().unwrap().contains("because its state says so"), "{}", refused.body);
        let after = shown(&admin, &path).await;
        assert_eq!((&before["wake_at_ms"], &before["state"]), (&after["wake_at_ms"], &after["state"]));
        assert_eq!(after["recent"][0]["command"], "claim_due", "it was woken: {after}");

        let customer = shop.customer().await;
        let me = customer.get("/users/me").await.expect(200).body["id"].as_str().unwrap().to_owned();
        for act in ["fire", "cancel"] {
            let none = post(&admin, &format!("user.user/{me}/reminder/{act}")).await.expect(404).problem("not_found");
            assert!(none.body["detail"].as_str().unwrap().starts_with("there is no reminder of"), "{}", none.body);
        }
        admin.drain(Duration::from_secs(5)).await;
    });
}

#[test]
fn nobody_is_made_or_woken_by_being_looked_for() {
    on_shop(async |shop| {
        let admin = shop.admin().await;
        for act in ["effects/mail/retry", "effects/mail/give-up", "reminder/fire", "reminder/cancel"] {
            let key = format!("u-{}", fresh_key());
            post(&admin, &format!("notification.inbox/{key}/{act}")).await.expect(404).problem("not_found");
            ask(&admin, Method::GET, &format!("notification.inbox/{key}")).await.expect(404);
            post(&admin, &format!("notification.none/{key}/{act}")).await.expect(422).problem("invalid_value");
        }
        for wrong in ["mail:x", ":1"] {
            let refused = post(&admin, &format!("notification.inbox/u-1/effects/{wrong}/retry")).await.expect(422);
            assert_eq!(refused.problem("invalid_value").body["field"], "effect");
        }
        admin.drain(Duration::from_secs(5)).await;
    });
}
