//! Who serves an address: edges, holes, overlaps, pauses and hours; and that the derived trees fit the parts.

use nakku_cluster::{EntityState, Key, Timestamp};
use proptest::collection::vec;
use proptest::prelude::*;

use super::command::{FORGOTTEN_MS, FRESH_MS, Near, STORES_MAX};
use super::{Command, Directory, Rejection, Reply, Serviceability, State};
use crate::location::area::Area;
use crate::location::command::{Description, Pause, Terms, View, Zone};
use crate::location::hours::{Opening, Week};
use crate::position::Position;
use crate::properties::{Alone, check};

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

fn at(lng_e6: i32, lat_e6: i32) -> Position {
    Position { lat_e6, lng_e6 }
}

/// A square with its south-western corner there.
fn square(lng_e6: i32, lat_e6: i32, side: i32) -> Vec<[i32; 2]> {
    [[0, 0], [side, 0], [side, side], [0, side], [0, 0]].map(|[x, y]| [lng_e6 + x, lat_e6 + y]).to_vec()
}

fn zone(priority: i32, fee_minor: i64, rings: Vec<Vec<[i32; 2]>>) -> Zone {
    let terms = Terms { fee_minor, minimum_minor: 10 * fee_minor, promised_minutes: 15 };
    Zone { priority, terms, area: Area { rings } }
}

fn view(position: Position, zones: Vec<(&str, Zone)>) -> View {
    let base = Terms { fee_minor: 7, ..Terms::default() };
    let description = Description { name: "Corner".into(), position, hours: Week::always("UTC"), base };
    View { description, pause: None, zones: zones.into_iter().map(|(id, zone)| (id.to_owned(), zone)).collect() }
}

/// A directory and the revisions that its stores have told.
struct Town(Alone<Directory>, u64);

impl Town {
    fn new() -> Self {
        Self(Alone::new("all"), 0)
    }

    fn store(&mut self, store: &str, view: &View) {
        self.1 += 1;
        let news = Command::StoreIs { store: key(store), revision: self.1, view: Box::new(view.clone()) };
        assert_eq!(self.0.tell(news).unwrap().1, Reply::Noted);
    }

    fn asked(&mut self, position: Position, store: Option<&str>) -> Serviceability {
        match self.0.tell(Command::Serviceability { position, store: store.map(key) }).unwrap() {
            (events, Reply::Serviceability(outcome)) if events.is_empty() => outcome,
            other => panic!("{other:?}"),
        }
    }

    /// Store, zone and fee.
    fn served(&mut self, position: Position) -> Option<(String, String, i64)> {
        match self.asked(position, None) {
            Serviceability::Served { store, zone, terms, .. } => Some((store.to_string(), zone?, terms.fee_minor)),
            _ => None,
        }
    }

    fn near(&mut self, position: Position, within_m: u32, among: Option<Vec<Key>>) -> Vec<Near> {
        match self.0.tell(Command::Nearest { position, within_m, limit: 3, among }).unwrap().1 {
            Reply::Riders { riders } => riders,
            other => panic!("{other:?}"),
        }
    }
}

fn served(store: &str, zone: &str, fee_minor: i64) -> Option<(String, String, i64)> {
    Some((store.into(), zone.into(), fee_minor))
}

#[test]
fn edges_are_served_and_holes_are_not() {
    let mut town = Town::new();
    let rings = vec![square(0, 0, 1_000), square(400, 400, 200)];
    town.store("s-1", &view(at(0, 0), vec![("ring", zone(0, 5, rings))]));
    for (lng_e6, lat_e6, inside) in [
        (1, 1, true),
        (0, 0, true),
        (1_000, 300, true),
        (1_001, 300, false),
        (-1, 300, false),
        (500, 500, false),
        (400, 500, true),
        (601, 500, true),
    ] {
        assert_eq!(town.served(at(lng_e6, lat_e6)).is_some(), inside, "{lng_e6} {lat_e6}");
    }
    assert_eq!(town.asked(at(500, 500), None), Serviceability::Outside { other: None });
}

