//! From the ways in which entities refuse, one function per entity.
//!
//! What only other entities can provoke (a seal of another version, a refund too high) is a mistake of the
//! server when it comes out here.

use nakku_actors::delivery::roster;
use nakku_actors::order::CancelReason;
use nakku_actors::user::email;
use nakku_actors::{cart, delivery, inventory, location, notification, order, payment, product, user};
use nakku_cluster::{Key, Timestamp};
use serde_json::json;

use super::{Code, Problem};

impl From<user::Rejection> for Problem {
    fn from(rejection: user::Rejection) -> Self {
        use user::Rejection::{Abandoned, AlreadyRegistered, Invalid, LastRole, NotFound, SessionEnded, TooMany};
        let detail = rejection.to_string();
        match rejection {
            NotFound => Self::new(Code::NotFound, detail),
            AlreadyRegistered | Abandoned => Self::new(Code::RegistrationPending, detail),
            SessionEnded => Self::new(Code::RefreshTokenInvalid, detail),
            TooMany { limit, .. } => Self::new(Code::LimitReached, detail).member("limit", limit),
            LastRole => Self::new(Code::WrongState, detail),
            Invalid { field, .. } => Self::new(Code::InvalidValue, detail).field(field),
        }
    }
}

impl From<roster::Rejection> for Problem {
    fn from(rejection: roster::Rejection) -> Self {
        let detail = rejection.to_string();
        match rejection {
            roster::Rejection::Occupied { .. } | roster::Rejection::Outdated => Self::new(Code::WrongState, detail),
            roster::Rejection::Full { limit, .. } => Self::new(Code::LimitReached, detail).member("limit", limit),
        }
    }
}

impl From<notification::Rejection> for Problem {
    fn from(rejection: notification::Rejection) -> Self {
        let detail = rejection.to_string();
        match rejection {
            notification::Rejection::Erased => Self::new(Code::WrongState, detail),
            // A gateway delivers nothing to an inbox.
            notification::Rejection::BadField { .. } => Self::new(Code::Internal, detail),
        }
    }
}

impl From<email::Rejection> for Problem {
    fn from(rejection: email::Rejection) -> Self {
        let detail = rejection.to_string();
        match rejection {
            email::Rejection::Taken => Self::new(Code::EmailTaken, detail).field("email"),
            email::Rejection::Pending { until } => {
                let pause = until.since(Timestamp::now());
                Self::new(Code::RegistrationPending, detail).field("email").retry_after(pause)
            }
        }
    }
}

impl From<product::Rejection> for Problem {
    fn from(rejection: product::Rejection) -> Self {
        let detail = rejection.to_string();
        match rejection {
            product::Rejection::NotFound => Self::new(Code::ProductUnknown, detail),
            product::Rejection::AlreadyExists => Self::new(Code::AlreadyExists, detail),
            product::Rejection::Archived => Self::new(Code::WrongState, detail),
            product::Rejection::Invalid { field, .. } => Self::new(Code::InvalidValue, detail).field(field),
        }
    }
}

impl From<inventory::Rejection> for Problem {
    fn from(rejection: inventory::Rejection) -> Self {
        use inventory::Rejection::{
            BadName, Closed, Lacking, LineCount, LowStockOutOfRange, NotReserved, QuantityOutOfRange, ReceiptReused,
            SkuRepeated, TooLate, TooManyReservations, TooManySkus, TooManySupplied, UnknownSku,
        };
        let detail = rejection.to_string();
        match rejection {
            Lacking { lines } => lacking(detail, &lines),
            Closed | TooLate | NotReserved => Self::new(Code::WrongState, detail),
            ReceiptReused { .. } => Self::new(Code::AlreadyExists, detail).field("receipt"),
            LineCount { max, .. } => Self::new(Code::InvalidValue, detail).field("lines").member("maximum", max),
            QuantityOutOfRange { sku, max, .. } => quantity(detail, sku, max),
            SkuRepeated { sku } => Self::new(Code::InvalidValue, detail).field("lines").member("sku", sku),
            BadName { field } => Self::new(Code::InvalidValue, detail).field(field),
            LowStockOutOfRange { sku, max } => {
                Self::new(Code::InvalidValue, detail).field("low_stock_at").member("sku", sku).member("maximum", max)
            }
            UnknownSku { sku } => Self::new(Code::ProductUnknown, detail).member("sku", sku),
            TooManySkus { max } => Self::new(Code::LimitReached, detail).member("limit", max),
            TooManySupplied { sku, max } => {
                Self::new(Code::LimitReached, detail).member("sku", sku).member("limit", max)
            }
            TooManyReservations { .. } => {
                Self::new(Code::Overloaded, detail).retry_after(crate::admission::RETRY_AFTER)
            }
        }
    }
}

