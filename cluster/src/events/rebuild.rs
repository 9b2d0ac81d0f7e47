//! Gathering anew: an intake that was reset reads the journal of its source from the first row on. After a restore one
//! that lacks events which had gone out reads these in the same way.
//!
//! The journal is the one source of a rebuild, with a broker and without: it is read by whoever has it, page by
//! page, as an effect of the intake, so that a rebuild goes on where it was after a crash. What happens meanwhile
//! comes as ever; the intake lets it pass, since it is in the journal too, and reads so much further. Where rows
//! have been pruned from the journal, the head says from which one on the rebuild had all of them.

use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::{self, StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::intake::{BATCH_MAX, Command, Consumer, Event, Head, Intake, Reply, State};
use super::judge::{Judged, judge, understood};
use super::publisher::of_row;
use super::{DeadLetter, SealedEnvelope};
use crate::ask::Ask;
use crate::databases::Databases;
use crate::entity::{Context, Decision};
use crate::error::{AskError, Failure};
use crate::handle::{Cluster, Router};
use crate::outstanding::{Answer, Call, Effect};
use crate::provider::{Provider, ProviderError};
use crate::query::{Listed, PAGE_MAX, Query};
use crate::reference::{Key, Ref, ShardId};
use crate::runtime::Runtime;

/// The provider that reads journals.
const JOURNAL: &str = "nakku.journal";
/// Rows that are read from the database at a time.
const ROWS: u32 = 256;
/// Rows that are looked at for one page: long runs of rows that are no events take several.
const ROWS_MAX: usize = 4096;
/// Bytes of rows whose events make a page.
const PAGE_BYTES: usize = 256 * 1024;
/// Pages that one node reads at the same time, so that a rebuild leaves the database to others.
const READS_MAX: usize = 4;
/// How long one intake may take to begin anew.
const ASK_PATIENCE: Duration = Duration::from_secs(5);
/// Intakes that are told at the same time.
const TOLD_MAX: usize = 16;

/// How far an intake has gathered anew.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rebuild {
    /// The service that it consumes.
    pub service: String,
    /// And the shard.
    pub shard: u32,
    /// How often it has begun anew.
    pub number: u64,
    /// Everything up to this row of the journal has been read.
    pub through: u64,
    /// It is over when it has read up to here.
    pub until: u64,
    /// Rows below this one are gone from the journal: what they told is missing. 0 when none are.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub begins_at: u64,
}

/// Some of a journal.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Page {
    /// The public events, in order.
    pub events: Vec<SealedEnvelope>,
    /// Everything up to this row has been looked at.
    pub through: u64,
    /// Rows right below this one were not there; 0 when none were missing.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub begins_at: u64,
}

/// How far all intakes of a consumer are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Rebuilding {
    /// Intakes that there are.
    pub intakes: usize,
    /// Those of them that have not yet read everything again.
    pub intakes_left: usize,
    /// Rows of journals that have been read again.
    pub rows_read: u64,
    /// Of so many.
    pub rows: u64,
    /// Intakes for which rows were missing.
    pub incomplete: Vec<Incomplete>,
}

/// An intake whose journal no longer has everything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Incomplete {
    /// The source's service and shard.
    #[schema(value_type = String)]
    pub intake: Key,
    /// What it has gathered is whole from this row on.
    pub begins_at: u64,
}

/// What the provider is asked for.
#[derive(Debug, Serialize, Deserialize)]
struct Wanted {
    service: String,
    shard: u32,
    after: u64,
    until: u64,
}

impl Rebuild {
    /// Whether everything has been read.
    pub fn is_over(&self) -> bool {
        self.through >= self.until
    }
}

impl Rebuilding {
    /// From the heads of all intakes.
    pub fn of<'a>(heads: impl IntoIterator<Item = (&'a Key, &'a Head)>) -> Self {
        let mut all = Self::default();
        for (key, head) in heads {
            all.intakes += 1;
            let Some(rebuild) = &head.rebuild else { continue };
            all.intakes_left += usize::from(!rebuild.is_over());
            all.rows_read += rebuild.through.min(rebuild.until);
            all.rows += rebuild.until;
            if rebuild.begins_at > 0 {
                all.incomplete.push(Incomplete { intake: key.clone(), begins_at: rebuild.begins_at });
            }
        }
        all
    }
}

