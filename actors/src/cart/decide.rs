//! How a cart decides.

use nakku_cluster::{Context, Decision, Key};

use super::command::{Command, LINES_MAX, Line, NAME_BYTES_MAX, QUANTITY_MAX, Rejection, Reply, SKU_BYTES_MAX};
use super::event::Event;
use super::state::State;
use crate::money::Money;

type Decided = Result<Decision<Event, Reply>, Rejection>;

/// Decides one command.
///
/// # Errors
/// The cart's refusal.
pub fn decide(state: &State, command: Command, _context: &mut Context) -> Decided {
    match command {
        Command::Add { store, line } => add(state, store, line),
        Command::SetQuantity { sku, quantity } => set_quantity(state, &sku, quantity),
        Command::Empty => {
            free(state)?;
            if state.lines.is_empty() { Ok(unchanged(state)) } else { Ok(changed(state, Event::Emptied)) }
        }
        Command::Seal { order, version } => seal(state, order, version),
        Command::Unseal { order, version } => unseal(state, order, version),
        Command::Clear { order } => {
            if state.head.sealed_by.as_ref() == Some(&order) {
                Ok(Decision::event(Event::Cleared { order }, Reply::Cleared))
            } else {
                Ok(Decision::reply(Reply::Cleared))
            }
        }
        Command::Close => Ok(close(state)),
        Command::Get => Ok(unchanged(state)),
    }
}

fn add(state: &State, store: Key, line: Line) -> Decided {
    free(state)?;
    open(state)?;
    check_line(&line)?;
    if let Some(other) = state.head.store.as_ref().filter(|other| **other != store) {
        return Err(Rejection::OtherStore { store: other.clone() });
    }
    let before = state.lines.get(line.sku.as_str()).map(|line| line.quantity);
    if before.is_none() && state.lines.len() >= LINES_MAX {
        return Err(Rejection::TooManyLines { max: LINES_MAX });
    }
    let quantity = before.unwrap_or(0).saturating_add(line.quantity);
    check_quantity(&line.sku, quantity)?;
    Ok(changed(state, Event::LineSet { store, line: Line { quantity, ..line } }))
}

fn set_quantity(state: &State, sku: &str, quantity: u32) -> Decided {
    free(state)?;
    let (Some(store), Some(line)) = (&state.head.store, state.lines.get(sku)) else {
        return Err(Rejection::UnknownLine { sku: sku.chars().take(SKU_BYTES_MAX).collect() });
    };
    if quantity == 0 {
        return Ok(changed(state, Event::LineRemoved { sku: sku.to_owned(), store: Some(store.clone()) }));
    }
    check_quantity(sku, quantity)?;
    if line.quantity == quantity {
        return Ok(unchanged(state));
    }
    let line = Line { quantity, ..line.clone() };
    Ok(changed(state, Event::LineSet { store: store.clone(), line }))
}

fn seal(state: &State, order: Key, version: u64) -> Decided {
    if let Some(holder) = &state.head.sealed_by {
        return if *holder == order && version == state.head.sealed_version {
            Ok(Decision::reply(Reply::Sealed))
        } else {
            Err(Rejection::Sealed { order: holder.clone() })
        };
    }
    open(state)?;
    if state.head.version != version {
        return Err(Rejection::VersionChanged { version: state.head.version });
    }
    if state.lines.is_empty() {
        return Err(Rejection::Empty);
    }
    Ok(Decision::event(Event::Sealed { order }, Reply::Sealed))
}

fn unseal(state: &State, order: Key, version: u64) -> Decided {
    let may_seal_yet = match &state.head.sealed_by {
        Some(holder) if *holder == order => true,
        // Held by another: when that one lets go the version changes, and this order's seal comes too late,
        // unless it was for a version that the cart has yet to reach.
        Some(_) => version > state.head.version,
        // Its seal may still be on the way: a new version turns it away.
        None => version >= state.head.version,
    };
    if may_seal_yet {
        let version = state.head.version.max(version).saturating_add(1);
        Ok(Decision::event(Event::Unsealed { order, version }, Reply::Unsealed))
    } else {
        Ok(Decision::reply(Reply::Unsealed))
    }
}

fn close(state: &State) -> Decision<Event, Reply> {
    if state.head.closed {
        return Decision::reply(Reply::Closed);
    }
    let emptied = (state.head.sealed_by.is_none() && !state.lines.is_empty()).then_some(Event::Emptied);
    Decision::events(emptied.into_iter().chain([Event::Closed]).collect(), Reply::Closed)
}

fn open(state: &State) -> Result<(), Rejection> {
    if state.head.closed { Err(Rejection::Closed) } else { Ok(()) }
}

fn free(state: &State) -> Result<(), Rejection> {
    match &state.head.sealed_by {
        Some(order) => Err(Rejection::Sealed { order: order.clone() }),
        None => Ok(()),
    }
}

fn unchanged(state: &State) -> Decision<Event, Reply> {
    Decision::reply(Reply::Cart(state.contents()))
}

/// The cart as it will be after the event.
fn changed(state: &State, event: Event) -> Decision<Event, Reply> {
    let mut after = State { head: state.head.clone(), lines: state.lines.clone() };
    after.evolve(&event);
    Decision::event(event, Reply::Cart(after.contents()))
}

fn check_line(line: &Line) -> Result<(), Rejection> {
    let clean = |text: &str, max: usize| (1..=max).contains(&text.len()) && !text.chars().any(char::is_control);
    let field = if !clean(&line.sku, SKU_BYTES_MAX) {
        "sku"
    } else if !clean(&line.name, NAME_BYTES_MAX) {
        "name"
    } else if !Money::from_minor(line.price_minor).is_price() {
        "price_minor"
    } else {
        return check_quantity(&line.sku, line.quantity);
    };
    Err(Rejection::BadLine { field: field.into() })
}

fn check_quantity(sku: &str, quantity: u32) -> Result<(), Rejection> {
    if (1..=QUANTITY_MAX).contains(&quantity) {
        Ok(())
    } else {
        Err(Rejection::QuantityOutOfRange { sku: sku.to_owned(), max: QUANTITY_MAX })
    }
}
