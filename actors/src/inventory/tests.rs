//! Properties of a store's stock over random commands, repeated and out of order as a cluster may bring them.

use std::collections::BTreeMap;
use std::time::Duration;

use nakku_cluster::{Entity, Key, Timestamp};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use super::command::{ASKED_MAX, LOW_STOCK_AT, LowStockLine, RECEIPTS_MAX};
use super::state::{Stage, TOMBSTONES_GATHER};
use super::{Command, Event, Line, Rejection, Reply, State, Stock, Verdict};
use crate::properties::{Alone, check};

/// The deadline of an order: fixed, as that of a real one, and different from others'.
fn deadline(order: &Key) -> Timestamp {
    let number: i64 = order.as_str().trim_start_matches("u-1.o-").parse().unwrap();
    Timestamp(1_000_000 + 1_000 * number)
}

fn order() -> impl Strategy<Value = Key> {
    (0..6_u8).prop_map(|number| Key::new(format!("u-1.o-{number}")).unwrap())
}

fn lines(quantity: std::ops::Range<u32>) -> impl Strategy<Value = Vec<Line>> {
    btree_map("[abc]", quantity, 1..=3)
        .prop_map(|lines| lines.into_iter().map(|(sku, quantity)| Line { sku, quantity }).collect())
}

/// Always the same for an order.
fn lines_of(order: &Key) -> Vec<Line> {
    let number = u32::from(order.as_str().as_bytes()[order.as_str().len() - 1] - b'0');
    let skus = [["a", "b"], ["b", "c"], ["c", "a"]][number as usize % 3];
    skus.iter().map(|sku| Line { sku: (*sku).into(), quantity: 1 + number % 4 }).collect()
}

fn command() -> impl Strategy<Value = Command> {
    let verdict = prop_oneof![
        Just(Verdict::Commit),
        Just(Verdict::Release),
        (0..9_000_i64).prop_map(|after| Verdict::Wait { until: Timestamp(1_000_000 + after) })
    ];
    prop_oneof![
        2 => ("r[0-9]", lines(1..12)).prop_map(|(receipt, lines)| Command::Supply { receipt, lines }),
        1 => ("r[0-9]", lines(1..4))
            .prop_map(|(adjustment, lines)| Command::Adjust { adjustment, lines, reason: "broken".into() }),
        6 => order().prop_map(|order| {
            Command::Reserve { lines: lines_of(&order), due_at: deadline(&order), order }
        }),
        3 => order().prop_map(|order| Command::Commit { order }),
        3 => order().prop_map(|order| Command::Release { until: deadline(&order), order }),
        2 => order().prop_map(|order| {
            Command::Return { lines: lines_of(&order), until: Timestamp(1_000_000_000), order }
        }),
        2 => Just(Command::ReservationsDue),
        3 => (order(), verdict).prop_map(|(order, verdict)| Command::Judged { order, verdict }),
    ]
}

/// What the commands of a real order can be: it decides once, whatever order they come in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Told {
    commit: bool,
    release: bool,
    back: bool,
}

/// Leaves out what no order would say: a commit without a reservation that was granted, both of commit and
/// release, or a return of what was never sold.
fn sensible(state: &State, command: &Command, told: &mut BTreeMap<Key, Told>, reserved: &BTreeMap<Key, u32>) -> bool {
    let (Command::Commit { order }
    | Command::Release { order, .. }
    | Command::Return { order, .. }
    | Command::Judged { order, .. }) = command
    else {
        return true;
    };
    let asked = state.reservations.get(order).is_some_and(|reservation| reservation.stage == Stage::Asked);
    if matches!(command, Command::Judged { .. }) && !asked {
        // An answer to a question of long ago: must change nothing, whatever it says.
        return true;
    }
    let known = told.entry(order.clone()).or_default();
    let (mut commit, mut release) = (false, false);
    match command {
        Command::Commit { .. } | Command::Judged { verdict: Verdict::Commit, .. } => commit = true,
        Command::Release { .. } | Command::Judged { verdict: Verdict::Release, .. } => release = true,
        Command::Return { .. } if !known.commit => return false,
        Command::Return { .. } => known.back = true,
        _ => return !known.commit && !known.release,
    }
    if commit && (known.release || !reserved.contains_key(order)) || release && known.commit {
        return false;
    }
    known.commit |= commit;
    known.release |= release;
    true
}

