//! Properties over random days at two stores: customers, riders and time do what they like, and calls are
//! repeated, lost and late.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use nakku_cluster::{Answer, Key, Timestamp};

use super::command::{Command, Rejection, Reply, SEARCH_MS, Stage, View};
use super::rider::command::Presence;
use super::rider::{self, Rider};
use super::roster::{self, Roster};
use super::{Delivery, service};
use crate::order::{self, DeliveryStep};
use crate::simulation::{Faults, World, with_seeds};

fn keys(prefix: &str, count: u32) -> Vec<Key> {
    (1..=count).map(|number| Key::new(format!("{prefix}-{number}")).unwrap()).collect()
}

fn create(store: &Key) -> Command {
    let address = "12, 100 Feet Road, Bengaluru 560038".into();
    Command::Create { store: store.clone(), address, total_minor: 45_000, cash_due_minor: 45_000 }
}

fn view(world: &mut World, delivery: &Key) -> Option<View> {
    match world.ask::<Delivery>(delivery, &Command::Get) {
        Ok(Reply::Delivery(view)) => Some(view),
        Err(Rejection::NotFound) => None,
        other => panic!("{other:?}"),
    }
}

fn at_work(world: &mut World, store: &Key) -> BTreeMap<Key, Option<Key>> {
    match world.ask::<Roster>(store, &roster::Command::Get) {
        Ok(roster::Reply::Roster { riders, .. }) => riders.into_iter().collect(),
        other => panic!("{other:?}"),
    }
}

fn list(world: &mut World, key: &Key) -> rider::command::View {
    match world.ask::<Rider>(key, &rider::Command::Get) {
        Ok(rider::Reply::Rider(view)) => view,
        other => panic!("{other:?}"),
    }
}

/// What the orders were told.
type Told = Arc<Mutex<BTreeMap<Key, Vec<DeliveryStep>>>>;

fn world(seed: u64) -> (World, Told) {
    let mut world = World::new(&[service()], seed);
    let told = Told::default();
    let orders = Arc::clone(&told);
    world.stand_in(
        "order.order",
        Box::new(move |key, command| {
            let Ok(order::Command::DeliveryUpdate { step }) = serde_json::from_value(command) else {
                panic!("an order is told steps only")
            };
            let mut orders = orders.lock().unwrap();
            let steps = orders.entry(key.clone()).or_default();
            if !steps.contains(&step) {
                steps.push(step);
            }
            Answer::Reply(serde_json::to_vec(&order::Reply::Noted).unwrap())
        }),
    );
    (world, told)
}

fn one_delivery_each(world: &mut World, deliveries: &[Key]) {
    let mut busy = BTreeSet::new();
    for delivery in deliveries {
        if let Some(View { stage: Stage::Offered | Stage::Assigned | Stage::PickedUp, rider, .. }) =
            view(world, delivery)
        {
            let rider = rider.expect("an active delivery has a rider");
            assert!(busy.insert(rider.clone()), "{rider} has two deliveries");
        }
    }
}

#[test]
fn a_rider_has_one_delivery_at_most_and_an_ended_one_never_changes() {
    with_seeds(60, |seed| {
        let (mut world, told) = world(seed);
        world.faults = Faults::MANY;
        let (stores, riders, deliveries) = (keys("s", 2), keys("u", 5), keys("u-9.o", 14));
        let mut ended: BTreeMap<Key, View> = BTreeMap::new();
        for _ in 0..700 {
            let rider = world.random.one_of(&riders).clone();
            let delivery = world.random.one_of(&deliveries).clone();
            let store = world.random.one_of(&stores).clone();
            // Most of the time whoever is meant answers, else anyone.
            let meant = view(&mut world, &delivery).and_then(|view| view.rider);
            let rider = meant.filter(|_| world.random.percent(80)).unwrap_or(rider);
            let command = match world.random.below(100) {
                0..=9 => {
                    let _ = world.ask::<Rider>(&rider, &rider::Command::GoOnline { store });
                    continue;
                }
                10..=12 => {
                    let _ = world.ask::<Rider>(&rider, &rider::Command::GoOffline);
                    continue;
                }
                13..=17 => {
                    let passed = world.random.below(40_000) as i64;
                    world.advance(passed);
                    continue;
                }
                18..=24 => create(&stores[usize::from(delivery.as_str().len() % 2 == 0)]),
                25 => Command::Cancel,
                26..=32 => Command::Accept { rider },
                33..=35 => Command::Decline { rider },
                36..=40 => Command::PickUp { rider },
                41..=45 => Command::Deliver { rider, cash_collected_minor: 45_000 },
                46 => Command::Fail { rider, reason: "nobody at home".into() },
                _ => {
                    world.step();
                    one_delivery_each(&mut world, &deliveries);
                    continue;
                }
            };
            if let Ok(reply) = world.ask::<Delivery>(&delivery, &command) {
                assert_eq!(world.ask::<Delivery>(&delivery, &command), Ok(reply), "repeating {command:?}");
            }
            one_delivery_each(&mut world, &deliveries);
            if let Some(after) = view(&mut world, &delivery).filter(|view| view.stage.is_final()) {
                let before = ended.entry(delivery.clone()).or_insert_with(|| after.clone());
                assert_eq!(*before, after, "{delivery} had ended");
            }
        }
        let end = Timestamp(world.now.0 + 2 * SEARCH_MS);
        world.settle_until(end);
        agree(&mut world, &told.lock().unwrap(), &stores, &riders, &deliveries);
    });
}

