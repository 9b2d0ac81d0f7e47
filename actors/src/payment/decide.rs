//! How a payment decides.

use nakku_cluster::{Context, Decision};

use super::command::{Command, Outcome, REFUND_BYTES_MAX, REFUNDS_MAX, Rejection, Reply, Status, TOKEN_BYTES_MAX};
use super::event::Event;
use super::provider::{CardAnswer, CardOperation};
use super::state::{Head, State};
use crate::money::{AMOUNT_MINOR_MAX, Money};

type Decided = Result<Decision<Event, Reply>, Rejection>;

/// Decides one command.
///
/// # Errors
/// The payment's refusal.
pub fn decide(state: &State, command: Command, context: &mut Context) -> Decided {
    let head = &state.head;
    match command {
        Command::Open { amount_minor, token } => open(head, amount_minor, token, context),
        Command::Authorise { capture } => match head.status {
            Status::Opened => Ok(Decision::event(Event::AuthoriseRequested { capture }, Reply::Pending)),
            Status::None => Err(Rejection::NotNow { status: head.status }),
            _ => standing(head),
        },
        Command::Capture => match head.status {
            Status::Authorised => Ok(Decision::event(Event::CaptureRequested, Reply::Pending)),
            Status::None | Status::Opened | Status::Authorising => Err(Rejection::NotNow { status: head.status }),
            _ => standing(head),
        },
        Command::Void => void(head, context),
        Command::Refund { refund, amount_minor } => give_back(head, refund, amount_minor),
        Command::Collect { amount_minor } => collect(head, amount_minor, context),
        Command::Answered { number, answer } => Ok(answered(head, number, answer)),
        Command::OrderTold { number } if head.tell == Some(number) => {
            Ok(Decision::event(Event::OrderTold, Reply::Noted))
        }
        Command::OrderTold { .. } => Ok(Decision::reply(Reply::Noted)),
        Command::Get => Ok(Decision::reply(Reply::Payment(head.details()))),
    }
}

fn open(head: &Head, amount_minor: i64, token: String, context: &Context) -> Decided {
    check_amount(amount_minor, AMOUNT_MINOR_MAX)?;
    check_name("token", &token, TOKEN_BYTES_MAX)?;
    match head.status {
        Status::None => {
            let event = Event::Opened { order: context.key.clone(), amount_minor, token, at: context.now };
            Ok(Decision::event(event, Reply::Opened))
        }
        Status::Voiding | Status::Voided => Err(Rejection::Voided),
        _ if head.amount_minor == amount_minor && head.token.as_ref() == Some(&token) => {
            Ok(Decision::reply(Reply::Opened))
        }
        _ => Err(Rejection::Different),
    }
}

fn void(head: &Head, context: &Context) -> Decided {
    let order = context.key.clone();
    let voided = Reply::Outcome { outcome: Outcome::Voided { refunded_minor: head.refunded_minor } };
    match head.status {
        Status::None | Status::Opened => Ok(Decision::event(Event::Voided { order }, voided)),
        Status::Captured if head.token.is_none() => Err(Rejection::NotNow { status: head.status }),
        Status::Captured if head.captured_minor == head.refunded_minor => {
            Ok(Decision::event(Event::Voided { order }, voided))
        }
        Status::Authorising | Status::Capturing | Status::Authorised | Status::Captured if !head.void_wanted => {
            Ok(Decision::event(Event::VoidRequested { order }, Reply::Pending))
        }
        Status::Authorising | Status::Capturing | Status::Authorised | Status::Captured | Status::Voiding => {
            Ok(Decision::reply(Reply::Pending))
        }
        Status::Declined | Status::Voided => Ok(Decision::reply(voided)),
    }
}

fn give_back(head: &Head, refund: String, amount_minor: i64) -> Decided {
    check_name("refund", &refund, REFUND_BYTES_MAX)?;
    if let Some(known) = head.refunds.get(&refund) {
        return match known {
            known if known.amount_minor != amount_minor => Err(Rejection::Different),
            known if known.done => Ok(Decision::reply(Reply::Refunded)),
            _ => Ok(Decision::reply(Reply::Pending)),
        };
    }
    match head.status {
        Status::Captured if head.token.is_some() => {}
        Status::Voiding | Status::Voided => return Err(Rejection::Voided),
        status => return Err(Rejection::NotNow { status }),
    }
    check_amount(amount_minor, head.refundable_minor())?;
    if head.refunds.len() >= REFUNDS_MAX {
        return Err(Rejection::TooManyRefunds { max: REFUNDS_MAX });
    }
    Ok(Decision::event(Event::RefundRequested { refund, amount_minor }, Reply::Pending))
}

fn collect(head: &Head, amount_minor: i64, context: &Context) -> Decided {
    check_amount(amount_minor, AMOUNT_MINOR_MAX)?;
    match head.status {
        Status::None => {
            let event = Event::Collected { order: context.key.clone(), amount_minor, at: context.now };
            Ok(Decision::event(event, Reply::Collected))
        }
        Status::Captured if head.token.is_none() && head.amount_minor == amount_minor => {
            Ok(Decision::reply(Reply::Collected))
        }
        status => Err(Rejection::NotNow { status }),
    }
}

/// The card network's answer to the present operation; another one is late and changes nothing.
fn answered(head: &Head, number: u64, answer: CardAnswer) -> Decision<Event, Reply> {
    let operation = head.operation().filter(|_| number == head.answered);
    let (Some(operation), Some(order)) = (operation, head.order.clone()) else {
        return Decision::reply(Reply::Noted);
    };
    let amount_minor = operation.amount_minor;
    let event = match (operation.operation, answer) {
        (CardOperation::Authorise, CardAnswer::Approved { reference }) => Event::Authorised { amount_minor, reference },
        (CardOperation::Charge | CardOperation::Capture, CardAnswer::Approved { reference }) => {
            Event::Captured { amount_minor, reference }
        }
        (CardOperation::Void, CardAnswer::Approved { .. }) => Event::Voided { order },
        (CardOperation::Refund, CardAnswer::Approved { .. }) => {
            Event::Refunded { refund: operation.refund.unwrap_or_default(), amount_minor }
        }
        (
            CardOperation::Authorise | CardOperation::Charge | CardOperation::Capture,
            CardAnswer::Declined { reason },
        ) => Event::Declined { amount_minor, reason },
        // Money that is to go back goes back: the operation stays outstanding and shows as one that fails.
        (CardOperation::Void | CardOperation::Refund, CardAnswer::Declined { .. }) => {
            return Decision::reply(Reply::Noted);
        }
    };
    Decision::event(event, Reply::Noted)
}

fn standing(head: &Head) -> Decided {
    match head.outcome() {
        _ if head.void_wanted => Err(Rejection::Voided),
        Some(outcome) => Ok(Decision::reply(Reply::Outcome { outcome })),
        None => Ok(Decision::reply(Reply::Pending)),
    }
}

fn check_amount(amount_minor: i64, max_minor: i64) -> Result<(), Rejection> {
    let fits = amount_minor >= 1 && amount_minor <= max_minor && Money::from_minor(amount_minor).is_price();
    if fits { Ok(()) } else { Err(Rejection::AmountOutOfRange { max_minor }) }
}

fn check_name(field: &str, text: &str, max: usize) -> Result<(), Rejection> {
    let fits = (1..=max).contains(&text.len()) && !text.chars().any(char::is_control);
    if fits { Ok(()) } else { Err(Rejection::BadName { field: field.into() }) }
}
