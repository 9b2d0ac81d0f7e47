//! What a cart remembers: whose goods, which version, who holds it; its lines are parts.

use nakku_cluster::{EntityState, Key, PartSet, Parts};
use serde::{Deserialize, Serialize};

use super::command::{Contents, Line};
use super::event::Event;
use crate::money::Money;

/// A user's cart.
#[derive(Debug, Default)]
pub struct State {
    /// Everything but the lines.
    pub head: Head,
    /// By SKU.
    pub lines: Parts<String, Line>,
}

/// Everything but the lines.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Whose goods; nothing while it is empty.
    pub store: Option<Key>,
    /// Raised by every change of the lines and by every order that lets go of it.
    pub version: u64,
    /// The order that holds it.
    #[serde(default)]
    pub sealed_by: Option<Key>,
    /// The version at which it was sealed.
    #[serde(default)]
    pub sealed_version: u64,
    /// Whether its user was erased.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub closed: bool,
}

impl State {
    /// As others see it.
    pub fn contents(&self) -> Contents {
        let amounts =
            self.lines.values().filter_map(|line| Money::from_minor(line.price_minor).checked_mul(line.quantity));
        Contents {
            store: self.head.store.clone(),
            version: self.head.version,
            lines: self.lines.values().cloned().collect(),
            total_minor: Money::checked_sum(amounts).unwrap_or_default().minor(),
            sealed_by: self.head.sealed_by.clone(),
        }
    }

    /// Applies an event.
    pub fn evolve(&mut self, event: &Event) {
        match event {
            Event::LineSet { store, line } => {
                self.head.version += 1;
                self.head.store = Some(store.clone());
                self.lines.insert(line.sku.clone(), line.clone());
            }
            Event::LineRemoved { sku, .. } => {
                self.head.version += 1;
                self.lines.remove(sku);
                if self.lines.is_empty() {
                    self.head.store = None;
                }
            }
            Event::Emptied => self.empty(),
            Event::Sealed { order } => {
                self.head.sealed_by = Some(order.clone());
                self.head.sealed_version = self.head.version;
            }
            Event::Unsealed { order, version } => {
                self.head.version = *version;
                self.head.sealed_by = self.head.sealed_by.take().filter(|holder| holder != order);
                // The order for which its lines were kept won't come.
                if self.head.closed && self.head.sealed_by.is_none() {
                    self.empty();
                }
            }
            Event::Cleared { .. } => {
                self.head.sealed_by = None;
                self.empty();
            }
            Event::Closed => self.head.closed = true,
        }
    }

    fn empty(&mut self) {
        self.head.version += 1;
        self.head.store = None;
        let skus: Vec<String> = self.lines.keys().cloned().collect();
        for sku in &skus {
            self.lines.remove(sku);
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
        vec![("line", &mut self.lines)]
    }
}
