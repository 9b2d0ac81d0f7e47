//! `/stores`: what is on the shelves.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json as JsonBody, Router};
use futures::stream::{self, StreamExt, TryStreamExt};
use nakku_actors::inventory::command::LowStockLine;
use nakku_actors::inventory::{Command, Level, Line, Reply, Stock};
use nakku_actors::location::directory::command::Listed;
use nakku_cluster::{Answered, Key, Query as Rows, Ref};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::cached::cached;
use super::products::{ProductBody, ProductQuery, find, page};
use super::{Answer, Page, PageQuery, id, id_in, location, next_page};
use crate::auth::StaffOnly;
use crate::edge::Edge;
use crate::extract::{Json, Path, Query};
use crate::problem::{Code, Problem, ProblemBody};
use crate::shared::{PageKey, Subject};
use crate::trace::RequestContext;

/// How many products of a supply are looked up at the same time.
const LOOKUPS_MAX: usize = 16;

/// Its routes.
pub fn routes() -> Router<Arc<Edge>> {
    Router::new()
        .route("/", get(list))
        .route("/{store}/products", get(products))
        .route("/{store}/stock", post(supply))
        .route("/{store}/stock/{sku}", get(stock).patch(change_stock))
}

/// The stores that have been supplied, with where they are and whether they take orders, if that has been said.
#[utoipa::path(get, path = "/api/v1/stores", tag = "stores", params(PageQuery),
    responses((status = 200, body = Page<StoreBody>), (status = "default", body = ProblemBody)))]
pub async fn list(
    State(edge): State<Arc<Edge>>,
    context: RequestContext,
    Query(query): Query<PageQuery>,
) -> Answer<Page<StoreBody>> {
    let limit = query.limit()?;
    let rows = Rows::new().after(query.after()?).limit(limit);
    let read = async |freshness| {
        let rows = Rows { freshness, ..rows };
        let listed = edge.cluster.list::<Stock>(&rows).await?;
        let next = next_page(listed.len(), limit, listed.last().map(|row| &row.key));
        Ok((listed.into_iter().map(|row| row.key).collect::<Vec<_>>(), next))
    };
    let part = format!("{:?} {limit}", query.after);
    let (stores, next) = cached(&edge, PageKey::list(Subject::Store, part), read).await?;
    let mut known = location::listed(&edge, &context, stores.clone()).await?.into_iter().peekable();
    // Both are in the same order; what nothing is known of is left out of the second.
    let place = |id: Key| {
        let place = known.next_if(|place| place.store == id).map(StorePlace::from);
        StoreBody { id, place }
    };
    let items = stores.into_iter().map(place).collect();
    Ok(JsonBody(Page { items, next }))
}

/// The catalogue with what the store has of it.
#[utoipa::path(get, path = "/api/v1/stores/{store}/products", tag = "stores",
    params(("store" = String, Path, description = "The store"), ProductQuery),
    responses((status = 200, body = Page<StoreProduct>), (status = "default", body = ProblemBody)))]
pub async fn products(
    State(edge): State<Arc<Edge>>,
    context: RequestContext,
    Path(store): Path<String>,
    Query(query): Query<ProductQuery>,
) -> Answer<Page<StoreProduct>> {
    let store = id(&store, Code::StoreUnknown)?;
    let (products, next) = page(&edge, &query).await?;
    let skus = products.iter().map(|product| product.sku.to_string()).collect();
    let (levels, _) = levels(&edge, &context, &store, skus).await?;
    let mut levels: HashMap<String, Level> = levels.into_iter().map(|level| (level.sku.clone(), level)).collect();
    let items = products
        .into_iter()
        .filter_map(|product| {
            let level = levels.remove(product.sku.as_str())?;
            Some(StoreProduct { product, available: level.available })
        })
        .collect();
    Ok(JsonBody(Page { items, next }))
}

/// How much the store has of one product.
#[utoipa::path(get, path = "/api/v1/stores/{store}/stock/{sku}", tag = "stores",
    params(("store" = String, Path, description = "The store"), ("sku" = String, Path, description = "The product")),
    responses((status = 200, body = StockLevel), (status = "default", body = ProblemBody)))]
