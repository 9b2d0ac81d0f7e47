//! Properties of a roster by itself; how it works with deliveries and riders is tested with the deliveries.

use std::collections::BTreeSet;

use nakku_cluster::Key;

use super::command::{AVOID_MAX, Command, Rejection, Reply};
use super::{Roster, State};
use crate::delivery::service;
use crate::simulation::{Faults, World, with_seeds};

fn key(prefix: &str, number: u64) -> Key {
    Key::new(format!("{prefix}-{number}")).unwrap()
}

fn request(delivery: Key, attempt: u32, avoid: Vec<Key>) -> Command {
    Command::RequestRider { delivery, attempt, avoid }
}

/// Whatever comes, nobody is idle while somebody waits who would take them, and all indexes fit the parts.
#[test]
fn nobody_waits_while_someone_is_free() {
    with_seeds(40, |seed| {
        let mut world = World::new(&[service()], seed);
        let store = key("s", 1);
        let mut state = State::default();
        for turn in 1..600 {
            let (rider, delivery) = (key("u", world.random.below(6)), key("u-9.o", world.random.below(30)));
            let attempt = 1 + world.random.below(3) as u32;
            let avoid = (0..world.random.below(6)).map(|number| key("u", number)).collect();
            let command = match world.random.below(10) {
                0..=1 => Command::RiderOnline { rider, turn },
                2 => Command::RiderOffline { rider, turn },
                3..=5 => request(delivery, attempt, avoid),
                6..=7 => Command::Release { delivery },
                8 => Command::FoundTold { delivery, attempt, needed: world.random.percent(50) },
                _ => {
                    world.advance(20_000);
                    Command::CheckDue
                }
            };
            let mut context = nakku_cluster::Context::new(store.clone(), world.now, turn, 1, seed);
            if let Ok(decision) = super::decide::decide(&state, command, &mut context) {
                decision.events.iter().for_each(|event| state.evolve(event));
            }
            consistent(&state);
        }
    });
}

fn consistent(state: &State) {
    let mut loaded = State {
        head: state.head.clone(),
        riders: state.riders.clone(),
        queue: state.queue.clone(),
        ..State::default()
    };
    nakku_cluster::EntityState::loaded(&mut loaded);
    assert_eq!(loaded.idle, state.idle);
    assert_eq!(loaded.order, state.order);
    assert_eq!(loaded.kept_for, state.kept_for);
    assert_eq!(loaded.open, state.open);
    assert_eq!(loaded.checks, state.checks);
    let kept: Vec<&Key> =
        state.riders.values().filter_map(|slot| slot.kept.as_ref()).map(|kept| &kept.delivery).collect();
    assert_eq!(kept.len(), kept.iter().collect::<BTreeSet<_>>().len(), "a delivery has one rider");
    assert!(kept.iter().all(|delivery| !state.queue.contains_key(*delivery)), "who has a rider does not wait");
    for waiting in state.queue.values() {
        assert!(state.idle.values().all(|rider| waiting.avoid.contains(rider)), "{waiting:?} {:?}", state.idle);
        assert!(state.idle.is_empty() || state.riders.keys().any(|rider| !waiting.avoid.contains(rider)));
    }
}

#[test]
fn a_repeated_request_has_the_same_rider_and_an_older_one_is_refused() {
    let mut world = World::new(&[service()], 1);
    world.faults = Faults::MANY;
    let store = key("s", 1);
    let mut ask = |command: Command| world.ask::<Roster>(&store, &command);
    assert_eq!(ask(request(key("d", 1), 1, vec![])), Ok(Reply::Queued));
    assert_eq!(ask(request(key("d", 1), 1, vec![])), Ok(Reply::Queued));
    assert_eq!(ask(Command::RiderOnline { rider: key("u", 1), turn: 1 }), Ok(Reply::Done));
    let found = Ok(Reply::Found { rider: key("u", 1) });
    assert_eq!(ask(request(key("d", 1), 1, vec![])), found);
    let occupied = Err(Rejection::Occupied { delivery: key("d", 1) });
    assert_eq!(ask(Command::RiderOffline { rider: key("u", 1), turn: 2 }), occupied);
    assert_eq!(ask(request(key("d", 1), 2, vec![key("u", 1)])), found, "there is nobody else");
    assert_eq!(ask(request(key("d", 1), 1, vec![])), Err(Rejection::Outdated));
    assert_eq!(ask(request(key("d", 2), 1, vec![key("u", 2); AVOID_MAX + 1])), Err(Rejection::Outdated));
    assert_eq!(ask(Command::Release { delivery: key("d", 1) }), Ok(Reply::Done));
    assert_eq!(ask(Command::RiderOffline { rider: key("u", 1), turn: 2 }), Ok(Reply::Done));
    assert_eq!(ask(Command::RiderOnline { rider: key("u", 1), turn: 1 }), Ok(Reply::Done), "late news");
    assert_eq!(ask(request(key("d", 3), 1, vec![])), Ok(Reply::Queued));
}
