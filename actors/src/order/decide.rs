//! How an order decides.

use std::collections::BTreeSet;
use std::time::Duration;

use nakku_cluster::{Context, Decision, Key, Timestamp};

use super::command::{
    ADDRESS_BYTES_MAX, CART_VERSION_MAX, CancelReason, Command, DEADLINE_MS_DEFAULT, DEADLINE_MS_MAX, DEADLINE_MS_MIN,
    DeliveryStep, FINGERPRINT_BYTES_MAX, Granted, LINES_MAX, Line, NAME_BYTES_MAX, PaymentMethod, Placement,
    QUANTITY_MAX, REASON_BYTES_MAX, Rejection, Reply, Status,
};
use super::event::{Event, Placed};
use super::state::{CART, DELIVERY, PAYMENT, STOCK, State, Terms};
use crate::inventory::Verdict;
use crate::money::Money;
use crate::payment::Outcome;
use crate::{inventory, location, payment};

type Decided = Result<Decision<Event, Reply>, Rejection>;

/// Decides one command.
///
/// # Errors
/// The order's refusal.
pub fn decide(state: &State, command: Command, context: &mut Context) -> Decided {
    if let Command::Place(placement) = command {
        return place(state, *placement, context);
    }
    let now = context.now;
    let Some(terms) = &state.head.terms else {
        return match command {
            // Nothing was placed, so nothing is held; a placing that comes yet finds its reservation refused.
            Command::Verdict => Ok(Decision::reply(Reply::Verdict { verdict: Verdict::Release })),
            Command::DeadlinePassed => Ok(Decision::reply(Reply::Noted)),
            _ => Err(Rejection::Unknown),
        };
    };
    match command {
        Command::Place(_) | Command::Status => summary(state, Vec::new()),
        Command::Get => {
            let details = state.details().ok_or(Rejection::Unknown)?;
            Ok(Decision::reply(Reply::Order(Box::new(details))))
        }
        Command::Cancel { reason } => cancel(state, terms, reason, now),
        Command::DeliveryUpdate { step } => Ok(noted(delivery_update(state, terms, step, now))),
        Command::Verdict => Ok(verdict(state, terms, now)),
        Command::PaymentOutcome { outcome } => Ok(noted(payment_outcome(state, terms, outcome, now))),
        Command::Gathered { stock, cart, payment } => Ok(noted(gathered(state, terms, [stock, cart, payment], now))),
        Command::Followed { done, refused } => Ok(noted(followed(state, terms, done, refused, now))),
        Command::Undone { done } => {
            let done = done & state.head.undo & !PAYMENT;
            Ok(noted((done != 0).then_some(Event::Undone { done })))
        }
        Command::Recalled { granted } => Ok(noted(recalled(state, terms, granted, now))),
        Command::Voided { refunded_minor } => Ok(noted(voided(state, refunded_minor))),
        Command::Collected => Ok(noted(state.head.collect.then_some(Event::Collected))),
        Command::DeadlinePassed => {
            let passed = state.head.status == Status::Placing && now >= terms.deadline;
            Ok(noted(passed.then(|| cancelled(state, CancelReason::DeadlinePassed, terms.held(), now))))
        }
    }
}

fn place(state: &State, placement: Placement, context: &Context) -> Decided {
    if let Some(terms) = &state.head.terms {
        if terms.fingerprint != placement.fingerprint {
            return Err(Rejection::KeyReused);
        }
        return summary(state, Vec::new());
    }
    let order = context.key.clone();
    let user = user_of(&order)?;
    check_placement(&placement)?;
    let total_minor = total_minor(&placement).ok_or_else(|| bad_field("total_minor"))?;
    if total_minor != placement.total_minor {
        return Err(Rejection::TotalDiffers { total_minor });
    }
    let deadline_ms = placement.deadline_ms.unwrap_or(DEADLINE_MS_DEFAULT);
    let placed = Placed {
        order,
        user,
        store: placement.store,
        cart_version: placement.cart_version,
        lines: placement.lines,
        delivery_fee_minor: placement.delivery_fee_minor,
        total_minor,
        payment: placement.payment,
        address: placement.address,
        fingerprint: placement.fingerprint,
        at: context.now,
        deadline: context.now.plus(Duration::from_millis(deadline_ms)),
        promised_minutes: placement.promised_minutes,
    };
    summary(state, vec![Event::Placed(Box::new(placed))])
}

