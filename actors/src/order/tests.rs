//! Properties of an order alone, over random commands; [`shop`] has those of the whole saga.

mod shop;

use nakku_cluster::{Entity, Event as _, Key, Ref, Timestamp};
use proptest::collection::vec;
use proptest::prelude::*;

use super::command::{CancelReason, Command, DeliveryStep, Granted, Line, PaymentMethod, Placement, Rejection, Reply};
use super::{Event, Order, Status, order_key};
use crate::properties::{Alone, check};
use crate::{inventory, payment};

const SKUS: [&str; 3] = ["p-a", "p-b", "p-c"];
const PRICE_MINOR: i64 = 4_900;
const FEE_MINOR: i64 = 1_500;

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

fn line(sku: &str, quantity: u32) -> Line {
    Line { sku: sku.into(), name: sku.into(), quantity, price_minor: PRICE_MINOR, tax_minor: 233 }
}

fn placement(cart_version: u64, lines: Vec<Line>, payment: PaymentMethod) -> Placement {
    let units: i64 = lines.iter().map(|line| i64::from(line.quantity)).sum();
    Placement {
        store: key("s-1"),
        cart_version,
        lines,
        delivery_fee_minor: FEE_MINOR,
        total_minor: units * PRICE_MINOR + FEE_MINOR,
        payment,
        address: "12 Church Street, Bengaluru".into(),
        fingerprint: "first body".into(),
        deadline_ms: None,
        promised_minutes: Some(15),
    }
}

fn card(token: &str) -> PaymentMethod {
    PaymentMethod::Card { token: token.into() }
}

#[test]
fn an_order_in_cash_takes_few_events() {
    let mut order = Alone::<Order>::new("u-1.o-1");
    let mut types = Vec::new();
    let mut tell = |command| {
        let (events, _) = order.tell(command).unwrap();
        types.extend(events.iter().map(nakku_cluster::Event::event_type));
    };
    tell(Command::Place(Box::new(placement(1, vec![line(SKUS[0], 1)], PaymentMethod::Cash))));
    let yes = || Granted::Granted;
    tell(Command::Gathered { stock: yes(), cart: yes(), payment: yes() });
    tell(Command::Followed { done: 7, refused: None });
    assert_eq!(types, ["order.created", "order.confirmed", "order.followed"]);
    assert!(Order::outstanding(&order.state).effects.is_empty());
}

#[test]
fn the_key_of_an_order_follows_from_user_and_idempotency_key() {
    let user = key("u-1");
    assert_eq!(order_key(&user, "k"), order_key(&user, "k"));
    assert_ne!(order_key(&user, "k"), order_key(&user, "K"));
    assert_eq!(order_key(&user, "any text at all\n").shard_key(), "u-1");
    assert_eq!(Ref::<Order>::new(order_key(&user, "k")).key().as_str().len(), "u-1.o-".len() + 20);
}

#[test]
fn placing_again_answers_alike_and_bad_placings_are_refused_by_name() {
    let mut order = Alone::<Order>::new("u-1.o-1");
    let good = placement(1, vec![line(SKUS[0], 1), line(SKUS[1], 2)], card("card_approve"));
    let place = |placement: Placement| Command::Place(Box::new(placement));
    let bad = |change: fn(&mut Placement)| {
        let mut placement = good.clone();
        change(&mut placement);
        Alone::<Order>::new("u-1.o-1").tell(place(placement)).unwrap_err()
    };
    assert!(matches!(bad(|it| it.total_minor += 1), Rejection::TotalDiffers { total_minor } if total_minor > 0));
    assert!(matches!(bad(|it| it.lines.clear()), Rejection::LineCount { lines: 0, .. }));
    assert!(matches!(bad(|it| it.lines[0].quantity = u32::MAX), Rejection::QuantityOutOfRange { .. }));
    assert!(matches!(bad(|it| it.lines[0].price_minor = -1), Rejection::BadField { field } if field == "price_minor"));
    assert!(matches!(bad(|it| it.lines[1].sku = it.lines[0].sku.clone()), Rejection::SkuRepeated { .. }));
    assert!(matches!(bad(|it| it.address.clear()), Rejection::BadField { field } if field == "address"));
    assert!(matches!(bad(|it| it.payment = card("")), Rejection::BadField { field } if field == "token"));
    assert!(matches!(bad(|it| it.deadline_ms = Some(1)), Rejection::BadField { field } if field == "deadline_ms"));
    assert_eq!(order.tell(Command::Get), Err(Rejection::Unknown));
    assert!(matches!(Alone::<Order>::new("o-1").tell(place(good.clone())), Err(Rejection::BadKey { .. })));
    let (events, reply) = order.tell(place(good.clone())).unwrap();
    assert_eq!(events.len(), 1);
    assert_eq!(order.tell(place(good.clone())).unwrap(), (Vec::new(), reply));
    let other = Placement { fingerprint: "second body".into(), ..good };
    assert_eq!(order.tell(place(other)), Err(Rejection::KeyReused));
}

