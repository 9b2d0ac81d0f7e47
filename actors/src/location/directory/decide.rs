//! How the directory decides.

use std::cmp::Reverse;

use nakku_cluster::{Context, Decision, Key, Timestamp};

use super::State;
use super::command::{
    AMONG_MAX, Command, FORGOTTEN_MS, FRESH_MS, Listed, NEAREST_MAX, Near, RIDERS_MAX, Rejection, Reply, STORES_MAX,
    STORES_READ_MAX, Serviceability, WITHIN_M_MAX,
};
use super::event::Event;
use crate::location::command::{Terms, View};
use crate::location::hours::Standing;
use crate::position::Position;

/// How many silent riders are forgotten when another one is heard of.
const FORGOTTEN_AT_ONCE: usize = 4;

type Outcome = Result<Decision<Event, Reply>, Rejection>;

/// Decides one command.
///
/// # Errors
/// The directory's refusal.
pub fn decide(state: &State, command: Command, context: &mut Context) -> Outcome {
    let now = context.now;
    match command {
        Command::StoreIs { store, revision, view } => {
            let known = state.stores.get(&store).map(|noted| noted.revision);
            if known.is_some_and(|known| revision <= known) {
                return Ok(Decision::reply(Reply::Noted));
            }
            if known.is_none() && state.stores.len() >= STORES_MAX {
                return Err(Rejection::Full { limit: STORES_MAX as u32 });
            }
            Ok(Decision::event(Event::StoreNoted { store, revision, view }, Reply::Noted))
        }
        Command::RiderAt { rider, revision, position, at } => {
            if state.riders.get(&rider).is_some_and(|seen| revision <= seen.revision) {
                return Ok(Decision::reply(Reply::Noted));
            }
            let forgotten = silent(state, &rider, now);
            Ok(Decision::event(Event::RiderNoted { rider, revision, position, at, forgotten }, Reply::Noted))
        }
        Command::RiderGone { rider, revision } => {
            let is_known = state.riders.get(&rider).is_some_and(|seen| revision > seen.revision);
            let gone = is_known.then_some(Event::RiderForgotten { rider });
            Ok(Decision::events(gone.into_iter().collect(), Reply::Noted))
        }
        Command::Serviceability { position, store } => {
            check_position(position)?;
            Ok(answer(serviceability(state, position, store.as_ref(), now)))
        }
        Command::Standing { store } => Ok(answer(match state.stores.get(&store) {
            Some(noted) => standing(&store, &noted.view, None, noted.view.description.base, now),
            None => Serviceability::Undescribed,
        })),
        Command::Stores { stores } => {
            require(stores.len() <= STORES_READ_MAX, "stores", || format!("has at most {STORES_READ_MAX} entries"))?;
            let listed = stores.into_iter().filter_map(|store| {
                let view = &state.stores.get(&store)?.view;
                Some(listed(store, view, now))
            });
            Ok(Decision::reply(Reply::Stores { stores: listed.collect() }))
        }
        Command::Nearest { position, within_m, limit, among } => {
            check_position(position)?;
            require(within_m <= WITHIN_M_MAX, "within_m", || format!("is at most {WITHIN_M_MAX}"))?;
            require((1..=NEAREST_MAX).contains(&limit), "limit", || format!("is 1 to {NEAREST_MAX}"))?;
            let named = among.as_ref().map_or(0, Vec::len);
            require(named <= AMONG_MAX, "among", || format!("has at most {AMONG_MAX} entries"))?;
            let mut riders: Vec<Near> = match &among {
                Some(among) => near(state, among.iter(), position, within_m, now).collect(),
                None => near(state, state.places.around(position, within_m), position, within_m, now).collect(),
            };
            riders.sort_unstable_by(|one, other| (one.distance_m, &one.rider).cmp(&(other.distance_m, &other.rider)));
            riders.dedup();
            riders.truncate(limit as usize);
            Ok(Decision::reply(Reply::Riders { riders }))
        }
    }
}

/// Of the zones around a place the one of the highest priority whose store takes orders; of equal ones that of the
/// nearest store. When none takes orders, the one that does so first.
fn serviceability(state: &State, position: Position, store: Option<&Key>, now: Timestamp) -> Serviceability {
    if store.is_some_and(|store| !state.stores.contains_key(store)) {
        return Serviceability::Undescribed;
    }
    let mut around = candidates(state, position);
    around.sort_unstable_by_key(Candidate::rank);
    let found =
        |candidate: &Candidate| standing(candidate.store, candidate.view, Some(candidate.zone), candidate.terms, now);
    let wanted = around.iter().filter(|candidate| store.is_none_or(|store| store == candidate.store)).map(found);
    let mut best: Option<Serviceability> = None;
    for outcome in wanted {
        match &best {
            _ if outcome.is_served() => return outcome,
            Some(known) if known.wait() <= outcome.wait() => {}
            _ => best = Some(outcome),
        }
    }
    best.unwrap_or_else(|| {
        let other = around.iter().find(|candidate| found(candidate).is_served());
        Serviceability::Outside { other: other.map(|candidate| candidate.store.clone()) }
    })
}

