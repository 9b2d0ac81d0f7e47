//! How a store's stock decides.

use std::collections::BTreeSet;
use std::time::Duration;

use nakku_cluster::{Context, Decision, Key, Timestamp};

use super::command::{
    Command, LOW_STOCK_AT, Lack, Level, Line, LowStockLine, NAME_BYTES_MAX, PAGE_MAX, REASON_BYTES_MAX,
    RESERVATION_LINES_MAX, RESERVATION_QUANTITY_MAX, RESERVATIONS_MAX, Rejection, Reply, SKUS_MAX, SUPPLIED_MAX,
    SUPPLY_LINES_MAX, SUPPLY_QUANTITY_MAX, Verdict,
};
use super::event::Event;
use super::state::{Stage, State};
use crate::digest::short_digest;

/// How many tombstones one timer clears away.
const CLEARED_WITH_A_TIMER: usize = 512;
/// An order that wants more time is asked again after this at the earliest, whatever its clock says.
const POSTPONED_MIN: Duration = Duration::from_secs(1);
/// How many times as many records as reservations may be there for a release to leave a tombstone.
const TOMBSTONES_FACTOR: usize = 2;

type Decided = Result<Decision<Event, Reply>, Rejection>;

/// Decides one command.
///
/// # Errors
/// The stock's refusal.
pub fn decide(state: &State, command: Command, context: &mut Context) -> Decided {
    match command {
        Command::Supply { receipt, lines } => supply(state, receipt, lines),
        Command::Adjust { adjustment, lines, reason } => adjust(state, adjustment, lines, reason),
        Command::SetLowStock { lines } => set_low_stock(state, &lines),
        Command::Reserve { order, lines, due_at } => reserve(state, order, lines, due_at, context.now),
        Command::Commit { order } => commit(state, &order),
        Command::Release { order, until } => release(state, order, until, context.now),
        Command::Return { order, lines, until } => take_back(state, order, lines, until, context.now),
        Command::ReservationsDue => {
            let orders = state.due_by(context.now);
            let forgotten = state.served_by(context.now, CLEARED_WITH_A_TIMER);
            if orders.is_empty() && forgotten.is_empty() {
                return Ok(Decision::reply(Reply::Noted));
            }
            Ok(Decision::event(Event::FellDue { orders, forgotten }, Reply::Noted))
        }
        Command::Judged { order, verdict } => judged(state, order, &verdict, context.now),
        Command::Get { skus } => {
            line_count(skus.len(), PAGE_MAX)?;
            let levels = skus.iter().filter_map(|sku| level(state, sku)).collect();
            Ok(Decision::reply(Reply::Levels { levels, next: None }))
        }
        Command::Page { after, limit } => Ok(Decision::reply(page(state, after.as_deref(), limit))),
    }
}

fn supply(state: &State, receipt: String, lines: Vec<Line>) -> Decided {
    check_lines(&lines, SUPPLY_LINES_MAX, SUPPLY_QUANTITY_MAX)?;
    let fingerprint = fingerprint("supply", &lines);
    if known(state, "receipt", &receipt, &fingerprint)? {
        return Ok(Decision::reply(Reply::Supplied));
    }
    let fresh = lines.iter().filter(|line| !state.lines.contains_key(line.sku.as_str())).count();
    if state.lines.len() + fresh > SKUS_MAX {
        return Err(Rejection::TooManySkus { max: SKUS_MAX });
    }
    for line in &lines {
        let supplied = state.lines.get(line.sku.as_str()).map_or(0, |stock| stock.supplied);
        if supplied + u64::from(line.quantity) > SUPPLIED_MAX {
            return Err(Rejection::TooManySupplied { sku: line.sku.clone(), max: SUPPLIED_MAX });
        }
    }
    let mut events = vec![Event::Supplied { receipt, fingerprint, lines: lines.clone() }];
    more_available(state, &lines, &mut events);
    Ok(Decision::events(events, Reply::Supplied))
}

fn adjust(state: &State, adjustment: String, lines: Vec<Line>, reason: String) -> Decided {
    check_lines(&lines, SUPPLY_LINES_MAX, SUPPLY_QUANTITY_MAX)?;
    if reason.len() > REASON_BYTES_MAX || reason.chars().any(char::is_control) {
        return Err(Rejection::BadName { field: "reason".into() });
    }
    let fingerprint = fingerprint("adjust", &lines);
    if known(state, "adjustment", &adjustment, &fingerprint)? {
        return Ok(Decision::reply(Reply::Adjusted));
    }
    enough(state, &lines)?;
    let mut events = vec![Event::Adjusted { adjustment, fingerprint, lines: lines.clone(), reason }];
    fewer_available(state, &lines, &mut events);
    Ok(Decision::events(events, Reply::Adjusted))
}

