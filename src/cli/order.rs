//! `nakku order`: one order over HTTP, each request and answer in a line.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use clap::Args;
use reqwest::Method;
use serde_json::{Value, json};

use super::client::{Answer, Client, ClientArguments, Listener};
use super::outcome::{Done, Wrong};
use super::show;

/// `nakku order`.
#[derive(Debug, Args)]
pub struct Order {
    /// The API of any node
    #[command(flatten)]
    pub client: ClientArguments,
    /// The store to order from; the first one unless given
    #[arg(long, value_name = "STORE")]
    pub store: Option<String>,
    /// How many different products
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=50))]
    pub products: u8,
    /// Units of each
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub quantity: u16,
    /// cash, or card with the simulated card's token (card_approve, card_decline, card_slow, card_lost)
    #[arg(long, value_name = "cash|TOKEN", default_value = "card_approve")]
    pub pay: String,
    /// How long to wait for the delivery, in seconds; 0 ends once the order is confirmed
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub wait_s: u64,
    /// Print whole bodies instead of their beginnings
    #[arg(long)]
    pub full: bool,
    /// Print each request and answer as a JSON object in a line
    #[arg(long)]
    pub json: bool,
}

/// How often an order's state is looked at.
const WATCH_EVERY: Duration = Duration::from_millis(250);
/// How many characters of a body are shown.
const SHOWN_MAX: usize = 150;

/// Walks through one order.
pub async fn run(arguments: &Order) -> Done {
    let mut walk = Walk { client: arguments.client.client(Listener::Api)?, full: arguments.full, json: arguments.json };
    let unique = unique();
    let email = format!("walk-{unique}@example.com");
    let password = format!("walk-{unique}-password");

    let body = json!({ "email": email, "password": password, "name": "Nakku Walk" });
    walk.ask(Method::POST, "/api/v1/auth/register", &[], Some(body)).await?;
    let body = json!({ "email": email, "password": password });
    let tokens = walk.ask(Method::POST, "/api/v1/auth/login", &[], Some(body)).await?;
    walk.client = walk.client.with_token(text(&tokens, "access_token")?);

    let store = match &arguments.store {
        Some(store) => store.clone(),
        None => {
            let stores = walk.ask(Method::GET, "/api/v1/stores", &[], None).await?;
            text(first(&stores)?, "id")?
        }
    };
    let limit = arguments.products;
    let products = walk.ask(Method::GET, &format!("/api/v1/stores/{store}/products?limit={limit}"), &[], None).await?;
    let skus = items(&products)?
        .iter()
        .take(usize::from(limit))
        .map(|product| text(product, "sku"))
        .collect::<Result<Vec<_>, _>>()?;
    if skus.is_empty() {
        return Err(Wrong::Failed(format!("store {store} has no products; choose another by --store")));
    }
    let before = walk.stock(&store, &skus).await?;
    let mut cart = Value::Null;
    for sku in &skus {
        let body = json!({ "store": store, "quantity": arguments.quantity });
        cart = walk.ask(Method::PUT, &format!("/api/v1/cart/items/{sku}"), &[], Some(body)).await?;
    }
    let payment = match arguments.pay.as_str() {
        "cash" => json!({ "method": "cash" }),
        token => json!({ "method": "card", "token": token }),
    };
    // Refused if a price has changed meanwhile: the customer pays what was shown.
    let total = cart.get("total_minor").cloned().unwrap_or_default();
    let address = "12 Residency Road, Bengaluru 560025";
    let body = json!({ "payment": payment, "address": address, "expected_total_minor": total });
    let key = format!("walk-{unique}");
    let placed_at = Instant::now();
    let order = walk.ask(Method::POST, "/api/v1/orders", &[("Idempotency-Key", &key)], Some(body)).await?;
    let id = text(&order, "id")?;
    walk.watch(&id, order, placed_at, Duration::from_secs(arguments.wait_s)).await?;
    let after = walk.stock(&store, &skus).await?;
    if walk.json {
        return Ok(());
    }
    show::line("")?;
    let rows = skus.iter().zip(before.iter().zip(&after)).map(|(sku, (before, after))| {
        let shown = |stock: &Value, name: &str| stock.get(name).map(Value::to_string).unwrap_or_default();
        vec![
            sku.clone(),
            shown(before, "available"),
            shown(after, "available"),
            shown(before, "on_hand"),
            shown(after, "on_hand"),
        ]
    });
    show::rows(false, &after, &["sku", "available before", "after", "on hand before", "after"], rows)
}

struct Walk {
    client: Client,
    full: bool,
    json: bool,
}

impl Walk {
    /// One request that must succeed, shown with its answer.
    async fn ask(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Value>,
    ) -> Result<Value, Wrong> {
        let answer = self.client.send(method.clone(), path, headers, body.as_ref()).await?;
        self.show(&method, path, headers, body.as_ref(), &answer)?;
        answer.succeeded(&format!("{method} {path}"))
    }

