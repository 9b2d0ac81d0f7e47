//! Properties of a cart over random commands, repeated and out of order as a cluster may bring them.

use std::collections::{BTreeMap, BTreeSet};

use nakku_cluster::Key;
use proptest::collection::vec;
use proptest::prelude::*;

use super::command::{LINES_MAX, QUANTITY_MAX};
use super::{Cart, Command, Event, Line, Rejection, Reply};
use crate::properties::{Alone, check};

fn store(number: u8) -> Key {
    Key::new(format!("s-{number}")).unwrap()
}

fn line(sku: &str, quantity: u32) -> Line {
    Line { sku: sku.into(), name: format!("name of {sku}"), quantity, price_minor: 4_900 }
}

fn order() -> impl Strategy<Value = Key> {
    (0..4_u8).prop_map(|number| Key::new(format!("u-1.o-{number}")).unwrap())
}

/// Versions are chosen near those that there will be.
fn command() -> impl Strategy<Value = Command> {
    prop_oneof![
        3 => (1..=2_u8, "[ab]", 1..4_u32)
            .prop_map(|(number, sku, quantity)| Command::Add { store: store(number), line: line(&sku, quantity) }),
        2 => ("[ab]", 0..3_u32).prop_map(|(sku, quantity)| Command::SetQuantity { sku, quantity }),
        1 => Just(Command::Empty),
        5 => (order(), 0..6_u64).prop_map(|(order, version)| Command::Seal { order, version }),
        3 => (order(), 0..6_u64).prop_map(|(order, version)| Command::Unseal { order, version }),
        2 => order().prop_map(|order| Command::Clear { order }),
    ]
}

#[test]
fn one_cart_makes_one_order_whatever_the_tabs_do() {
    check(1_000, &vec(command(), 1..60), |commands| {
        let mut cart = Alone::<Cart>::new("u-1");
        let mut sealed: BTreeMap<u64, BTreeSet<Key>> = BTreeMap::new();
        let mut let_go: BTreeSet<(Key, u64)> = BTreeSet::new();
        for command in commands {
            let before = cart.state.contents();
            let Ok((events, _)) = cart.tell(command.clone()) else { continue };
            let after = cart.state.contents();
            for event in &events {
                match event {
                    Event::Sealed { order } => {
                        prop_assert!(!before.lines.is_empty(), "an empty cart makes no order");
                        prop_assert!(before.sealed_by.is_none());
                        prop_assert!(!let_go.contains(&(order.clone(), before.version)), "a late seal is refused");
                        sealed.entry(before.version).or_default().insert(order.clone());
                    }
                    Event::Cleared { order } => {
                        prop_assert_eq!(before.sealed_by.as_ref(), Some(order));
                        prop_assert!(after.lines.is_empty() && after.store.is_none());
                    }
                    Event::Unsealed { .. } => {}
                    _ => prop_assert!(before.sealed_by.is_none(), "{event:?} while it is held"),
                }
            }
            if let Command::Unseal { order, version } = &command {
                let_go.insert((order.clone(), *version));
            }
            if before.lines != after.lines || before.store != after.store {
                prop_assert!(after.version > before.version, "contents change with the version only");
            }
            prop_assert_eq!(after.lines.is_empty(), after.store.is_none());
            let adds = matches!(command, Command::Add { .. });
            if !adds && let Ok((again, _)) = cart.tell(command.clone()) {
                prop_assert!(again.is_empty(), "{command:?} twice: {again:?}");
            }
            let reloaded = cart.reloaded();
            prop_assert_eq!(reloaded.contents(), cart.state.contents());
        }
        prop_assert!(sealed.values().all(|orders| orders.len() == 1), "one version, two orders: {sealed:?}");
        Ok(())
    });
}