#[test]
fn of_overlapping_zones_the_highest_priority_counts_then_the_nearest_store() {
    let mut town = Town::new();
    let wide = || ("wide", zone(0, 50, vec![square(0, 0, 10_000)]));
    town.store("s-1", &view(at(1_000, 5_000), vec![wide(), ("inner", zone(5, 20, vec![square(0, 0, 2_000)]))]));
    town.store("s-2", &view(at(9_000, 5_000), vec![wide()]));
    assert_eq!(town.served(at(500, 500)), served("s-1", "inner", 20));
    assert_eq!(town.served(at(3_000, 5_000)), served("s-1", "wide", 50), "nearer");
    assert_eq!(town.served(at(8_000, 5_000)), served("s-2", "wide", 50), "nearer");
    // Whoever takes no orders leaves it to the next one.
    let mut paused = view(at(9_000, 5_000), vec![wide()]);
    paused.pause = Some(Pause { reason: "stocktaking".into(), until: Some(Timestamp(town.0.now.0 + 1)) });
    town.store("s-2", &paused);
    assert_eq!(town.served(at(8_000, 5_000)), served("s-1", "wide", 50));
    // Asked for that one, it says so; asked after the pause, it serves again.
    let outcome = town.asked(at(8_000, 5_000), Some("s-2"));
    assert!(matches!(outcome, Serviceability::Paused { ref reason, .. } if reason == "stocktaking"), "{outcome:?}");
    town.0.now = Timestamp(town.0.now.0 + 1);
    assert_eq!(town.served(at(8_000, 5_000)), served("s-2", "wide", 50));
    // Where one does not go another may.
    town.store("s-2", &view(at(9_000, 5_000), vec![]));
    assert_eq!(town.asked(at(500, 500), Some("s-2")), Serviceability::Outside { other: Some(key("s-1")) });
    assert_eq!(town.asked(at(500, 500), Some("s-3")), Serviceability::Undescribed);
}

#[test]
fn when_all_are_closed_the_one_that_opens_first_is_named() {
    let mut town = Town::new();
    let opens_at = |minute: u16| {
        let mut view = view(at(0, 0), vec![("all", zone(0, 5, vec![square(0, 0, 1_000)]))]);
        let opening = Opening { opens_minute: minute, closes_minute: minute + 60 };
        view.description.hours.days = std::array::from_fn(|_| vec![opening]);
        view
    };
    // Sixteen minutes after midnight.
    town.0.now = Timestamp(16 * 60_000);
    town.store("s-1", &opens_at(600));
    town.store("s-2", &opens_at(480));
    let mut never = opens_at(0);
    never.pause = Some(Pause::default());
    town.store("s-3", &never);
    let outcome = town.asked(at(1, 1), None);
    let expected = Some(Timestamp(480 * 60_000));
    assert!(
        matches!(outcome, Serviceability::Closed { ref store, opens_at, .. } if store.as_str() == "s-2" && opens_at == expected),
        "{outcome:?}"
    );
    let outcome = town.asked(at(1, 1), Some("s-3"));
    assert!(matches!(outcome, Serviceability::Paused { until: None, .. }), "{outcome:?}");
    let (_, listed) = town.0.tell(Command::Stores { stores: vec![key("s-3"), key("s-9"), key("s-1")] }).unwrap();
    let Reply::Stores { stores } = listed else { panic!("{listed:?}") };
    let listed: Vec<_> = stores.iter().map(|one| (one.store.as_str(), one.open, one.until)).collect();
    assert_eq!(listed, [("s-3", false, None), ("s-1", false, Some(Timestamp(600 * 60_000)))]);
}