pub async fn stock(
    State(edge): State<Arc<Edge>>,
    context: RequestContext,
    Path((store, sku)): Path<(String, String)>,
) -> Answer<StockLevel> {
    let store = id(&store, Code::StoreUnknown)?;
    let sku = id(&sku, Code::ProductUnknown)?;
    let (levels, entity_version) = levels(&edge, &context, &store, vec![sku.to_string()]).await?;
    let level = levels.into_iter().next();
    let level = level.ok_or_else(|| Problem::new(Code::ProductUnknown, "the store has never had it"))?;
    Ok(JsonBody(StockLevel::new(store, level, entity_version)))
}

/// Goods have come in. Repeated under the same receipt it changes nothing. For staff of the store.
#[utoipa::path(post, path = "/api/v1/stores/{store}/stock", tag = "stores", security(("bearer" = [])),
    params(("store" = String, Path, description = "The store")), request_body = Supply,
    responses((status = 200, body = Page<StockLevel>), (status = "default", body = ProblemBody)))]
pub async fn supply(
    State(edge): State<Arc<Edge>>,
    context: RequestContext,
    staff: StaffOnly,
    Path(store): Path<String>,
    Json(body): Json<Supply>,
) -> Result<(StatusCode, JsonBody<Page<StockLevel>>), Problem> {
    let store = id(&store, Code::StoreUnknown)?;
    staff.of_store(&store)?;
    let mut skus = Vec::with_capacity(body.lines.len());
    for line in &body.lines {
        skus.push(id_in("lines.sku", &line.sku)?);
    }
    // What is not in the catalogue could never be sold.
    let lookups: Vec<_> = skus.iter().map(|sku| find(&edge, context.ask(), sku)).collect();
    stream::iter(lookups).buffer_unordered(LOOKUPS_MAX).try_for_each(|_| async { Ok(()) }).await?;
    let low_stock = |line: &SupplyLine| Some(LowStockLine { sku: line.sku.clone(), low_stock_at: line.low_stock_at? });
    let low_stock: Vec<LowStockLine> = body.lines.iter().filter_map(low_stock).collect();
    let lines = body.lines.into_iter().map(|line| Line { sku: line.sku, quantity: line.quantity }).collect();
    let command = Command::Supply { receipt: body.receipt, lines };
    let supplied = edge.cluster.ask(&Ref::<Stock>::new(store.clone()), &command, context.ask()).await;
    // Goods make a store of what was none.
    edge.shared.pages.invalidate(Subject::Store, store.as_str()).await;
    match supplied?.reply {
        Reply::Supplied => {}
        other => return Err(Problem::unexpected(&other)),
    }
    if !low_stock.is_empty() {
        set_low_stock(&edge, &context, &store, low_stock).await?;
    }
    let mut skus: Vec<String> = skus.iter().map(Key::to_string).collect();
    skus.truncate(nakku_actors::inventory::command::PAGE_MAX);
    let (levels, entity_version) = levels(&edge, &context, &store, skus).await?;
    let items = levels.into_iter().map(|level| StockLevel::new(store.clone(), level, entity_version)).collect();
    Ok((StatusCode::OK, JsonBody(Page { items, next: None })))
}

/// Changes from how many pieces left on a product counts as low at the store, of which `inventory.low_stock` tells. For
/// staff of the store.
#[utoipa::path(patch, path = "/api/v1/stores/{store}/stock/{sku}", tag = "stores", security(("bearer" = [])),
    params(("store" = String, Path, description = "The store"), ("sku" = String, Path, description = "The product")),
    request_body = StockChange,
    responses((status = 200, body = StockLevel), (status = "default", body = ProblemBody)))]
pub async fn change_stock(
    State(edge): State<Arc<Edge>>,
    context: RequestContext,
    staff: StaffOnly,
    Path((store, sku)): Path<(String, String)>,
    Json(body): Json<StockChange>,
) -> Answer<StockLevel> {
    let store_key = id(&store, Code::StoreUnknown)?;
    staff.of_store(&store_key)?;
    let line = LowStockLine { sku: id(&sku, Code::ProductUnknown)?.to_string(), low_stock_at: body.low_stock_at };
    set_low_stock(&edge, &context, &store_key, vec![line]).await?;
    stock(State(edge), context, Path((store, sku))).await
}

