//! How a delivery decides.

use nakku_cluster::{Context, Decision, Key};

use super::State;
use super::command::{ADDRESS_BYTES_MAX, Command, OFFERS_MAX, REASON_BYTES_MAX, Rejection, Reply, Stage};
use super::event::{Event, Lapse};
use crate::money::Money;

type Outcome = Result<Decision<Event, Reply>, Rejection>;

/// Decides one command.
///
/// # Errors
/// The delivery's refusal.
pub fn decide(state: &State, command: Command, context: &mut Context) -> Outcome {
    let head = &state.head;
    let at = context.now;
    let store = || store_of(state);
    match command {
        Command::Create { store, address, total_minor, cash_due_minor } => {
            create(state, Wanted { store, address, total_minor, cash_due_minor }, context)
        }
        Command::Cancel => cancel(state, context),
        _ if head.place.is_none() => Err(Rejection::NotFound),
        Command::Get => then(state, Vec::new()),
        Command::Accept { rider } => match head.stage {
            Stage::Offered if is_with(state, &rider) => {
                then(state, vec![Event::Assigned { rider, store: store(), at }])
            }
            Stage::Assigned | Stage::PickedUp | Stage::Delivered if is_with(state, &rider) => then(state, Vec::new()),
            stage => refuse(state, &rider, stage),
        },
        Command::Decline { rider } => match head.stage {
            Stage::Offered if is_with(state, &rider) => then(state, lapse(state, rider, Lapse::Declined, context)),
            _ if !is_with(state, &rider) && head.asked.contains(&rider) => then(state, Vec::new()),
            stage => refuse(state, &rider, stage),
        },
        Command::PickUp { rider } => match head.stage {
            Stage::Assigned if is_with(state, &rider) => {
                then(state, vec![Event::Started { rider, store: store(), at }])
            }
            Stage::PickedUp | Stage::Delivered if is_with(state, &rider) => then(state, Vec::new()),
            stage => refuse(state, &rider, stage),
        },
        Command::Deliver { rider, cash_collected_minor } => match head.stage {
            Stage::PickedUp if is_with(state, &rider) => {
                if cash_collected_minor != head.cash_due_minor {
                    return Err(Rejection::CashDiffers { due_minor: head.cash_due_minor });
                }
                then(state, vec![Event::Completed { rider, store: store(), cash_collected_minor, at }])
            }
            Stage::Delivered if is_with(state, &rider) => then(state, Vec::new()),
            stage => refuse(state, &rider, stage),
        },
        Command::Fail { rider, reason } => match head.stage {
            Stage::Assigned | Stage::PickedUp if is_with(state, &rider) => {
                let reason = shortened(reason);
                then(state, vec![Event::Failed { rider: Some(rider), store: store(), reason, at }])
            }
            Stage::Failed if is_with(state, &rider) => then(state, Vec::new()),
            stage => refuse(state, &rider, stage),
        },
        Command::RiderFound { rider, attempt } => {
            let current = attempt == head.attempt;
            match head.stage {
                Stage::Searching if current => then(state, vec![Event::Offered { rider, attempt, at }]),
                stage if current && !stage.is_final() && is_with(state, &rider) => then(state, Vec::new()),
                _ => Ok(Decision::reply(Reply::NotNeeded)),
            }
        }
        Command::SearchQueued { attempt } => {
            let news = head.stage == Stage::Searching && attempt == head.attempt && !head.queued;
            then(state, news.then_some(Event::Queued { attempt }).into_iter().collect())
        }
        Command::SearchRefused { .. } => then(state, Vec::new()),
        Command::RosterReleased => {
            let news = head.stage.is_final() && !head.roster_released;
            then(state, news.then_some(Event::RosterReleased {}).into_iter().collect())
        }
        Command::OrderTold { steps } => {
            let news = steps > head.steps_told && steps as usize <= head.steps.len();
            then(state, news.then_some(Event::OrderTold { steps }).into_iter().collect())
        }
        Command::RiderTold { notes, away_from_attempt } => {
            let told = notes.saturating_sub(head.notes_told) as usize;
            if told == 0 || told > head.notes.len() {
                return then(state, Vec::new());
            }
            let mut events = vec![Event::RiderTold { notes }];
            if let Some(rider) = head.rider.clone()
                && head.stage == Stage::Offered
                && away_from_attempt == Some(head.attempt)
            {
                events.extend(lapse(state, rider, Lapse::Away, context));
            }
            then(state, events)
        }
        Command::Due => match (head.stage, head.rider.clone()) {
            (Stage::Searching, _) if at >= state.search_until() => then(state, vec![no_rider(state, context)]),
            (Stage::Offered, Some(rider)) if at >= state.offer_until() => {
                then(state, lapse(state, rider, Lapse::TimedOut, context))
            }
            _ => then(state, Vec::new()),
        },
    }
}

