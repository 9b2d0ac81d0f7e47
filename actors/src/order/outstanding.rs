//! What an order wants from others: its saga.
//!
//! While it is placed, stock, cart and payment are asked side by side and their answers come back as one
//! command; a card is then charged. Confirmed, it wants the stock sold, the cart cleared and a delivery.
//! Cancelled, it wants undone whatever has been done or may have been: undoing is safe for those that
//! never got the request and makes them refuse it when it comes late. Nothing here is ever given up: an
//! order that is not confirmed has its deadline, and one that is must be carried out.

use std::time::Duration;

use nakku_cluster::{Answer, Call, Effect, Outstanding, Ref};

use super::command::{CancelReason, Command, Granted, PaymentMethod, Status};
use super::state::{CART, DELIVERY, Head, PAYMENT, STOCK, State, Terms};
use super::{Line, Order};
use crate::cart::{self, Cart};
use crate::delivery::{self, Delivery};
use crate::inventory::{self, Stock};
use crate::payment::{self, Payment};

/// How long the stock remembers that goods of a cancelled order came back.
pub const RETURN_REMEMBERED: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// What is outstanding at the order's status.
pub fn outstanding(state: &State) -> Outstanding<Order> {
    let head = &state.head;
    let Some(terms) = &head.terms else { return Outstanding::none() };
    let mut outstanding = Outstanding::none();
    if head.status == Status::Placing {
        let effect = if head.charging { authorise(terms) } else { gather(state, terms) };
        outstanding = outstanding.effect(effect).wake(terms.deadline, Command::DeadlinePassed);
    }
    if head.follow != 0 {
        outstanding = outstanding.effect(follow(head, terms));
    }
    if head.cancel_requested.is_some() && head.follow & DELIVERY == 0 {
        outstanding = outstanding.effect(recall(head, terms));
    }
    if head.undo & (STOCK | CART) != 0 {
        outstanding = outstanding.effect(undo(state, terms));
    }
    if head.undo & PAYMENT != 0 {
        outstanding = outstanding.effect(void(terms));
    }
    if head.collect {
        outstanding = outstanding.effect(collect(terms));
    }
    outstanding
}

fn gather(state: &State, terms: &Terms) -> Effect<Order> {
    let order = terms.order.clone();
    let mut calls = vec![
        ask_stock(terms, inventory::Command::Reserve { order, lines: stock_lines(state), due_at: terms.deadline }),
        ask_cart(terms, cart::Command::Seal { order: terms.order.clone(), version: terms.cart_version }),
    ];
    if let PaymentMethod::Card { token } = &terms.payment {
        let open = payment::Command::Open { amount_minor: terms.total_minor, token: token.clone() };
        calls.push(ask_payment(terms, open));
    }
    Effect::new("gather", 0, calls, |answers| Command::Gathered {
        stock: granted(answers[0].of::<Stock>(), |rejection| match rejection {
            inventory::Rejection::Lacking { lines } => CancelReason::Lacking { lines },
            other => CancelReason::StockRefused { detail: other.to_string() },
        }),
        cart: granted(answers[1].of::<Cart>(), |rejection| match rejection {
            cart::Rejection::Sealed { order } => CancelReason::CartHeld { order },
            _ => CancelReason::CartChanged,
        }),
        payment: answers.get(2).map_or(Granted::Granted, |answer| {
            granted(answer.of::<Payment>(), |rejection| CancelReason::PaymentRefused { detail: rejection.to_string() })
        }),
    })
}

/// Charges the card: it is captured with its authorisation, so that a confirmed order is a paid one. The
/// payment answers that it is pending, which moves nothing, and tells the outcome by itself; asking again
/// meanwhile is what finds an outcome whose telling got lost.
fn authorise(terms: &Terms) -> Effect<Order> {
    let call = ask_payment(terms, payment::Command::Authorise { capture: true });
    Effect::new("authorise", 0, vec![call], |answers| {
        let outcome = match answers[0].of::<Payment>() {
            Ok(payment::Reply::Outcome { outcome }) => Some(outcome),
            Ok(_) => None,
            Err(rejection) => Some(payment::Outcome::Declined { reason: rejection.to_string() }),
        };
        Command::PaymentOutcome { outcome }
    })
}

