//! Properties of a store's place over random commands, and that the directory ends up knowing it.

use std::time::Duration;

use nakku_cluster::{Key, Timestamp};
use proptest::prelude::*;

use super::area::{AREA_VERTICES_MAX, Area};
use super::command::{
    AMOUNT_MINOR_MAX, Description, NAME_CHARACTERS_MAX, PRIORITY_MAX, Pause, Terms, VERTICES_MAX, View, ZONES_MAX, Zone,
};
use super::directory::{self, Directory, Serviceability};
use super::hours::Week;
use super::{Command, Rejection, Reply, Store, service};
use crate::position::Position;
use crate::properties::{Alone, check};
use crate::simulation::{Faults, World, with_seeds};

fn square(side: i32) -> Area {
    Area { rings: vec![vec![[0, 0], [side, 0], [side, side], [0, side], [0, 0]]] }
}

/// A ring of so many vertices.
fn round(vertices: usize) -> Area {
    let point = |at: usize| {
        let angle = std::f64::consts::TAU * (at % vertices) as f64 / vertices as f64;
        [(angle.cos() * 100_000.0) as i32, (angle.sin() * 100_000.0) as i32]
    };
    Area { rings: vec![(0..=vertices).map(point).collect()] }
}

fn described(name: &str) -> Command {
    let position = Position { lat_e6: 12_978_400, lng_e6: 77_640_800 };
    let description =
        Description { name: name.into(), position, hours: Week::always("Asia/Kolkata"), base: Terms::default() };
    Command::Describe { description }
}

fn zone(side: i32) -> Zone {
    Zone {
        priority: 1,
        terms: Terms { fee_minor: 2_500, minimum_minor: 9_900, promised_minutes: 15 },
        area: square(side),
    }
}

fn set(id: &str, side: i32) -> Command {
    Command::SetZone { id: id.into(), zone: zone(side) }
}

fn pause(until: Option<i64>) -> Command {
    Command::Pause { pause: Pause { reason: "too many orders".into(), until: until.map(Timestamp) } }
}

fn view(reply: Reply) -> View {
    match reply {
        Reply::Store(view) => *view,
        other => panic!("{other:?}"),
    }
}

