//! Follows one order: its own events, those of its payment and delivery, and where its rider is.

use std::time::Duration;

use nakku_actors::delivery::Delivery;
use nakku_actors::location::rider::{self, Rider};
use nakku_actors::order::Order;
use nakku_actors::payment::Payment;
use nakku_cluster::events::Envelope;
use nakku_cluster::{Failure, Key, Ref};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::cursor::{Cursor, Source, sort};
use super::hub::{Inbox, Notice, order_topic, position_topic};
use super::protocol::{Position, Told};
use super::subscription::{Ended, Gone, Listener, Subscription, ask};
use crate::edge::Edge;
use crate::problem::{Code, Problem};
use crate::routes::{delivery, orders};

/// How long at most the journal is not looked at: what nobody told of is heard of then. The hub hears of
/// nearly everything at once, so this is rare on purpose.
const RECHECK: Duration = Duration::from_secs(60);
/// After the journal could not be read.
const RETRY: Duration = Duration::from_secs(1);
/// Rows of one entity that are read at once: more than an order, a payment or a delivery ever has.
const HISTORY_MAX: u32 = nakku_cluster::query::PAGE_MAX;

struct Follower<'a, L> {
    edge: &'a Edge,
    of: &'a Subscription,
    order: &'a Key,
    listener: &'a L,
    inbox: Inbox,
    seen: Cursor,
    /// Who has the order now, and when it was last heard where.
    rider: Option<(Key, i64)>,
}

/// Follows an order until nobody listens any more.
///
/// # Errors
/// See [`Ended`]; at the beginning also when the order can't be read.
pub async fn follow<L: Listener>(
    edge: &Edge,
    of: &Subscription,
    order: &Key,
    cursor: Option<Cursor>,
    listener: &L,
) -> Result<(), Ended> {
    let mut inbox = edge.live.hub().inbox();
    // Before anything is read: what happens from here on is heard of.
    inbox.add(order_topic(order));
    let mut follower = Follower { edge, of, order, listener, inbox, seen: Cursor::default(), rider: None };
    let past = history(edge, order, &Cursor::default()).await?;
    match cursor.filter(|cursor| *cursor != Cursor::default() && cursor.is_within(&past)) {
        Some(cursor) => {
            for event in &past {
                if cursor.has(event) {
                    follower.note(event);
                } else {
                    follower.tell(event).await?;
                }
            }
            listener.tell(Told::resumed(of, &follower.seen)).await?;
        }
        None => {
            past.iter().for_each(|event| follower.note(event));
            let body = snapshot(edge, order).await?;
            listener.tell(Told::snapshot(of, &body, Some(&follower.seen))).await?;
        }
    }
    follower.last_position().await?;
    follower.run().await
}

