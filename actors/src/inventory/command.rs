//! The protocol of a store's stock.

use nakku_cluster::{Key, Timestamp};
use serde::{Deserialize, Serialize};

/// The most lines that one order reserves or returns.
pub const RESERVATION_LINES_MAX: usize = 100;
/// The most units of one line of a reservation.
pub const RESERVATION_QUANTITY_MAX: u32 = 1_000;
/// The most lines of one supply.
pub const SUPPLY_LINES_MAX: usize = 1_000;
/// The most units of one line of a supply or a write-off.
pub const SUPPLY_QUANTITY_MAX: u32 = 1_000_000;
/// The most units that a store is ever supplied with, for one SKU.
pub const SUPPLIED_MAX: u64 = 1_000_000_000_000;
/// The most SKUs of a store.
pub const SKUS_MAX: usize = 50_000;
/// The longest SKU, receipt or adjustment id, in bytes.
pub const NAME_BYTES_MAX: usize = 64;
/// The longest reason of a write-off, in bytes.
pub const REASON_BYTES_MAX: usize = 200;
/// The most reservations and tombstones of a store together, beyond which no order can reserve.
pub const RESERVATIONS_MAX: usize = 100_000;
/// The most supplies and write-offs that are remembered by their id; beyond it the oldest are forgotten.
pub const RECEIPTS_MAX: usize = 10_000;
/// The most reservations that may be asked about at the same time.
pub const ASKED_MAX: usize = 64;
/// The most SKUs of one read.
pub const PAGE_MAX: usize = 500;
/// With so many units left or fewer a SKU counts as low, unless its store says otherwise.
pub const LOW_STOCK_AT: u64 = 5;

/// What a store's stock can be asked; the key is the store's (`s-…`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    /// Goods have come in. Idempotent by receipt.
    Supply {
        /// Names the delivery of goods, at most [`NAME_BYTES_MAX`] bytes.
        receipt: String,
        /// What came.
        lines: Vec<Line>,
    },
    /// Goods that no order holds are written off. Idempotent by adjustment; shares its names with receipts.
    Adjust {
        /// Names the write-off, at most [`NAME_BYTES_MAX`] bytes.
        adjustment: String,
        /// What is gone.
        lines: Vec<Line>,
        /// Why, at most [`REASON_BYTES_MAX`] bytes.
        reason: String,
    },
    /// Sets at how many units left SKUs count as low; all lines or none. Idempotent.
    SetLowStock {
        /// For SKUs that the store has had; a SKU at most once.
        lines: Vec<LowStockLine>,
    },
    /// Reserves all lines for an order, or none. Idempotent by order.
    Reserve {
        /// Who asks.
        order: Key,
        /// What it wants; a SKU at most once.
        lines: Vec<Line>,
        /// From then on the order is asked what shall become of the reservation.
        due_at: Timestamp,
    },
    /// The order is confirmed: what it reserved is sold. Idempotent by order.
    Commit {
        /// Whose reservation.
        order: Key,
    },
    /// The order won't come: what it reserved is available again. Idempotent by order; when nothing is
    /// reserved yet, a reservation that comes late is refused.
    Release {
        /// Whose reservation.
        order: Key,
        /// The order's deadline, which is the `due_at` that its reservation names.
        until: Timestamp,
    },
    /// A confirmed order was cancelled before it left the store: back on the shelf. Idempotent by order.
    Return {
        /// Which order.
        order: Key,
        /// What it had reserved.
        lines: Vec<Line>,
        /// How long the return is remembered; refused afterwards.
        until: Timestamp,
    },
    /// The timer: reservations are due, or tombstones have served.
    ReservationsDue,
    /// What the order answered about a reservation that was due.
    Judged {
        /// The order.
        order: Key,
        /// Its answer.
        verdict: Verdict,
    },
    /// The levels of some SKUs, at most [`PAGE_MAX`]; unknown ones are left out.
    Get {
        /// Which.
        skus: Vec<String>,
    },
    /// The levels of all SKUs in order, page by page.
    Page {
        /// Only those after this one.
        after: Option<String>,
        /// At most so many, up to [`PAGE_MAX`].
        limit: u32,
    },
}

/// So many units of a SKU.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// The SKU: letters, digits, `-`, `_` and `.`, at most [`NAME_BYTES_MAX`] bytes.
    pub sku: String,
    /// Units, at least 1.
    pub quantity: u32,
}

