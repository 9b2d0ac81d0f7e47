//! What a delivery wants from others: a rider from the roster, and that order, rider and roster learn how far
//! it is.

use nakku_cluster::{Answer, Call, Effect, Outstanding, Ref};

use super::command::{Command, Stage};
use super::rider::command::{Job, JobStage};
use super::rider::{self, Rider};
use super::roster::{self, Roster};
use super::state::{Head, Note, Place};
use super::{Delivery, State};
use crate::order::{self, Order};

/// After so many failures a rider's list is left as it is: the delivery does not rest on it.
const RIDER_ATTEMPTS_MAX: u32 = 20;

/// Everything that is open, and the timer of the offer or the search.
pub fn outstanding(state: &State) -> Outstanding<Delivery> {
    let head = &state.head;
    let Some(place) = &head.place else { return Outstanding::none() };
    let mut outstanding = Outstanding::none();
    // A rider's list hears first that a delivery is off it, then the roster: else the next one would meet a list
    // that is still taken.
    let lists_know = head.notes.is_empty();
    if head.stage == Stage::Searching && !head.queued && lists_know {
        outstanding = outstanding.effect(search(head, place));
    }
    if let Some(step) = head.steps.get(head.steps_told as usize) {
        let steps = head.steps_told + 1;
        let call =
            Call::ask(&Ref::<Order>::new(place.delivery.clone()), &order::Command::DeliveryUpdate { step: *step });
        // A refusal is an answer too: the order has no use for the step.
        let told = Effect::new("order", u64::from(steps), vec![call], move |_| Command::OrderTold { steps });
        outstanding = outstanding.effect(told);
    }
    if let Some(note) = head.notes.first() {
        outstanding = outstanding.effect(tell(head, place, note));
    }
    if head.stage.is_final() && !head.roster_released && lists_know {
        let release = roster::Command::Release { delivery: place.delivery.clone() };
        let call = Call::ask(&Ref::<Roster>::new(place.store.clone()), &release);
        outstanding = outstanding.effect(Effect::new("release", 0, vec![call], |_| Command::RosterReleased));
    }
    match head.stage {
        Stage::Searching => outstanding.wake(state.search_until(), Command::Due),
        Stage::Offered => outstanding.wake(state.offer_until(), Command::Due),
        _ => outstanding,
    }
}

fn search(head: &Head, place: &Place) -> Effect<Delivery> {
    let attempt = head.attempt;
    let request =
        roster::Command::RequestRider { delivery: place.delivery.clone(), attempt, avoid: head.asked.clone() };
    let call = Call::ask(&Ref::<Roster>::new(place.store.clone()), &request);
    Effect::new("search", u64::from(attempt), vec![call], move |answers| {
        match answers.first().map(Answer::of::<Roster>) {
            Some(Ok(roster::Reply::Found { rider })) => Command::RiderFound { rider, attempt },
            Some(Ok(_)) => Command::SearchQueued { attempt },
            Some(Err(_)) | None => Command::SearchRefused { attempt },
        }
    })
}

fn tell(head: &Head, place: &Place, note: &Note) -> Effect<Delivery> {
    let notes = head.notes_told + 1;
    let attempt = note.attempt;
    let command = match note.stage {
        Some(stage) => rider::Command::Show {
            job: Job {
                delivery: place.delivery.clone(),
                attempt,
                store: place.store.clone(),
                address: head.address.clone(),
                total_minor: head.total_minor,
                cash_due_minor: head.cash_due_minor,
                stage,
                offer_until: note.offer_until,
            },
        },
        None => rider::Command::Clear { delivery: place.delivery.clone(), attempt },
    };
    let call = Call::ask(&Ref::<Rider>::new(note.rider.clone()), &command);
    let accepted = note.stage.is_some_and(|stage| stage > JobStage::Offered);
    Effect::new("rider", u64::from(notes), vec![call], move |answers| {
        match answers.first().map(Answer::of::<Rider>) {
            // What the rider has accepted must come onto the list: moves nothing, so that it is repeated.
            Some(Ok(rider::Reply::Away)) if accepted => {
                Command::RiderTold { notes: notes - 1, away_from_attempt: None }
            }
            Some(Ok(rider::Reply::Away)) => Command::RiderTold { notes, away_from_attempt: Some(attempt) },
            _ => Command::RiderTold { notes, away_from_attempt: None },
        }
    })
    .give_up_after(RIDER_ATTEMPTS_MAX, Command::RiderTold { notes, away_from_attempt: None })
}
