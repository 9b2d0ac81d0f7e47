//! Puts the demo shop into a cluster. Every command is idempotent, so that a run that was cut short is simply
//! repeated; the administrator is made last and shows that all is there.

use std::time::{Duration, Instant};

use futures::stream::{self, StreamExt, TryStreamExt};
use nakku_cluster::{Ask, AskError, Cluster, Entity, Failure, Key, Ref};

use super::people::{Account, PASSWORD, accounts};
use super::{STORES, catalogue, places};
use crate::delivery::rider::{self, Rider};
use crate::inventory::Stock;
use crate::location;
use crate::product::Product;
use crate::user::command::{PasswordHash, Role};
use crate::user::email::{self, Email};
use crate::user::password::{self, Password, PasswordError, SALT_BYTES};
use crate::user::{self, User};

/// How many commands are under way at a time: enough to fill batches, few enough for any queue.
const CONCURRENT_MAX: usize = 64;
/// How long seeding may take in all.
const DEADLINE: Duration = Duration::from_secs(30);
/// The demo's password is no secret, so neither is its salt.
const SALT: [u8; SALT_BYTES] = *b"nakku-demo-salt!";

/// What seeding did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seeded {
    /// False when all was there already.
    pub fresh: bool,
    /// How many products there are.
    pub products: usize,
    /// How many stores there are.
    pub stores: usize,
    /// How many accounts there are.
    pub accounts: usize,
}

/// Why the demo shop could not be seeded.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// An entity could not be asked.
    #[error("{entity}: {failure}")]
    Failed {
        /// Whom.
        entity: String,
        /// Why.
        failure: Failure,
    },
    /// An entity refused, so the database holds something else under the demo's keys.
    #[error("{entity} refused: {reason}")]
    Refused {
        /// Who.
        entity: String,
        /// Why.
        reason: String,
    },
    /// The password could not be hashed.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// The runtime is shutting down.
    #[error("seeding was stopped")]
    Stopped,
}

/// Makes the demo shop, unless it is there.
///
/// # Errors
/// See [`SeedError`]; what has been made until then stays, and another run goes on from there.
pub async fn seed(cluster: &Cluster) -> Result<Seeded, SeedError> {
    let seeder = Seeder { cluster, until: Instant::now() + DEADLINE };
    let accounts = accounts();
    let (products, supplies) = (catalogue::products(), catalogue::supplies());
    let mut seeded = Seeded { fresh: false, products: products.len(), stores: STORES.len(), accounts: accounts.len() };
    let Some((marker, others)) = accounts.split_last() else { return Ok(seeded) };
    if seeder.exists(&marker.user).await? {
        return Ok(seeded);
    }
    let catalogue = each(products, |(sku, command)| seeder.ask::<Product>(sku, command));
    let stock = each(supplies, |(store, command)| seeder.ask::<Stock>(store, command));
    let places = each(places::places(), |(store, commands)| seeder.place(store, commands));
    let people = async {
        let hash = tokio::task::spawn_blocking(|| password::hash(&Password::new(PASSWORD)?, SALT));
        let hash = hash.await.map_err(|_| SeedError::Stopped)??;
        each(others.to_vec(), |account| seeder.account(account, hash.clone())).await?;
        Ok(hash)
    };
    let ((), (), (), hash) = futures::try_join!(catalogue, stock, places, people)?;
    seeder.account(marker.clone(), hash).await?;
    seeded.fresh = true;
    Ok(seeded)
}

async fn each<T, Work>(all: Vec<T>, work: impl FnMut(T) -> Work) -> Result<(), SeedError>
where
    Work: Future<Output = Result<(), SeedError>>,
{
    stream::iter(all).map(work).map(Ok).try_buffer_unordered(CONCURRENT_MAX).try_collect().await
}

struct Seeder<'a> {
    cluster: &'a Cluster,
    until: Instant,
}

impl Seeder<'_> {
    async fn account(&self, account: Account, hash: PasswordHash) -> Result<(), SeedError> {
        let claim = email::Command::Claim { user: account.user.clone() };
        self.ask::<Email>(email::reference(&account.email).key().clone(), claim).await?;
        self.ask::<User>(account.user.clone(), account.register(hash)).await?;
        if let Some(address) = account.address() {
            self.ask::<User>(account.user.clone(), address).await?;
        }
        match account.store {
            Some(store) if account.role == Role::Rider => {
                self.ask::<Rider>(account.user, rider::Command::GoOnline { store }).await
            }
            _ => Ok(()),
        }
    }

    /// One after the other: a zone is a described store's.
    async fn place(&self, store: Key, commands: Vec<location::Command>) -> Result<(), SeedError> {
        for command in commands {
            self.ask::<location::Store>(store.clone(), command).await?;
        }
        Ok(())
    }

    async fn exists(&self, user: &Key) -> Result<bool, SeedError> {
        match self.ask::<User>(user.clone(), user::Command::Get).await {
            Ok(()) => Ok(true),
            Err(SeedError::Refused { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Asks, and asks again while a node is still starting.
    async fn ask<E: Entity>(&self, key: Key, command: E::Command) -> Result<(), SeedError> {
        let target = Ref::<E>::new(key);
        let entity = || target.address().to_string();
        loop {
            let left = self.until.saturating_duration_since(Instant::now());
            match self.cluster.ask(&target, &command, Ask::within(left)).await {
                Ok(_) => return Ok(()),
                Err(AskError::Rejected { rejection, .. }) => {
                    return Err(SeedError::Refused { entity: entity(), reason: rejection.to_string() });
                }
                Err(AskError::Failed(failure)) => match failure.retry_after() {
                    Some(pause) if pause < left => tokio::time::sleep(pause).await,
                    _ => return Err(SeedError::Failed { entity: entity(), failure }),
                },
            }
        }
    }
}
