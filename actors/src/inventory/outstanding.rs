//! What a store's stock wants from others: the verdict of orders whose reservations are due. Stock never
//! expires alone.

use nakku_cluster::{Answer, Call, Effect, Outstanding, Ref};

use super::command::Command;
use super::{State, Stock};
use crate::order::{self, Order};

/// One question for each reservation that fell due, of which the state keeps few at a time; and the time at
/// which the next ones do.
pub fn outstanding(state: &State) -> Outstanding<Stock> {
    let mut outstanding = Outstanding::none();
    for (number, order) in state.asked() {
        let call = Call::ask(&Ref::<Order>::new(order.clone()), &order::Command::Verdict);
        let order = order.clone();
        outstanding = outstanding.effect(Effect::new("verdict", number, vec![call], move |answers| {
            let verdict = match answers.first().map(Answer::of::<Order>) {
                Some(Ok(order::Reply::Verdict { verdict })) => verdict,
                // No verdict: moves nothing, so that the order is asked again.
                _ => return Command::ReservationsDue,
            };
            Command::Judged { order, verdict }
        }));
    }
    match state.next_due() {
        Some(at) => outstanding.wake(at, Command::ReservationsDue),
        None => outstanding,
    }
}