/// How far a consumer's intakes are, with their keys, as last committed.
///
/// # Errors
/// When a store is away.
pub async fn heads<C: Consumer>(cluster: &Cluster) -> Result<Vec<(Key, Head)>, Failure> {
    let mut heads = Vec::new();
    let mut after = None;
    loop {
        let listed = cluster.list::<Intake<C>>(&Query::new().after(after).limit(PAGE_MAX)).await?;
        let is_last = listed.len() < PAGE_MAX as usize;
        after = listed.last().map(|row| row.key.clone());
        heads.extend(listed.into_iter().map(|Listed { key, head, .. }| (key, head)));
        if is_last {
            return Ok(heads);
        }
    }
}

/// Has all intakes of a consumer begin anew, but for those that are at it; answers how far they are.
///
/// # Errors
/// When a store is away or an intake does not answer. Those that have begun go on; calling it again has the others
/// begin.
pub async fn begin<C: Consumer>(cluster: &Cluster) -> Result<Rebuilding, Failure> {
    let heads_before = heads::<C>(cluster).await?;
    let ready = heads_before.into_iter().filter(|(_, head)| head.is_whole()).map(|(key, _)| key);
    let told = stream::iter(ready).map(async |key| {
        let target: Ref<Intake<C>> = Ref::new(key);
        match cluster.ask(&target, &Command::Reset, Ask::within(ASK_PATIENCE)).await {
            Ok(_) => Ok(()),
            Err(AskError::Failed(failure)) => Err(failure),
            Err(AskError::Rejected { rejection, .. }) => Err(Failure::Invalid { reason: rejection.to_string() }),
        }
    });
    told.buffer_unordered(TOLD_MAX).try_collect::<Vec<()>>().await?;
    progress::<C>(cluster).await
}

/// How far all intakes of a consumer are.
///
/// # Errors
/// When a store is away.
pub async fn progress<C: Consumer>(cluster: &Cluster) -> Result<Rebuilding, Failure> {
    let heads = heads::<C>(cluster).await?;
    Ok(Rebuilding::of(heads.iter().map(|(key, head)| (key, head))))
}

/// What an intake wants that has not yet read everything again: the next page.
pub(super) fn effect<C: Consumer>(head: &Head) -> Option<Effect<Intake<C>>> {
    let rebuild = head.rebuild.as_ref().filter(|rebuild| !rebuild.is_over())?;
    let Rebuild { service, shard, until, .. } = rebuild;
    let after = rebuild.through.max(head.high_water);
    let wanted = Wanted { service: service.clone(), shard: *shard, after, until: *until };
    let page = |answers: Vec<Answer>| Command::Reread(answers.first().expect("every call has an answer").provided());
    Some(Effect::new("reread", after, vec![Call::provider(JOURNAL, &wanted)], page))
}

/// Consumes a page.
pub(super) fn reread<C: Consumer>(
    state: &State<C::State>,
    page: Page,
    context: &Context,
) -> Decision<Event<C::Event>, Reply<C::Reply>> {
    let mut progress = super::intake::Progress { high_water: state.head.high_water, ..Default::default() };
    let Some(rebuild) = state.head.rebuild.as_ref().filter(|rebuild| !rebuild.is_over()) else {
        return Decision::reply(Reply::Consumed(progress));
    };
    let mut mark = state.head.mark();
    let mut noted = mark;
    let mut room = C::room(&state.gathered).min(BATCH_MAX);
    let mut decided = Vec::new();
    let mut changes = Vec::new();
    let mut is_done = true;
    for event in page.events {
        if judge(mark, &event, true) == Judged::Repeat {
            progress.done += 1;
            continue;
        }
        if room == 0 {
            (is_done, progress.full) = (false, true);
            break;
        }
        let after = event.mark();
        match understood::<C>(&event) {
            Ok(changed) => changes.extend(changed),
            // What it means follows from the event alone: another attempt would end the same.
            Err(reason) => {
                if mark != noted {
                    decided.push(Event::Consumed { through: mark, events: std::mem::take(&mut changes) });
                }
                let (group, set_aside_at) = (C::GROUP.into(), context.now);
                let letter = DeadLetter { group, reason, attempts: 1, set_aside_at, event: event.opened() };
                decided.push(Event::SetAside { letter: Box::new(letter) });
                noted = after;
            }
        }
        mark = after;
        room -= 1;
        progress.done += 1;
    }
    if mark != noted {
        decided.push(Event::Consumed { through: mark, events: changes });
    }
    if is_done && page.through > rebuild.through {
        decided.push(Event::Reread { through: page.through, begins_at: page.begins_at });
    }
    progress.high_water = mark.high_water;
    Decision::events(decided, Reply::Consumed(progress))
}