/// Once everything is settled, deliveries, rosters, lists and orders say the same.
fn agree(
    world: &mut World,
    told: &BTreeMap<Key, Vec<DeliveryStep>>,
    stores: &[Key],
    riders: &[Key],
    deliveries: &[Key],
) {
    let mut active = BTreeMap::new();
    for delivery in deliveries {
        let Some(view) = view(world, delivery) else { continue };
        let steps = told.get(delivery).cloned().unwrap_or_default();
        let last = match view.stage {
            Stage::Searching | Stage::Offered => panic!("{delivery} is {:?} after all timers", view.stage),
            Stage::Assigned => Some(DeliveryStep::Assigned),
            Stage::PickedUp => Some(DeliveryStep::PickedUp),
            Stage::Delivered => Some(DeliveryStep::Delivered),
            Stage::Failed => Some(DeliveryStep::Failed),
            Stage::Cancelled => steps.last().copied(),
        };
        assert_eq!(steps.last().copied(), last, "{delivery} is {:?}", view.stage);
        assert!(steps.is_sorted(), "{steps:?}");
        if !view.stage.is_final() {
            active.insert(view.rider.clone().unwrap(), delivery.clone());
        }
    }
    let rosters: BTreeMap<Key, _> = stores.iter().map(|store| (store.clone(), at_work(world, store))).collect();
    for rider in riders {
        let list = list(world, rider);
        let job = list.job.as_ref().map(|job| job.delivery.clone());
        assert_eq!(job.as_ref(), active.get(rider), "the list of {rider}");
        let kept: Vec<_> = rosters.values().filter_map(|roster| roster.get(rider).cloned().flatten()).collect();
        assert_eq!(kept.first(), active.get(rider), "the roster about {rider}");
        let on: Vec<&Key> =
            rosters.iter().filter(|(_, roster)| roster.contains_key(rider)).map(|(key, _)| key).collect();
        match list.presence {
            Presence::Online => assert_eq!(on, [list.store.as_ref().unwrap()], "{rider}"),
            Presence::Offline => assert!(on.is_empty(), "{rider} is at home and on {on:?}"),
            // Whoever wants to leave with a delivery in hand is let go after it.
            Presence::Leaving | Presence::Coming => assert!(active.contains_key(rider), "{rider} {list:?}"),
        }
    }
}

#[test]
fn an_offer_that_is_not_taken_goes_to_the_next_rider() {
    let (mut world, told) = world(1);
    let (store, riders, delivery) = (Key::new("s-1").unwrap(), keys("u", 2), Key::new("u-9.o-1").unwrap());
    for rider in &riders {
        world.ask::<Rider>(rider, &rider::Command::GoOnline { store: store.clone() }).unwrap();
        world.settle();
    }
    world.ask::<Delivery>(&delivery, &create(&store)).unwrap();
    world.settle();
    assert_eq!(view(&mut world, &delivery).unwrap().rider.as_ref(), Some(&riders[0]));
    assert_eq!(list(&mut world, &riders[0]).job.unwrap().delivery, delivery);
    let offer_ends = Timestamp(world.now.0 + super::command::OFFER_MS);
    world.settle_until(offer_ends);
    let offered = view(&mut world, &delivery).unwrap();
    assert_eq!((offered.stage, offered.rider.as_ref()), (Stage::Offered, Some(&riders[1])));
    assert_eq!(list(&mut world, &riders[0]).job, None);
    let accept = |rider: &Key| Command::Accept { rider: rider.clone() };
    assert_eq!(world.ask::<Delivery>(&delivery, &accept(&riders[0])), Err(Rejection::NotYours));
    let rider = riders[1].clone();
    world.ask::<Delivery>(&delivery, &accept(&rider)).unwrap();
    world.settle();
    world.ask::<Delivery>(&delivery, &Command::PickUp { rider: rider.clone() }).unwrap();
    let deliver = |cash_collected_minor| Command::Deliver { rider: rider.clone(), cash_collected_minor };
    assert_eq!(world.ask::<Delivery>(&delivery, &deliver(0)), Err(Rejection::CashDiffers { due_minor: 45_000 }));
    assert_eq!(
        world.ask::<Delivery>(&delivery, &Command::Cancel),
        Err(Rejection::WrongStage { stage: Stage::PickedUp })
    );
    world.ask::<Delivery>(&delivery, &deliver(45_000)).unwrap();
    world.settle();
    let steps = [DeliveryStep::Assigned, DeliveryStep::PickedUp, DeliveryStep::Delivered];
    assert_eq!(told.lock().unwrap()[&delivery], steps);
    assert!(at_work(&mut world, &store).values().all(Option::is_none));
    assert_eq!(list(&mut world, &rider).job, None);
}

#[test]
fn a_delivery_without_riders_fails_in_the_end_and_one_cancelled_first_never_begins() {
    let (mut world, told) = world(1);
    let (store, deliveries) = (Key::new("s-1").unwrap(), keys("u-9.o", 2));
    world.ask::<Delivery>(&deliveries[0], &create(&store)).unwrap();
    let end = Timestamp(world.now.0 + SEARCH_MS);
    world.settle_until(end);
    assert_eq!(view(&mut world, &deliveries[0]).unwrap().stage, Stage::Failed);
    assert_eq!(told.lock().unwrap()[&deliveries[0]], [DeliveryStep::Failed]);
    assert_eq!(world.ask::<Delivery>(&deliveries[1], &Command::Cancel), Ok(Reply::Cancelled));
    assert_eq!(world.ask::<Delivery>(&deliveries[1], &create(&store)), Err(Rejection::Cancelled));
    match world.ask::<Roster>(&store, &roster::Command::Get) {
        Ok(roster::Reply::Roster { waiting, .. }) => assert_eq!(waiting, 0),
        other => panic!("{other:?}"),
    }
}