/// A store.
#[derive(Debug, Serialize, ToSchema)]
pub struct StoreBody {
    /// Such as `s-bandra`.
    #[schema(value_type = String)]
    pub id: Key,
    /// What it is called, where it is and whether it takes orders, once that has been said.
    #[serde(flatten)]
    pub place: Option<StorePlace>,
}

/// Where a store is and whether it takes orders.
#[derive(Debug, Serialize, ToSchema)]
pub struct StorePlace {
    /// What it is called.
    pub name: String,
    /// Latitude in degrees.
    pub lat: f64,
    /// Longitude in degrees.
    pub lng: f64,
    /// Whether it takes orders now.
    pub open: bool,
    /// Until when that stays so, in milliseconds since the Unix epoch, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until_ms: Option<i64>,
}

/// A product and what a store has of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct StoreProduct {
    /// The product.
    #[serde(flatten)]
    pub product: ProductBody,
    /// Pieces that can be ordered.
    pub available: u64,
}

/// How much a store has of a product.
#[derive(Debug, Serialize, ToSchema)]
pub struct StockLevel {
    /// The store.
    #[schema(value_type = String)]
    pub store: Key,
    /// The product.
    pub sku: String,
    /// `available + reserved`.
    pub on_hand: u64,
    /// Can be ordered.
    pub available: u64,
    /// Held for orders.
    pub reserved: u64,
    /// Ever supplied.
    pub supplied: u64,
    /// Sold, less what came back.
    pub sold: u64,
    /// Written off.
    pub written_off: u64,
    /// With so many pieces left or fewer it counts as low; 0 never.
    pub low_stock_at: u64,
    /// The version of the stock that this rests on.
    pub entity_version: u64,
}

/// Goods that have come in.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Supply {
    /// Names the delivery of goods.
    #[schema(example = "invoice-2041")]
    pub receipt: String,
    /// What came; a SKU at most once.
    pub lines: Vec<SupplyLine>,
}

/// So many pieces of a product.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SupplyLine {
    /// The product.
    pub sku: String,
    /// Pieces, 1 to 1,000,000.
    pub quantity: u32,
    /// With so many pieces left or fewer it counts as low from now on, up to 1,000,000; 0 never. When absent it stays
    /// as it is, which is 5 in the beginning.
    #[serde(default)]
    #[schema(nullable = false)]
    pub low_stock_at: Option<u64>,
}

/// What is to be changed about a product at a store.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StockChange {
    /// With so many pieces left or fewer it counts as low, up to 1,000,000; 0 never.
    #[schema(example = 20)]
    pub low_stock_at: u64,
}

impl From<Listed> for StorePlace {
    fn from(listed: Listed) -> Self {
        let (lat, lng) = listed.position.degrees();
        Self { name: listed.name, lat, lng, open: listed.open, until_ms: listed.until.map(|at| at.0) }
    }
}

impl StockLevel {
    fn new(store: Key, level: Level, entity_version: u64) -> Self {
        let Level { sku, on_hand, available, reserved, supplied, sold, written_off, low_stock_at } = level;
        Self { store, sku, on_hand, available, reserved, supplied, sold, written_off, low_stock_at, entity_version }
    }
}

async fn set_low_stock(
    edge: &Edge,
    context: &RequestContext,
    store: &Key,
    lines: Vec<LowStockLine>,
) -> Result<(), Problem> {
    let command = Command::SetLowStock { lines };
    match edge.cluster.ask(&Ref::<Stock>::new(store.clone()), &command, context.ask()).await?.reply {
        Reply::Noted => Ok(()),
        other => Err(Problem::unexpected(&other)),
    }
}

/// Levels and the version that they rest on; a stock that nothing has happened to is no store's.
async fn levels(
    edge: &Edge,
    context: &RequestContext,
    store: &Key,
    skus: Vec<String>,
) -> Result<(Vec<Level>, u64), Problem> {
    let target = Ref::<Stock>::new(store.clone());
    let Answered { reply, entity_version } = edge.cluster.ask(&target, &Command::Get { skus }, context.ask()).await?;
    if entity_version == 0 {
        return Err(Problem::new(Code::StoreUnknown, "there is no such store").member("store", store.as_str()));
    }
    match reply {
        Reply::Levels { levels, .. } => Ok((levels, entity_version)),
        other => Err(Problem::unexpected(&other)),
    }
}
