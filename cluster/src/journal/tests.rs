//! The journal on a real SQLite file, with faults injected between it and the store.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::oneshot;

use super::*;
use crate::handle::Outcome;
use crate::query::Query;
use crate::reference::{Key, Kind};
use crate::service::Migration;
use crate::store::{
    Batch, CLAIM, CommitError, Due, JournalRow, ListedRow, NO_OP, Publication, StateRow, StateTable, StateWrite,
    StoreError, StoreWriter, StoredEntity, open,
};

const KIND: Kind = Kind { service: "sample", entity: "thing" };
const SHARD: ShardId = ShardId { service: "sample", number: 3 };
const TABLE: StateTable = StateTable { kind: KIND, columns: &[] };
const SCHEMA: &[Migration] = &[Migration {
    version: 1,
    name: "initial",
    sql: "CREATE TABLE {prefix}thing_state (shard INTEGER NOT NULL, entity VARBINARY(128) NOT NULL, \
          part VARBINARY(192) NOT NULL, version BIGINT NOT NULL, seq BIGINT NOT NULL, data LONGBLOB NOT NULL, \
          wake_at BIGINT NULL, PRIMARY KEY (shard, entity, part));",
}];
/// Five times what the slowest step here takes.
const PATIENCE: Duration = Duration::from_secs(10);

/// What happens to the next commits that hold more than claims.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    /// It lands, but nobody hears of it.
    LandsUnheard,
    /// It never lands, and nobody hears of it.
    NeverLands,
    /// It lands after whoever sent it has begun to settle it.
    LandsLate,
    /// The server is away.
    Away,
}

/// The real store with faults in front of its writers.
#[derive(Debug)]
struct Faulty {
    store: Arc<dyn Store>,
    faults: Arc<Mutex<Vec<Fault>>>,
    /// A batch that is still on its way.
    late: Arc<Mutex<Option<Batch>>>,
}

struct FaultyWriter {
    writer: Box<dyn StoreWriter>,
    faults: Arc<Mutex<Vec<Fault>>>,
    late: Arc<Mutex<Option<Batch>>>,
}

#[async_trait]
impl StoreWriter for FaultyWriter {
    async fn commit(&mut self, batch: &Batch) -> Result<(), CommitError> {
        let only_claims = batch.journal.iter().all(|(_, row)| row.event_type == CLAIM);
        let late = self.late.lock().expect("not poisoned").take();
        if let Some(late) = late {
            let _ = self.writer.commit(&late).await;
        }
        let fault = if only_claims { None } else { self.faults.lock().expect("not poisoned").pop() };
        match fault {
            None => self.writer.commit(batch).await,
            Some(Fault::LandsUnheard) => {
                self.writer.commit(batch).await?;
                Err(CommitError::Unknown("cut".into()))
            }
            Some(Fault::NeverLands) => Err(CommitError::Unknown("cut".into())),
            Some(Fault::LandsLate) => {
                *self.late.lock().expect("not poisoned") = Some(batch.clone());
                Err(CommitError::Unknown("cut".into()))
            }
            Some(Fault::Away) => {
                let cause = "away".to_owned();
                Err(CommitError::NotBegun(StoreError::Unavailable { location: "test".into(), cause }))
            }
        }
    }
}

