//! What a webhook remembers: where and what to send, each delivery with its event, and the newest attempts. By when
//! deliveries are due is derived, and rebuilt when it is loaded.

use std::collections::{BTreeMap, BTreeSet};

use nakku_cluster::events::Envelope;
use nakku_cluster::{Column, ColumnKind, ColumnValue, EntityState, Key, PartSet, Parts, Timestamp};
use serde::{Deserialize, Serialize};

use super::command::{ATTEMPTS_KEPT_MAX, Attempt, DELIVERED_KEPT_MAX, FAILED_KEPT_MAX, IN_FLIGHT_MAX, Status, View};
use super::event::Event;
use super::secret::SigningSecret;

/// The state of an endpoint.
#[derive(Debug, Default)]
pub struct State {
    /// Everything but deliveries and log.
    pub head: Head,
    /// By number.
    pub deliveries: Parts<u64, Delivery>,
    /// The log, by number.
    pub attempts: Parts<u64, Attempt>,
    /// Deliveries that are due at a time.
    pub waiting: BTreeSet<(Timestamp, u64)>,
    /// Deliveries under way.
    pub sending: BTreeSet<u64>,
    /// Deliveries that the endpoint has taken.
    pub delivered: BTreeSet<u64>,
    /// Deliveries that were given up.
    pub failed: BTreeSet<u64>,
    /// Deliveries by the id of their event.
    pub by_event: BTreeMap<String, u64>,
}

/// Everything but deliveries and log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Its own key; nothing before it is made.
    pub id: Option<Key>,
    /// Nothing before it is made and after it is deleted.
    pub endpoint: Option<Endpoint>,
    /// Rises whenever other events are wanted; 0 before it is made.
    pub revision: u64,
    /// The revision that the directory knows.
    pub registered: u64,
    /// Of the last delivery.
    pub last_delivery: u64,
    /// Of the last attempt.
    pub last_attempt: u64,
    /// When the endpoint last took something.
    #[serde(default)]
    pub last_success_at: Option<Timestamp>,
}

/// Where and what to send.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// Where.
    pub url: String,
    /// What.
    pub types: Vec<String>,
    /// What it is signed with.
    pub secret: SigningSecret,
    /// The secret before, with which it is signed as well until then.
    #[serde(default)]
    pub previous: Option<(SigningSecret, Timestamp)>,
    /// Whether it is sent.
    pub status: Status,
    /// When it was made.
    pub created_at: Timestamp,
}

/// One event on its way to the endpoint, or there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Delivery {
    /// What is sent.
    pub event: Envelope,
    /// How far it is.
    pub stage: Stage,
    /// Attempts so far, since it was last queued.
    pub attempts: u32,
    /// When the first of them began.
    #[serde(default)]
    pub tried_since: Option<Timestamp>,
}

/// How far a delivery is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "snake_case")]
pub enum Stage {
    /// The next attempt is due then.
    Waiting {
        /// When.
        at: Timestamp,
    },
    /// An attempt is under way.
    Sending {
        /// Which.
        attempt: u64,
    },
    /// The endpoint has taken it.
    Delivered,
    /// It was given up.
    Failed,
}

impl State {
    /// Deliveries that are waiting or under way.
    pub fn pending(&self) -> usize {
        self.waiting.len() + self.sending.len()
    }

    /// Whether events are sent.
    pub fn is_enabled(&self) -> bool {
        self.head.endpoint.as_ref().is_some_and(|endpoint| endpoint.status == Status::Enabled)
    }

    /// When the next attempt is to begin; nothing while as many are under way as may be.
    pub fn next_attempt_at(&self) -> Option<Timestamp> {
        let (at, _) = self.waiting.first()?;
        (self.sending.len() < IN_FLIGHT_MAX).then_some(*at)
    }

    /// As it is shown.
    pub fn view(&self, endpoint: &Endpoint) -> View {
        View {
            url: endpoint.url.clone(),
            types: endpoint.types.clone(),
            status: endpoint.status.clone(),
            created_at: endpoint.created_at,
            in_force: self.head.registered == self.head.revision,
            pending: self.pending() as u64,
            failed: self.failed.len() as u64,
            last_success_at: self.head.last_success_at,
            next_attempt_at: self.next_attempt_at(),
        }
    }

