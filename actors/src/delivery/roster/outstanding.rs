//! What a roster wants from others: that deliveries learn who was found for them, or say whether they still
//! need who is kept for them.

use nakku_cluster::{Answer, Call, Effect, Outstanding, Ref};

use super::command::Command;
use super::{Roster, State};
use crate::delivery::{self, Delivery};

/// One effect for each rider whose delivery is being asked, and the timer of the next who is to be.
pub fn outstanding(state: &State) -> Outstanding<Roster> {
    let mut outstanding = Outstanding::none();
    for rider in &state.open {
        let Some(slot) = state.riders.get(rider) else { continue };
        let Some(kept) = &slot.kept else { continue };
        let (delivery, attempt) = (kept.delivery.clone(), kept.attempt);
        let found = delivery::Command::RiderFound { rider: rider.clone(), attempt };
        let call = Call::ask(&Ref::<Delivery>::new(delivery.clone()), &found);
        let effect = Effect::new("found", slot.ticket, vec![call], move |answers| {
            let answer = answers.first().map(Answer::of::<Delivery>);
            let needed = matches!(answer, Some(Ok(delivery::Reply::Delivery(_))));
            Command::FoundTold { delivery, attempt, needed }
        });
        outstanding = outstanding.effect(effect);
    }
    match state.checks.first() {
        Some((check_at, _)) => outstanding.wake(*check_at, Command::CheckDue),
        None => outstanding,
    }
}
