//! What the outside is told of orders: what was ordered, and what became of it. Where to, the card's token and
//! what the customer wrote stay here.

use nakku_cluster::events::PublicEvent;
use nakku_cluster::{Key, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::command::{CancelReason, Line, PaymentMethod};
use super::customer_of;
use super::event::Event;
use crate::money::CURRENCY;
use crate::public::{EventType, KeySchema, PublicData};

/// What the outside is told of an event. An event of a time when events did not outline their order is not
/// told.
pub fn publish(key: &Key, event: &Event) -> Option<PublicEvent> {
    let (order, user) = (key.clone(), customer_of(key));
    Some(match event {
        Event::Placed(placed) => Created {
            order,
            user,
            store: placed.store.clone(),
            lines: placed.lines.iter().map(PublicLine::from).collect(),
            delivery_fee_minor: placed.delivery_fee_minor,
            total_minor: placed.total_minor,
            currency: CURRENCY.into(),
            payment_method: (&placed.payment).into(),
            placed_at_ms: placed.at,
        }
        .event(),
        Event::Confirmed { captured_minor, at, outline } => {
            let outline = outline.as_ref()?;
            Confirmed {
                order,
                user,
                store: outline.store.clone(),
                total_minor: outline.total_minor,
                captured_minor: *captured_minor,
                placed_at_ms: outline.placed_at,
                confirmed_at_ms: *at,
                promised_minutes: outline.promised_minutes,
            }
            .event()
        }
        Event::Cancelled { reason, at, outline, refund_minor, .. } => {
            let outline = outline.as_ref()?;
            let code = CancelCode::from(reason);
            Cancelled {
                order,
                user,
                store: outline.store.clone(),
                total_minor: outline.total_minor,
                code,
                reason: code.sentence().into(),
                confirmed: outline.confirmed_at.is_some(),
                refund_minor: *refund_minor,
                placed_at_ms: outline.placed_at,
                cancelled_at_ms: *at,
            }
            .event()
        }
        Event::Completed { at, outline, lines } => {
            let outline = outline.as_ref()?;
            Completed {
                order,
                user,
                store: outline.store.clone(),
                lines: lines.iter().map(PublicLine::from).collect(),
                total_minor: outline.total_minor,
                placed_at_ms: outline.placed_at,
                confirmed_at_ms: outline.confirmed_at?,
                completed_at_ms: *at,
                promised_minutes: outline.promised_minutes,
            }
            .event()
        }
        Event::Refunded { amount_minor, outline } => {
            let outline = outline.as_ref()?;
            Refunded {
                order,
                user,
                store: outline.store.clone(),
                amount_minor: *amount_minor,
                confirmed: outline.confirmed_at.is_some(),
                placed_at_ms: outline.placed_at,
            }
            .event()
        }
        Event::Gathered
        | Event::Followed { .. }
        | Event::CancelRequested { .. }
        | Event::CancelRefused
        | Event::Undone { .. }
        | Event::PaymentVoided
        | Event::Packed
        | Event::Dispatched
        | Event::Collected => return None,
    })
}

/// The public events of the service.
pub fn events() -> Vec<EventType> {
    vec![
        EventType::of::<Created>("order"),
        EventType::of::<Confirmed>("order"),
        EventType::of::<Cancelled>("order"),
        EventType::of::<Completed>("order"),
        EventType::of::<Refunded>("order"),
    ]
}

/// An order was placed. Stock, cart and payment are being asked: `order.confirmed` or `order.cancelled` follows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Created {
    /// The order's key.
    #[schema(value_type = KeySchema)]
    pub order: Key,
    /// The key of the user who ordered: an opaque id.
    #[schema(value_type = KeySchema)]
    pub user: Key,
    /// The key of the store that it is ordered from.
    #[schema(value_type = KeySchema)]
    pub store: Key,
    /// What, a SKU at most once.
    pub lines: Vec<PublicLine>,
    /// The fee of the delivery, beside the lines, in minor units.
    pub delivery_fee_minor: i64,
    /// Lines and fee, in minor units.
    pub total_minor: i64,
    /// Of all amounts (ISO 4217).
    pub currency: String,
    /// How it is to be paid.
    pub payment_method: PublicMethod,
    /// When, in milliseconds since the Unix epoch.
    #[schema(value_type = i64)]
    pub placed_at_ms: Timestamp,
}

/// One line of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PublicLine {
    /// The SKU.
    pub sku: String,
    /// The product's name.
    pub name: String,
    /// Units, at least 1.
    pub quantity: u32,
    /// The price of a unit, with tax, in minor units.
    pub price_minor: i64,
    /// The tax that the whole line contains, in minor units.
    pub tax_minor: i64,
}

/// How an order is paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PublicMethod {
    /// At the door.
    Cash,
    /// In advance.
    Card,
}

/// An order will be delivered: its goods are held and, unless it is paid at the door, its price was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Confirmed {
    /// The order's key.
    #[schema(value_type = KeySchema)]
    pub order: Key,
    /// The key of the user who ordered: an opaque id.
    #[schema(value_type = KeySchema)]
    pub user: Key,
    /// The key of the store that it is ordered from.
    #[schema(value_type = KeySchema)]
    pub store: Key,
    /// What it costs, in minor units.
    pub total_minor: i64,
    /// What the card was charged with, in minor units; 0 for cash.
    pub captured_minor: i64,
    /// When it was placed, in milliseconds since the Unix epoch.
    #[schema(value_type = i64)]
    pub placed_at_ms: Timestamp,
    /// When it was confirmed, in milliseconds since the Unix epoch.
    #[schema(value_type = i64)]
    pub confirmed_at_ms: Timestamp,
    /// How many minutes it was promised to take from its placing to the door, if that was promised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub promised_minutes: Option<u32>,
}