/// A zone around a place.
struct Candidate<'a> {
    store: &'a Key,
    view: &'a View,
    zone: &'a str,
    priority: i32,
    terms: Terms,
    distance_m: u32,
}

impl<'a> Candidate<'a> {
    /// Who comes first.
    fn rank(&self) -> (Reverse<i32>, u32, &'a Key, i64, &'a str) {
        (Reverse(self.priority), self.distance_m, self.store, self.terms.fee_minor, self.zone)
    }
}

fn candidates(state: &State, position: Position) -> Vec<Candidate<'_>> {
    let around = state.zones.around(position).filter_map(|(store, zone)| {
        let view = &state.stores.get(store)?.view;
        let (_, found) = view.zones.iter().find(|(id, _)| id == zone)?;
        let distance_m = view.description.position.distance_m(position);
        Some(Candidate { store, view, zone, priority: found.priority, terms: found.terms, distance_m })
    });
    around.collect()
}

/// Whether a store takes orders on these terms.
fn standing(store: &Key, view: &View, zone: Option<&str>, terms: Terms, now: Timestamp) -> Serviceability {
    let (store, name) = (store.clone(), view.description.name.clone());
    if let Some(pause) = view.pause.as_ref().filter(|pause| pause.lasts(now)) {
        return Serviceability::Paused { store, name, reason: pause.reason.clone(), until: pause.until };
    }
    match view.description.hours.at(now) {
        Standing::Open { closes_at } => {
            Serviceability::Served { store, name, zone: zone.map(str::to_owned), terms, closes_at }
        }
        Standing::Closed { opens_at } => Serviceability::Closed { store, name, opens_at },
    }
}

impl Serviceability {
    fn is_served(&self) -> bool {
        matches!(self, Self::Served { .. })
    }

    /// Until when one has to wait; whoever does not know comes last.
    fn wait(&self) -> Timestamp {
        match self {
            Self::Closed { opens_at: until, .. } | Self::Paused { until, .. } => until.unwrap_or(Timestamp(i64::MAX)),
            Self::Served { .. } | Self::Outside { .. } | Self::Undescribed => Timestamp(i64::MIN),
        }
    }
}

fn listed(store: Key, view: &View, now: Timestamp) -> Listed {
    let (open, until) = view.takes_orders(now);
    Listed { store, name: view.description.name.clone(), position: view.description.position, open, until }
}

fn near<'a>(
    state: &'a State,
    riders: impl Iterator<Item = &'a Key>,
    position: Position,
    within_m: u32,
    now: Timestamp,
) -> impl Iterator<Item = Near> {
    let known = riders.filter_map(|rider| Some((rider, state.riders.get(rider)?)));
    known
        .filter(move |(_, seen)| now.0.saturating_sub(seen.at.0) <= FRESH_MS)
        .map(move |(rider, seen)| Near {
            rider: rider.clone(),
            position: seen.position,
            at: seen.at,
            distance_m: seen.position.distance_m(position),
        })
        .filter(move |near| near.distance_m <= within_m)
}

/// Who is forgotten when a rider is heard of: those who have been silent for long, and whoever is one too many.
fn silent(state: &State, rider: &Key, now: Timestamp) -> Vec<Key> {
    let too_many = !state.riders.contains_key(rider) && state.riders.len() >= RIDERS_MAX;
    let others = state.silence.iter().filter(|(_, other)| other != rider).enumerate();
    others
        .take(FORGOTTEN_AT_ONCE)
        .take_while(|(at, (seen_at, _))| (too_many && *at == 0) || now.0.saturating_sub(seen_at.0) > FORGOTTEN_MS)
        .map(|(_, (_, other))| other.clone())
        .collect()
}

fn answer(outcome: Serviceability) -> Decision<Event, Reply> {
    Decision::reply(Reply::Serviceability(outcome))
}

fn check_position(position: Position) -> Result<(), Rejection> {
    require(position.is_on_earth(), "position", || "is a place on earth".into())
}

fn require(holds: bool, field: &str, problem: impl FnOnce() -> String) -> Result<(), Rejection> {
    if holds { Ok(()) } else { Err(Rejection::Invalid { field: field.into(), problem: problem() }) }
}