fn invalid(store: &mut Alone<Store>, command: Command) -> String {
    match store.tell(command) {
        Err(Rejection::Invalid { field, .. }) => field,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_store_is_nothing_until_it_is_described() {
    let mut store = Alone::<Store>::new("s-1");
    for command in [Command::Get, Command::Resume, set("inner", 9), pause(None)] {
        assert_eq!(store.tell(command), Err(Rejection::Unknown));
    }
    assert_eq!(view(store.tell(described("Indiranagar")).unwrap().1).description.name, "Indiranagar");
    assert!(store.tell(described("Indiranagar")).unwrap().0.is_empty(), "repeating changes nothing");
    assert_eq!(view(store.tell(set("inner", 9)).unwrap().1).zones, [("inner".to_owned(), zone(9))]);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let mut store = Alone::<Store>::new("s-1");
    let with = |change: fn(&mut Description)| {
        let Command::Describe { mut description } = described("Indiranagar") else { panic!("it describes") };
        change(&mut description);
        Command::Describe { description }
    };
    assert_eq!(invalid(&mut store, with(|it| it.name = "x".repeat(NAME_CHARACTERS_MAX + 1))), "name");
    assert_eq!(invalid(&mut store, with(|it| it.name = " x".into())), "name");
    assert_eq!(invalid(&mut store, with(|it| it.position.lat_e6 = 90_000_001)), "position");
    assert_eq!(invalid(&mut store, with(|it| it.hours.time_zone = "India".into())), "time_zone");
    assert_eq!(invalid(&mut store, with(|it| it.base.fee_minor = -1)), "fee_minor");
    store.tell(described("Indiranagar")).unwrap();
    let zoned = |change: fn(&mut Zone)| {
        let mut zone = zone(9);
        change(&mut zone);
        Command::SetZone { id: "inner".into(), zone }
    };
    assert_eq!(invalid(&mut store, zoned(|it| it.priority = PRIORITY_MAX + 1)), "priority");
    assert_eq!(invalid(&mut store, zoned(|it| it.priority = i32::MIN)), "priority");
    assert_eq!(invalid(&mut store, zoned(|it| it.terms.minimum_minor = AMOUNT_MINOR_MAX + 1)), "minimum_minor");
    assert_eq!(invalid(&mut store, zoned(|it| it.terms.promised_minutes = u32::MAX)), "promised_minutes");
    assert_eq!(invalid(&mut store, zoned(|it| it.area.rings.clear())), "area");
    assert_eq!(invalid(&mut store, set("in ner", 9)), "zone");
    let now = store.now.0;
    assert_eq!(invalid(&mut store, pause(Some(now))), "until");
    assert_eq!(store.state.head.revision, 1);
}

#[test]
fn zones_are_bounded_in_number_and_size() {
    let mut store = Alone::<Store>::new("s-1");
    store.tell(described("Indiranagar")).unwrap();
    for number in 0..ZONES_MAX {
        store.tell(set(&format!("z{number}"), 9)).unwrap();
    }
    assert!(matches!(store.tell(set("one-more", 9)), Err(Rejection::TooMany { limit: 16, .. })));
    store.tell(set("z0", 10)).unwrap();
    let large = |id: usize| {
        let area = round(AREA_VERTICES_MAX);
        Command::SetZone { id: format!("z{id}"), zone: Zone { area, ..zone(9) } }
    };
    let fitting = (VERTICES_MAX - 4 * ZONES_MAX) / (AREA_VERTICES_MAX - 4);
    for number in 0..fitting {
        store.tell(large(number)).unwrap();
    }
    assert!(matches!(store.tell(large(fitting)), Err(Rejection::TooMany { .. })));
    assert!(serde_json::to_vec(&store.state.view().unwrap()).unwrap().len() < 64 * 1024, "news stay small");
}

fn command() -> impl Strategy<Value = Command> {
    let zone_id = prop_oneof![Just("a"), Just("b"), Just("c")];
    prop_oneof![
        2 => prop_oneof![Just("One"), Just("Two"), Just("")].prop_map(described),
        4 => (zone_id.clone(), 0..4_i32).prop_map(|(id, side)| set(id, side)),
        2 => zone_id.prop_map(|id| Command::RemoveZone { id: id.into() }),
        3 => prop::option::of(0..30_000_i64).prop_map(|after| pause(after.map(|after| 1_000_000 + after))),
        1 => Just(Command::Resume),
        1 => Just(Command::Get),
        2 => Just(Command::PauseDue),
        3 => (0..12_u64).prop_map(|revision| Command::DirectoryTold { revision }),
    ]
}

#[test]
fn whatever_comes_it_stays_consistent_and_says_what_is_left_to_do() {
    check(128, &prop::collection::vec((command(), 0..2_000_u64), 1..60), |commands| {
        let mut store = Alone::<Store>::new("s-1");
        for (command, passes) in commands {
            store.now = store.now.plus(Duration::from_millis(passes));
            let before = (store.state.head.clone(), store.outstanding());
            match store.tell(command.clone()) {
                Ok((events, _)) => {
                    prop_assert!(events.len() <= 1);
                    if events.is_empty() {
                        prop_assert_eq!(&(store.state.head.clone(), store.outstanding()), &before);
                    }
                    if !matches!(command, Command::Pause { .. }) {
                        prop_assert!(store.tell(command).unwrap().0.is_empty(), "repeating changes nothing");
                    }
                }
                Err(_) => prop_assert_eq!(&store.state.head, &before.0),
            }
            let head = &store.state.head;
            prop_assert!(head.told <= head.revision);
            prop_assert_eq!(head.told < head.revision, store.outstanding().contains("tell"), "{:?}", head);
            prop_assert!(store.state.zones.is_empty() || head.description.is_some());
            let reloaded = store.reloaded();
            prop_assert_eq!(&reloaded.head, &store.state.head);
            prop_assert_eq!(reloaded.view(), store.state.view());
        }
        Ok(())
    });
}

/// However calls are repeated, delayed or lost, the directory ends up with every store as it is, and a pause ends.
#[test]
fn the_directory_learns_every_store_as_it_is() {
    with_seeds(30, |seed| {
        let mut world = World::new(&[service()], seed);
        world.faults = Faults::MANY;
        let stores: Vec<Key> = (0..3).map(|number| Key::new(format!("s-{number}")).unwrap()).collect();
        for _ in 0..60 {
            let store = world.random.one_of(&stores).clone();
            let now = world.now.0;
            let side = 1 + i32::try_from(world.random.below(900)).unwrap();
            let command = match world.random.below(6) {
                0 => described(if side % 2 == 0 { "Even" } else { "Odd" }),
                1 | 2 => set(["a", "b", "c"][side as usize % 3], side),
                3 => Command::RemoveZone { id: "b".into() },
                4 => pause(Some(now + i64::from(side) * 100)),
                _ => Command::Resume,
            };
            let _ = world.ask::<Store>(&store, &command);
            world.advance(200);
            world.step();
        }
        let end = Timestamp(world.now.0 + 100_000);
        world.settle_until(end);
        for store in &stores {
            let known = world.ask::<Store>(store, &Command::Get).map(view);
            let here = Position { lat_e6: 0, lng_e6: 0 };
            let asked = directory::Command::Serviceability { position: here, store: Some(store.clone()) };
            let Ok(directory::Reply::Serviceability(outcome)) =
                world.ask::<Directory>(directory::reference().key(), &asked)
            else {
                panic!("the directory answers")
            };
            match known {
                Err(_) => assert_eq!(outcome, Serviceability::Undescribed),
                Ok(view) => {
                    assert_eq!(view.pause, None, "a pause ends by itself");
                    let served =
                        matches!(&outcome, Serviceability::Served { name, .. } if *name == view.description.name);
                    assert_eq!(served, !view.zones.is_empty(), "{outcome:?}");
                }
            }
        }
    });
}
