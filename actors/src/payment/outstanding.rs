//! What a payment wants from others: the card network's answer, and that the order hears of the outcome.

use nakku_cluster::{Call, Effect, Outstanding, Ref};

use super::command::Command;
use super::provider::{CardRequest, SIMULATED_CARD};
use super::{Payment, State};
use crate::money::CURRENCY;
use crate::order::{self, Order};

/// The present operation, and the last outcome that the order has not confirmed to know. Neither is ever
/// given up: the order has its own deadline, and voids what comes after it.
pub fn outstanding(state: &State) -> Outstanding<Payment> {
    let head = &state.head;
    let mut outstanding = Outstanding::none();
    if let (Some(operation), Some(token)) = (head.operation(), &head.token) {
        let request = CardRequest {
            token: token.clone(),
            operation: operation.operation,
            amount_minor: operation.amount_minor,
            currency: CURRENCY.to_owned(),
            reference: head.reference.clone(),
        };
        let number = head.answered;
        let call = Call::provider(SIMULATED_CARD, &request);
        outstanding = outstanding.effect(Effect::new("card", number, vec![call], move |answers| {
            let answer = answers.first().expect("one call has one answer").provided();
            Command::Answered { number, answer }
        }));
    }
    if let (Some(number), Some(order)) = (head.tell, &head.order) {
        let outcome = head.outcome();
        let call = Call::ask(&Ref::<Order>::new(order.clone()), &order::Command::PaymentOutcome { outcome });
        outstanding =
            outstanding.effect(Effect::new("tell", number, vec![call], move |_| Command::OrderTold { number }));
    }
    outstanding
}
