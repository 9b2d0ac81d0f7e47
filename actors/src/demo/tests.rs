//! The data are sound, every command of the seed is accepted, and repeating it changes nothing.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nakku_cluster::handle::{Outcome, Router};
use nakku_cluster::status::ClusterStatus;
use nakku_cluster::store::{ListedRow, StateTable};
use nakku_cluster::{Address, Answer, Ask, Cluster, Failure, Query};

use super::{STORES, catalogue, people, places, seed};
use crate::delivery::rider::{self, Rider};
use crate::location::directory::{self, Directory, Serviceability};
use crate::position::Position;
use crate::product::command::Command;
use crate::simulation::World;
use crate::user::command::Role;
use crate::user::password;
use crate::user::{self, User};

#[test]
fn the_catalogue_is_large_and_nothing_is_in_it_twice() {
    let rows: Vec<_> = catalogue::rows().collect::<Result<_, _>>().unwrap();
    assert!(rows.len() >= 150, "{}", rows.len());
    let barcodes: BTreeSet<&str> = rows
        .iter()
        .map(|(_, command)| match command {
            Command::Create { details, .. } => details.barcode.as_str(),
            other => panic!("{other:?}"),
        })
        .collect();
    let skus: BTreeSet<_> = rows.iter().map(|(sku, _)| sku).collect();
    assert_eq!((barcodes.len(), skus.len()), (rows.len(), rows.len()));
    assert!(skus.iter().any(|sku| sku.as_str() == catalogue::SCARCE));
    assert_eq!(catalogue::supplies().len(), STORES.len());
}

#[test]
fn everyone_can_be_told_apart() {
    let accounts = people::accounts();
    let emails: BTreeSet<&str> = accounts.iter().map(|account| account.email.as_str()).collect();
    assert_eq!(emails.len(), accounts.len());
    assert_eq!(accounts.iter().filter(|account| account.role == Role::Rider).count(), 6);
    assert_eq!(accounts.last().unwrap().role, Role::Admin);
}

/// A part of the town that no store serves.
const WHITEFIELD: Position = Position { lat_e6: 12_969_800, lng_e6: 77_750_000 };

fn customer_position() -> Position {
    let addresses = people::accounts().into_iter().filter_map(|account| match account.address()? {
        user::Command::AddAddress { address, .. } => address.position,
        other => panic!("{other:?}"),
    });
    addresses.last().expect("the customer's address has a position")
}

/// Carries asks into a simulated world.
struct Simulated(Mutex<World>);

#[async_trait::async_trait]
impl Router for Simulated {
    async fn ask(&self, target: Address, command: Vec<u8>, _: Ask) -> Outcome {
        match self.0.lock().unwrap().ask_untyped(&target, &command) {
            Answer::Reply(json) => Outcome::Reply { json, entity_version: 1 },
            Answer::Rejected(json) => Outcome::Rejected { json, entity_version: 1 },
        }
    }

    async fn list(&self, _: StateTable, _: &Query) -> Result<Vec<ListedRow>, Failure> {
        Ok(Vec::new())
    }

    async fn history(&self, _: &Address, _: u64, _: u32) -> Result<Vec<nakku_cluster::events::Envelope>, Failure> {
        Ok(Vec::new())
    }

    async fn status(&self) -> ClusterStatus {
        ClusterStatus::default()
    }

    fn is_ready(&self) -> bool {
        true
    }

    fn live(&self, _: Option<&[&str]>) -> nakku_cluster::events::Watch {
        nakku_cluster::events::Watch::of(tokio::sync::broadcast::channel(1).1)
    }

    fn signal(&self, _: nakku_cluster::events::Signal) {}
}

#[tokio::test]
async fn seeding_makes_a_shop_and_a_second_time_changes_nothing() {
    let world = World::new(&crate::services(), 1);
    let router = Arc::new(Simulated(Mutex::new(world)));
    let cluster = Cluster::new(router.clone());
    let first = tokio::time::timeout(Duration::from_secs(10), seed(&cluster)).await.unwrap().unwrap();
    assert!(first.fresh);
    assert!(!seed(&cluster).await.unwrap().fresh);
    let mut world = router.0.lock().unwrap();
    world.settle();
    for (position, expected) in
        [(STORES[0].position, Some(0)), (customer_position(), Some(0)), (places::LAKE, None), (WHITEFIELD, None)]
    {
        let asked = directory::Command::Serviceability { position, store: Some(STORES[0].key()) };
        let answered = world.ask::<Directory>(directory::reference().key(), &asked);
        let Ok(directory::Reply::Serviceability(outcome)) = answered else { panic!("{answered:?}") };
        let fee = match &outcome {
            Serviceability::Served { terms, .. } => Some(terms.fee_minor),
            _ => None,
        };
        assert_eq!(fee, expected, "{position}: {outcome:?}");
    }
    for account in people::accounts() {
        let Ok(user::Reply::Credentials { password_hash, profile }) =
            world.ask::<User>(&account.user, &user::Command::Credentials)
        else {
            panic!("{account:?} has no account")
        };
        assert_eq!(profile.email, account.email);
        assert_eq!(profile.addresses.len(), usize::from(account.role == Role::Customer));
        if account.role == Role::Admin {
            assert!(password::verify(people::PASSWORD, &password_hash));
        }
        if account.role == Role::Rider {
            let Ok(rider::Reply::Rider(view)) = world.ask::<Rider>(&account.user, &rider::Command::Get) else {
                panic!("{account:?} is no rider")
            };
            assert_eq!(view.presence, rider::command::Presence::Online);
        }
    }
}