fn follow(head: &Head, terms: &Terms) -> Effect<Order> {
    let order = || terms.order.clone();
    let mut calls = Vec::new();
    if head.follow & STOCK != 0 {
        calls.push((STOCK, ask_stock(terms, inventory::Command::Commit { order: order() })));
    }
    if head.follow & CART != 0 {
        calls.push((CART, ask_cart(terms, cart::Command::Clear { order: order() })));
    }
    if head.follow & DELIVERY != 0 {
        let create = delivery::Command::Create {
            store: terms.store.clone(),
            address: terms.address.clone(),
            total_minor: terms.total_minor,
            cash_due_minor: if terms.is_prepaid() { 0 } else { terms.total_minor },
        };
        calls.push((DELIVERY, ask_delivery(terms, &create)));
    }
    let (bits, calls): (Vec<u8>, Vec<Call>) = calls.into_iter().unzip();
    Effect::new("follow", u64::from(head.follow), calls, move |answers| {
        let mut refused = None;
        if let Some((_, answer)) = bits.iter().zip(&answers).find(|(bit, _)| **bit == DELIVERY) {
            refused = answer.of::<Delivery>().err().map(|rejection| rejection.to_string());
        }
        Command::Followed { done: accepted(&bits, &answers), refused }
    })
}

fn recall(head: &Head, terms: &Terms) -> Effect<Order> {
    let call = ask_delivery(terms, &delivery::Command::Cancel);
    Effect::new("recall", head.cancel_requests, vec![call], |answers| Command::Recalled {
        granted: matches!(answers[0], Answer::Reply(_)),
    })
}

fn undo(state: &State, terms: &Terms) -> Effect<Order> {
    let head = &state.head;
    let order = || terms.order.clone();
    let mut calls = Vec::new();
    if head.undo & STOCK != 0 {
        let command = match (head.confirmed_at, head.ended_at) {
            (Some(_), Some(ended_at)) => inventory::Command::Return {
                order: order(),
                lines: stock_lines(state),
                until: ended_at.plus(RETURN_REMEMBERED),
            },
            _ => inventory::Command::Release { order: order(), until: terms.deadline },
        };
        calls.push((STOCK, ask_stock(terms, command)));
    }
    if head.undo & CART != 0 {
        let command = cart::Command::Unseal { order: order(), version: terms.cart_version };
        calls.push((CART, ask_cart(terms, command)));
    }
    let (bits, calls): (Vec<u8>, Vec<Call>) = calls.into_iter().unzip();
    Effect::new("undo", u64::from(head.undo & (STOCK | CART)), calls, move |answers| Command::Undone {
        done: accepted(&bits, &answers) | given_up(&bits, &answers),
    })
}

fn void(terms: &Terms) -> Effect<Order> {
    let call = ask_payment(terms, payment::Command::Void);
    Effect::new("void", 0, vec![call], |answers| {
        let refunded_minor = match answers[0].of::<Payment>() {
            Ok(payment::Reply::Outcome { outcome: payment::Outcome::Voided { refunded_minor } }) => {
                Some(refunded_minor)
            }
            _ => None,
        };
        Command::Voided { refunded_minor }
    })
}

fn collect(terms: &Terms) -> Effect<Order> {
    let call = ask_payment(terms, payment::Command::Collect { amount_minor: terms.total_minor });
    Effect::new("collect", 0, vec![call], |answers| match answers[0].of::<Payment>() {
        Ok(_) => Command::Collected,
        // Moves nothing, so that it is repeated and seen to fail.
        Err(_) => Command::Undone { done: 0 },
    })
}

fn ask_stock(terms: &Terms, command: inventory::Command) -> Call {
    Call::ask(&Ref::<Stock>::new(terms.store.clone()), &command)
}

fn ask_cart(terms: &Terms, command: cart::Command) -> Call {
    Call::ask(&Ref::<Cart>::new(terms.user.clone()), &command)
}

fn ask_payment(terms: &Terms, command: payment::Command) -> Call {
    Call::ask(&Ref::<Payment>::new(terms.order.clone()), &command)
}

fn ask_delivery(terms: &Terms, command: &delivery::Command) -> Call {
    Call::ask(&Ref::<Delivery>::new(terms.order.clone()), command)
}

fn stock_lines(state: &State) -> Vec<inventory::Line> {
    let line = |line: &Line| inventory::Line { sku: line.sku.clone(), quantity: line.quantity };
    state.lines().iter().map(line).collect()
}

fn granted<T, R>(answer: Result<T, R>, reason: impl FnOnce(R) -> CancelReason) -> Granted {
    match answer {
        Ok(_) => Granted::Granted,
        Err(rejection) => Granted::Refused { reason: reason(rejection) },
    }
}

/// The bits of the calls that were not refused.
fn accepted(bits: &[u8], answers: &[Answer]) -> u8 {
    let accepted = bits.iter().zip(answers).filter(|(_, answer)| matches!(answer, Answer::Reply(_)));
    accepted.fold(0, |done, (bit, _)| done | bit)
}

/// The stock's bit when it refuses goods that come back so late that it may have forgotten that they did.
fn given_up(bits: &[u8], answers: &[Answer]) -> u8 {
    let stock = bits.iter().zip(answers).find(|(bit, _)| **bit == STOCK);
    match stock.map(|(_, answer)| answer.of::<Stock>()) {
        Some(Err(inventory::Rejection::TooLate)) => STOCK,
        _ => 0,
    }
}