fn cancel(state: &State, terms: &Terms, detail: String, now: Timestamp) -> Decided {
    if detail.len() > REASON_BYTES_MAX || detail.chars().any(char::is_control) {
        return Err(bad_field("reason"));
    }
    match state.head.status {
        Status::Placing => {
            let reason = CancelReason::Customer { detail };
            summary(state, vec![cancelled(state, reason, terms.held(), now)])
        }
        Status::Confirmed | Status::Packed if state.head.cancel_requested.is_none() => {
            summary(state, vec![Event::CancelRequested { detail }])
        }
        Status::None | Status::Confirmed | Status::Packed | Status::Cancelled => summary(state, Vec::new()),
        Status::OutForDelivery | Status::Delivered => Err(Rejection::TooLate),
    }
}

fn gathered(state: &State, terms: &Terms, answers: [Granted; 3], now: Timestamp) -> Option<Event> {
    if state.head.status != Status::Placing || state.head.charging {
        return None;
    }
    let mut refusal = None;
    let mut undo = 0;
    for (answer, bit) in answers.into_iter().zip([STOCK, CART, PAYMENT]) {
        match answer {
            Granted::Granted => undo |= bit & terms.held(),
            Granted::Refused { reason } => refusal = refusal.or(Some(reason)),
        }
    }
    Some(match refusal {
        Some(reason) => cancelled(state, reason, undo, now),
        None if terms.is_prepaid() => Event::Gathered,
        None => Event::Confirmed { captured_minor: 0, at: now, outline: state.outline() },
    })
}

fn payment_outcome(state: &State, terms: &Terms, outcome: Option<Outcome>, now: Timestamp) -> Option<Event> {
    if state.head.status == Status::Cancelled {
        return match outcome? {
            Outcome::Voided { refunded_minor } => voided(state, Some(refunded_minor)),
            Outcome::Declined { .. } => voided(state, Some(0)),
            // The order is undoing it already.
            Outcome::Authorised | Outcome::Captured { .. } => None,
        };
    }
    if state.head.status != Status::Placing || !state.head.charging {
        return None;
    }
    let (reason, undo) = match outcome? {
        Outcome::Captured { captured_minor } if captured_minor == terms.total_minor => {
            return Some(Event::Confirmed { captured_minor, at: now, outline: state.outline() });
        }
        Outcome::Captured { captured_minor } => {
            (CancelReason::PaymentRefused { detail: format!("{captured_minor} was captured") }, terms.held())
        }
        Outcome::Authorised => return None,
        Outcome::Declined { reason } => (CancelReason::PaymentDeclined { detail: reason }, STOCK | CART),
        Outcome::Voided { .. } => (CancelReason::PaymentRefused { detail: "voided".into() }, STOCK | CART),
    };
    Some(cancelled(state, reason, undo, now))
}

fn followed(state: &State, terms: &Terms, done: u8, refused: Option<String>, now: Timestamp) -> Option<Event> {
    let open = matches!(state.head.status, Status::Confirmed | Status::Packed) && state.head.follow & DELIVERY != 0;
    if let Some(detail) = refused.filter(|_| open) {
        // What else follows is either undone with it or repeated by those that can.
        return Some(cancelled_after_confirmation(state, terms, CancelReason::DeliveryFailed { detail }, now));
    }
    let done = done & state.head.follow;
    (done != 0).then_some(Event::Followed { done })
}

fn delivery_update(state: &State, terms: &Terms, step: DeliveryStep, now: Timestamp) -> Option<Event> {
    let status = state.head.status;
    let on_its_way = matches!(status, Status::Confirmed | Status::Packed | Status::OutForDelivery);
    match step {
        DeliveryStep::Assigned => (status == Status::Confirmed).then_some(Event::Packed),
        DeliveryStep::PickedUp => (on_its_way && status != Status::OutForDelivery).then_some(Event::Dispatched),
        DeliveryStep::Delivered => on_its_way.then(|| {
            let (outline, lines) = (state.outline(), state.lines().to_vec());
            Event::Completed { at: now, outline, lines }
        }),
        DeliveryStep::Failed => {
            let reason = CancelReason::DeliveryFailed { detail: String::new() };
            on_its_way.then(|| cancelled_after_confirmation(state, terms, reason, now))
        }
    }
}

fn recalled(state: &State, terms: &Terms, granted: bool, now: Timestamp) -> Option<Event> {
    let detail = state.head.cancel_requested.clone()?;
    Some(if granted {
        cancelled_after_confirmation(state, terms, CancelReason::Customer { detail }, now)
    } else {
        Event::CancelRefused
    })
}

fn voided(state: &State, refunded_minor: Option<i64>) -> Option<Event> {
    if state.head.undo & PAYMENT == 0 {
        return None;
    }
    Some(match refunded_minor? {
        0 => Event::PaymentVoided,
        amount_minor => Event::Refunded { amount_minor, outline: state.outline() },
    })
}

