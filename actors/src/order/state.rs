//! What an order remembers: what was placed, how far its saga is, and what is still to be done or undone.

use nakku_cluster::{Column, ColumnKind, ColumnValue, EntityState, Key, PartSet, Parts, Timestamp};
use serde::{Deserialize, Serialize};

use super::command::{CancelReason, Details, Line, PaymentMethod, Status, Summary};
use super::event::{Event, Outline};

/// The column that holds the customer's key.
pub const CUSTOMER: &str = "customer";
/// The column that holds the store's key.
pub const STORE: &str = "store";
/// The column that holds the status, see [`Status::as_str`].
pub const STATUS: &str = "status";

/// The bit of the stock.
pub const STOCK: u8 = 1;
/// The bit of the cart.
pub const CART: u8 = 2;
/// The bit of the delivery.
pub const DELIVERY: u8 = 4;
/// The bit of the payment.
pub const PAYMENT: u8 = 8;

/// The part that holds all lines; they never change.
const LINES: &str = "all";

/// An order.
#[derive(Debug, Default)]
pub struct State {
    /// Everything but the lines.
    pub head: Head,
    lines: Parts<String, Vec<Line>>,
}

/// Everything but the lines.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// What was placed; nothing while there is no order.
    pub terms: Option<Terms>,
    /// How it stands.
    pub status: Status,
    /// While it is being placed: whether stock, cart and payment have agreed and the card is being charged.
    #[serde(default)]
    pub charging: bool,
    /// Bits of those that have yet to do what follows the confirmation.
    #[serde(default)]
    pub follow: u8,
    /// Bits of those that have yet to undo what was done.
    #[serde(default)]
    pub undo: u8,
    /// Why the customer wants it cancelled, while the delivery has not answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancel_requested: Option<String>,
    /// How often that was asked; tells the questions apart.
    #[serde(default)]
    pub cancel_requests: u64,
    /// Why it won't come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancelled: Option<CancelReason>,
    /// Whether the cash of the delivered order is still to be noted.
    #[serde(default)]
    pub collect: bool,
    /// What the card was charged with.
    #[serde(default)]
    pub captured_minor: i64,
    /// What was given back.
    #[serde(default)]
    pub refunded_minor: i64,
    /// When it was confirmed.
    #[serde(default)]
    pub confirmed_at: Option<Timestamp>,
    /// When it was delivered or cancelled.
    #[serde(default)]
    pub ended_at: Option<Timestamp>,
}

/// What was placed, but for the lines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// The order itself.
    pub order: Key,
    /// Whose; also the key of the cart.
    pub user: Key,
    /// From which store.
    pub store: Key,
    /// The version of the cart.
    pub cart_version: u64,
    /// Beside the lines.
    pub delivery_fee_minor: i64,
    /// Lines and fee.
    pub total_minor: i64,
    /// How it is paid.
    pub payment: PaymentMethod,
    /// Where to.
    pub address: String,
    /// Of the client's body.
    pub fingerprint: String,
    /// When.
    pub placed_at: Timestamp,
    /// Until when it has to be confirmed.
    pub deadline: Timestamp,
    /// How long from its placing to the door, as the customer was promised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promised_minutes: Option<u32>,
}

impl Terms {
    /// Whether it is paid in advance.
    pub fn is_prepaid(&self) -> bool {
        matches!(self.payment, PaymentMethod::Card { .. })
    }

    /// The bits of all that take part before the confirmation.
    pub fn held(&self) -> u8 {
        if self.is_prepaid() { STOCK | CART | PAYMENT } else { STOCK | CART }
    }
}

impl State {
    /// What is ordered.
    pub fn lines(&self) -> &[Line] {
        self.lines.get(LINES).map_or(&[], Vec::as_slice)
    }

    /// As events repeat it; nothing while there is no order.
    pub fn outline(&self) -> Option<Outline> {
        let terms = self.head.terms.as_ref()?;
        Some(Outline {
            store: terms.store.clone(),
            total_minor: terms.total_minor,
            placed_at: terms.placed_at,
            confirmed_at: self.head.confirmed_at,
            promised_minutes: terms.promised_minutes,
        })
    }

    /// In short; nothing while there is no order.
    pub fn summary(&self) -> Option<Summary> {
        let Head { terms, status, cancelled, cancel_requested, .. } = &self.head;
        let terms = terms.as_ref()?;
        Some(Summary {
            order: terms.order.clone(),
            status: *status,
            total_minor: terms.total_minor,
            cancelled: cancelled.clone(),
            cancelling: cancel_requested.is_some(),
        })
    }

