//! Properties of a rider's whereabouts over random pings, as devices and networks bring them.

use nakku_cluster::{Key, Timestamp};
use proptest::collection::vec;
use proptest::prelude::*;

use super::command::{ACCURACY_M_MAX, CLOCK_AHEAD_MAX_MS, PING_AGE_MAX_MS, PingOutcome, THIN_M, THIN_MS};
use super::{Command, Event, Rejection, Reply, Rider};
use crate::location::directory::{self, Directory};
use crate::location::service;
use crate::position::Position;
use crate::properties::{Alone, check};
use crate::simulation::{Faults, World, with_seeds};

/// A metre is nine millionths of a degree.
const METRE_E6: i32 = 9;

fn north(metres: i32) -> Position {
    Position { lat_e6: 12_978_400 + metres * METRE_E6, lng_e6: 77_640_800 }
}

fn ping(metres: i32, at: i64) -> Command {
    Command::Ping { position: north(metres), accuracy_m: 10, at: Timestamp(at) }
}

fn outcome(rider: &mut Alone<Rider>, command: Command) -> PingOutcome {
    match rider.tell(command).unwrap() {
        (events, Reply::Ping { outcome, last }) => {
            assert_eq!(events.len(), usize::from(outcome == PingOutcome::Kept));
            assert_eq!(last, rider.state.head.last);
            outcome
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn only_what_is_worth_a_row_is_kept() {
    let mut rider = Alone::<Rider>::new("u-1");
    let start = rider.now.0;
    assert_eq!(outcome(&mut rider, ping(0, start)), PingOutcome::Kept);
    assert_eq!(outcome(&mut rider, ping(0, start)), PingOutcome::Stale, "repeated");
    rider.now = Timestamp(start + THIN_MS);
    assert_eq!(outcome(&mut rider, ping(10, start + THIN_MS - 1)), PingOutcome::Thinned, "soon and near");
    assert_eq!(outcome(&mut rider, ping(60, start + 1)), PingOutcome::Kept, "soon but far");
    assert_eq!(outcome(&mut rider, ping(0, start)), PingOutcome::Stale, "older than what is known");
    rider.now = Timestamp(start + 2 * THIN_MS);
    assert_eq!(outcome(&mut rider, ping(60, start + 1 + THIN_MS)), PingOutcome::Kept, "near but late enough");
    rider.now = Timestamp(start + 2 * PING_AGE_MAX_MS + 1);
    assert_eq!(outcome(&mut rider, ping(500, start + PING_AGE_MAX_MS)), PingOutcome::Stale, "older than the limit");
    assert_eq!(outcome(&mut rider, ping(500, start + PING_AGE_MAX_MS + 1)), PingOutcome::Kept);
    let vague = Command::Ping { position: north(900), accuracy_m: ACCURACY_M_MAX + 1, at: rider.now };
    assert_eq!(outcome(&mut rider, vague), PingOutcome::Inaccurate);
}

#[test]
fn a_fast_clock_is_held_back_and_a_wrong_one_refused() {
    let mut rider = Alone::<Rider>::new("u-1");
    let now = rider.now.0;
    assert_eq!(outcome(&mut rider, ping(0, now + CLOCK_AHEAD_MAX_MS)), PingOutcome::Kept);
    assert_eq!(rider.state.head.last.unwrap().at, rider.now);
    let wrong = rider.tell(ping(0, now + CLOCK_AHEAD_MAX_MS + 1)).unwrap_err();
    assert!(matches!(wrong, Rejection::Invalid { ref field, .. } if field == "at_ms"), "{wrong}");
    let nowhere = Command::Ping { position: Position { lat_e6: 0, lng_e6: i32::MIN }, accuracy_m: 0, at: rider.now };
    assert!(matches!(rider.tell(nowhere), Err(Rejection::Invalid { .. })));
}

#[test]
fn time_never_goes_back_and_rows_are_few() {
    let pings = vec((0..200_i32, -90_000..90_000_i64, 0..1_500_u32, 0..5_000_i64), 1..120);
    check(64, &pings, |pings| {
        let mut rider = Alone::<Rider>::new("u-1");
        let mut kept: Vec<Event> = Vec::new();
        for (metres, age, accuracy_m, passes) in pings {
            rider.now = Timestamp(rider.now.0 + passes);
            let at = Timestamp(rider.now.0 - age);
            let command = Command::Ping { position: north(metres), accuracy_m, at };
            let before = rider.state.head.clone();
            match rider.tell(command.clone()) {
                Ok((events, _)) => {
                    prop_assert!(age >= -CLOCK_AHEAD_MAX_MS);
                    kept.extend(events);
                    prop_assert!(rider.tell(command).unwrap().0.is_empty(), "repeating changes nothing");
                }
                Err(_) => prop_assert_eq!(&rider.state.head, &before),
            }
            prop_assert_eq!(rider.reloaded().head, rider.state.head.clone());
        }
        for pair in kept.windows(2) {
            let [Event::Moved { fix: one, .. }, Event::Moved { fix: other, .. }] = pair else { panic!("{pair:?}") };
            prop_assert!(one.at < other.at);
            let far = other.position.distance_m(one.position) >= THIN_M;
            prop_assert!(far || other.at.0 - one.at.0 >= THIN_MS, "{pair:?}");
        }
        Ok(())
    });
}

/// However calls are repeated, delayed or lost, the directory ends up with everybody's last position.
#[test]
fn the_directory_learns_the_last_position() {
    with_seeds(30, |seed| {
        let mut world = World::new(&[service()], seed);
        world.faults = Faults::MANY;
        let riders: Vec<Key> = (0..4).map(|number| Key::new(format!("u-{number}")).unwrap()).collect();
        for _ in 0..80 {
            let rider = world.random.one_of(&riders).clone();
            let at = world.now.0;
            let metres = i32::try_from(world.random.below(5_000)).unwrap();
            world.ask::<Rider>(&rider, &ping(metres, at)).unwrap();
            world.advance(700);
            world.step();
        }
        world.settle();
        let all = directory::Command::Nearest { position: north(0), within_m: 50_000, limit: 100, among: None };
        let Ok(directory::Reply::Riders { riders: near }) = world.ask::<Directory>(directory::reference().key(), &all)
        else {
            panic!("the directory answers")
        };
        let mut told = 0;
        for rider in &riders {
            let Ok(Reply::Last { last }) = world.ask::<Rider>(rider, &Command::Get) else { panic!("{rider} answers") };
            let known = near.iter().find(|one| one.rider == *rider);
            assert_eq!(known.map(|one| (one.position, one.at)), last.map(|last| (last.position, last.at)));
            told += usize::from(last.is_some());
        }
        assert_eq!(told, near.len());
        assert!(near.is_sorted_by_key(|one| one.distance_m));
    });
}
