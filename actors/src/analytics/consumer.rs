//! From an event of another service to this one's.

use nakku_cluster::events::SealedEnvelope;

use super::event::{Event, Fact, Line};
use crate::public::PublicData;
use crate::{cart, order, user};

/// The longest name of a type of events that is counted, in bytes.
pub const EVENT_TYPE_BYTES_MAX: usize = 64;

/// What an event means here: that it happened, and of some what else they say.
///
/// # Errors
/// When its data are not what its type and version promise.
pub fn consume(event: &SealedEnvelope) -> Result<Event, String> {
    if event.event_type.len() > EVENT_TYPE_BYTES_MAX {
        return Err(format!("a type of events has at most {EVENT_TYPE_BYTES_MAX} bytes"));
    }
    Ok(Event { at: event.time, event_type: event.event_type.to_string(), fact: fact(event)? })
}

fn fact(event: &SealedEnvelope) -> Result<Option<Fact>, String> {
    Ok(match &*event.event_type {
        user::public::Registered::TYPE => Some(Fact::Registered),
        cart::public::Updated::TYPE => {
            let cart::public::Updated { user, store, quantity, .. } = event.data()?;
            (quantity > 0).then_some(Fact::CartTouched { user, store })
        }
        cart::public::Cleared::TYPE => {
            let cart::public::Cleared { user, .. } = event.data()?;
            Some(Fact::CartEmptied { user })
        }
        order::public::Created::TYPE => {
            let order::public::Created { store, .. } = event.data()?;
            Some(Fact::Placed { store })
        }
        order::public::Confirmed::TYPE => {
            let order::public::Confirmed { store, total_minor, .. } = event.data()?;
            Some(Fact::Confirmed { store, total_minor })
        }
        order::public::Cancelled::TYPE => {
            let order::public::Cancelled { store, total_minor, confirmed, .. } = event.data()?;
            Some(Fact::Cancelled { store, confirmed_minor: confirmed.then_some(total_minor) })
        }
        order::public::Completed::TYPE => event.data().map(|data| Some(completed(data)))?,
        order::public::Refunded::TYPE => {
            let order::public::Refunded { store, amount_minor, .. } = event.data()?;
            Some(Fact::Refunded { store, amount_minor })
        }
        _ => None,
    })
}

fn completed(data: order::public::Completed) -> Fact {
    let order::public::Completed { store, lines, placed_at_ms, completed_at_ms, promised_minutes, .. } = data;
    let actual_ms = completed_at_ms.0.saturating_sub(placed_at_ms.0).max(0);
    let line = |line: order::public::PublicLine| Line {
        sku: line.sku,
        units: line.quantity,
        price_minor: line.price_minor,
        tax_minor: line.tax_minor,
    };
    Fact::Completed { store, actual_ms, promised_minutes, lines: lines.into_iter().map(line).collect() }
}
