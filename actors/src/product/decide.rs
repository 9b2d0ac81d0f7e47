//! How a product decides.

use nakku_cluster::{Context, Decision};

use super::State;
use super::command::{
    BRAND_CHARACTERS_MAX, CATEGORY_CHARACTERS_MAX, Command, Details, NAME_CHARACTERS_MAX, PRICE_MINOR_MAX, Price,
    Product, Rejection, Reply, TAX_BASIS_POINTS, UNIT_CHARACTERS_MAX,
};
use super::event::Event;
use crate::text::check_line;

/// Decides one command.
///
/// # Errors
/// The product's refusal.
pub fn decide(state: &State, command: Command, _context: &mut Context) -> Result<Decision<Event, Reply>, Rejection> {
    let product = &state.head;
    let mut after = product.clone();
    let event = match command {
        Command::Create { details, price } => {
            check_details(&details)?;
            check_price(&price)?;
            if product.exists && (product.details != details || product.price != price) {
                return Err(Rejection::AlreadyExists);
            }
            if product.exists { None } else { Some(Event::Created { details, price }) }
        }
        Command::Update { details } => {
            changeable(product)?;
            check_details(&details)?;
            (product.details != details).then_some(Event::Updated { details })
        }
        Command::ChangePrice { price } => {
            changeable(product)?;
            check_price(&price)?;
            let previous = product.price;
            (previous != price).then_some(Event::PriceChanged { price, previous })
        }
        Command::Archive => {
            existing(product)?;
            (!product.archived).then_some(Event::Archived {})
        }
        Command::Get => {
            existing(product)?;
            None
        }
    };
    let Some(event) = event else { return Ok(Decision::reply(Reply::Product(after))) };
    let mut next = State { head: after };
    next.evolve(&event);
    after = next.head;
    Ok(Decision::event(event, Reply::Product(after)))
}

/// Whether a text is an EAN-13: thirteen digits of which the last checks the others (GS1 General
/// Specifications, section 7.9.1: weights 1 and 3 from the left).
pub fn is_ean13(text: &str) -> bool {
    text.len() == 13
        && text.bytes().all(|byte| byte.is_ascii_digit())
        && text.bytes().enumerate().map(|(at, byte)| u32::from(byte - b'0') * [1, 3][at % 2]).sum::<u32>() % 10 == 0
}

fn existing(product: &Product) -> Result<(), Rejection> {
    if product.exists { Ok(()) } else { Err(Rejection::NotFound) }
}

fn changeable(product: &Product) -> Result<(), Rejection> {
    existing(product)?;
    if product.archived { Err(Rejection::Archived) } else { Ok(()) }
}

fn check_details(details: &Details) -> Result<(), Rejection> {
    check_text("name", &details.name, NAME_CHARACTERS_MAX)?;
    check_text("brand", &details.brand, BRAND_CHARACTERS_MAX)?;
    check_text("unit", &details.unit, UNIT_CHARACTERS_MAX)?;
    check_text("category", &details.category, CATEGORY_CHARACTERS_MAX)?;
    let category_is_plain = details.category.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
    require(category_is_plain, "category", || "has only lower-case letters, digits and '-'".into())?;
    require(is_ean13(&details.barcode), "barcode", || "is an EAN-13: thirteen digits with a right check digit".into())
}

fn check_price(price: &Price) -> Result<(), Rejection> {
    require((1..=PRICE_MINOR_MAX).contains(&price.mrp_minor), "mrp_minor", || {
        format!("is between 1 and {PRICE_MINOR_MAX}")
    })?;
    require((1..=price.mrp_minor).contains(&price.price_minor), "price_minor", || {
        "is between 1 and the maximum retail price".into()
    })?;
    require(TAX_BASIS_POINTS.contains(&price.tax_basis_points), "tax_basis_points", || {
        format!("is one of {TAX_BASIS_POINTS:?}")
    })
}

fn check_text(field: &str, text: &str, characters_max: usize) -> Result<(), Rejection> {
    check_line(text, characters_max).map_err(|problem| Rejection::Invalid { field: field.into(), problem })
}

fn require(holds: bool, field: &str, problem: impl FnOnce() -> String) -> Result<(), Rejection> {
    if holds { Ok(()) } else { Err(Rejection::Invalid { field: field.into(), problem: problem() }) }
}