#[async_trait]
impl Store for Faulty {
    fn location(&self) -> &str {
        self.store.location()
    }
    async fn ping(&self) -> Result<(), StoreError> {
        self.store.ping().await
    }
    async fn migrate(&self, service: &str, migrations: &[Migration]) -> Result<(), StoreError> {
        self.store.migrate(service, migrations).await
    }
    async fn writer(&self) -> Result<Box<dyn StoreWriter>, StoreError> {
        let (faults, late) = (Arc::clone(&self.faults), Arc::clone(&self.late));
        Ok(Box::new(FaultyWriter { writer: self.store.writer().await?, faults, late }))
    }
    async fn load(&self, table: &StateTable, shard: u32, key: &Key) -> Result<Option<StoredEntity>, StoreError> {
        self.store.load(table, shard, key).await
    }
    async fn last_rows(&self, service: &str, shards: &[u32]) -> Result<Vec<JournalRow>, StoreError> {
        self.store.last_rows(service, shards).await
    }
    async fn due(
        &self,
        table: &StateTable,
        shards: &[u32],
        until: Timestamp,
        after: Option<&Due>,
        limit: u32,
    ) -> Result<Vec<Due>, StoreError> {
        self.store.due(table, shards, until, after, limit).await
    }
    async fn list(&self, table: &StateTable, query: &Query) -> Result<Vec<ListedRow>, StoreError> {
        self.store.list(table, query).await
    }
    async fn journal(
        &self,
        service: &str,
        shard: u32,
        from_seq: u64,
        limit: u32,
    ) -> Result<Vec<JournalRow>, StoreError> {
        self.store.journal(service, shard, from_seq, limit).await
    }
    async fn entity_journal(
        &self,
        service: &str,
        shard: u32,
        entity: &str,
        after_seq: u64,
        limit: u32,
    ) -> Result<Vec<JournalRow>, StoreError> {
        self.store.entity_journal(service, shard, entity, after_seq, limit).await
    }
    async fn publications(&self, service: &str, shards: &[u32]) -> Result<Vec<Publication>, StoreError> {
        self.store.publications(service, shards).await
    }
    async fn record_publications(&self, service: &str, publications: &[Publication]) -> Result<(), StoreError> {
        self.store.record_publications(service, publications).await
    }
    async fn prune(&self, service: &str, shard: u32, below_seq: u64, limit: u32) -> Result<u64, StoreError> {
        self.store.prune(service, shard, below_seq, limit).await
    }
    async fn incarnation(&self, service: &str) -> Result<u64, StoreError> {
        self.store.incarnation(service).await
    }
    async fn raise_incarnation(&self, service: &str, known: u64) -> Result<u64, StoreError> {
        self.store.raise_incarnation(service, known).await
    }
}

/// One node's journal and what it was told of its shard.
struct Node {
    journal: Arc<Journal>,
    faults: Arc<Mutex<Vec<Fault>>>,
    news: Arc<Mutex<Vec<ShardNews>>>,
    durable: Arc<Durable>,
    version: AtomicU64,
}

struct Database {
    folder: std::path::PathBuf,
    store: Arc<dyn Store>,
}

impl Drop for Database {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

async fn database() -> Database {
    let folder = std::env::temp_dir().join(format!("nakku-journal-{:016x}", rand::random::<u64>()));
    let store = open(&format!("sqlite://{}/test.db", folder.display())).await.expect("a temporary file opens");
    store.migrate("sample", SCHEMA).await.expect("the schema is right");
    Database { folder, store }
}

fn node(database: &Database, name: &str, claims_omitted: bool) -> Node {
    let faults = Arc::new(Mutex::new(Vec::new()));
    let late = Arc::default();
    let store = Arc::new(Faulty { store: Arc::clone(&database.store), faults: Arc::clone(&faults), late });
    let settings = JournalSettings { lanes: 1, claims_omitted, ..JournalSettings::default() };
    Node {
        journal: Journal::start(store, name.into(), &settings, None),
        faults,
        news: Arc::default(),
        durable: Arc::default(),
        version: AtomicU64::new(0),
    }
}

impl Node {
    async fn claim(&self, epoch: u64) -> Result<Claimed, ClaimError> {
        self.claim_under(epoch, 1).await
    }

    async fn claim_under(&self, epoch: u64, incarnation: u64) -> Result<Claimed, ClaimError> {
        let news = Arc::clone(&self.news);
        let owner = ShardOwner::new(move |one| news.lock().expect("not poisoned").push(one));
        self.journal.claim(&[(SHARD, owner.under(incarnation))], epoch).await.remove(0)
    }

    fn submit(&self, term: u64, written: bool) -> oneshot::Receiver<Outcome> {
        let (reply, answer) = ReplyTo::channel();
        let version = self.version.load(Ordering::Relaxed) + u64::from(written);
        self.version.store(version, Ordering::Relaxed);
        let key = Key::new("t-1").expect("a key");
        let rows = written.then(|| NewRow {
            entity_version: version,
            command_id: format!("command-{version}"),
            event_type: "thing.changed",
            payload: b"{}".to_vec(),
            occurred_at: Timestamp::now(),
            traceparent: String::new(),
        });
        let head = StateRow { version, seq: 0, data: b"{}".to_vec(), wake_at: None, columns: Vec::new() };
        let state =
            StateWrite { table: TABLE, shard: SHARD.number, entity: key.clone(), part: String::new(), row: Some(head) };
        let outcome = Outcome::Reply { json: b"true".to_vec(), entity_version: version };
        self.journal.reserve(SHARD).expect("there is room").submit(Submission {
            shard: SHARD,
            term,
            kind: KIND,
            key,
            rows: rows.into_iter().collect(),
            states: if written { vec![state] } else { Vec::new() },
            proof: false,
            durable: Arc::clone(&self.durable),
            version,
            release: Release { reply: Some((reply, outcome)), nudge: None, ..Release::default() },
        });
        answer
    }