/// An order won't come. What was taken for it is given back, see `order.refunded`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Cancelled {
    /// The order's key.
    #[schema(value_type = KeySchema)]
    pub order: Key,
    /// The key of the user who ordered: an opaque id.
    #[schema(value_type = KeySchema)]
    pub user: Key,
    /// The key of the store that it was ordered from.
    #[schema(value_type = KeySchema)]
    pub store: Key,
    /// What it would have cost, in minor units.
    pub total_minor: i64,
    /// Why.
    pub code: CancelCode,
    /// Why, in a sentence.
    pub reason: String,
    /// Whether it had been confirmed.
    pub confirmed: bool,
    /// What is known to have been taken and is to be given back, in minor units. Of an order that was
    /// cancelled while its card was being charged that is not known yet, and 0.
    pub refund_minor: i64,
    /// When it was placed, in milliseconds since the Unix epoch.
    #[schema(value_type = i64)]
    pub placed_at_ms: Timestamp,
    /// When it was cancelled, in milliseconds since the Unix epoch.
    #[schema(value_type = i64)]
    pub cancelled_at_ms: Timestamp,
}

/// Why an order won't come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CancelCode {
    /// The store has not enough.
    Lacking,
    /// The stock refused for another reason.
    StockRefused,
    /// The cart is held by another order.
    CartHeld,
    /// The cart has changed, has become an order, or is empty.
    CartChanged,
    /// The card was declined.
    PaymentDeclined,
    /// The payment refused for another reason.
    PaymentRefused,
    /// It was not confirmed in time.
    DeadlinePassed,
    /// The customer didn't want it any more.
    Customer,
    /// It couldn't be delivered.
    DeliveryFailed,
}

/// An order is with its customer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Completed {
    /// The order's key.
    #[schema(value_type = KeySchema)]
    pub order: Key,
    /// The key of the user who ordered: an opaque id.
    #[schema(value_type = KeySchema)]
    pub user: Key,
    /// The key of the store that it came from.
    #[schema(value_type = KeySchema)]
    pub store: Key,
    /// What was sold, a SKU at most once.
    pub lines: Vec<PublicLine>,
    /// What it cost, in minor units.
    pub total_minor: i64,
    /// When it was placed, in milliseconds since the Unix epoch.
    #[schema(value_type = i64)]
    pub placed_at_ms: Timestamp,
    /// When it was confirmed, in milliseconds since the Unix epoch.
    #[schema(value_type = i64)]
    pub confirmed_at_ms: Timestamp,
    /// When it was delivered, in milliseconds since the Unix epoch.
    #[schema(value_type = i64)]
    pub completed_at_ms: Timestamp,
    /// How many minutes it was promised to take from its placing to the door, if that was promised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub promised_minutes: Option<u32>,
}

/// What was taken for a cancelled order was given back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Refunded {
    /// The order's key.
    #[schema(value_type = KeySchema)]
    pub order: Key,
    /// The key of the user who had ordered: an opaque id.
    #[schema(value_type = KeySchema)]
    pub user: Key,
    /// The key of the store that it was ordered from.
    #[schema(value_type = KeySchema)]
    pub store: Key,
    /// How much, in minor units.
    pub amount_minor: i64,
    /// Whether the order had been confirmed; if not, its card was charged in vain.
    pub confirmed: bool,
    /// When it was placed, in milliseconds since the Unix epoch.
    #[schema(value_type = i64)]
    pub placed_at_ms: Timestamp,
}

impl CancelCode {
    /// For people.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Lacking => "the store has not enough",
            Self::StockRefused => "the stock refused it",
            Self::CartHeld => "the cart is held by another order",
            Self::CartChanged => "the cart has changed or has become an order",
            Self::PaymentDeclined => "the card was declined",
            Self::PaymentRefused => "the payment was refused",
            Self::DeadlinePassed => "it could not be confirmed in time",
            Self::Customer => "it was cancelled by the customer",
            Self::DeliveryFailed => "it could not be delivered",
        }
    }
}

impl From<&CancelReason> for CancelCode {
    fn from(reason: &CancelReason) -> Self {
        match reason {
            CancelReason::Lacking { .. } => Self::Lacking,
            CancelReason::StockRefused { .. } => Self::StockRefused,
            CancelReason::CartHeld { .. } => Self::CartHeld,
            CancelReason::CartChanged => Self::CartChanged,
            CancelReason::PaymentDeclined { .. } => Self::PaymentDeclined,
            CancelReason::PaymentRefused { .. } => Self::PaymentRefused,
            CancelReason::DeadlinePassed => Self::DeadlinePassed,
            CancelReason::Customer { .. } => Self::Customer,
            CancelReason::DeliveryFailed { .. } => Self::DeliveryFailed,
        }
    }
}

impl From<&Line> for PublicLine {
    fn from(line: &Line) -> Self {
        let Line { sku, name, quantity, price_minor, tax_minor } = line.clone();
        Self { sku, name, quantity, price_minor, tax_minor }
    }
}

impl From<&PaymentMethod> for PublicMethod {
    fn from(method: &PaymentMethod) -> Self {
        match method {
            PaymentMethod::Cash => Self::Cash,
            PaymentMethod::Card { .. } => Self::Card,
        }
    }
}

impl PublicData for Created {
    const TYPE: &'static str = "order.created";
}

impl PublicData for Confirmed {
    const TYPE: &'static str = "order.confirmed";
}

impl PublicData for Cancelled {
    const TYPE: &'static str = "order.cancelled";
}

impl PublicData for Completed {
    const TYPE: &'static str = "order.completed";
}

impl PublicData for Refunded {
    const TYPE: &'static str = "order.refunded";
}
