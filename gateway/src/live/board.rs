//! Boards: a rider's deliveries and a store's open orders. They begin with a snapshot, hear events as they
//! come, and are sent a new snapshot whenever something may have been missed.

use std::time::Duration;

use nakku_actors::delivery::rider::{self, Rider};
use nakku_actors::order::state::{STATUS, STORE};
use nakku_actors::order::{Order, Status};
use nakku_cluster::{Answered, Key, Query, Ref};
use serde_json::{Value, json};
use tokio::time::{Instant, MissedTickBehavior};

use super::hub::{Notice, deliveries_topic, store_topic};
use super::protocol::Told;
use super::subscription::{Ended, Listener, Subscription, ask};
use crate::edge::Edge;
use crate::problem::Problem;
use crate::routes::delivery::RiderBody;
use crate::routes::orders::OrderEntry;

/// How often it is looked whether a rider has been offered something: offers are no public events.
const RIDER_LOOK: Duration = Duration::from_secs(2);
/// How often a store's open orders are looked at, whether or not anything was heard of.
const STORE_LOOK: Duration = Duration::from_secs(60);
/// Open orders of one status on a board.
pub const BOARD_MAX: u32 = 200;
/// What an open order can be.
const OPEN: [Status; 4] = [Status::Placing, Status::Confirmed, Status::Packed, Status::OutForDelivery];

/// What can be watched as a whole.
#[derive(Clone, Copy, Debug)]
pub enum Board<'a> {
    /// What is offered to a rider or in hand.
    Deliveries(&'a Key),
    /// The open orders of a store.
    Store(&'a Key),
}

impl Board<'_> {
    fn topic(self) -> String {
        match self {
            Self::Deliveries(rider) => deliveries_topic(rider),
            Self::Store(store) => store_topic(store),
        }
    }

    fn look_every(self) -> Duration {
        match self {
            Self::Deliveries(_) => RIDER_LOOK,
            Self::Store(_) => STORE_LOOK,
        }
    }

    async fn read(self, edge: &Edge) -> Result<Value, Problem> {
        match self {
            Self::Deliveries(rider) => deliveries(edge, rider).await,
            Self::Store(store) => open_orders(edge, store).await,
        }
    }
}

/// Follows a board until nobody listens any more.
///
/// # Errors
/// See [`Ended`]; at the beginning also when the board can't be read.
pub async fn follow<L: Listener>(edge: &Edge, of: &Subscription, board: Board<'_>, listener: &L) -> Result<(), Ended> {
    let mut inbox = edge.live.hub().inbox();
    inbox.add(board.topic());
    let mut told = board.read(edge).await?;
    listener.tell(Told::snapshot(of, &told, None)).await?;
    let look_every = board.look_every();
    let mut looks = tokio::time::interval_at(Instant::now() + look_every, look_every);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            notice = inbox.next() => match notice {
                Notice::Event(event) => listener.tell(Told::event(of, &event, None)).await?,
                Notice::Signal(_) => {}
                Notice::Missed => looks.reset_immediately(),
            },
            _ = looks.tick() => match board.read(edge).await {
                Ok(now) if now == told => {}
                Ok(now) => {
                    told = now;
                    listener.tell(Told::snapshot(of, &told, None)).await?;
                }
                Err(problem) => tracing::debug!(code = ?problem.code, "a board can't be read"),
            }
        }
    }
}

async fn deliveries(edge: &Edge, user: &Key) -> Result<Value, Problem> {
    let target = Ref::<Rider>::new(user.clone());
    let Answered { reply, entity_version } = edge.cluster.ask(&target, &rider::Command::Get, ask(edge)).await?;
    match reply {
        rider::Reply::Rider(view) => Ok(json!(RiderBody::new(view, entity_version))),
        other => Err(Problem::unexpected(&other)),
    }
}

/// The oldest first; `complete` says whether these are all.
async fn open_orders(edge: &Edge, store: &Key) -> Result<Value, Problem> {
    let mut orders = Vec::new();
    let mut complete = true;
    for status in OPEN {
        let query = Query::new().text(STORE, store.as_str()).text(STATUS, status.as_str()).limit(BOARD_MAX);
        let listed = edge.cluster.list::<Order>(&query).await?;
        complete &= listed.len() < BOARD_MAX as usize;
        orders.extend(listed.into_iter().filter_map(OrderEntry::new));
    }
    orders.sort_by(|one, other| (one.placed_at_ms, &one.id).cmp(&(other.placed_at_ms, &other.id)));
    Ok(json!({ "store": store, "orders": orders, "complete": complete }))
}