impl From<cart::Rejection> for Problem {
    fn from(rejection: cart::Rejection) -> Self {
        use cart::Rejection::{
            BadLine, Closed, Empty, OtherStore, QuantityOutOfRange, Sealed, TooManyLines, UnknownLine, VersionChanged,
        };
        let detail = rejection.to_string();
        match rejection {
            Sealed { order } => Self::new(Code::CartSealed, detail).member("held_by", order.as_str()),
            VersionChanged { .. } => Self::new(Code::CartChanged, detail),
            Closed => Self::new(Code::WrongState, detail),
            Empty => Self::new(Code::CartEmpty, detail),
            OtherStore { store } => Self::new(Code::CartOtherStore, detail).member("store", store.as_str()),
            UnknownLine { .. } => Self::new(Code::NotFound, detail),
            TooManyLines { max } => Self::new(Code::LimitReached, detail).member("limit", max),
            QuantityOutOfRange { sku, max } => quantity(detail, sku, max),
            BadLine { field } => Self::new(Code::InvalidValue, detail).field(field),
        }
    }
}

impl From<order::Rejection> for Problem {
    fn from(rejection: order::Rejection) -> Self {
        use order::Rejection::{
            BadField, BadKey, KeyReused, LineCount, QuantityOutOfRange, SkuRepeated, TooLate, TotalDiffers, Unknown,
        };
        let detail = rejection.to_string();
        match rejection {
            Unknown | BadKey { .. } => Self::new(Code::NotFound, "there is no such order"),
            KeyReused => Self::new(Code::IdempotencyKeyReused, detail),
            TotalDiffers { total_minor } => Self::new(Code::PriceChanged, detail).member("total_minor", total_minor),
            LineCount { max, .. } => Self::new(Code::InvalidValue, detail).field("lines").member("maximum", max),
            QuantityOutOfRange { sku, max } => quantity(detail, sku, max),
            SkuRepeated { sku } => Self::new(Code::InvalidValue, detail).field("lines").member("sku", sku),
            BadField { field } => Self::new(Code::InvalidValue, detail).field(field),
            TooLate => Self::new(Code::WrongState, detail),
        }
    }
}

impl From<CancelReason> for Problem {
    /// Why an order was refused, as the answer to its check-out.
    fn from(reason: CancelReason) -> Self {
        match reason {
            CancelReason::Lacking { lines } => lacking(format!("{} of the lines can't be had", lines.len()), &lines),
            CancelReason::StockRefused { detail } => Self::new(Code::OrderCancelled, format!("the stock: {detail}")),
            CancelReason::CartHeld { order } => {
                Self::new(Code::CartSealed, "another order is being made from the cart")
                    .member("held_by", order.as_str())
            }
            CancelReason::CartChanged => Self::new(Code::CartChanged, "the cart has changed or has become an order"),
            CancelReason::PaymentDeclined { detail } => {
                Self::new(Code::PaymentDeclined, format!("the card was declined: {detail}"))
            }
            CancelReason::PaymentRefused { detail } => {
                Self::new(Code::PaymentDeclined, format!("the payment was refused: {detail}"))
            }
            CancelReason::DeadlinePassed => Self::new(Code::OrderCancelled, "it could not be confirmed in time"),
            CancelReason::Customer { .. } => Self::new(Code::OrderCancelled, "it was cancelled by the customer"),
            CancelReason::DeliveryFailed { .. } => Self::new(Code::OrderCancelled, "it could not be delivered"),
        }
    }
}