/// Reads a page of a journal that this node has, behind a row and up to another.
pub(crate) async fn read(
    runtime: &Runtime,
    databases: &Databases,
    shard: ShardId,
    after: u64,
    until: u64,
) -> Result<Page, Failure> {
    let unavailable = |what: String| Failure::Unavailable { what, retry_after_ms: 1000 };
    let server = databases.of_shard(shard).ok_or_else(|| unavailable(format!("database of {shard}")))?;
    let mut page = Page { through: after, ..Page::default() };
    let (mut previous, mut bytes, mut looked_at) = (after, 0, 0);
    while page.through < until && looked_at < ROWS_MAX {
        let rows = server.store.journal(shard.service, shard.number, page.through + 1, ROWS).await;
        let rows = rows.map_err(|error| unavailable(error.to_string()))?;
        let is_last = rows.len() < ROWS as usize;
        looked_at += rows.len();
        for row in rows {
            if row.seq > until {
                page.through = until;
                return Ok(page);
            }
            if row.seq > page.through + 1 {
                page.begins_at = row.seq;
            }
            page.through = row.seq;
            // What goes to another topic is for others.
            let event = of_row(runtime, databases, shard, &row, previous).filter(|event| event.topic.is_none());
            let Some(event) = event else { continue };
            previous = row.seq;
            bytes += row.payload.len();
            page.events.push(event);
            if page.events.len() == BATCH_MAX || bytes >= PAGE_BYTES {
                return Ok(page);
            }
        }
        if is_last {
            // A journal that was restored from a backup may end before what was once consumed.
            page.through = until;
        }
    }
    Ok(page)
}

/// Reads journals for intakes, wherever they are.
#[derive(Debug)]
pub(crate) struct Journals {
    router: OnceLock<Weak<dyn Router>>,
    reads: tokio::sync::Semaphore,
}

impl Journals {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { router: OnceLock::new(), reads: tokio::sync::Semaphore::new(READS_MAX) })
    }

    /// Set once, when the node's router stands.
    pub(crate) fn set_router(&self, router: Weak<dyn Router>) {
        self.router.get_or_init(|| router);
    }
}

#[async_trait]
impl Provider for Journals {
    fn name(&self) -> &'static str {
        JOURNAL
    }

    async fn call(&self, _: &str, request: &[u8]) -> Result<Vec<u8>, ProviderError> {
        let unavailable = |cause: String| ProviderError::Unavailable { provider: JOURNAL, cause };
        let Wanted { service, shard, after, until } =
            serde_json::from_slice(request).map_err(|error| unavailable(error.to_string()))?;
        let _permit = self.reads.acquire().await.map_err(|closed| unavailable(closed.to_string()))?;
        let router = self.router.get().and_then(Weak::upgrade).ok_or_else(|| unavailable("no router yet".into()))?;
        let page = router.reread(&service, shard, after, until).await;
        let page = page.map_err(|failure| unavailable(failure.to_string()))?;
        serde_json::to_vec(&page).map_err(|error| unavailable(error.to_string()))
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[cfg(test)]
#[path = "rebuild_tests.rs"]
mod tests;