/// When a SKU counts as low.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LowStockLine {
    /// The SKU.
    pub sku: String,
    /// With so many units left or fewer, at most [`SUPPLY_QUANTITY_MAX`]; 0 never.
    pub low_stock_at: u64,
}

/// What an order decides about its reservation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// It is confirmed.
    Commit,
    /// It is cancelled.
    Release,
    /// It is still being placed.
    Wait {
        /// When to ask again.
        until: Timestamp,
    },
}

/// What it answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub enum Reply {
    /// The supply is on the shelf.
    Supplied,
    /// The write-off is noted.
    Adjusted,
    /// All lines are reserved.
    Reserved,
    /// What was reserved is sold.
    Committed,
    /// Nothing is reserved for the order.
    Released,
    /// What was sold is on the shelf.
    Returned,
    /// Noted.
    Noted,
    /// Levels, in the order of the SKUs.
    Levels {
        /// One for each known SKU.
        levels: Vec<Level>,
        /// Where the next page starts, for [`Command::Page`] when there is one.
        next: Option<String>,
    },
}

/// How much there is of a SKU.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Level {
    /// The SKU.
    pub sku: String,
    /// In the store: `available + reserved`.
    pub on_hand: u64,
    /// Can be reserved.
    pub available: u64,
    /// Held for orders.
    pub reserved: u64,
    /// Ever supplied.
    pub supplied: u64,
    /// Sold, less what came back.
    pub sold: u64,
    /// Written off.
    pub written_off: u64,
    /// With so many units left or fewer it counts as low; 0 never.
    #[serde(default = "low_stock_at")]
    pub low_stock_at: u64,
}

/// What holds where nothing was said.
pub(super) fn low_stock_at() -> u64 {
    LOW_STOCK_AT
}

/// A line that can't be reserved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lack {
    /// The SKU.
    pub sku: String,
    /// What was wanted.
    pub wanted: u32,
    /// What is left.
    pub available: u64,
}

/// Why it refused. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "rejection", rename_all = "snake_case")]
pub enum Rejection {
    /// Some lines can't be had; none is reserved.
    #[error("{} of the lines can't be had", lines.len())]
    Lacking {
        /// Those that lack, and what is left of them.
        lines: Vec<Lack>,
    },
    /// The order's reservation has been released before; it gets no other.
    #[error("the order's reservation has been released")]
    Closed,
    /// The time until which the command would have been good has passed.
    #[error("the command comes after its own deadline")]
    TooLate,
    /// There is nothing that could be committed or returned.
    #[error("the order's reservation is not in a state for this")]
    NotReserved,
    /// The id was used for something else.
    #[error("{receipt} has been used for other lines")]
    ReceiptReused {
        /// The id.
        receipt: String,
    },
    /// No lines, or too many.
    #[error("1 to {max} lines, not {lines}")]
    LineCount {
        /// How many there were.
        lines: usize,
        /// How many there may be.
        max: usize,
    },
    /// A line's quantity is out of range.
    #[error("{sku}: 1 to {max} units, not {quantity}")]
    QuantityOutOfRange {
        /// The SKU.
        sku: String,
        /// What was given.
        quantity: u32,
        /// What may be given.
        max: u32,
    },
    /// A SKU would count as low at more units than it may.
    #[error("{sku}: low at 0 (never) to {max} units")]
    LowStockOutOfRange {
        /// The SKU.
        sku: String,
        /// How many there may be.
        max: u32,
    },
    /// The store has never had the SKU.
    #[error("the store has never had {sku}")]
    UnknownSku {
        /// The SKU.
        sku: String,
    },
    /// A SKU stands in two lines.
    #[error("{sku} stands in more than one line")]
    SkuRepeated {
        /// The SKU.
        sku: String,
    },
    /// A SKU, receipt, adjustment or reason is empty, too long or holds other characters.
    #[error("{field} is empty, too long or holds characters that it may not")]
    BadName {
        /// Which field.
        field: String,
    },
    /// The store has as many SKUs as it can.
    #[error("a store has at most {max} SKUs")]
    TooManySkus {
        /// How many.
        max: usize,
    },
    /// The store would have been supplied with more than can be counted.
    #[error("{sku}: at most {max} units can be supplied")]
    TooManySupplied {
        /// The SKU.
        sku: String,
        /// How many.
        max: u64,
    },
    /// The store has as many reservations as it can; try later.
    #[error("a store has at most {max} reservations at a time")]
    TooManyReservations {
        /// How many.
        max: usize,
    },
}
