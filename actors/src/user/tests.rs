//! Properties over random command sequences.

use std::collections::{BTreeMap, BTreeSet};

use nakku_cluster::{Key, Timestamp};

use super::command::{
    ADDRESSES_MAX, Address, Command, NewSession, PasswordHash, Profile, Rejection, Reply, Role, SESSIONS_MAX, TokenHash,
};
use super::{Event, User, email, service};
use crate::position::Position;
use crate::simulation::{Faults, World, with_seeds};

const EMAIL: &str = "asha@example.com";

fn register() -> Command {
    Command::Register {
        email: EMAIL.into(),
        name: "Asha".into(),
        password_hash: PasswordHash::new("argon"),
        roles: vec![Role::Customer, Role::Customer],
        store: None,
    }
}

fn profile(reply: Result<Reply, Rejection>) -> Profile {
    match reply {
        Ok(Reply::Profile(profile)) => profile,
        other => panic!("{other:?}"),
    }
}

fn user(world: &mut World) -> Key {
    let key = Key::new("u-1").unwrap();
    profile(world.ask::<User>(&key, &register()));
    key
}

/// A model of sessions: the good token of each, and all that were exchanged.
#[derive(Default)]
struct Model {
    good: BTreeMap<String, String>,
    used: BTreeMap<String, BTreeSet<String>>,
}

#[test]
fn an_exchanged_token_ends_its_session_and_only_that() {
    with_seeds(50, |seed| {
        let mut world = World::new(&[service()], seed);
        world.faults = Faults::MANY;
        let key = user(&mut world);
        let mut model = Model::default();
        let mut drawn = 0;
        for _ in 0..400 {
            drawn += 1;
            let expires_at = Timestamp(world.now.0 + 1_000_000_000);
            let families: Vec<String> = model.good.keys().cloned().collect();
            let family = if families.is_empty() { "none".to_owned() } else { world.random.one_of(&families).clone() };
            match world.random.below(12) {
                0..=2 if families.len() < SESSIONS_MAX => {
                    let (family, token) = (format!("f{drawn}"), format!("t{drawn}"));
                    let session =
                        NewSession { family: family.clone(), token_hash: TokenHash::new(&*token), expires_at };
                    let command = Command::LoggedIn { session };
                    profile(world.ask::<User>(&key, &command));
                    profile(world.ask::<User>(&key, &command));
                    model.good.insert(family, token);
                }
                3..=7 if model.good.contains_key(&family) => {
                    let (old, new) = (model.good[&family].clone(), format!("t{drawn}"));
                    let rotate = Command::RotateRefresh {
                        family: family.clone(),
                        old_hash: TokenHash::new(&*old),
                        new_hash: TokenHash::new(&*new),
                        expires_at,
                    };
                    for _ in 0..2 {
                        let reply = world.ask::<User>(&key, &rotate);
                        assert!(matches!(reply, Ok(Reply::Rotated { .. })), "{reply:?}");
                    }
                    model.good.insert(family.clone(), new);
                    model.used.entry(family).or_default().insert(old);
                }
                8 => {
                    let used: Vec<String> = model.used.get(&family).into_iter().flatten().cloned().collect();
                    if used.is_empty() {
                        continue;
                    }
                    let old_hash = TokenHash::new(&**world.random.one_of(&used));
                    let new_hash = TokenHash::new(format!("t{drawn}"));
                    let stolen = Command::RotateRefresh { family: family.clone(), old_hash, new_hash, expires_at };
                    assert_eq!(world.ask::<User>(&key, &stolen), Ok(Reply::Reused { family: family.clone() }));
                    assert_eq!(world.ask::<User>(&key, &stolen), Err(Rejection::SessionEnded));
                    model.good.remove(&family);
                    model.used.remove(&family);
                }
                9 => {
                    profile(world.ask::<User>(&key, &Command::RevokeRefresh { family: family.clone() }));
                    model.good.remove(&family);
                    model.used.remove(&family);
                }
                10 if world.random.percent(10) => {
                    profile(world.ask::<User>(&key, &Command::RevokeAll));
                    model = Model::default();
                }
                _ => world.advance(1_000),
            }
        }
        for (family, token) in &model.good {
            let command = Command::RotateRefresh {
                family: family.clone(),
                old_hash: TokenHash::new(&**token),
                new_hash: TokenHash::new("last"),
                expires_at: Timestamp(i64::MAX),
            };
            assert!(matches!(world.ask::<User>(&key, &command), Ok(Reply::Rotated { .. })), "{family} stands");
        }
    });
}

