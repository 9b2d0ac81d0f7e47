//! `/cart`: what one is about to order.

use std::sync::Arc;

use axum::extract::State;
use axum::routing::{get, put};
use axum::{Json as JsonBody, Router};
use nakku_actors::cart::command::QUANTITY_MAX;
use nakku_actors::cart::{Cart, Command, Contents, Line, Rejection, Reply};
use nakku_cluster::{Answered, Ask, AskError, Key, Ref};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::products::find;
use super::{Answer, id, id_in};
use crate::auth::CustomerOnly;
use crate::edge::Edge;
use crate::extract::{Json, Path};
use crate::problem::{Code, Problem, ProblemBody};
use crate::trace::RequestContext;

/// Its routes.
pub fn routes() -> Router<Arc<Edge>> {
    Router::new().route("/", get(read).delete(empty)).route("/items/{sku}", put(set).delete(remove))
}

/// The cart.
#[utoipa::path(get, path = "/api/v1/cart", tag = "cart", security(("bearer" = [])),
    responses((status = 200, body = CartBody), (status = "default", body = ProblemBody)))]
pub async fn read(State(edge): State<Arc<Edge>>, context: RequestContext, caller: CustomerOnly) -> Answer<CartBody> {
    let CustomerOnly(caller) = caller;
    Ok(JsonBody(contents(&edge, context.ask(), caller.user()).await?.into()))
}

/// Sets how many pieces of a product are wanted; 0 takes it out.
#[utoipa::path(put, path = "/api/v1/cart/items/{sku}", tag = "cart", security(("bearer" = [])),
    params(("sku" = String, Path, description = "The product")), request_body = CartItem,
    responses((status = 200, body = CartBody), (status = "default", body = ProblemBody)))]
pub async fn set(
    State(edge): State<Arc<Edge>>,
    context: RequestContext,
    caller: CustomerOnly,
    Path(sku): Path<String>,
    Json(body): Json<CartItem>,
) -> Answer<CartBody> {
    let user = caller.0.user();
    let sku = id(&sku, Code::ProductUnknown)?;
    let store = body.store.as_deref().map(|store| id_in("store", store)).transpose()?;
    if body.quantity > QUANTITY_MAX {
        let detail = format!("quantity is 0 to {QUANTITY_MAX}");
        return Err(Problem::new(Code::InvalidValue, detail).field("quantity").member("maximum", QUANTITY_MAX));
    }
    let now = contents(&edge, context.ask(), user).await?;
    // Also where nothing would change: what an order holds is about to leave the cart.
    if let Some(order) = now.contents.sealed_by {
        return Err(Rejection::Sealed { order }.into());
    }
    let in_other_store = now.contents.store.as_ref().zip(store.as_ref()).filter(|(held, wanted)| held != wanted);
    if let Some((held, _)) = in_other_store {
        return Err(Rejection::OtherStore { store: held.clone() }.into());
    }
    let is_there = now.contents.lines.iter().any(|line| line.sku == sku.as_str());
    if !is_there && body.quantity == 0 {
        return Ok(JsonBody(now.into()));
    }
    let mut after = now;
    if !is_there {
        let product = find(&edge, context.ask(), &sku).await?;
        if product.archived {
            return Err(Problem::new(Code::ProductUnknown, "the product has left the catalogue"));
        }
        let store = store.or(after.contents.store).ok_or_else(|| {
            Problem::new(Code::MissingField, "store is needed for the first item of a cart").field("store")
        })?;
        let line = Line {
            sku: sku.to_string(),
            name: product.name,
            quantity: body.quantity,
            price_minor: product.price_minor,
        };
        after = ask(&edge, context.ask_once(), user, Command::Add { store, line }).await?;
    }
    // Another tab may have put it in meanwhile: adding then made more of it than was asked for.
    let is_right = after.contents.lines.iter().any(|line| line.sku == sku.as_str() && line.quantity == body.quantity);
    if !is_right {
        let command = Command::SetQuantity { sku: sku.to_string(), quantity: body.quantity };
        after = ask(&edge, context.ask(), user, command).await?;
    }
    Ok(JsonBody(after.into()))
}

