//! What the directory of webhooks remembers: what each endpoint wants, and since when.

use std::collections::{BTreeMap, BTreeSet};

use nakku_cluster::{EntityState, Key, PartSet, Parts, Timestamp};
use serde::{Deserialize, Serialize};

use super::event::Event;

/// The directory's state.
#[derive(Debug, Default)]
pub struct State {
    /// Nothing but parts so far.
    pub head: Head,
    /// Every endpoint that has told of itself.
    pub subscriptions: Parts<Key, Subscription>,
    /// Those that want something: derived.
    pub active: BTreeSet<Key>,
}

/// What is small.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {}

/// What an endpoint wants.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    /// How often that had changed.
    pub revision: u64,
    /// Each type, and when it was wanted first.
    pub since: BTreeMap<String, Timestamp>,
    /// When the endpoint last told of itself.
    pub told_at: Timestamp,
}

impl State {
    /// Applies an event.
    pub fn evolve(&mut self, event: &Event) {
        let Event::Set { endpoint, revision, types, at, forgotten } = event;
        if let Some(forgotten) = forgotten {
            self.subscriptions.remove(forgotten);
        }
        let before = self.subscriptions.get(endpoint).map(|known| known.since.clone()).unwrap_or_default();
        let since = types.iter().map(|wanted| (wanted.clone(), before.get(wanted).copied().unwrap_or(*at)));
        let since: BTreeMap<String, Timestamp> = since.collect();
        if since.is_empty() {
            self.active.remove(endpoint);
        } else {
            self.active.insert(endpoint.clone());
        }
        self.subscriptions.insert(endpoint.clone(), Subscription { revision: *revision, since, told_at: *at });
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
        vec![("subscription", &mut self.subscriptions)]
    }

    fn loaded(&mut self) {
        let active = self.subscriptions.iter().filter(|(_, subscription)| !subscription.since.is_empty());
        self.active = active.map(|(endpoint, _)| endpoint.clone()).collect();
    }
}