#[test]
fn sessions_and_addresses_are_bounded() {
    let mut world = World::new(&[service()], 1);
    let key = user(&mut world);
    let expires_at = Timestamp(world.now.0 + 1_000);
    let open = |number: usize| NewSession {
        family: format!("f{number}"),
        token_hash: TokenHash::new(format!("t{number}")),
        expires_at,
    };
    for number in 0..=SESSIONS_MAX {
        profile(world.ask::<User>(&key, &Command::LoggedIn { session: open(number) }));
    }
    let rotate = |number: usize| Command::RotateRefresh {
        family: format!("f{number}"),
        old_hash: TokenHash::new(format!("t{number}")),
        new_hash: TokenHash::new("next"),
        expires_at,
    };
    assert_eq!(world.ask::<User>(&key, &rotate(0)), Err(Rejection::SessionEnded), "the oldest made room");
    assert!(world.ask::<User>(&key, &rotate(1)).is_ok());
    world.advance(1_000);
    assert_eq!(world.ask::<User>(&key, &rotate(2)), Err(Rejection::SessionEnded), "its time is over");
    let address = Address {
        label: "home".into(),
        line: "12, 100 Feet Road".into(),
        city: "Bengaluru".into(),
        pin_code: "560038".into(),
        position: Position::from_degrees(12.971_9, 77.641_2),
    };
    let nowhere = Address { position: Some(Position { lat_e6: 90_000_001, lng_e6: 0 }), ..address.clone() };
    let refused = world.ask::<User>(&key, &Command::AddAddress { id: "a-0".into(), address: nowhere });
    assert!(matches!(refused, Err(Rejection::Invalid { ref field, .. }) if field == "position"), "{refused:?}");
    let add = |number: usize| Command::AddAddress { id: format!("a-{number}"), address: address.clone() };
    for number in 0..ADDRESSES_MAX {
        profile(world.ask::<User>(&key, &add(number)));
    }
    assert_eq!(
        world.ask::<User>(&key, &add(ADDRESSES_MAX)),
        Err(Rejection::TooMany { what: "addresses".into(), limit: ADDRESSES_MAX as u32 })
    );
    assert_eq!(profile(world.ask::<User>(&key, &add(0))).addresses.len(), ADDRESSES_MAX);
    profile(world.ask::<User>(&key, &Command::RemoveAddress { id: "a-0".into() }));
    assert_eq!(profile(world.ask::<User>(&key, &add(ADDRESSES_MAX))).addresses.len(), ADDRESSES_MAX);
}

#[test]
fn repeating_a_registration_changes_nothing_and_another_is_refused() {
    let mut world = World::new(&[service()], 1);
    let key = user(&mut world);
    world.advance(1_000);
    let again = profile(world.ask::<User>(&key, &register()));
    assert_eq!(again.registered_at.0, world.now.0 - 1_000);
    assert_eq!(again.roles, [Role::Customer]);
    let Command::Register { name, password_hash, roles, store, .. } = register() else { unreachable!() };
    let other = Command::Register { email: "other@example.com".into(), name, password_hash, roles, store };
    assert_eq!(world.ask::<User>(&key, &other), Err(Rejection::AlreadyRegistered));
    let held = Command::SettleEmail { email: email::reference(EMAIL).key().clone() };
    assert_eq!(world.ask::<User>(&key, &held), Ok(Reply::EmailHeld));
    let not_held = Command::SettleEmail { email: email::reference("other@example.com").key().clone() };
    assert_eq!(world.ask::<User>(&key, &not_held), Ok(Reply::EmailNotHeld));
}

#[test]
fn roles_and_passwords_change_and_end_the_sessions() {
    let mut world = World::new(&[service()], 1);
    let key = user(&mut world);
    let store = Key::new("s-indiranagar").unwrap();
    let grant = Command::GrantRole { role: Role::Rider, store: Some(store.clone()) };
    let granted = profile(world.ask::<User>(&key, &grant));
    assert_eq!((granted.roles, granted.store), (vec![Role::Customer, Role::Rider], Some(store)));
    let expires_at = Timestamp(world.now.0 + 1_000);
    for (number, change) in [
        Command::RevokeRole { role: Role::Rider },
        Command::ChangePassword { password_hash: PasswordHash::new("other") },
    ]
    .into_iter()
    .enumerate()
    {
        let family = format!("f{number}");
        let session = NewSession { family: family.clone(), token_hash: TokenHash::new("t"), expires_at };
        profile(world.ask::<User>(&key, &Command::LoggedIn { session }));
        let open = Command::Session { family: family.clone() };
        assert_eq!(world.ask::<User>(&key, &open), Ok(Reply::Session { open: true }));
        profile(world.ask::<User>(&key, &change));
        assert_eq!(world.ask::<User>(&key, &open), Ok(Reply::Session { open: false }));
        let rotate =
            Command::RotateRefresh { family, old_hash: TokenHash::new("t"), new_hash: TokenHash::new("u"), expires_at };
        assert_eq!(world.ask::<User>(&key, &rotate), Err(Rejection::SessionEnded));
    }
    let last = Command::RevokeRole { role: Role::Customer };
    assert_eq!(world.ask::<User>(&key, &last), Err(Rejection::LastRole));
    match world.ask::<User>(&key, &Command::Credentials) {
        Ok(Reply::Credentials { password_hash, .. }) => assert_eq!(password_hash.expose(), "other"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn secrets_are_neither_shown_nor_in_public_events() {
    use nakku_cluster::Event as _;
    let shown = format!("{:?}", register());
    assert!(!shown.contains("argon"), "{shown}");
    let private = [
        Event::PasswordSet { password_hash: PasswordHash::new("argon") },
        Event::RefreshRotated { family: "f".into(), token_hash: TokenHash::new("secret"), expires_at: Timestamp(0) },
    ];
    for event in private {
        assert!(event.event_type().starts_with(super::event::PRIVATE_PREFIX), "{event:?}");
        assert!(!format!("{event:?}").contains("secret"));
    }
}
