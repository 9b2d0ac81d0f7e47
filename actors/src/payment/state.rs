//! What a payment remembers: how it stands, what was taken and given back, and what the card network is
//! being asked.

use std::collections::BTreeMap;

use nakku_cluster::{EntityState, Key, Timestamp};
use serde::{Deserialize, Serialize};

use super::command::{Details, Outcome, Status};
use super::event::Event;
use super::provider::CardOperation;

/// The name of the refund that a void makes of what is already taken.
pub const REFUND_OF_VOID: &str = "void";

/// A payment: a head only.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// All of it.
    pub head: Head,
}

/// All of a payment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Which order; nothing while there is no payment.
    pub order: Option<Key>,
    /// How it stands.
    pub status: Status,
    /// How much it is about.
    pub amount_minor: i64,
    /// The card's token; nothing for cash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// Whether authorising captures as well.
    #[serde(default)]
    pub capture: bool,
    /// Taken.
    pub captured_minor: i64,
    /// Given back.
    pub refunded_minor: i64,
    /// The card network's name for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// Why it was declined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When it began.
    #[serde(default)]
    pub opened_at: Option<Timestamp>,
    /// Whether nothing is to be kept.
    #[serde(default)]
    pub void_wanted: bool,
    /// Refunds by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub refunds: BTreeMap<String, Refund>,
    /// How many operations the card network has answered; names the present one.
    #[serde(default)]
    pub answered: u64,
    /// The operation whose outcome the order is to be told.
    #[serde(default)]
    pub tell: Option<u64>,
}

/// One refund.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refund {
    /// Its place among the refunds; they are made in this order.
    pub number: u64,
    /// How much.
    pub amount_minor: i64,
    /// Whether the card network has done it.
    pub done: bool,
}

/// What the card network is being asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// What to do.
    pub operation: CardOperation,
    /// About how much.
    pub amount_minor: i64,
    /// Which refund it is.
    pub refund: Option<String>,
}

impl Head {
    /// What the card network is being asked; one thing at a time.
    pub fn operation(&self) -> Option<Operation> {
        let whole = |operation| Some(Operation { operation, amount_minor: self.amount_minor, refund: None });
        match self.status {
            Status::Authorising if self.capture => whole(CardOperation::Charge),
            Status::Authorising => whole(CardOperation::Authorise),
            Status::Capturing => whole(CardOperation::Capture),
            Status::Captured | Status::Voiding => match self.next_refund() {
                Some((name, refund)) => Some(Operation {
                    operation: CardOperation::Refund,
                    amount_minor: refund.amount_minor,
                    refund: Some(name.clone()),
                }),
                None if self.status == Status::Captured => None,
                None if self.captured_minor == 0 => whole(CardOperation::Void),
                None => Some(Operation {
                    operation: CardOperation::Refund,
                    amount_minor: self.captured_minor - self.refunded_minor,
                    refund: Some(REFUND_OF_VOID.to_owned()),
                }),
            },
            Status::None | Status::Opened | Status::Authorised | Status::Declined | Status::Voided => None,
        }
    }

    /// How it stands, when nothing is being asked that would change it.
    pub fn outcome(&self) -> Option<Outcome> {
        match self.status {
            Status::Authorised => Some(Outcome::Authorised),
            Status::Captured => Some(Outcome::Captured { captured_minor: self.captured_minor }),
            Status::Declined => Some(Outcome::Declined { reason: self.reason.clone().unwrap_or_default() }),
            Status::Voided => Some(Outcome::Voided { refunded_minor: self.refunded_minor }),
            _ => None,
        }
    }

    /// What is taken and neither given back nor about to be.
    pub fn refundable_minor(&self) -> i64 {
        let asked: i64 = self.refunds.values().filter(|refund| !refund.done).map(|refund| refund.amount_minor).sum();
        self.captured_minor - self.refunded_minor - asked
    }

    /// As others see it.
    pub fn details(&self) -> Details {
        Details {
            status: self.status,
            amount_minor: self.amount_minor,
            captured_minor: self.captured_minor,
            refunded_minor: self.refunded_minor,
            reference: self.reference.clone(),
            reason: self.reason.clone(),
            opened_at: self.opened_at,
        }
    }

    fn next_refund(&self) -> Option<(&String, &Refund)> {
        self.refunds.iter().filter(|(_, refund)| !refund.done).min_by_key(|(_, refund)| refund.number)
    }

    fn set_refund(&mut self, name: &str, amount_minor: i64, done: bool) {
        let fresh = self.refunds.len() as u64;
        let number = self.refunds.get(name).map_or(fresh, |refund| refund.number);
        self.refunds.insert(name.to_owned(), Refund { number, amount_minor, done });
    }

    fn answered(&mut self) {
        self.answered += 1;
        // What comes between a void's wish and its end is nobody's business.
        self.tell = Some(self.answered).filter(|_| self.outcome().is_some());
    }
}

impl State {
    /// Applies an event.
    pub fn evolve(&mut self, event: &Event) {
        let head = &mut self.head;
        match event {
            Event::Opened { order, amount_minor, token, at } => {
                head.order = Some(order.clone());
                head.status = Status::Opened;
                head.amount_minor = *amount_minor;
                head.token = Some(token.clone());
                head.opened_at = Some(*at);
            }
            Event::AuthoriseRequested { capture } => {
                head.status = Status::Authorising;
                head.capture = *capture;
            }
            Event::Authorised { reference, .. } => {
                head.reference = Some(reference.clone());
                head.status = if head.void_wanted { Status::Voiding } else { Status::Authorised };
                head.answered();
            }
            Event::CaptureRequested => head.status = Status::Capturing,
            Event::Captured { amount_minor, reference } => {
                head.reference = Some(reference.clone());
                head.captured_minor = *amount_minor;
                head.status = if head.void_wanted { Status::Voiding } else { Status::Captured };
                head.answered();
            }
            Event::Declined { reason, .. } => {
                head.reason = Some(reason.clone());
                head.status = if head.void_wanted { Status::Voided } else { Status::Declined };
                head.answered();
            }
            Event::VoidRequested { .. } => {
                head.void_wanted = true;
                if matches!(head.status, Status::Authorised | Status::Captured) {
                    head.status = Status::Voiding;
                }
            }
            Event::Voided { order } => {
                let asked = head.operation().is_some();
                head.order = Some(order.clone());
                head.status = Status::Voided;
                head.void_wanted = true;
                if asked {
                    head.answered();
                }
            }
            Event::RefundRequested { refund, amount_minor } => {
                head.set_refund(refund, *amount_minor, false);
            }
            Event::Refunded { refund, amount_minor } => {
                head.set_refund(refund, *amount_minor, true);
                head.refunded_minor += amount_minor;
                if head.void_wanted && head.refunded_minor == head.captured_minor {
                    head.status = Status::Voided;
                    head.answered();
                } else {
                    head.answered += 1;
                }
            }
            Event::Collected { order, amount_minor, at } => {
                head.order = Some(order.clone());
                head.status = Status::Captured;
                head.amount_minor = *amount_minor;
                head.captured_minor = *amount_minor;
                head.opened_at = Some(*at);
            }
            Event::OrderTold => head.tell = None,
        }
    }
}

impl EntityState for State {
    type Head = Head;

    fn head(&self) -> &Head {
        &self.head
    }

    fn head_mut(&mut self) -> &mut Head {
        &mut self.head
    }
}