fn invariants(state: &State) -> TestCaseResult {
    let mut held: BTreeMap<&str, u64> = BTreeMap::new();
    for reservation in state.reservations.values().filter(|reservation| reservation.stage.holds()) {
        for line in &reservation.lines {
            *held.entry(&line.sku).or_default() += u64::from(line.quantity);
        }
    }
    for (sku, line) in state.lines.iter() {
        prop_assert_eq!(line.on_hand, line.available + line.reserved, "{}: {:?}", sku, line);
        prop_assert_eq!(line.supplied, line.on_hand + line.sold + line.written_off, "{}: {:?}", sku, line);
        prop_assert!(line.supplied < 1_000_000, "{sku} went below nothing: {line:?}");
        prop_assert_eq!(line.reserved, held.get(sku.as_str()).copied().unwrap_or(0), "{}: {:?}", sku, line);
    }
    Ok(())
}

#[test]
fn stock_adds_up_whatever_comes_in_whatever_order() {
    check(600, &vec((command(), 0..700_i64), 1..120), |steps| {
        let mut stock = Alone::<Stock>::new("s-1");
        let mut told = BTreeMap::new();
        let mut reserved: BTreeMap<Key, u32> = BTreeMap::new();
        let mut sold: BTreeMap<String, i64> = BTreeMap::new();
        for (command, later) in steps {
            stock.now = stock.now.plus(Duration::from_millis(later.unsigned_abs()));
            if !sensible(&stock.state, &command, &mut told, &reserved) {
                continue;
            }
            let Ok((events, reply)) = stock.tell(command.clone()) else { continue };
            for event in &events {
                match event {
                    Event::Reserved { order, .. } => {
                        *reserved.entry(order.clone()).or_default() += 1;
                        prop_assert_eq!(told.get(order).copied().unwrap_or_default(), Told::default(), "{}", order);
                    }
                    Event::Committed { lines, .. } => count(&mut sold, lines, 1),
                    Event::Returned { order, lines, .. } if told[order].commit => count(&mut sold, lines, -1),
                    _ => {}
                }
            }
            invariants(&stock.state)?;
            // Invariant 6: the same again changes nothing and is answered alike.
            let (again, reply_again) = stock.tell(command.clone()).expect("what was accepted is accepted again");
            prop_assert!(again.is_empty(), "{command:?} twice: {again:?}");
            if !matches!(command, Command::Judged { .. }) {
                prop_assert_eq!(reply, reply_again);
            }
            prop_assert!(stock.state.asked().count() <= ASKED_MAX);
            let as_it_is = stock.outstanding();
            let reloaded = stock.reloaded();
            prop_assert_eq!(format!("{:?}", Stock::outstanding(&reloaded)), as_it_is);
        }
        prop_assert!(reserved.values().all(|times| *times == 1), "nobody reserves twice: {reserved:?}");
        for (sku, line) in stock.state.lines.iter() {
            prop_assert!(line.sold <= line.supplied);
            let back_while_held = sold.get(sku).copied().unwrap_or(0);
            prop_assert!(back_while_held <= i64::try_from(line.sold).unwrap(), "{sku}: {line:?}");
        }
        Ok(())
    });
}

fn count(sold: &mut BTreeMap<String, i64>, lines: &[Line], sign: i64) {
    for line in lines {
        *sold.entry(line.sku.clone()).or_default() += sign * i64::from(line.quantity);
    }
}