    /// Applies an event.
    pub fn evolve(&mut self, event: &Event) {
        match event {
            Event::Created { id, url, types, secret, at } => {
                self.head.id = Some(id.clone());
                self.head.revision += 1;
                self.head.endpoint = Some(Endpoint {
                    url: url.clone(),
                    types: types.clone(),
                    secret: secret.clone(),
                    previous: None,
                    status: Status::Enabled,
                    created_at: *at,
                });
            }
            Event::Moved { url } => self.change(|endpoint| endpoint.url.clone_from(url)),
            Event::Subscribed { types } => {
                self.head.revision += 1;
                self.change(|endpoint| endpoint.types.clone_from(types));
            }
            Event::Enabled => {
                self.head.revision += 1;
                self.change(|endpoint| endpoint.status = Status::Enabled);
            }
            Event::Disabled { reason, at } => {
                self.head.revision += 1;
                let status = Status::Disabled { reason: reason.clone(), at: *at };
                self.change(|endpoint| endpoint.status = status);
                let waiting = self.waiting.iter().map(|(_, delivery)| *delivery);
                let pending: Vec<u64> = waiting.chain(self.sending.iter().copied()).collect();
                pending.into_iter().for_each(|delivery| self.set_stage(delivery, Stage::Failed));
                self.forget_the_oldest();
            }
            Event::SecretRotated { secret, previous_until } => self.change(|endpoint| {
                let previous = std::mem::replace(&mut endpoint.secret, secret.clone());
                endpoint.previous = Some((previous, *previous_until));
            }),
            Event::Deleted => {
                self.head.revision += 1;
                self.head.endpoint = None;
                self.deliveries.clear();
                self.attempts.clear();
                self.loaded();
            }
            Event::Registered { revision } => self.head.registered = *revision,
            Event::Queued { delivery, envelope, at } => {
                self.head.last_delivery = *delivery;
                let stage = Stage::Waiting { at: *at };
                let queued = Delivery { event: (**envelope).clone(), stage, attempts: 0, tried_since: None };
                self.deliveries.insert(*delivery, queued);
                self.index(*delivery);
            }
            Event::Requeued { deliveries, at } => {
                for delivery in deliveries {
                    if let Some(found) = self.deliveries.get_mut(delivery) {
                        found.attempts = 0;
                        found.tried_since = None;
                    }
                    self.set_stage(*delivery, Stage::Waiting { at: *at });
                }
            }
            Event::Started { attempt, delivery, at } => {
                self.head.last_attempt = *attempt;
                if let Some(found) = self.deliveries.get_mut(delivery) {
                    found.attempts += 1;
                    found.tried_since.get_or_insert(*at);
                }
                self.set_stage(*delivery, Stage::Sending { attempt: *attempt });
            }
            Event::Attempted { attempt, delivery, answer, at, retry_at } => {
                let Some(found) = self.deliveries.get(delivery) else { return };
                let logged = Attempt {
                    number: *attempt,
                    event: found.event.id.clone(),
                    event_type: found.event.event_type.to_string(),
                    nth: found.attempts,
                    at: *at,
                    answer: answer.clone(),
                    retry_at: *retry_at,
                };
                self.attempts.insert(*attempt, logged);
                let oldest = self.attempts.keys().next().copied();
                if let Some(oldest) = oldest.filter(|_| self.attempts.len() > ATTEMPTS_KEPT_MAX) {
                    self.attempts.remove(&oldest);
                }
                let stage = match retry_at {
                    Some(at) => Stage::Waiting { at: *at },
                    None if answer.outcome.is_success() => Stage::Delivered,
                    None => Stage::Failed,
                };
                if stage == Stage::Delivered {
                    self.head.last_success_at = Some(*at);
                }
                self.set_stage(*delivery, stage);
                self.forget_the_oldest();
            }
        }
    }

    fn change(&mut self, how: impl FnOnce(&mut Endpoint)) {
        if let Some(endpoint) = &mut self.head.endpoint {
            how(endpoint);
        }
    }

    fn set_stage(&mut self, delivery: u64, stage: Stage) {
        let Some(found) = self.deliveries.get_mut(&delivery) else { return };
        let before = std::mem::replace(&mut found.stage, stage);
        match before {
            Stage::Waiting { at } => drop(self.waiting.remove(&(at, delivery))),
            Stage::Sending { .. } => drop(self.sending.remove(&delivery)),
            Stage::Delivered => drop(self.delivered.remove(&delivery)),
            Stage::Failed => drop(self.failed.remove(&delivery)),
        }
        self.index(delivery);
    }

    fn index(&mut self, delivery: u64) {
        let Some(found) = self.deliveries.get(&delivery) else { return };
        match found.stage {
            Stage::Waiting { at } => drop(self.waiting.insert((at, delivery))),
            Stage::Sending { .. } => drop(self.sending.insert(delivery)),
            Stage::Delivered => drop(self.delivered.insert(delivery)),
            Stage::Failed => drop(self.failed.insert(delivery)),
        }
        self.by_event.insert(found.event.id.clone(), delivery);
    }

    fn forget_the_oldest(&mut self) {
        let too_many = |kept: &mut BTreeSet<u64>, most: usize| {
            let mut gone = Vec::new();
            while kept.len() > most {
                gone.extend(kept.pop_first());
            }
            gone
        };
        let mut gone = too_many(&mut self.delivered, DELIVERED_KEPT_MAX);
        gone.extend(too_many(&mut self.failed, FAILED_KEPT_MAX));
        for delivery in gone {
            if let Some(found) = self.deliveries.remove(&delivery) {
                self.by_event.remove(&found.event.id);
            }
        }
    }
}

impl EntityState for State {
    type Head = Head;

    const COLUMNS: &'static [Column] = &[Column { name: "live", kind: ColumnKind::Integer }];

    fn head(&self) -> &Head {
        &self.head
    }

    fn head_mut(&mut self) -> &mut Head {
        &mut self.head
    }

    fn parts(&mut self) -> Vec<(&'static str, &mut dyn PartSet)> {
        vec![("delivery", &mut self.deliveries), ("attempt", &mut self.attempts)]
    }

    fn columns(&self) -> Vec<ColumnValue> {
        vec![if self.head.endpoint.is_some() { ColumnValue::Integer(1) } else { ColumnValue::Null }]
    }

    fn loaded(&mut self) {
        self.waiting.clear();
        self.sending.clear();
        self.delivered.clear();
        self.failed.clear();
        self.by_event.clear();
        let all: Vec<u64> = self.deliveries.keys().copied().collect();
        all.into_iter().for_each(|delivery| self.index(delivery));
    }
}