struct Wanted {
    store: Key,
    address: String,
    total_minor: i64,
    cash_due_minor: i64,
}

fn create(state: &State, wanted: Wanted, context: &Context) -> Outcome {
    let head = &state.head;
    let Wanted { store, address, total_minor, cash_due_minor } = wanted;
    let address = address.replace(char::is_control, " ");
    if let Some(place) = &head.place {
        let same = place.store == store
            && head.address == address
            && head.total_minor == total_minor
            && head.cash_due_minor == cash_due_minor;
        require(same, "delivery", "exists with other details")?;
        return then(state, Vec::new());
    }
    if head.stage == Stage::Cancelled {
        return Err(Rejection::Cancelled);
    }
    require((1..=ADDRESS_BYTES_MAX).contains(&address.len()), "address", "is empty or too long")?;
    require(Money::from_minor(total_minor).is_price(), "total_minor", "is no price")?;
    require((0..=total_minor).contains(&cash_due_minor), "cash_due_minor", "is not between 0 and the total")?;
    let delivery = context.key.clone();
    then(state, vec![Event::Scheduled { delivery, store, address, total_minor, cash_due_minor, at: context.now }])
}

fn cancel(state: &State, context: &Context) -> Outcome {
    let head = &state.head;
    match head.stage {
        Stage::Searching | Stage::Offered | Stage::Assigned => {
            let cancelled = Event::Cancelled { rider: head.rider.clone(), at: context.now };
            Ok(Decision::event(cancelled, Reply::Cancelled))
        }
        Stage::Cancelled => Ok(Decision::reply(Reply::Cancelled)),
        stage => Err(Rejection::WrongStage { stage }),
    }
}

/// The offer goes away, and with the last one the search.
fn lapse(state: &State, rider: Key, lapse: Lapse, context: &Context) -> Vec<Event> {
    let mut events = vec![Event::OfferLapsed { rider, lapse, at: context.now }];
    if state.head.attempt >= OFFERS_MAX || context.now >= state.search_until() {
        events.push(no_rider(state, context));
    }
    events
}

fn no_rider(state: &State, context: &Context) -> Event {
    Event::Failed { rider: None, store: store_of(state), reason: "no rider accepted it".into(), at: context.now }
}

fn store_of(state: &State) -> Option<Key> {
    state.head.place.as_ref().map(|place| place.store.clone())
}

fn is_with(state: &State, rider: &Key) -> bool {
    state.head.rider.as_ref() == Some(rider)
}

fn refuse(state: &State, rider: &Key, stage: Stage) -> Outcome {
    Err(if is_with(state, rider) { Rejection::WrongStage { stage } } else { Rejection::NotYours })
}

/// Replies with the delivery as it will be after the events.
fn then(state: &State, events: Vec<Event>) -> Outcome {
    let view = if events.is_empty() {
        state.view()
    } else {
        let mut after = state.clone();
        events.iter().for_each(|event| after.evolve(event));
        after.view()
    };
    Ok(Decision::events(events, Reply::Delivery(view.ok_or(Rejection::NotFound)?)))
}

/// At most [`REASON_BYTES_MAX`] bytes of it, without control characters.
fn shortened(reason: String) -> String {
    let mut short: String = reason.chars().filter(|character| !character.is_control()).collect();
    short.truncate(short.floor_char_boundary(REASON_BYTES_MAX));
    short
}

fn require(holds: bool, field: &str, problem: &str) -> Result<(), Rejection> {
    if holds { Ok(()) } else { Err(Rejection::Invalid { field: field.into(), problem: problem.into() }) }
}
