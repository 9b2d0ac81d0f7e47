//! Properties of an intake over random streams, delivered as a broker or a crash may bring them.

use std::collections::BTreeMap;

use nakku_cluster::events::{Envelope, Intake, intake};
use nakku_cluster::{EntityState, Key, Timestamp};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::bucket::{DAYS_KEPT, HOURS_KEPT, Resolution};
use super::command::{Command, Grouping, ROWS_MAX, Reply, Row};
use super::sums::{OTHER_EVENTS, PRODUCTS_MAX, Products, Sold, Sums};
use super::{Analytics, carts};
use crate::properties::{Alone, check};
use crate::public::PublicData;
use crate::{cart, order, user};

const HOUR_MS: i64 = 3_600_000;
/// Somewhere within an hour and a day.
const BEGIN: Timestamp = Timestamp(1_795_000_000_000);

type AnIntake = Alone<Intake<Analytics>>;

/// One event of a stream: after how long, of whom and what.
#[derive(Clone, Debug)]
struct Happened {
    later_ms: i64,
    user: u8,
    store: u8,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    Registered,
    CartUpdated(u32),
    CartCleared,
    Created,
    Confirmed(i64),
    Cancelled(i64, bool),
    Completed { minutes: i64, promised: Option<u32>, units: u32, price: i64 },
    Refunded(i64),
    Unknown,
}

fn happened() -> impl Strategy<Value = Happened> {
    let what = prop_oneof![
        1 => Just(What::Registered),
        3 => (0..3_u32).prop_map(What::CartUpdated),
        1 => Just(What::CartCleared),
        2 => Just(What::Created),
        2 => (1..100_000_i64).prop_map(What::Confirmed),
        1 => (1..100_000_i64, any::<bool>()).prop_map(|(total, confirmed)| What::Cancelled(total, confirmed)),
        2 => (0..100_i64, prop::option::of(5..30_u32), 1..5_u32, 1..10_000_i64).prop_map(
            |(minutes, promised, units, price)| What::Completed { minutes, promised, units, price }
        ),
        1 => (1..100_000_i64).prop_map(What::Refunded),
        1 => Just(What::Unknown),
    ];
    let later = prop_oneof![5 => 0..600_000_i64, 2 => 0..30 * HOUR_MS, 1 => 0..900 * HOUR_MS];
    (later, 0..4_u8, 0..3_u8, what).prop_map(|(later_ms, user, store, what)| Happened { later_ms, user, store, what })
}

fn key(text: impl Into<String>) -> Key {
    Key::new(text).unwrap()
}

/// As a source shard publishes it: sequences rise with gaps, each names the one before.
fn stream(all: &[Happened]) -> Vec<Envelope> {
    let (mut at, mut previous) = (BEGIN, 0);
    let publish = |(place, one): (usize, &Happened)| {
        at = Timestamp(at.0 + one.later_ms);
        let sequence = previous + 1 + place as u64 % 3;
        let published = envelope(one, at, sequence, previous);
        previous = sequence;
        published
    };
    all.iter().enumerate().map(publish).collect()
}

fn envelope(one: &Happened, at: Timestamp, sequence: u64, previous: u64) -> Envelope {
    let (user, store) = (key(format!("u-{}", one.user)), key(format!("s-{}", one.store)));
    let order = key(format!("{user}.o-1"));
    let lines = |units: u32, price: i64| {
        let line = |sku: &str| order::public::PublicLine {
            sku: sku.into(),
            name: sku.into(),
            quantity: units,
            price_minor: price,
            tax_minor: price / 20,
        };
        vec![line("p-milk"), line(&format!("p-{}", one.user))]
    };
    let event = match one.what {
        What::Registered => user::public::Registered { user }.event(),
        What::CartUpdated(quantity) => {
            let (store, sku) = (Some(store), "p-milk".to_owned());
            cart::public::Updated { user, store, sku, quantity, price_minor: None }.event()
        }
        What::CartCleared => cart::public::Cleared { user, order: None }.event(),
        What::Created => order::public::Created {
            order,
            user,
            store,
            lines: lines(1, 100),
            delivery_fee_minor: 0,
            total_minor: 200,
            currency: "INR".into(),
            payment_method: order::public::PublicMethod::Cash,
            placed_at_ms: at,
        }
        .event(),
        What::Confirmed(total_minor) => order::public::Confirmed {
            order,
            user,
            store,
            total_minor,
            captured_minor: 0,
            placed_at_ms: at,
            confirmed_at_ms: at,
            promised_minutes: None,
        }
        .event(),
        What::Cancelled(total_minor, confirmed) => order::public::Cancelled {
            order,
            user,
            store,
            total_minor,
            code: order::public::CancelCode::Customer,
            reason: String::new(),
            confirmed,
            refund_minor: 0,
            placed_at_ms: at,
            cancelled_at_ms: at,
        }
        .event(),
        What::Completed { minutes, promised, units, price } => order::public::Completed {
            order,
            user,
            store,
            lines: lines(units, price),
            total_minor: price * i64::from(units) * 2,
            placed_at_ms: Timestamp(at.0 - minutes * 60_000),
            confirmed_at_ms: at,
            completed_at_ms: at,
            promised_minutes: promised,
        }
        .event(),
        What::Refunded(amount_minor) => {
            let confirmed = true;
            order::public::Refunded { order, user, store, amount_minor, confirmed, placed_at_ms: at }.event()
        }
        What::Unknown => return raw("weather.changed", json!({ "rain": true }), at, sequence, previous),
    };
    raw(event.event_type, event.data.value(), at, sequence, previous)
}