#[test]
fn an_address_without_a_position_has_the_stores_base_terms() {
    let mut town = Town::new();
    town.store("s-1", &view(at(0, 0), vec![]));
    let standing = |town: &mut Town, store: &str| match town.0.tell(Command::Standing { store: key(store) }).unwrap().1
    {
        Reply::Serviceability(outcome) => outcome,
        other => panic!("{other:?}"),
    };
    let outcome = standing(&mut town, "s-1");
    assert!(
        matches!(outcome, Serviceability::Served { ref zone, terms, .. } if zone.is_none() && terms.fee_minor == 7),
        "{outcome:?}"
    );
    assert_eq!(standing(&mut town, "s-2"), Serviceability::Undescribed);
}

#[test]
fn old_news_changes_nothing_and_there_is_a_limit() {
    let mut town = Town::new();
    let here = view(at(0, 0), vec![("all", zone(0, 5, vec![square(0, 0, 1_000)]))]);
    town.store("s-1", &here);
    let late = Command::StoreIs { store: key("s-1"), revision: 1, view: Box::new(view(at(0, 0), vec![])) };
    assert!(town.0.tell(late).unwrap().0.is_empty());
    assert_eq!(town.served(at(1, 1)), served("s-1", "all", 5));
    for number in town.0.state.stores.len()..STORES_MAX {
        town.store(&format!("s-x{number}"), &view(at(0, 0), vec![]));
    }
    let one_more = Command::StoreIs { store: key("s-new"), revision: 1, view: Box::new(here) };
    assert_eq!(town.0.tell(one_more).unwrap_err(), Rejection::Full { limit: STORES_MAX as u32 });
}

#[test]
fn the_nearest_riders_are_those_that_are_fresh_and_near() {
    let mut town = Town::new();
    let now = town.0.now.0;
    let seen = |town: &mut Town, rider: &str, lng_e6: i32, at_ms: i64| {
        town.1 += 1;
        let (revision, position) = (town.1, at(lng_e6, 60_000_000));
        let news = Command::RiderAt { rider: key(rider), revision, position, at: Timestamp(at_ms) };
        assert_eq!(town.0.tell(news).unwrap().1, Reply::Noted);
    };
    // At 60 degrees a thousandth of a degree of longitude is 55.6 m.
    for (rider, lng_e6, age) in [("u-1", 1_000, 0), ("u-2", 2_000, 0), ("u-3", 3_000, FRESH_MS + 1), ("u-4", 4_000, 0)]
    {
        seen(&mut town, rider, lng_e6, now - age);
    }
    let here = at(0, 60_000_000);
    let names = |riders: Vec<Near>| riders.into_iter().map(|one| one.rider.to_string()).collect::<Vec<_>>();
    assert_eq!(town.near(here, 230, None).first().map(|one| one.distance_m), Some(56));
    assert_eq!(names(town.near(here, 230, None)), ["u-1", "u-2", "u-4"]);
    assert_eq!(names(town.near(here, 200, None)), ["u-1", "u-2"]);
    assert_eq!(
        names(town.near(here, 1_000, Some(vec![key("u-4"), key("u-2"), key("u-9"), key("u-4")]))),
        ["u-2", "u-4"]
    );
    // Whoever moves is found where they are now; whoever is silent for long is forgotten.
    seen(&mut town, "u-1", 900_000, now);
    assert_eq!(names(town.near(here, 1_000, None)), ["u-2", "u-4"]);
    town.0.now = Timestamp(now + FORGOTTEN_MS + 1);
    seen(&mut town, "u-5", 0, now + FORGOTTEN_MS + 1);
    assert_eq!(town.0.state.riders.keys().map(Key::as_str).collect::<Vec<_>>(), ["u-5"]);
    let too_far = Command::Nearest { position: here, within_m: 50_001, limit: 3, among: None };
    assert!(matches!(town.0.tell(too_far), Err(Rejection::Invalid { .. })));
}

