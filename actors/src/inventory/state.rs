//! What a store's stock remembers: its lines, the reservations of orders with their tombstones, and the ids
//! of supplies; with indexes by time so that a decision stays fast with any number of them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use nakku_cluster::{EntityState, Key, PartSet, Parts, Timestamp};
use serde::{Deserialize, Serialize};

use super::command::{ASKED_MAX, LOW_STOCK_AT, Level, Line, RECEIPTS_MAX, low_stock_at};
use super::event::Event;

/// How many expired tombstones a reservation clears away, so that they never outgrow the reservations.
pub const CLEARED_WITH_A_RESERVATION: usize = 4;
/// How long tombstones that have served gather before the timer clears them away together.
pub const TOMBSTONES_GATHER: Duration = Duration::from_secs(30);

/// A store's stock.
#[derive(Debug, Default)]
pub struct State {
    /// Counters.
    pub head: Head,
    /// By SKU.
    pub lines: Parts<String, StockLine>,
    /// By order.
    pub reservations: Parts<Key, Reservation>,
    /// Supplies and write-offs by their id.
    pub receipts: Parts<String, Receipt>,
    /// Held, not yet asked about, by the time at which they are due.
    due: BTreeSet<(Timestamp, Key)>,
    /// Being asked about, by their numbers.
    asked: BTreeMap<u64, Key>,
    /// Tombstones by the time until which they serve.
    tombstones: BTreeSet<(Timestamp, Key)>,
    /// Receipts by their numbers, oldest first.
    receipts_by_number: BTreeMap<u64, String>,
}

/// The counters of a stock.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// How many reservations and tombstones there have been; numbers them.
    pub reservations: u64,
    /// How many supplies and write-offs there have been; numbers them.
    pub receipts: u64,
}

/// How much there is of a SKU. On hand is available and reserved together, and what was supplied is on hand,
/// sold or written off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockLine {
    /// In the store.
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
    #[serde(default)]
    pub written_off: u64,
    /// With so many units left or fewer it counts as low; 0 never.
    #[serde(default = "low_stock_at")]
    pub low_stock_at: u64,
}

impl Default for StockLine {
    fn default() -> Self {
        let low_stock_at = LOW_STOCK_AT;
        Self { on_hand: 0, available: 0, reserved: 0, supplied: 0, sold: 0, written_off: 0, low_stock_at }
    }
}

/// What is held for an order, or was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservation {
    /// Tells the questions about it apart from others'.
    pub number: u64,
    /// What has become of it.
    pub stage: Stage,
    /// What is held; empty in a tombstone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<Line>,
    /// When to ask the order, or how long the tombstone serves.
    pub due_at: Timestamp,
}

/// What has become of a reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The goods are held.
    Held,
    /// They are held, and the order is being asked.
    Asked,
    /// They were sold.
    Committed,
    /// They were let go, or the release came first.
    Released,
    /// They were sold and came back.
    Returned,
}

/// A supply or write-off that has been noted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// Its place in the order of all.
    pub number: u64,
    /// Of its lines.
    pub fingerprint: String,
}

impl Stage {
    /// Whether goods are held.
    pub fn holds(self) -> bool {
        matches!(self, Self::Held | Self::Asked)
    }
}

impl StockLine {
    /// As others see it.
    pub fn level(&self, sku: &str) -> Level {
        Level {
            sku: sku.to_owned(),
            on_hand: self.on_hand,
            available: self.available,
            reserved: self.reserved,
            supplied: self.supplied,
            sold: self.sold,
            written_off: self.written_off,
            low_stock_at: self.low_stock_at,
        }
    }
}

impl State {
    /// When the stock must next be awake: the earliest reservation that is not being asked about while there
    /// is room to ask, or when tombstones have
    /// gathered that have served.
    pub fn next_due(&self) -> Option<Timestamp> {
        let due = self.due.first().filter(|_| self.asked.len() < ASKED_MAX).map(|(at, _)| *at);
        let served = self.tombstones.first().map(|(at, _)| at.plus(TOMBSTONES_GATHER));
        [due, served].into_iter().flatten().min()
    }

    /// The orders to ask now: those due, as many as there is room for.
    pub fn due_by(&self, now: Timestamp) -> Vec<Key> {
        let room = ASKED_MAX.saturating_sub(self.asked.len());
        self.due.iter().take_while(|(at, _)| *at <= now).take(room).map(|(_, order)| order.clone()).collect()
    }

    /// Tombstones that have served, at most `limit`.
    pub fn served_by(&self, now: Timestamp, limit: usize) -> Vec<Key> {
        self.tombstones.iter().take_while(|(at, _)| *at <= now).take(limit).map(|(_, order)| order.clone()).collect()
    }

    /// The reservations that are being asked about, with their numbers.
    pub fn asked(&self) -> impl Iterator<Item = (u64, &Key)> {
        self.asked.iter().map(|(number, order)| (*number, order))
    }

