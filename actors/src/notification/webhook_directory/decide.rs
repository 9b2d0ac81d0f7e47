//! How the directory of webhooks decides.

use nakku_cluster::{Context, Decision, Key};

use super::State;
use super::command::{Brief, Command, ENDED_MAX, Rejection, Reply, Route, SUBSCRIPTIONS_MAX};
use super::event::Event;
use super::state::Subscription;
use crate::notification::webhook::subscription::means;

/// Decides one command.
///
/// # Errors
/// The directory's refusal.
pub fn decide(state: &State, command: Command, context: &mut Context) -> Result<Decision<Event, Reply>, Rejection> {
    match command {
        Command::Set { endpoint, revision, types } => {
            let known = state.subscriptions.get(&endpoint);
            if known.is_some_and(|known| revision <= known.revision) {
                return Ok(Decision::reply(Reply::Noted));
            }
            if !types.is_empty() && !state.active.contains(&endpoint) && state.active.len() >= SUBSCRIPTIONS_MAX {
                return Err(Rejection::Full { limit: SUBSCRIPTIONS_MAX as u32 });
            }
            let forgotten = if types.is_empty() { one_too_many(state, &endpoint) } else { None };
            let at = context.now;
            Ok(Decision::event(Event::Set { endpoint, revision, types, at, forgotten }, Reply::Noted))
        }
        Command::Route { events } => {
            let routes = events.iter().filter_map(|event| {
                let endpoints = wanting(state, event);
                (!endpoints.is_empty()).then_some(Route { sequence: event.sequence, endpoints })
            });
            Ok(Decision::reply(Reply::Routes { routes: routes.collect() }))
        }
    }
}

fn wanting(state: &State, event: &Brief) -> Vec<Key> {
    let wants = |subscription: &Subscription| {
        subscription.since.iter().any(|(wanted, since)| event.time >= *since && means(wanted, &event.event_type))
    };
    state.active.iter().filter(|endpoint| state.subscriptions.get(*endpoint).is_some_and(wants)).cloned().collect()
}

/// Who is forgotten when one more endpoint wants nothing any more.
fn one_too_many(state: &State, ending: &Key) -> Option<Key> {
    if state.subscriptions.len() - state.active.len() < ENDED_MAX {
        return None;
    }
    let ended = state.subscriptions.iter().filter(|(endpoint, known)| known.since.is_empty() && *endpoint != ending);
    ended.min_by_key(|(_, known)| known.told_at).map(|(endpoint, _)| endpoint.clone())
}