fn raw(event_type: &'static str, data: Value, at: Timestamp, sequence: u64, previous: u64) -> Envelope {
    Envelope {
        specversion: "1.0".into(),
        id: format!("1-order-3-{sequence}"),
        source: "/nakku/order/3".into(),
        event_type: event_type.into(),
        subject: "u-1.o-1".into(),
        time: at,
        datacontenttype: "application/json".into(),
        dataschema: format!("urn:nakku:event:{event_type}:1"),
        traceparent: String::new(),
        service: "order".into(),
        shard: 3,
        sequence,
        previous,
        topic: None,
        data,
    }
}

fn fresh() -> AnIntake {
    Alone::new("order-3")
}

fn tell(intake: &mut AnIntake, command: Value) -> Value {
    let command = serde_json::from_value(command).expect("a command of an intake");
    let (_, reply) = intake.tell(command).expect("an answer");
    serde_json::to_value(reply).unwrap()
}

fn consume(intake: &mut AnIntake, events: &[Envelope]) -> Value {
    tell(intake, json!({ "consume": { "events": events } }))["consumed"].take()
}

fn consumed(events: &[Envelope]) -> AnIntake {
    let mut intake = fresh();
    for event in events {
        consume(&mut intake, std::slice::from_ref(event));
    }
    intake
}

/// Everything that an intake remembers.
fn remembered(state: &mut impl EntityState) -> Value {
    let parts: BTreeMap<_, _> = state.parts().into_iter().map(|(set, parts)| (set, parts.to_json())).collect();
    json!({ "head": serde_json::to_value(state.head()).unwrap(), "parts": parts })
}

fn rows(intake: &mut AnIntake, resolution: Resolution, store: Option<Key>, grouping: Grouping) -> Vec<Row> {
    let (mut rows, mut after) = (Vec::new(), None);
    loop {
        let (from, until) = (0, i64::MAX);
        let command = Command::Sums { resolution, from, until, store: store.clone(), grouping, after };
        let (_, reply) = intake.tell(intake::Command::Own(command)).unwrap();
        let intake::Reply::Own(Reply::Sums { rows: page, next, .. }) = reply else { panic!("{reply:?}") };
        assert!(page.len() <= ROWS_MAX);
        rows.extend(page);
        match next {
            Some(place) => after = Some(place),
            None => return rows,
        }
    }
}

fn total(intake: &mut AnIntake) -> Sums {
    let rows = rows(intake, Resolution::Day, None, Grouping::All);
    rows.into_iter().next().map(|row| row.sums).unwrap_or_default()
}

#[test]
fn however_a_stream_comes_the_sums_are_those_of_consuming_it_once() {
    let input = (vec(happened(), 1..60), vec((any::<prop::sample::Index>(), 1..20_usize), 0..30));
    check(300, &input, |(all, deliveries)| {
        let events = stream(&all);
        let mut once = consumed(&events);
        let mut anyhow = fresh();
        for (start, length) in deliveries {
            // Windows that begin too late leave a gap, those that begin early repeat.
            let start = start.index(events.len());
            let window = &events[start..(start + length).min(events.len())];
            let high_water = anyhow.state.head().high_water;
            let progress = consume(&mut anyhow, window);
            let gap = window[0].previous > high_water;
            prop_assert_eq!(progress["lacks"].is_null(), !gap, "{}", progress);
            prop_assert!(progress["high_water"].as_u64().unwrap() >= high_water);
            let mut reloaded = anyhow.reloaded();
            prop_assert_eq!(remembered(&mut reloaded), remembered(&mut anyhow.state));
            anyhow.state = reloaded;
        }
        consume(&mut anyhow, &events);
        prop_assert_eq!(remembered(&mut anyhow.state), remembered(&mut once.state));
        Ok(())
    });
}