    /// Applies an event.
    pub fn evolve(&mut self, event: &Event) {
        match event {
            Event::Supplied { receipt, fingerprint, lines } => {
                self.note(receipt, fingerprint);
                self.change(lines, |line, units| {
                    line.supplied += units;
                    line.on_hand += units;
                    line.available += units;
                });
            }
            Event::Adjusted { adjustment, fingerprint, lines, .. } => {
                self.note(adjustment, fingerprint);
                self.change(lines, |line, units| {
                    line.written_off += units;
                    line.on_hand -= units;
                    line.available -= units;
                });
            }
            Event::Reserved { order, lines, due_at, at } => {
                for served in self.served_by(*at, CLEARED_WITH_A_RESERVATION) {
                    self.forget(&served);
                }
                self.change(lines, |line, units| {
                    line.available -= units;
                    line.reserved += units;
                });
                self.set(order, Stage::Held, lines.clone(), *due_at);
            }
            Event::Committed { order, lines } => {
                self.change(lines, |line, units| {
                    line.reserved -= units;
                    line.on_hand -= units;
                    line.sold += units;
                });
                let due_at = self.reservations.get(order).map_or(Timestamp(0), |reservation| reservation.due_at);
                self.set(order, Stage::Committed, Vec::new(), due_at);
            }
            Event::Released { order, lines, until } => {
                self.let_go(lines);
                self.set(order, Stage::Released, Vec::new(), *until);
            }
            Event::Returned { order, lines, until, .. } => {
                if self.reservations.get(order).is_some_and(|reservation| reservation.stage.holds()) {
                    self.let_go(lines);
                } else {
                    self.change(lines, |line, units| {
                        line.sold -= units;
                        line.on_hand += units;
                        line.available += units;
                    });
                }
                self.set(order, Stage::Returned, Vec::new(), *until);
            }
            Event::FellDue { orders, forgotten } => {
                for order in forgotten {
                    self.forget(order);
                }
                for order in orders {
                    self.restage(order, Stage::Asked, None);
                }
            }
            Event::Postponed { order, due_at } => self.restage(order, Stage::Held, Some(*due_at)),
            Event::LowStockSet { lines } => {
                for line in lines {
                    if let Some(stock) = self.lines.get_mut(&line.sku) {
                        stock.low_stock_at = line.low_stock_at;
                    }
                }
            }
            Event::LowStock { .. } | Event::OutOfStock { .. } | Event::BackInStock { .. } => {}
        }
    }

    fn change(&mut self, lines: &[Line], mut apply: impl FnMut(&mut StockLine, u64)) {
        for line in lines {
            if !self.lines.contains_key(&line.sku) {
                self.lines.insert(line.sku.clone(), StockLine::default());
            }
            if let Some(stock) = self.lines.get_mut(&line.sku) {
                apply(stock, u64::from(line.quantity));
            }
        }
    }

    fn let_go(&mut self, lines: &[Line]) {
        self.change(lines, |line, units| {
            line.reserved -= units;
            line.available += units;
        });
    }

    fn set(&mut self, order: &Key, stage: Stage, lines: Vec<Line>, due_at: Timestamp) {
        let number = match self.reservations.get(order) {
            Some(known) => known.number,
            None => {
                self.head.reservations += 1;
                self.head.reservations
            }
        };
        self.unindex(order);
        let reservation = Reservation { number, stage, lines, due_at };
        self.index(order, &reservation);
        self.reservations.insert(order.clone(), reservation);
    }

    /// Gives a reservation another number as well, so that the next question about it is a new one.
    fn restage(&mut self, order: &Key, stage: Stage, due_at: Option<Timestamp>) {
        self.unindex(order);
        self.head.reservations += 1;
        let number = self.head.reservations;
        if let Some(reservation) = self.reservations.get_mut(order) {
            reservation.number = number;
            reservation.stage = stage;
            reservation.due_at = due_at.unwrap_or(reservation.due_at);
            let reservation = reservation.clone();
            self.index(order, &reservation);
        }
    }

    fn forget(&mut self, order: &Key) {
        self.unindex(order);
        self.reservations.remove(order);
    }

    fn index(&mut self, order: &Key, reservation: &Reservation) {
        match reservation.stage {
            Stage::Held => {
                self.due.insert((reservation.due_at, order.clone()));
            }
            Stage::Asked => {
                self.asked.insert(reservation.number, order.clone());
            }
            Stage::Committed | Stage::Released | Stage::Returned => {
                self.tombstones.insert((reservation.due_at, order.clone()));
            }
        }
    }

    fn unindex(&mut self, order: &Key) {
        let Some(reservation) = self.reservations.get(order) else { return };
        let entry = (reservation.due_at, order.clone());
        self.due.remove(&entry);
        self.tombstones.remove(&entry);
        self.asked.remove(&reservation.number);
    }

    fn note(&mut self, id: &str, fingerprint: &str) {
        self.head.receipts += 1;
        let number = self.head.receipts;
        self.receipts.insert(id.to_owned(), Receipt { number, fingerprint: fingerprint.to_owned() });
        self.receipts_by_number.insert(number, id.to_owned());
        if self.receipts.len() > RECEIPTS_MAX
            && let Some((_, oldest)) = self.receipts_by_number.pop_first()
        {
            self.receipts.remove(&oldest);
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

    fn parts(&mut self) -> Vec<(&'static str, &mut dyn PartSet)> {
        vec![("line", &mut self.lines), ("reservation", &mut self.reservations), ("receipt", &mut self.receipts)]
    }

    fn loaded(&mut self) {
        let reservations: Vec<_> = self.reservations.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        for (order, reservation) in reservations {
            self.index(&order, &reservation);
        }
        self.receipts_by_number = self.receipts.iter().map(|(id, receipt)| (receipt.number, id.clone())).collect();
    }
}
