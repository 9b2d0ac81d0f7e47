//! How a rider's work list decides.

use nakku_cluster::{Context, Decision, Key};

use super::State;
use super::command::{Command, Job, JobStage, Presence, Rejection, Reply};
use super::event::Event;

type Outcome = Result<Decision<Event, Reply>, Rejection>;

/// Decides one command.
///
/// # Errors
/// The rider's refusal.
pub fn decide(state: &State, command: Command, context: &mut Context) -> Outcome {
    let head = &state.head;
    match command {
        Command::GoOnline { store } => match (head.presence, &head.store) {
            (Presence::Coming | Presence::Online, Some(at)) if *at == store => Ok(then(state, None)),
            (Presence::Offline, _) => Ok(then(state, Some(Event::Coming { rider: context.key.clone(), store }))),
            (presence, at) => Err(Rejection::Elsewhere { store: at.clone().unwrap_or(store), presence }),
        },
        Command::GoOffline => match (head.presence, &head.store, &head.job) {
            (_, _, Some(job)) => Err(Rejection::JobInHand { delivery: job.delivery.clone() }),
            (Presence::Coming | Presence::Online, Some(store), None) => {
                Ok(then(state, Some(Event::Leaving { store: store.clone() })))
            }
            _ => Ok(then(state, None)),
        },
        Command::Get => Ok(then(state, None)),
        Command::Show { job } => Ok(show(state, job)),
        Command::Clear { delivery, attempt } => {
            let known = is_cleared(state, &delivery, attempt);
            let events = (!known).then_some(Event::JobCleared { delivery, attempt });
            Ok(Decision::events(events.into_iter().collect(), Reply::Noted))
        }
        Command::RosterAnswered { turn, done } if turn == head.turn => {
            let event = match (head.presence, head.store.clone(), done) {
                (Presence::Coming, Some(store), true) => Some(Event::Online { store }),
                (Presence::Coming, Some(store), false) | (Presence::Leaving, Some(store), true) => {
                    Some(Event::Offline { store })
                }
                _ => None,
            };
            Ok(then(state, event))
        }
        Command::RosterAnswered { .. } => Ok(then(state, None)),
    }
}

/// The roster keeps a rider for one delivery at a time, so another one in hand is a leftover, and says so.
fn show(state: &State, job: Job) -> Decision<Event, Reply> {
    let head = &state.head;
    if is_cleared(state, &job.delivery, job.attempt) {
        return Decision::reply(Reply::Noted);
    }
    if let Some(known) = &head.job {
        if known.delivery != job.delivery {
            return Decision::reply(Reply::Away);
        }
        let newer = (job.attempt, job.stage) > (known.attempt, known.stage);
        let events = newer.then_some(Event::JobShown { job }).into_iter().collect();
        return Decision::events(events, Reply::Noted);
    }
    let at_work_there = head.store.as_ref() == Some(&job.store);
    match head.presence {
        // Accepted is accepted, even by someone who was about to leave.
        _ if job.stage > JobStage::Offered => Decision::event(Event::JobShown { job }, Reply::Noted),
        Presence::Coming | Presence::Online if at_work_there => Decision::event(Event::JobShown { job }, Reply::Noted),
        _ => Decision::reply(Reply::Away),
    }
}

fn is_cleared(state: &State, delivery: &Key, attempt: u32) -> bool {
    state.head.cleared.iter().any(|(cleared, until)| cleared == delivery && attempt <= *until)
}

/// Replies with the rider as they will be after the event.
fn then(state: &State, event: Option<Event>) -> Decision<Event, Reply> {
    let Some(event) = event else { return Decision::reply(Reply::Rider(state.view())) };
    let mut after = state.clone();
    after.evolve(&event);
    Decision::event(event, Reply::Rider(after.view()))
}