fn consistent(state: &State) {
    let zones: usize = state.stores.values().map(|noted| noted.view.zones.len()).sum();
    assert_eq!(state.zones.len(), zones);
    assert_eq!((state.places.len(), state.silence.len()), (state.riders.len(), state.riders.len()));
}

/// Against a search through everything, for stores that come, change and go to sleep in any order.
#[test]
fn the_trees_find_what_a_search_through_everything_finds() {
    let change = (0..5_usize, vec((0..3_u8, -3..3_i32, 0..900_i32, 0..900_i32, 1..400_i32), 0..4), any::<bool>());
    let rider = (0..8_usize, 0..1_000_i32, 0..1_000_i32, 1..20_u64);
    let probes = vec((0..1_300_i32, 0..1_300_i32), 20);
    let input = (vec(change, 1..20), vec(rider, 0..40), probes);
    check(64, &input, |(changes, riders, probes)| {
        let mut town = Town::new();
        for (store, squares, paused) in changes {
            let mut zones: Vec<(String, Zone)> = Vec::new();
            for (id, priority, lng_e6, lat_e6, side) in squares {
                let id = format!("z{id}");
                if !zones.iter().any(|(known, _)| *known == id) {
                    zones.push((id, zone(priority, side.into(), vec![square(lng_e6, lat_e6, side)])));
                }
            }
            let mut view = view(at(store as i32 * 300, 500), vec![]);
            view.zones = zones;
            view.pause = paused.then(Pause::default);
            town.store(&format!("s-{store}"), &view);
            consistent(&town.0.state);
        }
        for (rider, lng_e6, lat_e6, revision) in riders {
            let (rider, position) = (key(&format!("u-{rider}")), at(lng_e6, lat_e6));
            town.0.tell(Command::RiderAt { rider, revision, position, at: town.0.now }).unwrap();
            consistent(&town.0.state);
        }
        let loaded = town.0.reloaded();
        consistent(&loaded);
        for (lng_e6, lat_e6) in probes {
            let here = at(lng_e6, lat_e6);
            let mut expected: Vec<(Key, String)> = Vec::new();
            for (store, noted) in town.0.state.stores.iter() {
                for (id, zone) in &noted.view.zones {
                    let (low, high) = zone.area.corners();
                    let inside = |axis: usize, value: i32| (low[axis]..=high[axis]).contains(&i64::from(value));
                    if inside(0, lng_e6) && inside(1, lat_e6) {
                        expected.push((store.clone(), id.clone()));
                    }
                }
            }
            expected.sort();
            for state in [&town.0.state, &loaded] {
                let mut found: Vec<(Key, String)> =
                    state.zones.around(here).map(|(store, zone)| (store.clone(), zone.to_owned())).collect();
                found.sort();
                prop_assert_eq!(&found, &expected);
            }
            let open = |store: &Key| town.0.state.stores.get(store).is_some_and(|noted| noted.view.pause.is_none());
            let any_open = expected.iter().any(|(store, _)| open(store));
            let outcome = town.asked(here, None);
            prop_assert_eq!(any_open, matches!(outcome, Serviceability::Served { .. }), "{:?}", outcome);
            prop_assert_eq!(expected.is_empty(), matches!(outcome, Serviceability::Outside { .. }), "{:?}", outcome);
            let within = 60;
            let near: Vec<Key> = town.near(here, within, None).into_iter().map(|one| one.rider).collect();
            let mut all: Vec<(u32, Key)> = town
                .0
                .state
                .riders
                .iter()
                .map(|(rider, seen)| (seen.position.distance_m(here), rider.clone()))
                .filter(|(distance_m, _)| *distance_m <= within)
                .collect();
            all.sort();
            prop_assert_eq!(near, all.into_iter().map(|(_, rider)| rider).take(3).collect::<Vec<_>>());
        }
        prop_assert_eq!(EntityState::parts(&mut town.0.state).len(), 2);
        Ok(())
    });
}
