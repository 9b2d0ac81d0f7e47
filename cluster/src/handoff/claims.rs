//! Claims that are under way.
//!
//! One for each shard at most. A claim that takes long is waited for: what it has sent may have landed already, and
//! another one would only stand behind it, in the same lane. What has failed for certain is tried again, after a
//! pause. The node goes on following the view meanwhile, so an answer may come when nobody wants it any more; whoever
//! takes it looks at that.
//!
//! How long a claim can take is bounded by what a lane does for one: so many attempts, each of statements that have a
//! time-out.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::stream::{self, StreamExt};
use tokio::task::{Id, JoinSet};

use super::RETRY;
use crate::databases::{Databases, Server};
use crate::journal::{ClaimError, Claimed, ShardOwner};
use crate::outage::Outage;
use crate::reference::ShardId;
use crate::shard::ShardPlace;
use crate::store::StoreError;

/// A claim that takes longer is told in the log.
const SLOW: Duration = Duration::from_secs(5);
/// Databases of one server that are looked at side by side: fewer than a server has sessions for reads.
const LOOKS_MAX: usize = 4;

/// An open shard that is to be claimed.
pub(super) struct Wish {
    pub place: Arc<ShardPlace>,
    pub owner: ShardOwner,
}

/// What has become of a wish.
pub(super) struct Answer {
    /// The shard as it was open when it was wished for.
    pub place: Arc<ShardPlace>,
    /// Of its database, before the claim was sent.
    pub incarnation: u64,
    pub result: Result<Claimed, ClaimError>,
}

/// See the module.
pub(super) struct Claims {
    databases: Arc<Databases>,
    tasks: JoinSet<Vec<Answer>>,
    /// Whose answers are yet to come.
    under_way: HashMap<ShardId, UnderWay>,
    /// What has failed is not tried again before then.
    resting: HashMap<ShardId, Instant>,
    /// By location.
    outages: HashMap<String, Outage>,
}

struct UnderWay {
    task: Id,
    since: Instant,
}

impl Claims {
    pub(super) fn new(databases: Arc<Databases>) -> Self {
        let (under_way, resting, outages) = (HashMap::new(), HashMap::new(), HashMap::new());
        Self { databases, tasks: JoinSet::new(), under_way, resting, outages }
    }

    /// Begins to claim what is neither being claimed nor resting after a failure.
    pub(super) fn begin(&mut self, wishes: Vec<Wish>, epoch: u64) {
        let now = Instant::now();
        self.resting.retain(|_, until| *until > now);
        let is_free = |shard: &ShardId| !self.under_way.contains_key(shard) && !self.resting.contains_key(shard);
        let wishes = wishes.into_iter().map(|wish| (wish.place.shard, wish)).filter(|(shard, _)| is_free(shard));
        for (server, wishes) in self.databases.by_server(wishes) {
            let shards: Vec<ShardId> = wishes.iter().map(|(shard, _)| *shard).collect();
            let claim = claim(Arc::clone(&self.databases), server.clone(), wishes, epoch);
            let task = self.tasks.spawn(claim).id();
            self.under_way.extend(shards.into_iter().map(|shard| (shard, UnderWay { task, since: now })));
        }
    }

    /// The next answers; nothing while no claim is under way.
    pub(super) async fn next(&mut self) -> Option<Vec<Answer>> {
        let ended = self.tasks.join_next_with_id().await?;
        let task = ended.as_ref().map_or_else(|error| error.id(), |(task, _)| *task);
        let answers = ended.map(|(_, answers)| answers).unwrap_or_else(|error| {
            tracing::error!(%error, "a claim ended without an answer and is tried again");
            Vec::new()
        });
        let taken = |answer: &&Answer| answer.result.is_ok();
        let taken: Vec<ShardId> = answers.iter().filter(taken).map(|answer| answer.place.shard).collect();
        let until = Instant::now() + RETRY;
        for (shard, _) in self.under_way.extract_if(|_, one| one.task == task) {
            if !taken.contains(&shard) {
                self.resting.insert(shard, until);
            }
        }
        self.note(&answers);
        Some(answers)
    }

    /// Says which servers take long.
    pub(super) fn tell(&mut self) {
        let slow = self.under_way.iter().filter(|(_, one)| one.since.elapsed() > SLOW).map(|(shard, _)| (*shard, ()));
        for (server, shards) in self.databases.by_server(slow) {
            let database = server.store.location();
            if let Some(told) = self.outages.entry(database.to_owned()).or_default().failed() {
                tracing::warn!(
                    database,
                    shards = shards.len(),
                    lasted_ms = told.lasted_ms,
                    "claims take long and are waited for"
                );
            }
        }
    }

    /// Says which servers did not answer, or do so again.
    fn note(&mut self, answers: &[Answer]) {
        for (server, answers) in self.databases.by_server(answers.iter().map(|answer| (answer.place.shard, answer))) {
            let database = server.store.location();
            let outage = self.outages.entry(database.to_owned()).or_default();
            let failures = answers.iter().filter_map(|(_, answer)| match &answer.result {
                Err(ClaimError::Unavailable { cause, .. }) => Some(cause),
                _ => None,
            });
            let failures: Vec<&String> = failures.collect();
            match failures.first() {
                Some(cause) => {
                    if let Some(told) = outage.failed() {
                        let shards = failures.len();
                        tracing::warn!(
                            database,
                            shards,
                            cause,
                            lasted_ms = told.lasted_ms,
                            "claims failed and are tried again"
                        );
                    }
                }
                None => {
                    if let Some(told) = outage.works() {
                        tracing::info!(database, lasted_ms = told.lasted_ms, "claims are answered again");
                    }
                }
            }
        }
    }
}

/// A service and the name of a server.
type Name = (&'static str, String);

/// Whether a database may be served.
async fn look(databases: &Databases, name: Name) -> (Name, Result<bool, StoreError>) {
    let found = databases.incarnations().look(name.0, &name.1).await;
    (name, found)
}

/// Claims shards of one server, those of them whose databases answer and are no older copies. The others have no
/// answer, or one that says why.
async fn claim(databases: Arc<Databases>, server: Server, wishes: Vec<(ShardId, Wish)>, epoch: u64) -> Vec<Answer> {
    let names: BTreeSet<Name> =
        wishes.iter().map(|(shard, _)| (shard.service, databases.server_of(*shard).to_owned())).collect();
    let mut looks = Vec::with_capacity(names.len());
    for name in names {
        looks.push(look(&databases, name));
    }
    let looks: HashMap<Name, _> = stream::iter(looks).buffer_unordered(LOOKS_MAX).collect().await;
    let mut answers = Vec::new();
    let (mut claimed, mut owners) = (Vec::new(), Vec::new());
    // The view may have moved on while its databases were looked at.
    for (shard, Wish { place, owner }) in wishes.into_iter().filter(|(_, wish)| !wish.place.is_retired()) {
        let incarnation = databases.incarnation(shard);
        match &looks[&(shard.service, databases.server_of(shard).to_owned())] {
            Ok(true) => {
                claimed.push((place, incarnation));
                owners.push((shard, owner.under(incarnation)));
            }
            Ok(false) => {}
            Err(error) => {
                let result = Err(ClaimError::Unavailable { shard, cause: error.to_string() });
                answers.push(Answer { place, incarnation, result });
            }
        }
    }
    let results = server.journal.claim(&owners, epoch).await;
    let results = claimed.into_iter().zip(results);
    answers.extend(results.map(|((place, incarnation), result)| Answer { place, incarnation, result }));
    answers
}