fn set_low_stock(state: &State, lines: &[LowStockLine]) -> Decided {
    line_count(lines.len(), SUPPLY_LINES_MAX)?;
    let mut seen = BTreeSet::new();
    let (mut changed, mut low) = (Vec::new(), Vec::new());
    for line in lines {
        let LowStockLine { sku, low_stock_at: threshold } = line.clone();
        if !is_name(&sku) {
            return Err(Rejection::BadName { field: "sku".into() });
        }
        if threshold > u64::from(SUPPLY_QUANTITY_MAX) {
            return Err(Rejection::LowStockOutOfRange { sku, max: SUPPLY_QUANTITY_MAX });
        }
        let Some(stock) = state.lines.get(&sku) else { return Err(Rejection::UnknownSku { sku }) };
        if !seen.insert(sku.clone()) {
            return Err(Rejection::SkuRepeated { sku });
        }
        if stock.low_stock_at == threshold {
            continue;
        }
        changed.push(line.clone());
        let available = stock.available;
        if available > 0 && available <= threshold && available > stock.low_stock_at {
            low.push(Event::LowStock { sku, available, threshold });
        }
    }
    let set = (!changed.is_empty()).then_some(Event::LowStockSet { lines: changed });
    Ok(Decision::events(set.into_iter().chain(low).collect(), Reply::Noted))
}

fn reserve(state: &State, order: Key, lines: Vec<Line>, due_at: Timestamp, now: Timestamp) -> Decided {
    match state.reservations.get(&order).map(|reservation| reservation.stage) {
        Some(Stage::Held | Stage::Asked | Stage::Committed) => return Ok(Decision::reply(Reply::Reserved)),
        Some(Stage::Released | Stage::Returned) => return Err(Rejection::Closed),
        None => {}
    }
    // Tombstones are forgotten at the order's deadline; what comes after it would not be recognised.
    if due_at <= now {
        return Err(Rejection::TooLate);
    }
    check_lines(&lines, RESERVATION_LINES_MAX, RESERVATION_QUANTITY_MAX)?;
    if state.reservations.len() >= RESERVATIONS_MAX {
        return Err(Rejection::TooManyReservations { max: RESERVATIONS_MAX });
    }
    enough(state, &lines)?;
    let mut events = vec![Event::Reserved { order, lines: lines.clone(), due_at, at: now }];
    fewer_available(state, &lines, &mut events);
    Ok(Decision::events(events, Reply::Reserved))
}

fn commit(state: &State, order: &Key) -> Decided {
    match state.reservations.get(order) {
        Some(reservation) if reservation.stage.holds() => {
            let event = Event::Committed { order: order.clone(), lines: reservation.lines.clone() };
            Ok(Decision::event(event, Reply::Committed))
        }
        Some(reservation) if reservation.stage == Stage::Released => Err(Rejection::NotReserved),
        // Only an order that holds a reservation commits it, and goods are let go by its word alone. So one
        // that is not there any more has been committed, and its tombstone has served.
        _ => Ok(Decision::reply(Reply::Committed)),
    }
}

fn release(state: &State, order: Key, until: Timestamp, now: Timestamp) -> Decided {
    let Some(reservation) = state.reservations.get(&order) else {
        if until <= now {
            return Ok(Decision::reply(Reply::Released));
        }
        if state.reservations.len() >= TOMBSTONES_FACTOR * RESERVATIONS_MAX {
            return Err(Rejection::TooManyReservations { max: RESERVATIONS_MAX });
        }
        let event = Event::Released { order, lines: Vec::new(), until };
        return Ok(Decision::event(event, Reply::Released));
    };
    match reservation.stage {
        Stage::Held | Stage::Asked => {
            let lines = reservation.lines.clone();
            let until = until.max(reservation.due_at);
            let mut events = vec![Event::Released { order, lines: lines.clone(), until }];
            more_available(state, &lines, &mut events);
            Ok(Decision::events(events, Reply::Released))
        }
        Stage::Released | Stage::Returned => Ok(Decision::reply(Reply::Released)),
        Stage::Committed => Err(Rejection::NotReserved),
    }
}

fn take_back(state: &State, order: Key, lines: Vec<Line>, until: Timestamp, now: Timestamp) -> Decided {
    let known = state.reservations.get(&order);
    if let Some(Stage::Returned | Stage::Released) = known.map(|reservation| reservation.stage) {
        // Released ones were never sold: nothing is left to come back.
        return Ok(Decision::reply(Reply::Returned));
    }
    if until <= now {
        return Err(Rejection::TooLate);
    }
    check_lines(&lines, RESERVATION_LINES_MAX, RESERVATION_QUANTITY_MAX)?;
    let held = known.filter(|reservation| reservation.stage.holds());
    let lines = held.map_or(lines, |reservation| reservation.lines.clone());
    let sold = |line: &Line| state.lines.get(line.sku.as_str()).map_or(0, |stock| stock.sold);
    if held.is_none() && lines.iter().any(|line| sold(line) < u64::from(line.quantity)) {
        return Err(Rejection::NotReserved);
    }
    let held = held.is_some();
    let mut events = vec![Event::Returned { order, lines: lines.clone(), held, until }];
    more_available(state, &lines, &mut events);
    Ok(Decision::events(events, Reply::Returned))
}

