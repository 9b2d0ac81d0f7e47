//! `/products`: the catalogue.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderName, StatusCode, header};
use axum::routing::get;
use axum::{Json as JsonBody, Router};
use nakku_actors::product::command::{Details, Price, Product as Listing};
use nakku_actors::product::state::{ARCHIVED, CATEGORY};
use nakku_actors::product::{self, Command, Product, Reply};
use nakku_cluster::{Ask, Key, Query as Rows, Ref};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::cached::cached;
use super::{Answer, Page, id, id_in, next_page, page_after, page_limit};
use crate::auth::StaffOnly;
use crate::edge::Edge;
use crate::extract::{Json, Path, Query};
use crate::problem::{Code, Problem, ProblemBody};
use crate::shared::{PageKey, Subject};
use crate::trace::RequestContext;

/// Its routes.
pub fn routes() -> Router<Arc<Edge>> {
    Router::new().route("/", get(list).post(create)).route("/{sku}", get(read).patch(change).delete(archive))
}

/// The catalogue, page by page.
#[utoipa::path(get, path = "/api/v1/products", tag = "products", params(ProductQuery),
    responses((status = 200, body = Page<ProductBody>), (status = "default", body = ProblemBody)))]
pub async fn list(State(edge): State<Arc<Edge>>, Query(query): Query<ProductQuery>) -> Answer<Page<ProductBody>> {
    let (items, next) = page(&edge, &query).await?;
    Ok(JsonBody(Page { items, next }))
}

/// One product, as it was a few seconds ago at most.
#[utoipa::path(get, path = "/api/v1/products/{sku}", tag = "products",
    params(("sku" = String, Path, description = "The product")),
    responses((status = 200, body = ProductBody), (status = "default", body = ProblemBody)))]
pub async fn read(
    State(edge): State<Arc<Edge>>,
    context: RequestContext,
    Path(sku): Path<String>,
) -> Answer<ProductBody> {
    let sku = id(&sku, Code::ProductUnknown)?;
    let read = async |_| listing(&edge, context.ask(), &sku, Command::Get).await;
    let listing = cached(&edge, PageKey::of(Subject::Product, sku.as_str()), read).await;
    Ok(JsonBody(ProductBody::new(sku.clone(), listing.map_err(|problem| naming(problem, &sku))?)))
}

/// Adds a product to the catalogue. For staff.
#[utoipa::path(post, path = "/api/v1/products", tag = "products", security(("bearer" = [])),
    request_body = NewProduct,
    responses((status = 201, body = ProductBody), (status = "default", body = ProblemBody)))]
pub async fn create(
    State(edge): State<Arc<Edge>>,
    context: RequestContext,
    _staff: StaffOnly,
    Json(body): Json<NewProduct>,
) -> Result<(StatusCode, [(HeaderName, String); 1], JsonBody<ProductBody>), Problem> {
    let NewProduct { sku, name, brand, barcode, unit, category, mrp_minor, price_minor, tax_basis_points } = body;
    let sku = id_in("sku", &sku)?;
    let details = Details { name, brand, barcode, unit, category };
    let price = Price { mrp_minor, price_minor, tax_basis_points };
    let created = ask(&edge, context.ask(), &sku, Command::Create { details, price }).await;
    changed(&edge, &sku).await;
    let created = created?;
    let location = [(header::LOCATION, format!("/api/v1/products/{sku}"))];
    Ok((StatusCode::CREATED, location, JsonBody(created)))
}

/// Changes what is given of a product. For staff.
#[utoipa::path(patch, path = "/api/v1/products/{sku}", tag = "products", security(("bearer" = [])),
    params(("sku" = String, Path, description = "The product")), request_body = ProductChange,
    responses((status = 200, body = ProductBody), (status = "default", body = ProblemBody)))]