#[test]
fn stock_never_expires_alone_and_ends_free_or_sold() {
    check(200, &vec((command(), 0..700_i64), 1..80), |steps| {
        let mut stock = Alone::<Stock>::new("s-1");
        for (command, later) in steps {
            stock.now = stock.now.plus(Duration::from_millis(later.unsigned_abs()));
            let _ = stock.tell(command);
        }
        // Every order answers: those with an even number are confirmed.
        for _ in 0..10_000 {
            let asked: Vec<Key> = stock.state.asked().map(|(_, order)| order.clone()).collect();
            for order in &asked {
                let even = order.as_str().as_bytes().last().unwrap() % 2 == 0;
                let verdict = if even { Verdict::Commit } else { Verdict::Release };
                stock.tell(Command::Judged { order: order.clone(), verdict }).unwrap();
            }
            let Some(wake) = Stock::outstanding(&stock.state).wake else { break };
            stock.now = stock.now.max(wake.at);
            let (events, _) = stock.tell(wake.command).unwrap();
            prop_assert!(!events.is_empty(), "a timer that moves nothing would come back for ever");
        }
        invariants(&stock.state)?;
        prop_assert!(stock.state.reservations.is_empty(), "{:?}", stock.state.reservations);
        prop_assert!(stock.state.lines.values().all(|line| line.reserved == 0));
        Ok(())
    });
}

#[test]
fn an_order_gets_all_lines_or_none_and_hears_what_is_left() {
    let mut stock = Alone::<Stock>::new("s-1");
    let line = |sku: &str, quantity| Line { sku: sku.into(), quantity };
    let order = |number: u8| Key::new(format!("u-1.o-{number}")).unwrap();
    let reserve = |number, lines| Command::Reserve { order: order(number), lines, due_at: Timestamp(2_000_000) };
    let supply = Command::Supply { receipt: "r1".into(), lines: vec![line("a", 3), line("b", 7)] };
    stock.tell(supply.clone()).unwrap();
    stock.tell(supply).unwrap();
    let (events, reply) = stock.tell(reserve(1, vec![line("a", 3), line("b", 2)])).unwrap();
    assert_eq!(reply, Reply::Reserved);
    let types: Vec<_> = events.iter().map(nakku_cluster::Event::event_type).collect();
    assert_eq!(types, ["inventory.reserved", "inventory.out_of_stock", "inventory.low_stock"]);
    let refusal = stock.tell(reserve(2, vec![line("b", 1), line("a", 1), line("z", 9)])).unwrap_err();
    let Rejection::Lacking { lines } = refusal else { panic!("{refusal:?}") };
    let left: Vec<_> = lines.iter().map(|lack| (lack.sku.as_str(), lack.wanted, lack.available)).collect();
    assert_eq!(left, [("a", 1, 0), ("z", 9, 0)]);
    let (events, _) = stock.tell(Command::Release { order: order(1), until: Timestamp(2_000_000) }).unwrap();
    assert!(events.contains(&Event::BackInStock { sku: "a".into(), available: 3 }));
    assert_eq!(stock.tell(reserve(1, vec![line("a", 1)])), Err(Rejection::Closed));
    stock.now = Timestamp(2_000_000).plus(TOMBSTONES_GATHER);
    stock.tell(Command::ReservationsDue).unwrap();
    assert!(stock.state.reservations.is_empty());
    assert_eq!(stock.tell(reserve(1, vec![line("a", 1)])), Err(Rejection::TooLate));
}