fn judged(state: &State, order: Key, verdict: &Verdict, now: Timestamp) -> Decided {
    let Some(reservation) = state.reservations.get(&order).filter(|reservation| reservation.stage == Stage::Asked)
    else {
        return Ok(Decision::reply(Reply::Noted));
    };
    match verdict {
        Verdict::Commit => commit(state, &order),
        Verdict::Release => {
            let until = reservation.due_at;
            release(state, order, until, now)
        }
        Verdict::Wait { until } => {
            let due_at = (*until).max(now.plus(POSTPONED_MIN));
            Ok(Decision::event(Event::Postponed { order, due_at }, Reply::Noted))
        }
    }
}

fn page(state: &State, after: Option<&str>, limit: u32) -> Reply {
    let limit = usize::try_from(limit).unwrap_or(PAGE_MAX).clamp(1, PAGE_MAX);
    let mut rest = state.lines.iter_after(after).map(|(sku, stock)| stock.level(sku));
    let levels: Vec<Level> = rest.by_ref().take(limit).collect();
    let next = rest.next().and_then(|_| levels.last().map(|level| level.sku.clone()));
    Reply::Levels { levels, next }
}

fn level(state: &State, sku: &str) -> Option<Level> {
    state.lines.get(sku).map(|stock| stock.level(sku))
}

fn available(state: &State, sku: &str) -> u64 {
    state.lines.get(sku).map_or(0, |stock| stock.available)
}

fn enough(state: &State, lines: &[Line]) -> Result<(), Rejection> {
    let lacking: Vec<Lack> = lines
        .iter()
        .map(|line| (line, available(state, &line.sku)))
        .filter(|(line, available)| *available < u64::from(line.quantity))
        .map(|(line, available)| Lack { sku: line.sku.clone(), wanted: line.quantity, available })
        .collect();
    if lacking.is_empty() { Ok(()) } else { Err(Rejection::Lacking { lines: lacking }) }
}

/// Adds what is worth telling when these lines become unavailable.
fn fewer_available(state: &State, lines: &[Line], events: &mut Vec<Event>) {
    for line in lines {
        let stock = state.lines.get(line.sku.as_str());
        let threshold = stock.map_or(LOW_STOCK_AT, |stock| stock.low_stock_at);
        let before = available(state, &line.sku);
        let after = before - u64::from(line.quantity);
        if after == 0 {
            events.push(Event::OutOfStock { sku: line.sku.clone() });
        } else if after <= threshold && before > threshold {
            events.push(Event::LowStock { sku: line.sku.clone(), available: after, threshold });
        }
    }
}

/// Adds what is worth telling when these lines become available.
fn more_available(state: &State, lines: &[Line], events: &mut Vec<Event>) {
    for line in lines {
        // A SKU that the store has never had is not back.
        if state.lines.contains_key(line.sku.as_str()) && available(state, &line.sku) == 0 {
            events.push(Event::BackInStock { sku: line.sku.clone(), available: u64::from(line.quantity) });
        }
    }
}

/// Whether the id has been used for the same lines.
fn known(state: &State, field: &str, id: &str, fingerprint: &str) -> Result<bool, Rejection> {
    if !is_name(id) {
        return Err(Rejection::BadName { field: field.to_owned() });
    }
    match state.receipts.get(id) {
        Some(receipt) if receipt.fingerprint == fingerprint => Ok(true),
        Some(_) => Err(Rejection::ReceiptReused { receipt: id.to_owned() }),
        None => Ok(false),
    }
}

fn fingerprint(what: &str, lines: &[Line]) -> String {
    let quantities: Vec<[u8; 4]> = lines.iter().map(|line| line.quantity.to_be_bytes()).collect();
    let mut parts: Vec<&[u8]> = vec![what.as_bytes()];
    for (line, quantity) in lines.iter().zip(&quantities) {
        parts.extend([line.sku.as_bytes(), quantity.as_slice()]);
    }
    short_digest(&parts)
}

fn check_lines(lines: &[Line], lines_max: usize, quantity_max: u32) -> Result<(), Rejection> {
    line_count(lines.len(), lines_max)?;
    let mut seen = BTreeSet::new();
    for Line { sku, quantity } in lines {
        if !is_name(sku) {
            return Err(Rejection::BadName { field: "sku".into() });
        }
        if !(1..=quantity_max).contains(quantity) {
            return Err(Rejection::QuantityOutOfRange { sku: sku.clone(), quantity: *quantity, max: quantity_max });
        }
        if !seen.insert(sku) {
            return Err(Rejection::SkuRepeated { sku: sku.clone() });
        }
    }
    Ok(())
}

fn line_count(lines: usize, max: usize) -> Result<(), Rejection> {
    if (1..=max).contains(&lines) { Ok(()) } else { Err(Rejection::LineCount { lines, max }) }
}

fn is_name(text: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}
