//! How a rider's whereabouts decide.

use nakku_cluster::{Context, Decision, Timestamp};

use super::State;
use super::command::{
    ACCURACY_M_MAX, CLOCK_AHEAD_MAX_MS, Command, Fix, PING_AGE_MAX_MS, PingOutcome, Rejection, Reply, THIN_M, THIN_MS,
};
use super::event::Event;

/// Decides one command.
///
/// # Errors
/// The refusal.
pub fn decide(state: &State, command: Command, context: &mut Context) -> Result<Decision<Event, Reply>, Rejection> {
    let head = &state.head;
    match command {
        Command::Ping { .. } if head.gone => Err(Rejection::Gone),
        Command::Ping { position, accuracy_m, at } => {
            require(position.is_on_earth(), "position", "is a place on earth")?;
            let ahead = at.0.saturating_sub(context.now.0);
            require(ahead <= CLOCK_AHEAD_MAX_MS, "at_ms", "lies behind; set the clock of the device")?;
            // A clock that is a little fast must not make the next ping look older than this one.
            let fix = Fix { position, accuracy_m, at: at.min(context.now) };
            let outcome = outcome(head.last.as_ref(), &fix, context.now);
            if outcome != PingOutcome::Kept {
                return Ok(Decision::reply(Reply::Ping { outcome, last: head.last }));
            }
            let moved = Event::Moved { rider: context.key.clone(), fix };
            Ok(Decision::event(moved, Reply::Ping { outcome, last: Some(fix) }))
        }
        Command::Forget => {
            // Of whom nothing was ever known there is nothing to forget.
            let forgotten = head.rider.clone().filter(|_| !head.gone).map(|rider| Event::Forgotten { rider });
            Ok(Decision::events(forgotten.into_iter().collect(), Reply::Noted))
        }
        Command::Get => Ok(Decision::reply(Reply::Last { last: head.last })),
        Command::DirectoryTold { revision } => {
            let news = (head.told + 1..=head.revision).contains(&revision);
            let events = news.then_some(Event::Told { revision }).into_iter().collect();
            Ok(Decision::events(events, Reply::Noted))
        }
    }
}

fn outcome(last: Option<&Fix>, fix: &Fix, now: Timestamp) -> PingOutcome {
    if now.0.saturating_sub(fix.at.0) > PING_AGE_MAX_MS || last.is_some_and(|last| fix.at <= last.at) {
        return PingOutcome::Stale;
    }
    if fix.accuracy_m > ACCURACY_M_MAX {
        return PingOutcome::Inaccurate;
    }
    let soon = |last: &Fix| fix.at.0.saturating_sub(last.at.0) < THIN_MS;
    let near = |last: &Fix| fix.position.distance_m(last.position) < THIN_M;
    if last.is_some_and(|last| soon(last) && near(last)) { PingOutcome::Thinned } else { PingOutcome::Kept }
}

fn require(holds: bool, field: &str, problem: &str) -> Result<(), Rejection> {
    if holds { Ok(()) } else { Err(Rejection::Invalid { field: field.into(), problem: problem.into() }) }
}