#[test]
fn tens_of_thousands_of_reservations_fall_due_a_few_at_a_time() {
    const ORDERS: u32 = 20_000;
    let mut stock = Alone::<Stock>::new("s-1");
    let all = vec![Line { sku: "a".into(), quantity: ORDERS }];
    stock.tell(Command::Supply { receipt: "r".into(), lines: all }).unwrap();
    let started = std::time::Instant::now();
    for number in 0..ORDERS {
        let order = Key::new(format!("u-{number}.o-1")).unwrap();
        let lines = vec![Line { sku: "a".into(), quantity: 1 }];
        stock.tell(Command::Reserve { order, lines, due_at: Timestamp(2_000_000) }).unwrap();
        assert!(Stock::outstanding(&stock.state).effects.is_empty());
    }
    stock.now = Timestamp(3_000_000);
    let mut judged = 0;
    while stock.tell(Command::ReservationsDue).is_ok_and(|(events, _)| !events.is_empty()) {
        assert!(Stock::outstanding(&stock.state).effects.len() <= ASKED_MAX);
        let asked: Vec<Key> = stock.state.asked().map(|(_, order)| order.clone()).collect();
        for order in asked {
            stock.tell(Command::Judged { order, verdict: Verdict::Commit }).unwrap();
            judged += 1;
        }
    }
    assert_eq!(judged, ORDERS);
    assert_eq!(stock.state.lines.get("a").unwrap().sold, u64::from(ORDERS));
    assert!(stock.state.reservations.values().all(|reservation| reservation.stage == Stage::Committed));
    assert!(started.elapsed() < Duration::from_secs(15), "took {:?}", started.elapsed());
}

#[test]
fn the_oldest_receipts_are_forgotten() {
    let mut stock = Alone::<Stock>::new("s-1");
    for number in 0..=RECEIPTS_MAX {
        let lines = vec![Line { sku: "a".into(), quantity: 1 }];
        stock.tell(Command::Supply { receipt: format!("r{number}"), lines }).unwrap();
    }
    assert_eq!(stock.state.receipts.len(), RECEIPTS_MAX);
    assert!(!stock.state.receipts.contains_key("r0"));
    let other = Command::Supply { receipt: "r1".into(), lines: vec![Line { sku: "a".into(), quantity: 2 }] };
    assert_eq!(stock.tell(other), Err(Rejection::ReceiptReused { receipt: "r1".into() }));
}

#[test]
fn what_is_out_of_bounds_is_refused_by_name() {
    let mut stock = Alone::<Stock>::new("s-1");
    let supply =
        |sku: &str, quantity| Command::Supply { receipt: "r".into(), lines: vec![Line { sku: sku.into(), quantity }] };
    assert!(matches!(stock.tell(supply("a", 0)), Err(Rejection::QuantityOutOfRange { quantity: 0, .. })));
    assert!(matches!(stock.tell(supply("a", u32::MAX)), Err(Rejection::QuantityOutOfRange { .. })));
    assert!(matches!(stock.tell(supply("", 1)), Err(Rejection::BadName { .. })));
    assert!(matches!(stock.tell(supply("a b", 1)), Err(Rejection::BadName { .. })));
    let none = Command::Supply { receipt: "r".into(), lines: Vec::new() };
    assert!(matches!(stock.tell(none), Err(Rejection::LineCount { lines: 0, .. })));
    let twice = vec![Line { sku: "a".into(), quantity: 1 }; 2];
    let twice = Command::Supply { receipt: "r".into(), lines: twice };
    assert_eq!(stock.tell(twice), Err(Rejection::SkuRepeated { sku: "a".into() }));
}

#[test]
fn pages_follow_each_other() {
    let mut stock = Alone::<Stock>::new("s-1");
    let lines: Vec<Line> = (0..25).map(|number| Line { sku: format!("p-{number:02}"), quantity: 1 }).collect();
    stock.tell(Command::Supply { receipt: "r".into(), lines }).unwrap();
    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let Ok((_, Reply::Levels { levels, next })) = stock.tell(Command::Page { after, limit: 10 }) else {
            panic!("a page")
        };
        seen.extend(levels.into_iter().map(|level| level.sku));
        after = next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen.len(), 25);
    assert!(seen.is_sorted());
}