/// Takes a product out, if it is in.
#[utoipa::path(delete, path = "/api/v1/cart/items/{sku}", tag = "cart", security(("bearer" = [])),
    params(("sku" = String, Path, description = "The product")),
    responses((status = 200, body = CartBody), (status = "default", body = ProblemBody)))]
pub async fn remove(
    State(edge): State<Arc<Edge>>,
    context: RequestContext,
    caller: CustomerOnly,
    Path(sku): Path<String>,
) -> Answer<CartBody> {
    let user = caller.0.user();
    let command = Command::SetQuantity { sku, quantity: 0 };
    let target = Ref::<Cart>::new(user.clone());
    match edge.cluster.ask(&target, &command, context.ask()).await {
        Err(AskError::Rejected { rejection: Rejection::UnknownLine { .. }, .. }) => {
            Ok(JsonBody(contents(&edge, context.ask(), user).await?.into()))
        }
        answered => Ok(JsonBody(held(answered?)?.into())),
    }
}

/// Takes everything out.
#[utoipa::path(delete, path = "/api/v1/cart", tag = "cart", security(("bearer" = [])),
    responses((status = 200, body = CartBody), (status = "default", body = ProblemBody)))]
pub async fn empty(State(edge): State<Arc<Edge>>, context: RequestContext, caller: CustomerOnly) -> Answer<CartBody> {
    Ok(JsonBody(ask(&edge, context.ask(), caller.0.user(), Command::Empty).await?.into()))
}

/// A cart.
#[derive(Debug, Serialize, ToSchema)]
pub struct CartBody {
    /// Whose goods; absent while it is empty.
    #[schema(value_type = Option<String>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store: Option<Key>,
    /// In the order of the SKUs.
    pub lines: Vec<CartLine>,
    /// At the prices of the lines, in minor units.
    pub total_minor: i64,
    /// ISO 4217.
    #[schema(example = "INR")]
    pub currency: &'static str,
    /// The order that is being made from it; it can't change meanwhile.
    #[schema(value_type = Option<String>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sealed_by: Option<Key>,
    /// The version of the cart that this rests on.
    pub entity_version: u64,
}

/// One line of a cart.
#[derive(Debug, Serialize, ToSchema)]
pub struct CartLine {
    /// The product.
    pub sku: String,
    /// Its name when it was put in.
    pub name: String,
    /// Pieces.
    pub quantity: u32,
    /// The price of a piece when it was put in, in minor units.
    pub price_minor: i64,
}

/// How many pieces are wanted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CartItem {
    /// 0 to 1,000; 0 takes the product out.
    pub quantity: u32,
    /// From which store; needed for the first item.
    #[serde(default)]
    pub store: Option<String>,
}

/// A cart's contents and the version that they rest on.
pub(super) struct Held {
    pub contents: Contents,
    pub entity_version: u64,
}

impl From<Held> for CartBody {
    fn from(held: Held) -> Self {
        let Contents { store, lines, total_minor, sealed_by, .. } = held.contents;
        let lines = lines
            .into_iter()
            .map(|Line { sku, name, quantity, price_minor }| CartLine { sku, name, quantity, price_minor })
            .collect();
        let currency = nakku_actors::money::CURRENCY;
        Self { store, lines, total_minor, currency, sealed_by, entity_version: held.entity_version }
    }
}

/// The cart as it is now.
pub(super) async fn contents(edge: &Edge, ask_with: Ask, user: &Key) -> Result<Held, Problem> {
    ask(edge, ask_with, user, Command::Get).await
}

async fn ask(edge: &Edge, ask_with: Ask, user: &Key, command: Command) -> Result<Held, Problem> {
    held(edge.cluster.ask(&Ref::<Cart>::new(user.clone()), &command, ask_with).await?)
}

fn held(answered: Answered<Reply>) -> Result<Held, Problem> {
    let Answered { reply, entity_version } = answered;
    match reply {
        Reply::Cart(contents) => Ok(Held { contents, entity_version }),
        other => Err(Problem::unexpected(&other)),
    }
}