fn command() -> impl Strategy<Value = Command> {
    let granted = || {
        let refused = Granted::Refused { reason: CancelReason::CartChanged };
        prop_oneof![3 => Just(Granted::Granted), 1 => Just(refused)]
    };
    let total_minor = PRICE_MINOR + FEE_MINOR;
    let outcome = prop_oneof![
        Just(None),
        Just(Some(payment::Outcome::Captured { captured_minor: total_minor })),
        Just(Some(payment::Outcome::Declined { reason: "no".into() })),
        Just(Some(payment::Outcome::Voided { refunded_minor: total_minor })),
    ];
    let step = prop_oneof![
        Just(DeliveryStep::Assigned),
        Just(DeliveryStep::PickedUp),
        Just(DeliveryStep::Delivered),
        Just(DeliveryStep::Failed)
    ];
    let place = any::<bool>().prop_map(move |cash| {
        let payment = if cash { PaymentMethod::Cash } else { card("card_approve") };
        Command::Place(Box::new(placement(1, vec![line(SKUS[0], 1)], payment)))
    });
    prop_oneof![
        3 => place,
        3 => (granted(), granted(), granted())
            .prop_map(|(stock, cart, payment)| Command::Gathered { stock, cart, payment }),
        3 => outcome.prop_map(|outcome| Command::PaymentOutcome { outcome }),
        2 => (0..8_u8).prop_map(|done| Command::Followed { done, refused: None }),
        2 => (0..16_u8).prop_map(|done| Command::Undone { done }),
        2 => step.prop_map(|step| Command::DeliveryUpdate { step }),
        1 => any::<bool>().prop_map(|granted| Command::Recalled { granted }),
        1 => Just(Command::Cancel { reason: "no".into() }),
        1 => Just(Command::Verdict),
        1 => Just(Command::DeadlinePassed),
        1 => Just(Command::Voided { refunded_minor: Some(0) }),
        1 => Just(Command::Collected),
    ]
}

#[test]
fn an_order_decides_once() {
    check(1_000, &vec((command(), 0..20_000_i64), 1..40), |steps| {
        let mut order = Alone::<Order>::new("u-1.o-1");
        let (mut confirmed, mut cancelled, mut completed) = (0, 0, 0);
        for (command, later) in steps {
            order.now = Timestamp(order.now.0 + later);
            let Ok((events, reply)) = order.tell(command.clone()) else { continue };
            for event in &events {
                confirmed += u8::from(matches!(event, Event::Confirmed { .. }));
                cancelled += u8::from(matches!(event, Event::Cancelled { .. }));
                completed += u8::from(matches!(event, Event::Completed { .. }));
                prop_assert!(event.event_type().starts_with("order."));
            }
            prop_assert!(confirmed <= 1 && cancelled <= 1 && completed <= 1 && cancelled + completed <= 1);
            let (again, reply_again) = order.tell(command.clone()).expect("what was accepted is accepted again");
            prop_assert!(again.is_empty(), "{command:?} twice: {again:?}");
            prop_assert_eq!(reply, reply_again);
            if let Ok((_, Reply::Verdict { verdict })) = order.tell(Command::Verdict) {
                match verdict {
                    inventory::Verdict::Commit => prop_assert!(confirmed == 1 && cancelled == 0),
                    inventory::Verdict::Release => {
                        prop_assert!(matches!(order.state.head.status, Status::None | Status::Cancelled))
                    }
                    inventory::Verdict::Wait { until } => prop_assert!(until > order.now),
                }
            }
            let as_it_is = order.outstanding();
            let reloaded = order.reloaded();
            prop_assert_eq!(format!("{:?}", Order::outstanding(&reloaded)), as_it_is);
        }
        Ok(())
    });
}
