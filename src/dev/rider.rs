//! Simulated riders, over the HTTP API as real ones: they log in, come to work, accept what they are offered, pick it
//! up and hand it over, with short pauses.

use std::time::Duration;

use nakku_actors::demo::PASSWORD;
use nakku_actors::demo::people::accounts;
use nakku_actors::user::command::Role;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::cli::client::{Answer, Client};
use crate::cli::outcome::Wrong;

/// How often a rider looks at the work list.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How long each step on the way takes.
const STEP: Duration = Duration::from_millis(500);
/// Between the log-ins of two riders: each takes a core for a while, which the first customer shall have.
const LOGIN_EVERY: Duration = Duration::from_millis(200);
/// After something went wrong.
const PAUSE: Duration = Duration::from_secs(1);

/// Sends all riders of the demo shop to work, until the set is dropped.
pub fn start(api: &str) -> JoinSet<()> {
    let mut riders = JoinSet::new();
    let mut wait = Duration::ZERO;
    for account in accounts() {
        if account.role == Role::Rider
            && let Some(store) = account.store
        {
            wait += LOGIN_EVERY;
            riders.spawn(work(api.to_owned(), account.email, store.to_string(), wait));
        }
    }
    riders
}

async fn work(api: String, email: String, store: String, wait: Duration) {
    tokio::time::sleep(wait).await;
    loop {
        // Also when the access token has expired.
        if let Err(error) = shift(&api, &email, &store).await {
            tracing::debug!(rider = email, ?error, "a simulated rider starts again");
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// From the log-in to the first thing that goes wrong.
async fn shift(api: &str, email: &str, store: &str) -> Result<(), Wrong> {
    let anonymous = Client::new(api, None)?;
    let body = json!({ "email": email, "password": PASSWORD });
    let session = send(&anonymous, Method::POST, "/auth/login", &body).await?.succeeded("the log-in")?;
    let client = anonymous.with_token(session["access_token"].as_str().unwrap_or_default());
    send(&client, Method::POST, "/rider/online", &json!({ "store": store })).await?.succeeded("coming to work")?;
    let mut look = tokio::time::interval(LOOK_EVERY);
    loop {
        look.tick().await;
        let list = client.get("/api/v1/rider/deliveries").await?;
        for delivery in list["deliveries"].as_array().into_iter().flatten() {
            tokio::time::sleep(STEP).await;
            advance(&client, delivery).await?;
        }
    }
}

/// One step further with what is offered or in hand.
async fn advance(client: &Client, delivery: &Value) -> Result<(), Wrong> {
    let text = |name: &str| delivery[name].as_str().unwrap_or_default();
    let (step, body) = match text("stage") {
        "offered" => ("accept", Value::Null),
        "assigned" => ("pick-up", Value::Null),
        "picked_up" => ("deliver", json!({ "cash_collected_minor": delivery["cash_due_minor"] })),
        _ => return Ok(()),
    };
    let path = format!("/rider/deliveries/{}/{step}", text("id"));
    let answer = send(client, Method::POST, &path, &body).await?;
    // A refusal is no reason to stop: the offer may have gone to another, and the list says so.
    if answer.is_success() || answer.status == 409 { Ok(()) } else { answer.succeeded(&path).map(drop) }
}

async fn send(client: &Client, method: Method, path: &str, body: &Value) -> Result<Answer, Wrong> {
    let body = (!body.is_null()).then_some(body);
    client.send(method, &format!("/api/v1{path}"), &[], body).await
}
