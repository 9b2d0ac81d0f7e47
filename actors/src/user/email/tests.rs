//! Properties over random registrations with faults: see [`super::decide`] for what a claim is.

use std::collections::BTreeMap;

use nakku_cluster::Key;

use super::command::{Command, Rejection, Reply};
use super::{Email, normalise, reference};
use crate::simulation::{Faults, World, with_seeds};
use crate::user::command::{PasswordHash, Role};
use crate::user::{self, User, service};

fn register(email: &str) -> user::Command {
    user::Command::Register {
        email: email.into(),
        name: "Asha".into(),
        password_hash: PasswordHash::new("hash"),
        roles: vec![Role::Customer],
        store: None,
    }
}

/// Edges claim and register in any order of one another, give up between the two, and come back late.
#[test]
fn an_email_belongs_to_one_registered_user_at_most_and_none_is_lost() {
    with_seeds(200, |seed| {
        let mut world = World::new(&[service()], seed);
        world.faults = Faults::MANY;
        let emails = ["a@example.com", "b@example.com"];
        let users: Vec<Key> = (0..6).map(|number| Key::new(format!("u-{number}")).unwrap()).collect();
        let mut claimed = Vec::new();
        let mut registered: BTreeMap<Key, &str> = BTreeMap::new();
        let mut held: BTreeMap<&str, Key> = BTreeMap::new();
        for _ in 0..120 {
            match world.random.below(10) {
                0..=2 => {
                    let (email, user) = (*world.random.one_of(&emails), world.random.one_of(&users).clone());
                    let claim = Command::Claim { user: user.clone() };
                    if world.ask::<Email>(reference(email).key(), &claim).is_ok() {
                        claimed.push((email, user));
                    }
                }
                // Only whoever was granted a claim goes on, perhaps long after.
                3..=5 if !claimed.is_empty() => {
                    let (email, user) = world.random.one_of(&claimed).clone();
                    if world.ask::<User>(&user, &register(email)).is_ok() {
                        let before = registered.insert(user.clone(), email);
                        assert!(before.is_none_or(|before| before == email));
                        let holder = held.entry(email).or_insert_with(|| user.clone());
                        assert_eq!(*holder, user, "{email} belongs to one user");
                    }
                }
                6 if !claimed.is_empty() => {
                    let (email, user) = world.random.one_of(&claimed).clone();
                    if !registered.contains_key(&user) {
                        let _ = world.ask::<Email>(reference(email).key(), &Command::Release { user });
                    }
                }
                7 => {
                    let passed = world.random.below(90_000) as i64;
                    world.advance(passed);
                }
                _ => {
                    world.step();
                }
            }
        }
        let end = nakku_cluster::Timestamp(world.now.0 + 1_000_000);
        world.settle_until(end);
        for email in emails {
            let owner = world.ask::<Email>(reference(email).key(), &Command::Get).unwrap();
            let expected = held.get(email).map_or(Reply::Free, |user| Reply::Owned { user: user.clone() });
            assert_eq!(owner, expected, "{email}");
        }
    });
}

#[test]
fn a_claim_without_a_registration_becomes_free() {
    let mut world = World::new(&[service()], 1);
    let email = reference("a@example.com");
    let (first, second) = (Key::new("u-1").unwrap(), Key::new("u-2").unwrap());
    let claim = |user: &Key| Command::Claim { user: user.clone() };
    assert!(world.ask::<Email>(email.key(), &claim(&first)).is_ok());
    assert!(world.ask::<Email>(email.key(), &claim(&first)).is_ok());
    let refused = world.ask::<Email>(email.key(), &claim(&second));
    assert!(matches!(refused, Err(Rejection::Pending { .. })), "{refused:?}");
    let due = world.next_wake().unwrap();
    world.settle_until(due);
    assert!(world.ask::<Email>(email.key(), &claim(&second)).is_ok());
    assert_eq!(world.ask::<User>(&first, &register("a@example.com")), Err(user::Rejection::Abandoned));
    assert!(world.ask::<User>(&second, &register("a@example.com")).is_ok());
    let due = world.next_wake().unwrap();
    world.settle_until(due);
    assert_eq!(world.ask::<Email>(email.key(), &claim(&Key::new("u-3").unwrap())), Err(Rejection::Taken));
    assert_eq!(world.next_wake(), None);
}

#[test]
fn emails_are_normalised() {
    assert_eq!(normalise(" Asha@Example.COM ").unwrap(), "asha@example.com");
    let long = format!("{}@example.com", "a".repeat(65));
    for wrong in
        ["", "asha", "@example.com", "a@b", "a b@example.com", "a@b@example.com", "a@-b.com", "a@b..com", &long]
    {
        assert!(normalise(wrong).is_err(), "{wrong:?}");
    }
    assert_eq!(reference("a@example.com").key().as_str().len(), 66);
}
