//! How a webhook decides.

use std::time::Duration;

use nakku_cluster::events::Envelope;
use nakku_cluster::{Context, Decision, Timestamp};

use super::State;
use super::command::{
    ATTEMPTS_PAGE_MAX, Command, DisabledReason, IN_FLIGHT_MAX, PAUSE_FIRST, PAUSE_MAX, PENDING_MAX, REPLAY_MAX,
    RETRY_FOR, Rejection, Replay, Reply, SECRET_OVERLAP, STATUS_GONE, Status,
};
use super::event::Event;
use super::secret::SigningSecret;
use super::sender::{Outcome as Sent, SendAnswer};
use super::state::{Endpoint, Stage};
use super::subscription::{check_types, check_url, means};

type Outcome = Result<Decision<Event, Reply>, Rejection>;

/// Decides one command.
///
/// # Errors
/// The webhook's refusal.
pub fn decide(state: &State, command: Command, context: &mut Context) -> Outcome {
    let now = context.now;
    match command {
        Command::Create { url, types, secret } => {
            if state.head.revision > 0 {
                return Err(Rejection::AlreadyExists);
            }
            check_secret(&secret)?;
            // Whether the network may be plain was decided by whoever knows the settings.
            let url = check_url(&url, true)?;
            let (id, types) = (context.key.clone(), check_types(types)?);
            shown_after(state, vec![Event::Created { id, url, types, secret, at: now }])
        }
        Command::Get => shown_after(state, Vec::new()),
        Command::Update { url, types, enabled } => {
            let endpoint = endpoint(state)?;
            let mut events = Vec::new();
            if let Some(url) = url.map(|url| check_url(&url, true)).transpose()?.filter(|url| *url != endpoint.url) {
                events.push(Event::Moved { url });
            }
            if let Some(types) = types.map(check_types).transpose()?.filter(|types| *types != endpoint.types) {
                events.push(Event::Subscribed { types });
            }
            match enabled {
                Some(true) if !state.is_enabled() => events.push(Event::Enabled),
                Some(false) if state.is_enabled() => {
                    events.push(Event::Disabled { reason: DisabledReason::Operator, at: now });
                }
                _ => {}
            }
            shown_after(state, events)
        }
        Command::RotateSecret { secret } => {
            endpoint(state)?;
            check_secret(&secret)?;
            shown_after(state, vec![Event::SecretRotated { secret, previous_until: now.plus(SECRET_OVERLAP) }])
        }
        Command::Delete => {
            endpoint(state)?;
            Ok(Decision::event(Event::Deleted, Reply::Noted))
        }
        Command::Attempts { before, limit } => {
            endpoint(state)?;
            let newest = state.attempts.iter().rev().map(|(_, attempt)| attempt);
            let wanted = newest.filter(|attempt| before.is_none_or(|before| attempt.number < before));
            let attempts = wanted.take(limit.min(ATTEMPTS_PAGE_MAX)).cloned().collect();
            Ok(Decision::reply(Reply::Attempts { attempts }))
        }
        Command::Replay { what } => replay(state, what, now),
        Command::Deliver { event } => Ok(deliver(state, event, now)),
        Command::Registered { revision, accepted } => {
            let is_news = state.head.registered < revision && revision <= state.head.revision;
            let mut events = Vec::new();
            if is_news {
                events.push(Event::Registered { revision });
                if !accepted && revision == state.head.revision && state.is_enabled() {
                    events.push(Event::Disabled { reason: DisabledReason::TooMany, at: now });
                }
            }
            Ok(Decision::events(events, Reply::Noted))
        }
        Command::Attempted { attempt, answer } => Ok(attempted(state, attempt, answer, context)),
        Command::Due => Ok(Decision::events(start(state, now, 0, &[]), Reply::Noted)),
    }
}

fn deliver(state: &State, event: Box<Envelope>, now: Timestamp) -> Decision<Event, Reply> {
    let wanted = |endpoint: &Endpoint| endpoint.types.iter().any(|wanted| means(wanted, &event.event_type));
    if !state.is_enabled() || !state.head.endpoint.as_ref().is_some_and(wanted) {
        return Decision::reply(Reply::Unwanted);
    }
    if state.by_event.contains_key(&event.id) {
        return Decision::reply(Reply::Noted);
    }
    let delivery = state.head.last_delivery + 1;
    let mut events = vec![Event::Queued { delivery, envelope: event, at: now }];
    if state.pending() >= PENDING_MAX {
        // Kept with the others as failed: nothing that was waiting is lost without a word.
        events.push(Event::Disabled { reason: DisabledReason::Backlog, at: now });
    } else {
        events.extend(start(state, now, 0, &[delivery]));
    }
    Decision::events(events, Reply::Noted)
}

