//! Who is told of what, and since when.

use nakku_cluster::{EntityState, Key, Timestamp};

use super::command::{Brief, ENDED_MAX, Route, SUBSCRIPTIONS_MAX};
use super::{Command, Directory, KEY, Rejection, Reply, State};
use crate::properties::Alone;

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

fn set(endpoint: &str, revision: u64, types: &[&str]) -> Command {
    Command::Set { endpoint: key(endpoint), revision, types: types.iter().map(|one| (*one).to_owned()).collect() }
}

fn routes(directory: &mut Alone<Directory>, events: &[(u64, &str, i64)]) -> Vec<(u64, Vec<String>)> {
    let brief = |(sequence, event_type, time): &(u64, &str, i64)| Brief {
        sequence: *sequence,
        event_type: (*event_type).to_owned(),
        time: Timestamp(*time),
    };
    let events = events.iter().map(brief).collect();
    let Reply::Routes { routes } = directory.tell(Command::Route { events }).unwrap().1 else { panic!() };
    let plain = |route: Route| (route.sequence, route.endpoints.iter().map(Key::to_string).collect());
    routes.into_iter().map(plain).collect()
}

#[test]
fn an_event_goes_to_those_who_wanted_it_when_it_occurred() {
    let mut directory = Alone::<Directory>::new(KEY);
    assert_eq!(routes(&mut directory, &[(1, "order.created", 2_000_000)]), []);
    directory.now = Timestamp(1_000);
    directory.tell(set("a", 1, &["order.*"])).unwrap();
    directory.now = Timestamp(2_000);
    directory.tell(set("b", 1, &["order.created", "cart.*"])).unwrap();
    let events =
        [(1, "order.created", 999), (2, "order.created", 1_000), (3, "order.created", 2_000), (4, "user.login", 9_000)];
    let both = || vec!["a".to_owned(), "b".to_owned()];
    assert_eq!(routes(&mut directory, &events), [(2, vec!["a".to_owned()]), (3, both())]);

    // What was wanted before is not interrupted by a further wish, which holds from then on.
    directory.now = Timestamp(3_000);
    directory.tell(set("a", 2, &["order.*", "user.login"])).unwrap();
    let events = [(1, "order.created", 1_500), (2, "user.login", 2_999), (3, "user.login", 3_000)];
    assert_eq!(routes(&mut directory, &events), [(1, vec!["a".to_owned()]), (3, vec!["a".to_owned()])]);

    // A repetition and what comes late change nothing.
    assert_eq!(directory.tell(set("a", 2, &[])).unwrap().0, []);
    assert_eq!(directory.tell(set("a", 1, &["order.*"])).unwrap().0, []);
    directory.tell(set("a", 3, &[])).unwrap();
    assert_eq!(routes(&mut directory, &[(3, "order.created", 5_000)]), [(3, vec!["b".to_owned()])]);
    // Wanted again it counts from now on.
    directory.now = Timestamp(6_000);
    directory.tell(set("a", 4, &["order.*"])).unwrap();
    let events = [(1, "order.created", 5_999), (2, "order.created", 6_000)];
    assert_eq!(routes(&mut directory, &events), [(1, vec!["b".to_owned()]), (2, both())]);
}

#[test]
fn it_is_bounded_and_comes_back_as_it_was() {
    let mut directory = Alone::<Directory>::new(KEY);
    for number in 0..SUBSCRIPTIONS_MAX {
        directory.tell(set(&format!("e-{number}"), 1, &["order.*"])).unwrap();
    }
    let full = Rejection::Full { limit: SUBSCRIPTIONS_MAX as u32 };
    assert_eq!(directory.tell(set("more", 1, &["order.*"])).unwrap_err(), full);
    directory.tell(set("more", 2, &[])).unwrap();
    directory.tell(set("e-0", 2, &["cart.*"])).unwrap();
    for number in 0..ENDED_MAX + 5 {
        directory.now = Timestamp(directory.now.0 + 1);
        directory.tell(set(&format!("x-{number}"), 1, &[])).unwrap();
    }
    assert_eq!(directory.state.subscriptions.len(), SUBSCRIPTIONS_MAX + ENDED_MAX);
    assert!(!directory.state.subscriptions.contains_key(&key("more")), "the oldest is forgotten");
    let mut loaded = State { subscriptions: directory.state.subscriptions.clone(), ..State::default() };
    loaded.loaded();
    assert_eq!((loaded.active.len(), &loaded.active), (SUBSCRIPTIONS_MAX, &directory.state.active));
}
