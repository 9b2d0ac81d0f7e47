//! `POST /orders`: from a cart to a confirmed order.
//!
//! The order is durable from its placing on and goes its way alone; this handler only places it and then
//! looks on. A client that goes away, or a gateway that dies, changes nothing: the same Idempotency-Key
//! names the same order and is answered the same. Where it goes, and on what terms, is beside it, in `destination`.

#[path = "destination.rs"]
pub mod destination;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Json as JsonBody;
use axum::extract::State;
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use futures::stream::{self, StreamExt, TryStreamExt};
use nakku_actors::cart::Contents;
use nakku_actors::location::command::Terms;
use nakku_actors::money::Money;
use nakku_actors::order::{self, Command, Line, Order, PaymentMethod, Placement, Rejection, Status, order_key};
use nakku_cluster::{AskError, Key, Ref};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use self::destination::{AddressChoice, address, below_minimum, terms};
use super::super::cart::{self, Held};
use super::super::id_in;
use super::super::products::{ProductBody, find};
use super::{OrderBody, full};
use crate::auth::CustomerOnly;
use crate::edge::Edge;
use crate::extract::Json;
use crate::problem::{Code, Problem, ProblemBody};
use crate::trace::RequestContext;

/// The header that names an order before it exists.
const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// The longest of them, in bytes.
const IDEMPOTENCY_KEY_BYTES_MAX: usize = 64;
/// Pause before an order that is being placed is looked at for the second time; each further one is half as
/// long again.
const PAUSE_FIRST: Duration = Duration::from_millis(3);
/// The longest of these pauses.
const PAUSE_MAX: Duration = Duration::from_millis(100);
/// Time left for the answer when waiting ends.
const ANSWER_MARGIN: Duration = Duration::from_millis(200);
/// How many prices are looked up at the same time.
const LOOKUPS_MAX: usize = 16;

/// Orders what is in the cart, at today's prices. Waits until the order is confirmed or refused; if that
/// takes longer than a request may, answers 202, and `Location` says where to look. Repeated with the same
/// Idempotency-Key and body it has the same answer and makes no second order.
#[utoipa::path(post, path = "/api/v1/orders", tag = "orders", security(("bearer" = [])),
    params(("Idempotency-Key" = String, Header, description = "1 to 64 visible ASCII characters, drawn for this order")),
    request_body = Checkout,
    responses((status = 201, description = "confirmed", body = OrderBody),
        (status = 202, description = "still being placed", body = OrderBody),
        (status = "default", body = ProblemBody)))]
pub async fn place(
    State(edge): State<Arc<Edge>>,
    context: RequestContext,
    caller: CustomerOnly,
    headers: HeaderMap,
    Json(body): Json<Checkout>,
) -> Result<Response, Problem> {
    let user = caller.0.user();
    let key = order_key(user, idempotency_key(&headers)?);
    let fingerprint = fingerprint(&body);
    let target = Ref::<Order>::new(key.clone());

    // The order is asked before the cart: on a repetition the cart is empty already.
    let (known, cart) = tokio::join!(
        edge.cluster.ask(&target, &Command::Status, context.ask()),
        cart::contents(&edge, context.ask(), user),
    );
    if is_placed(known)? {
        same_body(&edge, &context, &target, &fingerprint).await?;
    } else {
        match place_new(&edge, &context, user, &target, &body, fingerprint.clone(), cart).await {
            Ok(()) => {}
            // Unless the same request was sent twice and the other one has placed it meanwhile.
            Err(problem) => {
                if !is_placed(edge.cluster.ask(&target, &Command::Status, context.ask()).await)? {
                    return Err(problem);
                }
                same_body(&edge, &context, &target, &fingerprint).await?;
            }
        }
    }
    decided(&edge, &context, &key).await
}

/// What is ordered, how it is paid and where to; the goods are those of the cart.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Checkout {
    /// The store that the client believes the cart to be of; refused if it is another.
    #[serde(default)]
    pub store: Option<String>,
    /// How it is paid.
    pub payment: PaymentChoice,
    /// Where to. When it is absent the saved address is taken that `address_id` names, or the first one.
    #[serde(default)]
    pub address: Option<AddressChoice>,
    /// A saved address.
    #[serde(default)]
    pub address_id: Option<String>,
    /// The total that the customer was shown, with the fee, in minor units; refused if it has become another.
    #[serde(default)]
    pub expected_total_minor: Option<i64>,
}

/// How an order is paid.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PaymentChoice {
    /// At the door, or by card in advance.
    pub method: Method,
    /// The card's token; for cards only. The simulated card knows `card_approve`, `card_decline`,
    /// `card_slow` and `card_lost`.
    #[serde(default)]
    #[schema(example = "card_approve")]
    pub token: Option<String>,
}

/// A method of payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// At the door.
    Cash,
    /// In advance.
    Card,
}