#[test]
fn consuming_again_from_the_beginning_gives_the_same_sums() {
    check(200, &(vec(happened(), 1..60), any::<prop::sample::Index>()), |(all, middle)| {
        let events = stream(&all);
        let mut once = consumed(&events);
        let mut again = consumed(&events[..=middle.index(events.len())]);
        let parts = |intake: &mut AnIntake| remembered(&mut intake.state)["parts"].take();
        tell(&mut again, json!("reset"));
        prop_assert_eq!(parts(&mut again), parts(&mut fresh()));
        prop_assert_eq!(tell(&mut again, json!("reset")), json!("reset"), "twice is once");
        // What comes meanwhile lacks its predecessors: it is let pass, and read from the journal with them.
        let later = &events[1..];
        prop_assert_eq!(&consume(&mut again, later)["done"], &json!(later.len()));
        prop_assert_eq!(parts(&mut again), parts(&mut fresh()));
        let through = events.last().map(|event| event.sequence);
        tell(&mut again, json!({ "reread": { "events": events, "through": through } }));
        prop_assert_eq!(parts(&mut again), parts(&mut once));
        let heads = [&again, &once].map(|intake| (intake.state.head().mark(), intake.state.head().is_whole()));
        prop_assert_eq!(heads[0], heads[1]);
        Ok(())
    });
}

#[test]
fn sums_are_those_of_the_events() {
    check(200, &vec(happened(), 1..60), |mut all| {
        // Of a day, so that nothing is too old.
        all.iter_mut().for_each(|one| one.later_ms %= 600_000);
        let mut intake = consumed(&stream(&all));
        let sums = total(&mut intake);
        let count = |fits: fn(&What) -> bool| all.iter().filter(|one| fits(&one.what)).count() as u64;
        prop_assert_eq!(sums.registered, count(|what| matches!(what, What::Registered)));
        prop_assert_eq!(sums.placed, count(|what| matches!(what, What::Created)));
        prop_assert_eq!(sums.confirmed, count(|what| matches!(what, What::Confirmed(_))));
        prop_assert_eq!(sums.cancelled, count(|what| matches!(what, What::Cancelled(..))));
        prop_assert_eq!(sums.completed, count(|what| matches!(what, What::Completed { .. })));
        prop_assert_eq!(sums.refunded, count(|what| matches!(what, What::Refunded(_))));
        prop_assert_eq!(sums.events.values().sum::<u64>(), all.len() as u64);
        prop_assert_eq!(sums.punctuality.deliveries, sums.completed);
        prop_assert_eq!(sums.punctuality.minutes.iter().sum::<u64>(), sums.completed);
        let (mut gross, mut cancelled, mut refunds, mut units, mut late) = (0, 0, 0, 0, 0);
        for one in &all {
            match one.what {
                What::Confirmed(total) => gross += total,
                What::Cancelled(total, true) => cancelled += total,
                What::Refunded(amount) => refunds += amount,
                What::Completed { minutes, promised, units: pieces, .. } => {
                    units += u64::from(pieces) * 2;
                    late += u64::from(promised.is_some_and(|promised| minutes > promised.into()));
                }
                _ => {}
            }
        }
        prop_assert_eq!((sums.gross_minor, sums.net_minor()), (gross, gross - cancelled));
        prop_assert_eq!((sums.refunds_minor, sums.units, sums.punctuality.late), (refunds, units, late));

        let command = Command::Products { from: 0, until: i64::MAX, store: None };
        let (_, reply) = intake.tell(intake::Command::Own(command)).unwrap();
        let intake::Reply::Own(Reply::Products { products, .. }) = reply else { panic!("{reply:?}") };
        prop_assert_eq!(products.iter().map(|product| product.sold.units).sum::<u64>(), units);

        let mut merged = [Sums::default(), Sums::default(), Sums::default()];
        for row in rows(&mut intake, Resolution::Hour, None, Grouping::Bucket) {
            merged[0].merge(&row.sums);
        }
        for row in rows(&mut intake, Resolution::Day, None, Grouping::BucketAndStore) {
            merged[1].merge(&row.sums);
        }
        for store in 0..3 {
            for row in rows(&mut intake, Resolution::Hour, Some(key(format!("s-{store}"))), Grouping::All) {
                merged[2].merge(&row.sums);
            }
        }
        // What no store is named with.
        merged[2].merge(&Sums { registered: sums.registered, latest_at: sums.latest_at, ..Sums::default() });
        let expected = Sums { events: BTreeMap::new(), ..sums };
        for merged in merged {
            prop_assert_eq!(&merged, &expected);
        }
        Ok(())
    });
}