/// What is told when a decision makes something scarce: its SKU, what is left and the threshold.
fn told_low(events: &[Event]) -> Vec<(&str, u64, u64)> {
    let low = |event| match event {
        &Event::LowStock { ref sku, available, threshold } => Some((sku.as_str(), available, threshold)),
        _ => None,
    };
    events.iter().filter_map(low).collect()
}

#[test]
fn each_sku_is_low_from_where_its_store_says() {
    let mut stock = Alone::<Stock>::new("s-1");
    let line = |sku: &str, quantity| Line { sku: sku.into(), quantity };
    let supplied = ["a", "b", "c"].map(|sku| line(sku, 20)).to_vec();
    stock.tell(Command::Supply { receipt: "r".into(), lines: supplied }).unwrap();
    let set = |lines: &[(&str, u64)]| {
        let lines = lines.iter().map(|&(sku, low_stock_at)| LowStockLine { sku: sku.into(), low_stock_at });
        Command::SetLowStock { lines: lines.collect() }
    };
    let (events, _) = stock.tell(set(&[("a", 10), ("b", 0)])).unwrap();
    assert_eq!(events.len(), 1);
    assert!(stock.tell(set(&[("a", 10), ("b", 0)])).unwrap().0.is_empty(), "repeated, it changes nothing");
    let mut number = 0;
    let mut write_off = |stock: &mut Alone<Stock>, quantity| {
        number += 1;
        let lines = ["a", "b", "c"].map(|sku| line(sku, quantity)).to_vec();
        let adjust = Command::Adjust { adjustment: format!("w{number}"), lines, reason: String::new() };
        let (events, _) = stock.tell(adjust).unwrap();
        let told: Vec<_> = told_low(&events).into_iter().map(|(sku, left, at)| (sku.to_owned(), left, at)).collect();
        told
    };
    assert_eq!(write_off(&mut stock, 9), []);
    assert_eq!(write_off(&mut stock, 1), [("a".to_owned(), 10, 10)]);
    assert_eq!(write_off(&mut stock, 4), [], "a is low already, c is not yet");
    assert_eq!(write_off(&mut stock, 1), [("c".to_owned(), 5, LOW_STOCK_AT)]);
    assert_eq!(write_off(&mut stock, 4), [], "b is never low");
    // Raised past what is left, it is low at once; lowered again it is not.
    let (events, _) = stock.tell(set(&[("b", 1), ("c", 8)])).unwrap();
    assert_eq!(told_low(&events), [("b", 1, 1)], "c was low before");
    assert!(told_low(&stock.tell(set(&[("b", 0)])).unwrap().0).is_empty());
    let levels = stock.reloaded().lines;
    let kept: Vec<u64> = levels.values().map(|line| line.low_stock_at).collect();
    assert_eq!(kept, [10, 0, 8]);
    let refused = |command| Alone::<Stock>::new("s-2").tell(command).unwrap_err();
    assert_eq!(refused(set(&[("a", 1)])), Rejection::UnknownSku { sku: "a".into() });
    let too_many = stock.tell(set(&[("a", 1_000_001)])).unwrap_err();
    assert!(matches!(too_many, Rejection::LowStockOutOfRange { max: 1_000_000, .. }), "{too_many}");
    let twice = stock.tell(set(&[("a", 1), ("a", 2)])).unwrap_err();
    assert_eq!(twice, Rejection::SkuRepeated { sku: "a".into() });
}

#[test]
fn rows_from_before_thresholds_read_as_the_default() {
    let event: Event = serde_json::from_str(r#"{"event":"low_stock","sku":"a","available":3}"#).unwrap();
    assert_eq!(told_low(&[event]), [("a", 3, LOW_STOCK_AT)]);
    let line = r#"{"on_hand":3,"available":3,"reserved":0,"supplied":3,"sold":0}"#;
    let line: super::state::StockLine = serde_json::from_str(line).unwrap();
    assert_eq!(line.low_stock_at, LOW_STOCK_AT);
    assert_eq!(super::state::StockLine::default().low_stock_at, LOW_STOCK_AT);
}
