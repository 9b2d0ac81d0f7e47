//! A user is forgotten by everybody who kept something, whatever goes wrong on the way.

use nakku_cluster::{Ask, Context, EntityState, Key, Timestamp};
use serde_json::json;

use super::command::{
    Address, Command, ErasedBy, ErasureReason, NewSession, PasswordHash, Rejection, Reply, Role, TokenHash,
};
use super::email::decide::CLAIM;
use super::{User, email, service};
use crate::cart::{self, Cart};
use crate::location::directory::{self, Directory};
use crate::location::rider::{self, Rider};
use crate::position::Position;
use crate::properties::Alone;
use crate::simulation::{Faults, World, with_seeds};
use crate::{location, user};

const EMAIL: &str = "asha@example.com";

fn register() -> Command {
    Command::Register {
        email: EMAIL.into(),
        name: "Asha".into(),
        password_hash: PasswordHash::new("argon"),
        roles: vec![Role::Customer, Role::Rider],
        store: None,
    }
}

fn home() -> Command {
    let address = Address {
        label: "home".into(),
        line: "12, 100 Feet Road".into(),
        city: "Bengaluru".into(),
        pin_code: "560038".into(),
        position: None,
    };
    Command::AddAddress { id: "home".into(), address }
}

fn log_in(now: Timestamp) -> Command {
    let expires_at = Timestamp(now.0 + 1_000_000);
    Command::LoggedIn { session: NewSession { family: "f1".into(), token_hash: TokenHash::new("0a"), expires_at } }
}

fn erase() -> Command {
    Command::Erase { by: ErasedBy::User, reason: ErasureReason::Requested }
}

fn add() -> cart::Command {
    let line = cart::Line { sku: "p-1".into(), name: "Ghee".into(), quantity: 1, price_minor: 100 };
    cart::Command::Add { store: Key::new("s-1").unwrap(), line }
}

#[test]
fn everybody_forgets_an_erased_user() {
    with_seeds(100, |seed| {
        let services = [service(), cart::service(), location::service()];
        let mut world = World::new(&services, seed);
        world.faults = Faults::MANY;
        let key = Key::new("u-1").unwrap();
        let owner = email::reference(EMAIL);
        world.ask::<email::Email>(owner.key(), &email::Command::Claim { user: key.clone() }).unwrap();
        world.ask::<User>(&key, &register()).unwrap();
        world.ask::<User>(&key, &home()).unwrap();
        world.ask::<User>(&key, &log_in(world.now)).unwrap();
        world.ask::<Cart>(&key, &add()).unwrap();
        let position = Position { lat_e6: 12_978_400, lng_e6: 77_640_800 };
        let ping = rider::Command::Ping { position, accuracy_m: 10, at: world.now };
        world.ask::<Rider>(&key, &ping).unwrap();
        // The claim of the e-mail may be open, under question or settled by then.
        for _ in 0..world.random.below(4) {
            world.advance(CLAIM.as_millis() as i64 / 2);
            for _ in 0..world.random.below(6) {
                world.step();
            }
        }
        let first = world.ask::<User>(&key, &erase()).unwrap();
        assert!(matches!(first, Reply::Erased { ref erasure } if erasure.at == world.now), "{first:?}");
        while world.step() {}
        let until = Timestamp(world.now.0 + 10 * CLAIM.as_millis() as i64);
        world.settle_until(until);

        let other = Command::Erase { by: ErasedBy::Operator, reason: ErasureReason::Abuse };
        assert_eq!(world.ask::<User>(&key, &other).unwrap(), first, "repeated, it changes nothing");
        for command in [Command::Get, Command::Credentials, home(), log_in(world.now)] {
            assert_eq!(world.ask::<User>(&key, &command), Err(Rejection::NotFound), "{command:?}");
        }
        assert_eq!(world.ask::<User>(&key, &Command::Session { family: "f1".into() }), Err(Rejection::NotFound));
        assert_eq!(world.ask::<User>(&key, &register()), Err(Rejection::Abandoned), "the key stays taken");
        assert_eq!(world.ask::<Cart>(&key, &add()), Err(cart::Rejection::Closed));
        let cart::Reply::Cart(contents) = world.ask::<Cart>(&key, &cart::Command::Get).unwrap() else { panic!() };
        assert!(contents.lines.is_empty() && contents.store.is_none());
        let seal = cart::Command::Seal { order: Key::new("u-1.o-1").unwrap(), version: contents.version };
        assert_eq!(world.ask::<Cart>(&key, &seal), Err(cart::Rejection::Closed), "no order is made any more");
        let ping = rider::Command::Ping { position, accuracy_m: 10, at: world.now };
        assert_eq!(world.ask::<Rider>(&key, &ping), Err(rider::Rejection::Gone));
        assert_eq!(world.ask::<Rider>(&key, &rider::Command::Get), Ok(rider::Reply::Last { last: None }));

        let again = Key::new("u-2").unwrap();
        world.ask::<email::Email>(owner.key(), &email::Command::Claim { user: again.clone() }).unwrap();
        world.ask::<User>(&again, &register()).unwrap();
    });
}