pub async fn change(
    State(edge): State<Arc<Edge>>,
    context: RequestContext,
    _staff: StaffOnly,
    Path(sku): Path<String>,
    Json(body): Json<ProductChange>,
) -> Answer<ProductBody> {
    let sku = id(&sku, Code::ProductUnknown)?;
    let mut now = find(&edge, context.ask(), &sku).await?;
    let changes_details = body.changes_details();
    let changes_price = body.changes_price();
    let details = Details {
        name: body.name.unwrap_or_else(|| now.name.clone()),
        brand: body.brand.unwrap_or_else(|| now.brand.clone()),
        barcode: body.barcode.unwrap_or_else(|| now.barcode.clone()),
        unit: body.unit.unwrap_or_else(|| now.unit.clone()),
        category: body.category.unwrap_or_else(|| now.category.clone()),
    };
    let price = Price {
        mrp_minor: body.mrp_minor.unwrap_or(now.mrp_minor),
        price_minor: body.price_minor.unwrap_or(now.price_minor),
        tax_basis_points: body.tax_basis_points.unwrap_or(now.tax_basis_points),
    };
    // The price first: of the two it is the one that a customer notices, should the second be lost.
    if changes_price {
        let priced = ask(&edge, context.ask_once(), &sku, Command::ChangePrice { price }).await;
        changed(&edge, &sku).await;
        now = priced?;
    }
    if changes_details {
        let updated = ask(&edge, context.ask_once(), &sku, Command::Update { details }).await;
        changed(&edge, &sku).await;
        now = updated?;
    }
    Ok(JsonBody(now))
}

/// Takes a product out of the catalogue for good. For staff.
#[utoipa::path(delete, path = "/api/v1/products/{sku}", tag = "products", security(("bearer" = [])),
    params(("sku" = String, Path, description = "The product")),
    responses((status = 204, description = "archived"), (status = "default", body = ProblemBody)))]
pub async fn archive(
    State(edge): State<Arc<Edge>>,
    context: RequestContext,
    _staff: StaffOnly,
    Path(sku): Path<String>,
) -> Result<StatusCode, Problem> {
    let sku = id(&sku, Code::ProductUnknown)?;
    let archived = ask(&edge, context.ask(), &sku, Command::Archive).await;
    changed(&edge, &sku).await;
    archived.map(|_| StatusCode::NO_CONTENT)
}

/// Which products.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ProductQuery {
    /// Only this category.
    pub category: Option<String>,
    /// Only what comes after this SKU: the `next` of the page before.
    pub after: Option<String>,
    /// At most so many, 1 to 200. Default 50.
    pub limit: Option<u32>,
}

/// A product.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ProductBody {
    /// Its name for computers.
    #[schema(value_type = String, example = "amul-butter-500g")]
    pub sku: Key,
    /// Its name for people.
    pub name: String,
    /// Who makes it.
    pub brand: String,
    /// EAN-13.
    pub barcode: String,
    /// How much one piece holds.
    pub unit: String,
    /// Such as `dairy`.
    pub category: String,
    /// The maximum retail price, in minor units.
    pub mrp_minor: i64,
    /// What it costs, tax included, in minor units.
    pub price_minor: i64,
    /// ISO 4217.
    #[schema(example = "INR")]
    pub currency: &'static str,
    /// The tax within the price, in hundredths of a percent.
    pub tax_basis_points: u16,
    /// Whether it has left the catalogue.
    pub archived: bool,
}

/// A product to be added.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewProduct {
    /// Letters, digits, `-`, `_` and `.`.
    #[schema(example = "amul-butter-500g")]
    pub sku: String,
    /// 1 to 120 characters.
    pub name: String,
    /// 1 to 60 characters.
    pub brand: String,
    /// EAN-13 with its check digit.
    #[schema(example = "8901262010016")]
    pub barcode: String,
    /// 1 to 30 characters.
    #[schema(example = "500 g")]
    pub unit: String,
    /// Lower-case letters, digits and `-`.
    #[schema(example = "dairy")]
    pub category: String,
    /// The maximum retail price, in minor units.
    pub mrp_minor: i64,
    /// At most the maximum retail price, in minor units.
    pub price_minor: i64,
    /// One of 0, 500, 1200, 1800, 2800, 4000.
    pub tax_basis_points: u16,
}