fn verdict(state: &State, terms: &Terms, now: Timestamp) -> Decision<Event, Reply> {
    let (verdict, event) = match state.head.status {
        Status::Placing if now < terms.deadline => (Verdict::Wait { until: terms.deadline }, None),
        Status::Placing => {
            let reason = CancelReason::DeadlinePassed;
            (Verdict::Release, Some(cancelled(state, reason, terms.held(), now)))
        }
        Status::None | Status::Cancelled => (Verdict::Release, None),
        Status::Confirmed | Status::Packed | Status::OutForDelivery | Status::Delivered => (Verdict::Commit, None),
    };
    Decision::events(event.into_iter().collect(), Reply::Verdict { verdict })
}

fn cancelled_after_confirmation(state: &State, terms: &Terms, reason: CancelReason, now: Timestamp) -> Event {
    let payment = if terms.is_prepaid() { PAYMENT } else { 0 };
    cancelled(state, reason, STOCK | payment, now)
}

fn cancelled(state: &State, reason: CancelReason, undo: u8, at: Timestamp) -> Event {
    Event::Cancelled { reason, undo, at, outline: state.outline(), refund_minor: state.head.captured_minor }
}

fn noted(event: Option<Event>) -> Decision<Event, Reply> {
    Decision::events(event.into_iter().collect(), Reply::Noted)
}

/// Answers with the order as it will be after the events.
fn summary(state: &State, events: Vec<Event>) -> Decided {
    let mut after = State::default();
    after.head = state.head.clone();
    for event in &events {
        after.evolve(event);
    }
    let summary = after.summary().ok_or(Rejection::Unknown)?;
    Ok(Decision::events(events, Reply::Status(summary)))
}

fn user_of(order: &Key) -> Result<Key, Rejection> {
    let bad = || Rejection::BadKey { key: order.clone() };
    let (user, rest) = order.as_str().split_once('.').ok_or_else(bad)?;
    if !rest.starts_with("o-") {
        return Err(bad());
    }
    Key::new(user).map_err(|_| bad())
}

fn total_minor(placement: &Placement) -> Option<i64> {
    let amounts = placement.lines.iter().map(|line| Money::from_minor(line.price_minor).checked_mul(line.quantity));
    let lines = amounts.into_iter().try_fold(Money::ZERO, |sum, amount| sum.checked_add(amount?))?;
    let total = lines.checked_add(Money::from_minor(placement.delivery_fee_minor))?;
    (total.is_price() && total > Money::ZERO).then_some(total.minor())
}

fn check_placement(placement: &Placement) -> Result<(), Rejection> {
    let count = placement.lines.len();
    if !(1..=LINES_MAX).contains(&count) {
        return Err(Rejection::LineCount { lines: count, max: LINES_MAX });
    }
    let mut seen = BTreeSet::new();
    for line in &placement.lines {
        check_line(line)?;
        if !seen.insert(line.sku.as_str()) {
            return Err(Rejection::SkuRepeated { sku: line.sku.clone() });
        }
    }
    require(placement.cart_version <= CART_VERSION_MAX, "cart_version")?;
    require(Money::from_minor(placement.delivery_fee_minor).is_price(), "delivery_fee_minor")?;
    require(is_text(&placement.address, ADDRESS_BYTES_MAX), "address")?;
    require(is_text(&placement.fingerprint, FINGERPRINT_BYTES_MAX), "fingerprint")?;
    if let PaymentMethod::Card { token } = &placement.payment {
        require(is_text(token, payment::command::TOKEN_BYTES_MAX), "token")?;
    }
    let promised_minutes = placement.promised_minutes.unwrap_or_default();
    require(promised_minutes <= location::command::PROMISED_MINUTES_MAX, "promised_minutes")?;
    let deadline_ms = placement.deadline_ms.unwrap_or(DEADLINE_MS_DEFAULT);
    require((DEADLINE_MS_MIN..=DEADLINE_MS_MAX).contains(&deadline_ms), "deadline_ms")
}

fn check_line(line: &Line) -> Result<(), Rejection> {
    require(is_text(&line.sku, inventory::command::NAME_BYTES_MAX), "sku")?;
    require(is_text(&line.name, NAME_BYTES_MAX), "name")?;
    if !(1..=QUANTITY_MAX).contains(&line.quantity) {
        return Err(Rejection::QuantityOutOfRange { sku: line.sku.clone(), max: QUANTITY_MAX });
    }
    require(Money::from_minor(line.price_minor).is_price(), "price_minor")?;
    require(Money::from_minor(line.tax_minor).is_price(), "tax_minor")
}

fn is_text(text: &str, bytes_max: usize) -> bool {
    (1..=bytes_max).contains(&text.len()) && !text.chars().any(char::is_control)
}

fn require(holds: bool, field: &str) -> Result<(), Rejection> {
    if holds { Ok(()) } else { Err(bad_field(field)) }
}

fn bad_field(field: &str) -> Rejection {
    Rejection::BadField { field: field.to_owned() }
}