impl From<payment::Rejection> for Problem {
    fn from(rejection: payment::Rejection) -> Self {
        use payment::Rejection::{AmountOutOfRange, BadName, Different, NotNow, TooManyRefunds, Voided};
        let detail = rejection.to_string();
        match rejection {
            Voided | NotNow { .. } | Different => Self::new(Code::WrongState, detail),
            AmountOutOfRange { max_minor } => {
                Self::new(Code::InvalidValue, detail).field("amount_minor").member("maximum", max_minor)
            }
            TooManyRefunds { max } => Self::new(Code::LimitReached, detail).member("limit", max),
            BadName { field } => Self::new(Code::InvalidValue, detail).field(field),
        }
    }
}

impl From<delivery::Rejection> for Problem {
    fn from(rejection: delivery::Rejection) -> Self {
        use delivery::Rejection::{Cancelled, CashDiffers, Invalid, NotFound, NotYours, WrongStage};
        let detail = rejection.to_string();
        match rejection {
            // What is another rider's looks as if it were not there.
            NotFound | NotYours => Self::new(Code::NotFound, "there is no such delivery"),
            Cancelled | WrongStage { .. } => Self::new(Code::WrongState, detail),
            CashDiffers { due_minor } => {
                Self::new(Code::InvalidValue, detail).field("cash_collected_minor").member("due_minor", due_minor)
            }
            Invalid { field, .. } => Self::new(Code::InvalidValue, detail).field(field),
        }
    }
}

impl From<delivery::rider::Rejection> for Problem {
    fn from(rejection: delivery::rider::Rejection) -> Self {
        Self::new(Code::WrongState, rejection.to_string())
    }
}

impl From<location::Rejection> for Problem {
    fn from(rejection: location::Rejection) -> Self {
        let detail = rejection.to_string();
        match rejection {
            location::Rejection::Unknown => Self::new(Code::StoreUnknown, detail),
            location::Rejection::TooMany { limit, .. } => Self::new(Code::LimitReached, detail).member("limit", limit),
            location::Rejection::Invalid { field, .. } => Self::new(Code::InvalidValue, detail).field(field),
        }
    }
}

impl From<location::directory::Rejection> for Problem {
    fn from(rejection: location::directory::Rejection) -> Self {
        use location::directory::Rejection::{Full, Invalid};
        let detail = rejection.to_string();
        match rejection {
            Full { limit } => Self::new(Code::LimitReached, detail).member("limit", limit),
            Invalid { field, .. } => Self::new(Code::InvalidValue, detail).field(field),
        }
    }
}

impl From<location::rider::Rejection> for Problem {
    fn from(rejection: location::rider::Rejection) -> Self {
        let detail = rejection.to_string();
        match rejection {
            location::rider::Rejection::Gone => Self::new(Code::WrongState, detail),
            location::rider::Rejection::Invalid { field, .. } => Self::new(Code::InvalidValue, detail).field(field),
        }
    }
}

impl Problem {
    /// Names the order that it is about.
    #[must_use]
    pub fn order(self, order: &Key) -> Self {
        self.member("order", order.as_str())
    }
}

fn lacking(detail: String, lines: &[inventory::Lack]) -> Problem {
    let lines: Vec<_> = lines
        .iter()
        .map(|lack| json!({ "sku": lack.sku, "wanted": lack.wanted, "available": lack.available }))
        .collect();
    Problem::new(Code::InsufficientStock, detail).member("lines", lines)
}

fn quantity(detail: String, sku: String, max: u32) -> Problem {
    Problem::new(Code::InvalidValue, detail).field("quantity").member("sku", sku).member("maximum", max)
}