fn attempted(state: &State, attempt: u64, answer: SendAnswer, context: &mut Context) -> Decision<Event, Reply> {
    let now = context.now;
    let is_it = |stage: Stage| stage == Stage::Sending { attempt };
    let sending = state.sending.iter().filter_map(|number| Some((*number, state.deliveries.get(number)?)));
    let Some((delivery, found)) = sending.into_iter().find(|(_, found)| is_it(found.stage)) else {
        // Of a delivery that was given up meanwhile.
        return Decision::reply(Reply::Noted);
    };
    let since = found.tried_since.unwrap_or(now);
    let end = since.plus(RETRY_FOR);
    let is_over = now >= end;
    let mut retry_at = None;
    let mut disabled = None;
    if !answer.outcome.is_success() {
        if answer.outcome == (Sent::Answered { status: STATUS_GONE }) {
            disabled = Some(DisabledReason::Gone);
        } else if !is_over {
            // The last attempt is at the end of the day.
            retry_at = Some(now.plus(pause(found.attempts, context)).min(end));
        } else if state.head.last_success_at.is_none_or(|at| at < since) {
            disabled = Some(DisabledReason::Unreachable { last: answer.outcome.clone() });
        }
    }
    let mut events = vec![Event::Attempted { attempt, delivery, answer, at: now, retry_at }];
    match disabled {
        Some(reason) => events.push(Event::Disabled { reason, at: now }),
        None => events.extend(start(state, now, 1, &[])),
    }
    Decision::events(events, Reply::Noted)
}

fn replay(state: &State, what: Replay, now: Timestamp) -> Outcome {
    if let Status::Disabled { reason, .. } = &endpoint(state)?.status {
        return Err(Rejection::Disabled { reason: reason.clone() });
    }
    let mut unknown = Vec::new();
    let mut wanted: Vec<u64> = match what {
        Replay::Failed => state.failed.iter().copied().collect(),
        Replay::Events(ids) => {
            if ids.is_empty() || ids.len() > REPLAY_MAX {
                return Err(invalid("events", format!("has 1 to {REPLAY_MAX} entries")));
            }
            let mut found = Vec::new();
            for id in ids {
                match state.by_event.get(&id) {
                    Some(delivery) => found.push(*delivery),
                    None => unknown.push(id),
                }
            }
            // What is on its way is sent anyway.
            found.retain(|delivery| state.delivered.contains(delivery) || state.failed.contains(delivery));
            found.sort_unstable();
            found.dedup();
            found
        }
    };
    let room = PENDING_MAX.saturating_sub(state.pending());
    let left = wanted.len().saturating_sub(room) as u64;
    wanted.truncate(room);
    let reply = Reply::Replayed { events: wanted.len() as u64, unknown, left };
    if wanted.is_empty() {
        return Ok(Decision::reply(reply));
    }
    let mut events = vec![Event::Requeued { deliveries: wanted.clone(), at: now }];
    events.extend(start(state, now, 0, &wanted));
    Ok(Decision::events(events, reply))
}

/// Begins attempts of what is due, and of `queued` behind it, as far as there is room; `ended` of those under way have
/// just ended.
fn start(state: &State, now: Timestamp, ended: usize, queued: &[u64]) -> Vec<Event> {
    if !state.is_enabled() {
        return Vec::new();
    }
    let room = (IN_FLIGHT_MAX + ended).saturating_sub(state.sending.len());
    let due = state.waiting.iter().take_while(|(at, _)| *at <= now).map(|(_, delivery)| *delivery);
    let next = due.chain(queued.iter().copied()).take(room);
    let begun = (state.head.last_attempt + 1..).zip(next);
    begun.map(|(attempt, delivery)| Event::Started { attempt, delivery, at: now }).collect()
}

/// Exponential, with up to a quarter taken off at random so that endpoints that failed together are not asked
/// together.
fn pause(attempts: u32, context: &mut Context) -> Duration {
    let full = PAUSE_FIRST.saturating_mul(3_u32.saturating_pow(attempts.saturating_sub(1))).min(PAUSE_MAX);
    let quarter = u64::try_from(full.as_millis() / 4).unwrap_or(u64::MAX);
    full - Duration::from_millis(context.random_u64() % quarter.max(1))
}

/// Answers with the endpoint as the events leave it.
fn shown_after(state: &State, events: Vec<Event>) -> Outcome {
    let mut after = State { head: state.head.clone(), ..State::default() };
    events.iter().for_each(|event| after.evolve(event));
    let endpoint = after.head.endpoint.as_ref().ok_or(Rejection::NotFound)?;
    let was_disabled = events.iter().any(|event| matches!(event, Event::Disabled { .. }));
    let mut view = state.view(endpoint);
    view.in_force = after.head.registered == after.head.revision;
    if was_disabled {
        view.failed += view.pending;
        view.pending = 0;
        view.next_attempt_at = None;
    }
    Ok(Decision::events(events, Reply::Endpoint(Box::new(view))))
}

fn endpoint(state: &State) -> Result<&Endpoint, Rejection> {
    state.head.endpoint.as_ref().ok_or(Rejection::NotFound)
}

fn check_secret(secret: &SigningSecret) -> Result<(), Rejection> {
    match secret.key() {
        Some(_) => Ok(()),
        None => Err(invalid("secret", "is whsec_ and 24 to 64 bytes in Base64".into())),
    }
}

fn invalid(field: &str, problem: String) -> Rejection {
    Rejection::Invalid { field: field.into(), problem }
}