impl<L: Listener> Follower<'_, L> {
    async fn run(mut self) -> Result<(), Ended> {
        let mut look_at = next_look();
        let mut behind = false;
        loop {
            let look = tokio::select! {
                notice = self.inbox.next() => match notice {
                    Notice::Event(event) => !behind && !self.take(&event).await?,
                    Notice::Signal(signal) => {
                        self.position(&signal.body).await?;
                        false
                    }
                    Notice::Missed => true,
                },
                () = tokio::time::sleep_until(look_at) => true,
            };
            if look {
                match self.catch_up().await? {
                    Ok(()) => (behind, look_at) = (false, next_look()),
                    Err(failure) => {
                        tracing::debug!(order = %self.order, %failure, "an order's history can't be read");
                        (behind, look_at) = (true, Instant::now() + RETRY);
                    }
                }
            }
        }
    }

    /// Tells an event that was not told; false when something before it is not known and has to be read.
    async fn take(&mut self, event: &Envelope) -> Result<bool, Gone> {
        let Some(source) = Source::of(event).filter(|_| event.subject == self.order.as_str()) else { return Ok(true) };
        if self.seen.has(event) {
            return Ok(true);
        }
        // An entity's row before may be one that is not public; that shows when it is read.
        if event.previous > self.seen.at(source) {
            return Ok(false);
        }
        self.tell(event).await?;
        Ok(true)
    }

    /// Reads and tells what was not told.
    async fn catch_up(&mut self) -> Result<Result<(), Failure>, Gone> {
        match history(self.edge, self.order, &self.seen).await {
            Ok(events) => {
                for event in &events {
                    self.tell(event).await?;
                }
                Ok(Ok(()))
            }
            Err(failure) => Ok(Err(failure)),
        }
    }

    async fn tell(&mut self, event: &Envelope) -> Result<(), Gone> {
        self.note(event);
        self.listener.tell(Told::event(self.of, event, Some(&self.seen))).await
    }

    async fn position(&mut self, body: &str) -> Result<(), Gone> {
        let Some((rider, last_at_ms)) = &mut self.rider else { return Ok(()) };
        match serde_json::from_str::<Position>(body) {
            // The next is newer than any that was overtaken.
            Ok(position) if position.at_ms < *last_at_ms => Ok(()),
            Ok(position) => {
                *last_at_ms = position.at_ms;
                self.listener.tell(Told::position(self.of, rider, &position)).await
            }
            Err(error) => {
                tracing::warn!(%error, "a rider's position can't be read");
                Ok(())
            }
        }
    }

    /// Tells where the rider was last, if that is known; the next position says more.
    async fn last_position(&mut self) -> Result<(), Gone> {
        let Some((key, last_at_ms)) = &mut self.rider else { return Ok(()) };
        let target = Ref::<Rider>::new(key.clone());
        let answer = self.edge.cluster.ask(&target, &rider::Command::Get, ask(self.edge)).await;
        match answer.map(|answered| answered.reply) {
            Ok(rider::Reply::Last { last: Some(fix) }) if fix.at.0 >= *last_at_ms => {
                *last_at_ms = fix.at.0;
                let (lat, lng) = fix.position.degrees();
                let position = Position { lat, lng, at_ms: fix.at.0 };
                self.listener.tell(Told::position(self.of, key, &position)).await
            }
            _ => Ok(()),
        }
    }

    /// Remembers an event, and who has the order since.
    fn note(&mut self, event: &Envelope) {
        self.seen.note(event);
        let rider = match &*event.event_type {
            "delivery.assigned" | "delivery.started" => {
                event.data.get("rider").and_then(Value::as_str).and_then(|rider| Key::new(rider).ok())
            }
            "delivery.completed" | "delivery.failed" | "order.completed" | "order.cancelled" => None,
            _ => return,
        };
        let before = self.rider.as_ref().map(|(rider, _)| rider);
        if before == rider.as_ref() {
            return;
        }
        if let Some(before) = before {
            self.inbox.remove(&position_topic(before));
        }
        if let Some(rider) = &rider {
            self.inbox.add(position_topic(rider));
        }
        self.rider = rider.map(|rider| (rider, 0));
    }
}

/// Spread, so that not all look at the same time.
fn next_look() -> Instant {
    Instant::now() + RECHECK.mul_f64(rand::random_range(0.75..1.25))
}

/// What happened to an order behind a cursor, in the order in which it is told.
async fn history(edge: &Edge, order: &Key, after: &Cursor) -> Result<Vec<Envelope>, Failure> {
    let cluster = &edge.cluster;
    let (order, payment, delivery) =
        (Ref::<Order>::new(order.clone()), Ref::<Payment>::new(order.clone()), Ref::<Delivery>::new(order.clone()));
    let (order, payment, delivery) = tokio::try_join!(
        cluster.history(&order, after.at(Source::Order), HISTORY_MAX),
        cluster.history(&payment, after.at(Source::Payment), HISTORY_MAX),
        cluster.history(&delivery, after.at(Source::Delivery), HISTORY_MAX),
    )?;
    let mut events = [order, payment, delivery].concat();
    sort(&mut events);
    Ok(events)
}

/// The order, and its delivery once there is one, as their routes answer.
async fn snapshot(edge: &Edge, order: &Key) -> Result<Value, Problem> {
    let body = orders::details(edge, ask(edge), order).await?;
    let delivery = match delivery::of_order(edge, ask(edge), order).await {
        Ok(delivery) => Some(delivery),
        Err(problem) if problem.code == Code::NotFound => None,
        Err(problem) => return Err(problem),
    };
    Ok(json!({ "order": body, "delivery": delivery }))
}