/// What changes of a product; what is absent stays.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ProductChange {
    /// As in a new product.
    pub name: Option<String>,
    /// As in a new product.
    pub brand: Option<String>,
    /// As in a new product.
    pub barcode: Option<String>,
    /// As in a new product.
    pub unit: Option<String>,
    /// As in a new product.
    pub category: Option<String>,
    /// As in a new product.
    pub mrp_minor: Option<i64>,
    /// As in a new product.
    pub price_minor: Option<i64>,
    /// As in a new product.
    pub tax_basis_points: Option<u16>,
}

impl ProductChange {
    fn changes_details(&self) -> bool {
        let texts = [&self.name, &self.brand, &self.barcode, &self.unit, &self.category];
        texts.into_iter().any(Option::is_some)
    }

    fn changes_price(&self) -> bool {
        self.mrp_minor.is_some() || self.price_minor.is_some() || self.tax_basis_points.is_some()
    }
}

impl ProductBody {
    /// From what the product shows of itself.
    pub fn new(sku: Key, listing: Listing) -> Self {
        let Listing { details, price, archived, .. } = listing;
        Self {
            sku,
            name: details.name,
            brand: details.brand,
            barcode: details.barcode,
            unit: details.unit,
            category: details.category,
            mrp_minor: price.mrp_minor,
            price_minor: price.price_minor,
            currency: nakku_actors::money::CURRENCY,
            tax_basis_points: price.tax_basis_points,
            archived,
        }
    }
}

/// A product as its entity shows it now: what is charged rests on this, never on the cache.
pub(super) async fn find(edge: &Edge, ask_with: Ask, sku: &Key) -> Result<ProductBody, Problem> {
    ask(edge, ask_with, sku, Command::Get).await.map_err(|problem| naming(problem, sku))
}

fn naming(problem: Problem, sku: &Key) -> Problem {
    match problem.code {
        Code::ProductUnknown => problem.member("sku", sku.as_str()),
        _ => problem,
    }
}

/// Makes pages on a product stale. Also after a failure: what was asked for may have happened.
async fn changed(edge: &Edge, sku: &Key) {
    edge.shared.pages.invalidate(Subject::Product, sku.as_str()).await;
}

/// One page of the catalogue as it was a few seconds ago at most, and where the next one goes on.
pub(super) async fn page(edge: &Edge, query: &ProductQuery) -> Result<(Vec<ProductBody>, Option<String>), Problem> {
    let limit = page_limit(query.limit)?;
    let after = page_after(query.after.as_deref())?;
    let part = format!("{:?} {:?} {limit}", query.category, query.after);
    let mut rows = Rows::new().integer(ARCHIVED, 0).after(after).limit(limit);
    if let Some(category) = &query.category {
        rows = rows.text(CATEGORY, category.as_str());
    }
    let read = async |freshness| {
        let rows = Rows { freshness, ..rows };
        let listed = edge.cluster.list::<Product>(&rows).await?;
        let next = next_page(listed.len(), limit, listed.last().map(|row| &row.key));
        let exists = |row: &nakku_cluster::Listed<product::command::Product>| row.head.exists;
        let items: Vec<_> = listed.into_iter().filter(exists).map(|row| (row.key, row.head)).collect();
        Ok((items, next))
    };
    let (items, next) = cached(edge, PageKey::list(Subject::Product, part), read).await?;
    Ok((items.into_iter().map(|(sku, listing)| ProductBody::new(sku, listing)).collect(), next))
}

async fn ask(edge: &Edge, ask_with: Ask, sku: &Key, command: Command) -> Result<ProductBody, Problem> {
    listing(edge, ask_with, sku, command).await.map(|listing| ProductBody::new(sku.clone(), listing))
}

async fn listing(edge: &Edge, ask_with: Ask, sku: &Key, command: Command) -> Result<Listing, Problem> {
    match edge.cluster.ask(&Ref::<Product>::new(sku.clone()), &command, ask_with).await?.reply {
        Reply::Product(product) => Ok(product),
    }
}