    async fn write(&self, term: u64) -> Outcome {
        within(self.submit(term, true)).await
    }
}

async fn within(answer: oneshot::Receiver<Outcome>) -> Outcome {
    tokio::time::timeout(PATIENCE, answer).await.expect("an answer in time").expect("an answer")
}

async fn rows(database: &Database) -> Vec<JournalRow> {
    let rows = database.store.journal("sample", SHARD.number, 1, 100).await.expect("readable");
    for (row, seq) in rows.iter().zip(1..) {
        assert_eq!(row.seq, seq, "the journal has a gap");
    }
    rows
}

fn events(rows: &[JournalRow]) -> Vec<&str> {
    rows.iter()
        .filter(|row| ![CLAIM, NO_OP].contains(&row.event_type.as_str()))
        .map(|row| row.command_id.as_str())
        .collect()
}

#[tokio::test]
async fn decisions_are_numbered_linked_and_released_when_durable() {
    let database = database().await;
    let node = node(&database, "a@1", false);
    let term = node.claim(1).await.expect("nobody has it").term;
    let answers: Vec<_> = (0..10).map(|_| node.submit(term, true)).collect();
    let read = node.submit(term, false);
    for answer in answers {
        assert!(matches!(within(answer).await, Outcome::Reply { .. }));
    }
    assert!(matches!(within(read).await, Outcome::Reply { entity_version: 10, .. }));
    assert_eq!(node.durable.version.load(Ordering::Relaxed), 10);
    let rows = rows(&database).await;
    assert_eq!(rows.len(), 11);
    assert!(rows[2..].iter().all(|row| row.previous_seq == row.seq - 1), "rows of one entity are linked");
}

/// In a move many shards close while others go on.
#[tokio::test]
async fn closing_a_shard_that_waits_for_nothing_costs_no_commit() {
    let database = database().await;
    let node = node(&database, "a@1", false);
    let term = node.claim(1).await.expect("nobody has it").term;
    let other = ShardId { number: SHARD.number + 1, ..SHARD };
    // The lane runs on the same thread, and so finds all of it when it looks.
    let submit = |_| {
        let answer = node.submit(term, true);
        node.journal.close_unused(other);
        answer
    };
    let answers: Vec<_> = (0..5).map(submit).collect();
    node.journal.close(SHARD).await;
    for answer in answers {
        assert!(matches!(within(answer).await, Outcome::Reply { .. }), "what was handed in before is committed");
    }
    let commits: Vec<u64> = node.journal.lanes().map(|(lane, ..)| lane.commits.report().commits).collect();
    assert_eq!(commits, [1]);
    assert!(matches!(node.write(term).await, Outcome::Failed(Failure::Moved { .. })), "it is closed");
}

#[tokio::test]
async fn an_unknown_outcome_that_landed_is_reported_once() {
    let database = database().await;
    let node = node(&database, "a@1", false);
    let term = node.claim(1).await.expect("nobody has it").term;
    node.faults.lock().expect("not poisoned").push(Fault::LandsUnheard);
    assert!(matches!(node.write(term).await, Outcome::Reply { .. }));
    assert!(matches!(node.write(term).await, Outcome::Reply { .. }));
    let rows = rows(&database).await;
    assert_eq!(events(&rows), ["command-1", "command-2"]);
    assert_eq!(rows[2].event_type, NO_OP, "what was found is reported behind one more commit");
}

#[tokio::test]
async fn an_unknown_outcome_that_never_lands_is_kept_out_and_sent_again() {
    let database = database().await;
    let node = node(&database, "a@1", false);
    let term = node.claim(1).await.expect("nobody has it").term;
    node.faults.lock().expect("not poisoned").push(Fault::NeverLands);
    assert!(matches!(node.write(term).await, Outcome::Reply { .. }));
    let rows = rows(&database).await;
    assert_eq!(events(&rows), ["command-1"]);
    assert_eq!(rows[1].event_type, CLAIM, "the lost batch's first seq is claimed");
}

/// The case in which looking would go wrong: nothing is there yet when it is settled.
#[tokio::test]
async fn a_commit_that_lands_late_is_in_the_journal_once() {
    let database = database().await;
    let node = node(&database, "a@1", false);
    let term = node.claim(1).await.expect("nobody has it").term;
    node.faults.lock().expect("not poisoned").push(Fault::LandsLate);
    assert!(matches!(node.write(term).await, Outcome::Reply { .. }));
    assert_eq!(events(&rows(&database).await), ["command-1"]);
}

#[tokio::test]
async fn a_server_that_is_away_gives_decisions_back_and_starts_a_new_term() {
    let database = database().await;
    let node = node(&database, "a@1", false);
    let term = node.claim(1).await.expect("nobody has it").term;
    node.faults.lock().expect("not poisoned").extend([Fault::Away; 4]);
    assert!(matches!(node.write(term).await, Outcome::Failed(Failure::Unavailable { .. })));
    let news = node.news.lock().expect("not poisoned").clone();
    let [ShardNews::Reset { term: next }] = news[..] else { panic!("one reset, not {news:?}") };
    assert!(matches!(node.write(term).await, Outcome::Failed(Failure::Moved { .. })), "the old term is over");
    assert!(matches!(node.write(next).await, Outcome::Reply { .. }));
}

#[tokio::test]
async fn a_claim_is_refused_where_a_later_one_stands() {
    let database = database().await;
    let (first, second) = (node(&database, "a@1", false), node(&database, "b@1", false));
    second.claim(5).await.expect("nobody has it");
    assert!(matches!(first.claim(4).await, Err(ClaimError::Superseded { epoch: 5, .. })));
    assert!(matches!(first.claim(5).await, Err(ClaimError::Superseded { epoch: 5, .. })));
    first.claim(6).await.expect("a later view");
}

#[tokio::test]
async fn a_database_that_went_back_in_time_halts_the_shard() {
    let database = database().await;
    let node = node(&database, "a@1", false);
    let term = node.claim(1).await.expect("nobody has it").term;
    assert!(matches!(node.write(term).await, Outcome::Reply { .. }));
    // What a replica that was promoted too early looks like: the newest rows are not there.
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(database.folder.join("test.db"));
    let mut connection = sqlx::ConnectOptions::connect(&options).await.expect("the file opens");
    let forget = sqlx::query("DELETE FROM nakku_sample__journal WHERE seq > 1");
    assert_eq!(forget.execute(&mut connection).await.expect("deletable").rows_affected(), 1);
    assert!(matches!(node.claim(2).await, Err(ClaimError::Regressed { last_seq: 1, known_seq: 2, .. })));
    // An operator has looked and raised the incarnation: the shard goes on with what is there.
    node.claim_under(2, 2).await.expect("accepted");
    assert_eq!(rows(&database).await.len(), 2);
}

/// A successor has taken the shard over; then its predecessor, which was frozen, sends what it had decided.
/// Says whether that write was kept out.
async fn late_write_is_kept_out(claims_omitted: bool) -> bool {
    let database = database().await;
    let (owner, successor) = (node(&database, "a@1", claims_omitted), node(&database, "b@1", claims_omitted));
    let term = owner.claim(1).await.expect("nobody has it").term;
    assert!(matches!(owner.write(term).await, Outcome::Reply { .. }));
    successor.claim(2).await.expect("a later view");
    // The successor answers reads from here on; whatever the owner still commits, they do not show.
    let late = owner.write(term).await;
    let refused = matches!(late, Outcome::Failed(Failure::Moved { .. }));
    refused && owner.news.lock().expect("not poisoned").contains(&ShardNews::Lost)
}

#[tokio::test]
async fn a_late_writer_collides_with_the_claim() {
    assert!(late_write_is_kept_out(false).await);
}

#[tokio::test]
async fn without_the_claim_row_a_late_writer_gets_in_and_is_noticed() {
    assert!(!late_write_is_kept_out(true).await, "the mutation must turn the test above red");
}