    /// All of it; nothing while there is no order.
    pub fn details(&self) -> Option<Details> {
        let terms = self.head.terms.clone()?;
        Some(Details {
            summary: self.summary()?,
            user: terms.user,
            store: terms.store,
            lines: self.lines().to_vec(),
            delivery_fee_minor: terms.delivery_fee_minor,
            payment: terms.payment,
            captured_minor: self.head.captured_minor,
            refunded_minor: self.head.refunded_minor,
            address: terms.address,
            placed_at: terms.placed_at,
            deadline: terms.deadline,
            confirmed_at: self.head.confirmed_at,
            ended_at: self.head.ended_at,
            promised_minutes: terms.promised_minutes,
        })
    }

    /// Applies an event.
    pub fn evolve(&mut self, event: &Event) {
        let head = &mut self.head;
        match event {
            Event::Placed(placed) => {
                head.terms = Some(Terms {
                    order: placed.order.clone(),
                    user: placed.user.clone(),
                    store: placed.store.clone(),
                    cart_version: placed.cart_version,
                    delivery_fee_minor: placed.delivery_fee_minor,
                    total_minor: placed.total_minor,
                    payment: placed.payment.clone(),
                    address: placed.address.clone(),
                    fingerprint: placed.fingerprint.clone(),
                    placed_at: placed.at,
                    deadline: placed.deadline,
                    promised_minutes: placed.promised_minutes,
                });
                head.status = Status::Placing;
                self.lines.insert(LINES.to_owned(), placed.lines.clone());
            }
            Event::Gathered => head.charging = true,
            Event::Confirmed { captured_minor, at, .. } => {
                head.status = Status::Confirmed;
                head.charging = false;
                head.captured_minor = *captured_minor;
                head.confirmed_at = Some(*at);
                head.follow = STOCK | CART | DELIVERY;
            }
            Event::Followed { done } => head.follow &= !done,
            Event::CancelRequested { detail } => {
                head.cancel_requested = Some(detail.clone());
                head.cancel_requests += 1;
            }
            Event::CancelRefused => head.cancel_requested = None,
            Event::Cancelled { reason, undo, at, .. } => {
                head.status = Status::Cancelled;
                head.charging = false;
                head.cancel_requested = None;
                head.cancelled = Some(reason.clone());
                head.undo = *undo;
                // A cart that became an order stays one; goods that are to go back need not be sold first.
                head.follow &= CART;
                head.ended_at = Some(*at);
            }
            Event::Undone { done } => head.undo &= !done,
            Event::PaymentVoided => head.undo &= !PAYMENT,
            Event::Refunded { amount_minor, .. } => {
                head.undo &= !PAYMENT;
                head.refunded_minor = *amount_minor;
                head.captured_minor = head.captured_minor.max(*amount_minor);
            }
            Event::Packed => head.status = Status::Packed,
            Event::Dispatched => {
                head.status = Status::OutForDelivery;
                head.cancel_requested = None;
            }
            Event::Completed { at, .. } => {
                head.status = Status::Delivered;
                head.cancel_requested = None;
                head.ended_at = Some(*at);
                head.collect = head.terms.as_ref().is_some_and(|terms| !terms.is_prepaid());
            }
            Event::Collected => head.collect = false,
        }
    }
}

impl EntityState for State {
    type Head = Head;

    const COLUMNS: &'static [Column] = &[
        Column { name: CUSTOMER, kind: ColumnKind::Text },
        Column { name: STORE, kind: ColumnKind::Text },
        Column { name: STATUS, kind: ColumnKind::Text },
    ];

    fn head(&self) -> &Head {
        &self.head
    }

    fn head_mut(&mut self) -> &mut Head {
        &mut self.head
    }

    fn parts(&mut self) -> Vec<(&'static str, &mut dyn PartSet)> {
        vec![("lines", &mut self.lines)]
    }

    fn columns(&self) -> Vec<ColumnValue> {
        let Some(terms) = &self.head.terms else { return vec![ColumnValue::Null; Self::COLUMNS.len()] };
        vec![
            ColumnValue::Text(terms.user.to_string()),
            ColumnValue::Text(terms.store.to_string()),
            ColumnValue::Text(self.head.status.as_str().to_owned()),
        ]
    }
}