    fn show(
        &self,
        method: &Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
        answer: &Answer,
    ) -> Done {
        let took_ms = u64::try_from(answer.took.as_millis()).unwrap_or(u64::MAX);
        let headers: Vec<String> = headers.iter().map(|(name, value)| format!(" {name}: {value}")).collect();
        if self.json {
            let request = json!({ "method": method.as_str(), "path": path, "body": body.map(hide) });
            let line = json!({ "request": request, "status": answer.status, "took_ms": took_ms, "answer": hide(&answer.body) });
            return show::line(&line.to_string());
        }
        let body = body.map(|body| format!(" {}", self.shorten(hide(body).to_string()))).unwrap_or_default();
        show::line(&format!("> {method} {path}{}{body}", headers.concat()))?;
        // As it came, with the fields in the order of the server.
        let mut text = answer.text.clone();
        for secret in secrets(&answer.body) {
            text = text.replace(secret, "…");
        }
        show::line(&format!("< {} in {took_ms} ms {}", answer.status, self.shorten(text)))
    }

    fn shorten(&self, whole: String) -> String {
        if self.full || whole.chars().count() <= SHOWN_MAX {
            return whole;
        }
        whole.chars().take(SHOWN_MAX).chain(['…']).collect()
    }

    /// The stock of each product.
    async fn stock(&self, store: &str, skus: &[String]) -> Result<Vec<Value>, Wrong> {
        let mut lines = Vec::new();
        for sku in skus {
            lines.push(self.ask(Method::GET, &format!("/api/v1/stores/{store}/stock/{sku}"), &[], None).await?);
        }
        Ok(lines)
    }

    /// Asks for an order until it has ended, and shows each answer that says something new.
    async fn watch(&self, id: &str, placed: Value, since: Instant, patience: Duration) -> Done {
        let path = format!("/api/v1/orders/{id}");
        let mut status = text(&placed, "status")?;
        loop {
            let confirmed = matches!(status.as_str(), "confirmed" | "packed" | "out_for_delivery");
            match status.as_str() {
                "delivered" => return Ok(()),
                "cancelled" => return Err(Wrong::Failed(format!("order {id} was cancelled; see the last answer"))),
                _ if confirmed && patience.is_zero() => return Ok(()),
                _ if since.elapsed() > patience.max(CONFIRM_PATIENCE) => {
                    let waited_s = since.elapsed().as_secs();
                    return Err(Wrong::Failed(format!(
                        "order {id} is {status} after {waited_s} s; is a rider online? wait longer by --wait-s"
                    )));
                }
                _ => tokio::time::sleep(WATCH_EVERY).await,
            }
            let answer = self.client.send(Method::GET, &path, &[], None).await?;
            let now = answer.body.get("status").and_then(Value::as_str).map(str::to_owned);
            if now.as_deref() != Some(&status) {
                self.show(&Method::GET, &path, &[], None, &answer)?;
            }
            let body = answer.succeeded(&format!("GET {path}"))?;
            status = text(&body, "status")?;
        }
    }
}

/// However short the patience for the delivery, the confirmation gets this long.
const CONFIRM_PATIENCE: Duration = Duration::from_secs(10);

/// Passwords and tokens among the members of a body.
fn secrets(body: &Value) -> Vec<&str> {
    let members = body.as_object().into_iter().flatten();
    members.filter(|(name, _)| is_secret(name)).filter_map(|(_, value)| value.as_str()).collect()
}

fn is_secret(name: &str) -> bool {
    name == "password" || name.ends_with("_token")
}

/// A copy in which passwords and tokens can't be read.
fn hide(body: &Value) -> Value {
    match body {
        Value::Object(entries) => entries
            .iter()
            .map(|(name, value)| match value {
                Value::String(_) if is_secret(name) => (name.clone(), "…".into()),
                other => (name.clone(), hide(other)),
            })
            .collect::<serde_json::Map<_, _>>()
            .into(),
        Value::Array(values) => values.iter().map(hide).collect::<Vec<_>>().into(),
        other => other.clone(),
    }
}

fn text(body: &Value, name: &str) -> Result<String, Wrong> {
    body.get(name)
        .and_then(Value::as_str)
        .map(str::to_owned)
        .ok_or_else(|| Wrong::Failed(format!("the answer has no {name}; is this endpoint a nakku of this version?")))
}

fn items(body: &Value) -> Result<&Vec<Value>, Wrong> {
    body.get("items")
        .and_then(Value::as_array)
        .ok_or_else(|| Wrong::Failed("the answer has no items; is this endpoint a nakku of this version?".into()))
}

fn first(body: &Value) -> Result<&Value, Wrong> {
    items(body)?.first().ok_or_else(|| Wrong::Failed("there are no stores; nakku dev makes some".into()))
}

/// Different for each walk: milliseconds and 32 random bits.
fn unique() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let random: u32 = rand::random();
    format!("{:x}-{random:08x}", since.as_millis())
}