#[test]
fn a_cart_counts_when_it_is_begun() {
    let touched = |later_ms, user, quantity| Happened { later_ms, user, store: 0, what: What::CartUpdated(quantity) };
    let cleared = |user| Happened { later_ms: 1, user, store: 0, what: What::CartCleared };
    let idle = (carts::IDLE_HOURS + 1) * HOUR_MS;
    for (all, begun) in [
        (vec![touched(1, 1, 1), touched(1, 1, 2)], 1),
        (vec![touched(1, 1, 1), touched(1, 2, 1)], 2),
        (vec![touched(1, 1, 0)], 0),
        (vec![touched(1, 1, 1), cleared(1), touched(1, 1, 1)], 2),
        (vec![touched(1, 1, 1), touched(idle, 1, 1)], 2),
        (vec![touched(1, 1, 1), touched(idle / 2, 1, 1), touched(idle / 2, 1, 1)], 1),
    ] {
        assert_eq!(total(&mut consumed(&stream(&all))).carts, begun, "{all:?}");
    }
}

#[test]
fn what_is_too_old_is_dropped_and_not_taken_up_again() {
    let created = |later_ms| Happened { later_ms, user: 1, store: 1, what: What::Created };
    let mut intake = fresh();
    let mut events = stream(&[created(0), created((HOURS_KEPT - 1) * HOUR_MS), created(HOUR_MS)]);
    consume(&mut intake, &events[..2]);
    assert_eq!(rows(&mut intake, Resolution::Hour, None, Grouping::Bucket).len(), 2);
    consume(&mut intake, &events);
    assert_eq!(rows(&mut intake, Resolution::Hour, None, Grouping::Bucket).len(), 2, "the first hour has gone");
    assert_eq!(total(&mut intake).placed, 3, "its day has not");

    let last = events.pop().unwrap();
    let late = envelope(&created(0), Timestamp(BEGIN.0 - 48 * HOUR_MS), last.sequence + 1, last.sequence);
    consume(&mut intake, &[late]);
    assert_eq!(rows(&mut intake, Resolution::Hour, None, Grouping::Bucket).len(), 2);
    let future = Timestamp(BEGIN.0 + (DAYS_KEPT + 60) * 24 * HOUR_MS);
    consume(&mut intake, &[envelope(&created(0), future, last.sequence + 2, last.sequence + 1)]);
    assert_eq!(total(&mut intake).placed, 1, "only the last is left");
}

#[test]
fn what_does_not_fit_is_refused_and_can_be_set_aside() {
    let mut intake = fresh();
    let broken = raw("order.confirmed", json!({ "store": 7 }), BEGIN, 1, 0);
    let progress = consume(&mut intake, std::slice::from_ref(&broken));
    assert!(progress["refused"][1].as_str().unwrap().contains("order.confirmed"), "{progress}");
    tell(&mut intake, json!({ "set_aside": { "event": broken, "reason": "broken", "attempts": 4 } }));
    let fine = raw("order.unheard_of", json!({}), BEGIN, 2, 1);
    consume(&mut intake, std::slice::from_ref(&fine));
    assert_eq!(total(&mut intake).events, BTreeMap::from([("order.unheard_of".into(), 1)]));
}

#[test]
fn a_dead_letter_that_is_consumed_after_a_reset_counts_once() {
    let mut intake = fresh();
    let created = Happened { later_ms: 0, user: 1, store: 1, what: What::Created };
    let events = stream(&[created.clone(), created]);
    tell(&mut intake, json!({ "set_aside": { "event": events[0], "reason": "an older program", "attempts": 4 } }));
    consume(&mut intake, &events);
    assert_eq!(total(&mut intake).placed, 1);
    tell(&mut intake, json!("reset"));
    let replay = || serde_json::from_value(json!({ "replay": { "sequence": events[0].sequence } })).unwrap();
    assert!(matches!(intake.tell(replay()), Err(intake::Rejection::StillRefused { .. })), "the stream brings it");
    consume(&mut intake, &events);
    assert_eq!(total(&mut intake).placed, 2);
    assert!(matches!(intake.tell(replay()), Err(intake::Rejection::NoSuchLetter { .. })));
}

#[test]
fn products_and_types_beyond_their_bound_are_counted_together() {
    let mut products = Products::default();
    for number in 0..PRODUCTS_MAX + 10 {
        products.add(&format!("p-{number}"), Sold { units: 1 + number as u64, revenue_minor: 2 });
    }
    assert_eq!(products.by_sku.len(), PRODUCTS_MAX);
    assert_eq!(products.others, Sold { units: (1..=10).sum(), revenue_minor: 20 });

    let mut sums = Sums::default();
    for number in 0..200 {
        sums.count(&format!("type-{number}"), 1);
    }
    assert_eq!(sums.events.values().sum::<u64>(), 200);
    assert!(sums.events[OTHER_EVENTS] > 70);
}

#[test]
fn every_other_service_is_a_source() {
    use nakku_cluster::events::Consumer;
    let mut others: Vec<_> = crate::services().iter().map(|service| service.name).collect();
    others.retain(|name| *name != "analytics");
    for name in others {
        assert!(Analytics::SOURCES.contains(&name), "{name} is no source");
    }
}