fn idempotency_key(headers: &HeaderMap) -> Result<&str, Problem> {
    let value = headers
        .get(IDEMPOTENCY_KEY)
        .ok_or_else(|| Problem::new(Code::IdempotencyKeyMissing, "the header Idempotency-Key is missing"))?;
    let fits = |key: &&str| {
        (1..=IDEMPOTENCY_KEY_BYTES_MAX).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic())
    };
    value.to_str().ok().filter(fits).ok_or_else(|| {
        let detail = format!("an Idempotency-Key has 1 to {IDEMPOTENCY_KEY_BYTES_MAX} visible ASCII characters");
        Problem::new(Code::IdempotencyKeyInvalid, detail)
    })
}

/// Of the client's body alone: what the cart held must not count, it is gone when the request is repeated.
fn fingerprint(body: &Checkout) -> String {
    let canonical = serde_json::to_vec(body).expect("a body that was read has string keys and serialises");
    Sha256::digest(canonical).iter().map(|byte| format!("{byte:02x}")).collect()
}

type Asked = Result<nakku_cluster::Answered<order::Reply>, AskError<Rejection>>;

fn is_placed(asked: Asked) -> Result<bool, Problem> {
    match asked {
        Ok(_) => Ok(true),
        Err(AskError::Rejected { rejection: Rejection::Unknown, .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Compares with the body under which the order was placed; an order that is there looks at nothing else.
async fn same_body(
    edge: &Edge,
    context: &RequestContext,
    target: &Ref<Order>,
    fingerprint: &str,
) -> Result<(), Problem> {
    let placement = Placement {
        store: target.key().clone(),
        cart_version: 0,
        lines: Vec::new(),
        delivery_fee_minor: 0,
        total_minor: 0,
        payment: PaymentMethod::Cash,
        address: String::new(),
        fingerprint: fingerprint.to_owned(),
        deadline_ms: None,
        promised_minutes: None,
    };
    edge.cluster.ask(target, &Command::Place(Box::new(placement)), context.ask()).await?;
    Ok(())
}

async fn place_new(
    edge: &Edge,
    context: &RequestContext,
    user: &Key,
    target: &Ref<Order>,
    body: &Checkout,
    fingerprint: String,
    cart: Result<Held, Problem>,
) -> Result<(), Problem> {
    let payment = payment(&body.payment)?;
    let Contents { store, version, lines, sealed_by, .. } = cart?.contents;
    let Some(store) = store.filter(|_| !lines.is_empty()) else {
        return Err(nakku_actors::cart::Rejection::Empty.into());
    };
    if let Some(wanted) = &body.store
        && id_in("store", wanted)? != store
    {
        return Err(nakku_actors::cart::Rejection::OtherStore { store }.into());
    }
    if let Some(order) = sealed_by {
        return Err(nakku_actors::cart::Rejection::Sealed { order }.into());
    }
    let bring = async {
        let (address, position) = address(edge, context, user, body).await?;
        Ok::<_, Problem>((address, terms(edge, context, &store, position).await?))
    };
    let ((address, terms), prices) = futures::try_join!(bring, prices(edge, context, &lines))?;
    let mut ordered = Vec::with_capacity(lines.len());
    let mut amounts = Vec::with_capacity(lines.len());
    for line in lines {
        let product = prices.get(line.sku.as_str()).filter(|product| !product.archived).ok_or_else(|| {
            Problem::new(Code::ProductUnknown, "a product has left the catalogue").member("sku", line.sku.as_str())
        })?;
        let amount = Money::from_minor(product.price_minor).checked_mul(line.quantity);
        let tax = amount.and_then(|amount| amount.tax_contained(product.tax_basis_points.into()));
        let (Some(amount), Some(tax)) = (amount, tax) else {
            return Err(Problem::new(Code::InvalidValue, "the total is too large").field("quantity"));
        };
        amounts.push(amount);
        ordered.push(Line {
            sku: line.sku,
            name: product.name.clone(),
            quantity: line.quantity,
            price_minor: product.price_minor,
            tax_minor: tax.minor(),
        });
    }
    let too_large = || Problem::new(Code::InvalidValue, "the total is too large").field("quantity");
    let goods = Money::checked_sum(amounts).ok_or_else(too_large)?;
    let Terms { fee_minor, minimum_minor, promised_minutes } = terms;
    if goods.minor() < minimum_minor {
        return Err(below_minimum(goods.minor(), minimum_minor));
    }
    let total = Money::checked_sum([goods, Money::from_minor(fee_minor)]).ok_or_else(too_large)?;
    if body.expected_total_minor.is_some_and(|expected| expected != total.minor()) {
        return Err(Rejection::TotalDiffers { total_minor: total.minor() }.into());
    }
    let placement = Placement {
        store,
        cart_version: version,
        lines: ordered,
        delivery_fee_minor: fee_minor,
        total_minor: total.minor(),
        payment,
        address,
        fingerprint,
        deadline_ms: None,
        promised_minutes: (promised_minutes > 0).then_some(promised_minutes),
    };
    edge.cluster.ask(target, &Command::Place(Box::new(placement)), context.ask()).await?;
    Ok(())
}

fn payment(choice: &PaymentChoice) -> Result<PaymentMethod, Problem> {
    match (choice.method, &choice.token) {
        (Method::Cash, None) => Ok(PaymentMethod::Cash),
        (Method::Cash, Some(_)) => Err(Problem::new(Code::InvalidValue, "cash has no token").field("payment.token")),
        (Method::Card, Some(token)) => Ok(PaymentMethod::Card { token: token.clone() }),
        (Method::Card, None) => Err(Problem::new(Code::MissingField, "a card has a token").field("payment.token")),
    }
}

/// What the lines' products are and cost now.
async fn prices(
    edge: &Edge,
    context: &RequestContext,
    lines: &[nakku_actors::cart::Line],
) -> Result<HashMap<String, ProductBody>, Problem> {
    let lookups: Vec<_> = lines.iter().map(|line| priced(edge, context, &line.sku)).collect();
    stream::iter(lookups).buffer_unordered(LOOKUPS_MAX).try_collect().await
}

async fn priced(edge: &Edge, context: &RequestContext, sku: &str) -> Result<(String, ProductBody), Problem> {
    let product = find(edge, context.ask(), &id_in("sku", sku)?).await?;
    Ok((sku.to_owned(), product))
}

/// Looks on until the order is confirmed or cancelled, or the request's time is over.
async fn decided(edge: &Edge, context: &RequestContext, key: &Key) -> Result<Response, Problem> {
    let mut pause = PAUSE_FIRST;
    // Only the summary is asked for meanwhile: the whole order is dear to write out again and again.
    while status(edge, context, key).await? == Status::Placing && context.remaining() >= pause + ANSWER_MARGIN {
        tokio::time::sleep(pause).await;
        pause = (pause * 3 / 2).min(PAUSE_MAX);
    }
    let (details, entity_version) = full(edge, context.ask(), key).await?;
    let status = details.summary.status;
    if status == Status::Cancelled && details.confirmed_at.is_none() {
        let reason = details.summary.cancelled.unwrap_or(order::CancelReason::DeadlinePassed);
        return Err(Problem::from(reason).order(key));
    }
    let code = if status == Status::Placing { StatusCode::ACCEPTED } else { StatusCode::CREATED };
    let location = [(LOCATION, format!("/api/v1/orders/{key}"))];
    Ok((code, location, JsonBody(OrderBody::new(*details, entity_version))).into_response())
}

async fn status(edge: &Edge, context: &RequestContext, key: &Key) -> Result<Status, Problem> {
    match edge.cluster.ask(&Ref::<Order>::new(key.clone()), &Command::Status, context.ask()).await?.reply {
        order::Reply::Status(summary) => Ok(summary.status),
        other => Err(Problem::unexpected(&other)),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn idempotency_keys_are_bounded_and_visible() {
        let mut headers = HeaderMap::new();
        assert_eq!(idempotency_key(&headers).unwrap_err().code, Code::IdempotencyKeyMissing);
        for (key, fits) in [("a", true), (&"x".repeat(64), true), ("", false), (&"x".repeat(65), false), ("a b", false)]
        {
            headers.insert(IDEMPOTENCY_KEY, HeaderValue::from_str(key).unwrap());
            assert_eq!(idempotency_key(&headers).is_ok(), fits, "{key:?}");
        }
        headers.insert(IDEMPOTENCY_KEY, HeaderValue::from_bytes(b"caf\xe9").unwrap());
        assert_eq!(idempotency_key(&headers).unwrap_err().code, Code::IdempotencyKeyInvalid);
    }

    #[test]
    fn the_fingerprint_is_of_what_the_body_says() {
        let read = |text: &str| fingerprint(&crate::extract::parse::<Checkout>(text.as_bytes()).unwrap());
        let cash = read(r#"{"payment":{"method":"cash"},"address":"x"}"#);
        assert_eq!(cash, read(r#" { "address" : "x", "payment": {"token":null,"method":"cash"} } "#));
        assert_ne!(cash, read(r#"{"payment":{"method":"cash"},"address":"y"}"#));
        assert_ne!(cash, read(r#"{"payment":{"method":"card","token":"t"},"address":"x"}"#));
        assert_ne!(cash, read(r#"{"payment":{"method":"cash"},"address":{"line":"x"}}"#));
        // Orders that were placed before an address could have a position are recognised when they are repeated.
        let bytes = r#"{"store":null,"payment":{"method":"cash","token":null},"address":"x","address_id":null,"expected_total_minor":null}"#;
        let before: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(cash, before);
    }
}