#[test]
fn a_held_cart_refuses_changes_until_it_is_let_go() {
    let mut cart = Alone::<Cart>::new("u-1");
    let [first, second] = [1, 2].map(|number| Key::new(format!("u-1.o-{number}")).unwrap());
    cart.tell(Command::Add { store: store(1), line: line("a", 2) }).unwrap();
    let seal = |order: &Key, version| Command::Seal { order: order.clone(), version };
    assert_eq!(cart.tell(seal(&first, 0)), Err(Rejection::VersionChanged { version: 1 }));
    assert_eq!(cart.tell(seal(&first, 1)).unwrap().1, Reply::Sealed);
    assert_eq!(cart.tell(seal(&second, 1)), Err(Rejection::Sealed { order: first.clone() }));
    let add = Command::Add { store: store(1), line: line("b", 1) };
    assert_eq!(cart.tell(add.clone()), Err(Rejection::Sealed { order: first.clone() }));
    assert_eq!(cart.tell(Command::Empty), Err(Rejection::Sealed { order: first.clone() }));
    cart.tell(Command::Unseal { order: first.clone(), version: 1 }).unwrap();
    assert_eq!(cart.tell(seal(&first, 1)), Err(Rejection::VersionChanged { version: 2 }));
    let Ok((_, Reply::Cart(contents))) = cart.tell(add) else { panic!("it is free again") };
    assert_eq!((contents.version, contents.lines.len(), contents.total_minor), (3, 2, 3 * 4_900));
    cart.tell(seal(&second, 3)).unwrap();
    assert_eq!(cart.tell(Command::Clear { order: first }).unwrap().0, []);
    assert_eq!(cart.tell(Command::Clear { order: second }).unwrap().0.len(), 1);
    assert!(cart.state.contents().lines.is_empty());
}

#[test]
fn bounds_and_other_stores_are_refused_by_name() {
    let mut cart = Alone::<Cart>::new("u-1");
    let add = |number, line| Command::Add { store: store(number), line };
    for quantity in [0, QUANTITY_MAX + 1, u32::MAX] {
        assert!(matches!(cart.tell(add(1, line("a", quantity))), Err(Rejection::QuantityOutOfRange { .. })));
    }
    cart.tell(add(1, line("a", QUANTITY_MAX))).unwrap();
    assert!(matches!(cart.tell(add(1, line("a", 1))), Err(Rejection::QuantityOutOfRange { .. })));
    assert_eq!(cart.tell(add(2, line("b", 1))), Err(Rejection::OtherStore { store: store(1) }));
    let unknown = Command::SetQuantity { sku: "b".into(), quantity: 1 };
    assert_eq!(cart.tell(unknown), Err(Rejection::UnknownLine { sku: "b".into() }));
    let negative = Line { price_minor: -1, ..line("b", 1) };
    assert_eq!(cart.tell(add(1, negative)), Err(Rejection::BadLine { field: "price_minor".into() }));
    for number in 1..LINES_MAX {
        cart.tell(add(1, line(&format!("p-{number}"), 1))).unwrap();
    }
    assert_eq!(cart.tell(add(1, line("p-more", 1))), Err(Rejection::TooManyLines { max: LINES_MAX }));
}

#[test]
fn a_cart_that_closes_lets_the_order_that_holds_it_finish() {
    for confirmed in [true, false] {
        let mut cart = Alone::<Cart>::new("u-1");
        let (order, store) = (Key::new("u-1.o-1").unwrap(), Key::new("s-1").unwrap());
        let line = Line { sku: "p-1".into(), name: "Ghee".into(), quantity: 1, price_minor: 100 };
        let add = Command::Add { store, line };
        cart.tell(add.clone()).unwrap();
        cart.tell(Command::Seal { order: order.clone(), version: 1 }).unwrap();
        assert_eq!(cart.tell(Command::Close).unwrap().1, Reply::Closed);
        assert_eq!(cart.tell(Command::Close).unwrap().0, [], "repeated, it changes nothing");
        assert_eq!(cart.tell(Command::Seal { order: order.clone(), version: 1 }).unwrap().1, Reply::Sealed);
        assert_eq!(cart.state.lines.len(), 1, "the order still holds them");
        if confirmed {
            cart.tell(Command::Clear { order }).unwrap();
        } else {
            cart.tell(Command::Unseal { order, version: 1 }).unwrap();
        }
        assert!(cart.state.lines.is_empty() && cart.state.head.store.is_none());
        assert_eq!(cart.tell(add).unwrap_err(), Rejection::Closed);
        assert!(cart.reloaded().head.closed);
    }
}