#[test]
fn the_directory_forgets_an_erased_rider() {
    let mut directory = Alone::<Directory>::new("riders");
    let (rider, position) = (Key::new("u-1").unwrap(), Position { lat_e6: 12_978_400, lng_e6: 77_640_800 });
    let at = directory.now;
    directory.tell(directory::Command::RiderAt { rider: rider.clone(), revision: 1, position, at }).unwrap();
    let gone = directory::Command::RiderGone { rider, revision: 2 };
    assert_eq!(directory.tell(gone.clone()).unwrap().0.len(), 1);
    assert!(directory.tell(gone).unwrap().0.is_empty(), "repeated, it changes nothing");
    let nearest = directory::Command::Nearest { position, within_m: 100, limit: 1, among: None };
    let (_, found) = directory.tell(nearest).unwrap();
    assert_eq!(found, directory::Reply::Riders { riders: Vec::new() });
    assert!(directory.reloaded().riders.is_empty());
}

#[test]
fn nothing_of_an_erased_user_stays_in_its_state() {
    let mut user = Alone::<User>::new("u-1");
    for command in [register(), home(), log_in(user.now)] {
        user.tell(command).unwrap();
    }
    let (events, _) = user.tell(erase()).unwrap();
    let published = <User as nakku_cluster::Entity>::publish(&Key::new("u-1").unwrap(), &events[0]).unwrap();
    assert_eq!(published.event_type, "user.erased");
    assert_eq!(published.data, json!({ "user": "u-1", "erased_at_ms": user.now.0 }));
    let kept = |state: &mut user::State| {
        let head = serde_json::to_value(state.head()).unwrap();
        (head, state.parts().into_iter().map(|(_, parts)| parts.count()).sum::<usize>())
    };
    let (head, parts) = kept(&mut user.reloaded());
    assert_eq!((parts, user.state.profile().email.as_str()), (0, ""));
    for private in ["asha", "Asha", "argon", "100 Feet"] {
        assert!(!head.to_string().contains(private), "{head}");
    }
    for step in user::command::WipeStep::ALL {
        for _ in 0..2 {
            user.tell(Command::Wiped { step: None }).unwrap();
            user.tell(Command::Wiped { step: Some(step) }).unwrap();
        }
    }
    let tombstone = json!({ "at": user.now.0, "by": "user", "reason": "requested" });
    let (head, _) = kept(&mut user.reloaded());
    assert_eq!((&head["erased"], head.get("wiping")), (&tombstone, None), "{head}");
    assert!(user.outstanding().contains("effects: []"));
}

/// What was answered to a log-in is remembered for its repetition, and says who it was.
#[test]
fn remembered_replies_go_with_an_erased_user() {
    let services = service();
    let of_kind = services.types.iter().find(|one| one.kind().entity == "user").unwrap();
    let mut instance = of_kind.create();
    let (key, now) = (Key::new("u-1").unwrap(), Timestamp(1_000));
    let mut decide = |command: &Command, once: Option<&str>| {
        let mut context = Context::new(key.clone(), now, 0, 1, 0);
        let ask = Ask::within(std::time::Duration::from_secs(1));
        let once = once.and_then(|id| ask.once(id, Timestamp(9_000)).once);
        instance.decide(&serde_json::to_vec(command).unwrap(), once.as_ref(), &mut context);
        instance.take_touched()
    };
    decide(&register(), None);
    let remembered = |touched: Vec<(String, Option<Vec<u8>>)>| touched.into_iter().find(|(name, _)| name == "~once/l");
    assert!(matches!(remembered(decide(&log_in(now), Some("l"))), Some((_, Some(reply))) if !reply.is_empty()));
    assert_eq!(remembered(decide(&erase(), None)), Some(("~once/l".to_owned(), None)));
}
