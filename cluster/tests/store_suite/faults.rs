//! Links that are cut around a COMMIT, owners that freeze, deadlocks, and servers that die.
//!
//! What an unknown outcome was is settled as the journal settles it: by a claim at the lost batch's first
//! seq, from another session.

use std::sync::Arc;
use std::time::{Duration, Instant};

use nakku_cluster::Key;
use nakku_cluster::store::mysql::{LOCK_WAIT_SECONDS, SESSION_IDLE_SECONDS};
use nakku_cluster::store::server::POOL_SESSIONS_MAX;
use nakku_cluster::store::session::ANSWER_TIMEOUT;
use nakku_cluster::store::{
    Batch, ClusterStore, CommitError, JournalRow, SqlStore, Store, StoreError, StoreWriter, open,
};
use sqlx::{AssertSqlSafe, ConnectOptions, Executor};

use crate::fixture::{Fixture, ServerKind};
use crate::proxy::{Fault, Proxy};

crate::on_servers!(Mariadb, mariadb:
    cut_in_mid_batch, cut_before_commit, cut_after_commit, late_commit_lands_before_the_claim,
    late_commit_after_the_claim_never_lands, answer_that_never_comes, frozen_owner_gives_way, deadlock_is_repeated,
    lock_wait_is_repeated, rows_of_others_do_not_block_deletes, session_cut_while_idle, session_closed_by_idle_time, connection_refused,
    reads_survive_a_cut, wrong_password_is_refused, agreements_do_not_wait_for_reads);
crate::on_servers!(Mysql, mysql:
    cut_in_mid_batch, cut_before_commit, cut_after_commit, late_commit_lands_before_the_claim,
    late_commit_after_the_claim_never_lands, answer_that_never_comes, frozen_owner_gives_way, deadlock_is_repeated,
    lock_wait_is_repeated, rows_of_others_do_not_block_deletes, session_cut_while_idle, session_closed_by_idle_time, connection_refused,
    reads_survive_a_cut, wrong_password_is_refused, agreements_do_not_wait_for_reads);

/// What a claim found.
#[derive(Debug, PartialEq, Eq)]
enum Settled {
    /// It is there, so the lost batch never will be.
    Claimed,
    /// The lost batch is there.
    Collided,
}

async fn settle(fixture: &Fixture, seq: u64) -> Settled {
    let mut writer = fixture.store.writer().await.unwrap();
    loop {
        match writer.commit(&fixture.batch([fixture.claim(1, seq, 2, "n2@1")])).await {
            Ok(()) => return Settled::Claimed,
            Err(CommitError::Collision) => return Settled::Collided,
            Err(CommitError::Repeat(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

/// A store behind a proxy, its writer with one commit done (seq 1), and a batch for the next.
async fn behind_proxy(fixture: &Fixture) -> (Proxy, Arc<SqlStore>, Box<dyn StoreWriter>, Batch) {
    let proxy = Proxy::before(&fixture.url).await;
    let store = open(&proxy.url).await.unwrap();
    let mut writer = store.writer().await.unwrap();
    writer.commit(&fixture.batch([fixture.row(1, 1)])).await.unwrap();
    let mut batch = fixture.batch([fixture.row(1, 2), fixture.row(1, 3)]);
    batch.states.push(fixture.head(1, "s-1", 3, None));
    (proxy, store, writer, batch)
}

async fn is_unknown(writer: &mut Box<dyn StoreWriter>, batch: &Batch) {
    let outcome = writer.commit(batch).await;
    assert!(matches!(outcome, Err(CommitError::Unknown(_))), "{outcome:?}");
}

/// Nothing of the lost batch is there, and the session that lost it works again, for whoever has claimed.
async fn is_not_there(fixture: &Fixture, writer: &mut Box<dyn StoreWriter>) {
    let row = fixture.store.journal_row(fixture.service, 1, 2).await.unwrap().unwrap();
    assert_eq!(&*row.writer, "n2@1");
    assert_eq!(fixture.seqs(1).await, [1, 2]);
    assert!(fixture.store.load(&fixture.table(), 1, &Key::new("s-1").unwrap()).await.unwrap().is_none());
    // The shard is the claimant's: the other one's rows have no place behind the claim.
    let outcome = writer.commit(&fixture.batch([fixture.row(1, 3)])).await;
    assert!(matches!(outcome, Err(CommitError::Gap { .. })), "{outcome:?}");
    let next = JournalRow { writer: "n2@1".into(), ..fixture.row(1, 3) };
    writer.commit(&fixture.batch([next])).await.unwrap();
}

/// All of the lost batch is there.
async fn is_there(fixture: &Fixture, writer: &mut Box<dyn StoreWriter>) {
    let row = fixture.store.journal_row(fixture.service, 1, 2).await.unwrap().unwrap();
    assert_eq!(&*row.writer, "n1@1");
    assert_eq!(fixture.seqs(1).await, [1, 2, 3]);
    let entity = fixture.store.load(&fixture.table(), 1, &Key::new("s-1").unwrap()).await.unwrap();
    assert_eq!(entity.unwrap().seq, 3);
    writer.commit(&fixture.batch([fixture.row(1, 4)])).await.unwrap();
}

async fn cut_in_mid_batch(kind: ServerKind) {
    let fixture = Fixture::new(kind).await;
    let (proxy, _store, mut writer, batch) = behind_proxy(&fixture).await;
    proxy.arm(Fault::CutInMidBatch);
    is_unknown(&mut writer, &batch).await;
    assert_eq!(settle(&fixture, 2).await, Settled::Claimed);
    is_not_there(&fixture, &mut writer).await;
}

async fn cut_before_commit(kind: ServerKind) {
    let fixture = Fixture::new(kind).await;
    let (proxy, _store, mut writer, batch) = behind_proxy(&fixture).await;
    proxy.arm(Fault::CutBeforeCommit);
    is_unknown(&mut writer, &batch).await;
    assert_eq!(settle(&fixture, 2).await, Settled::Claimed);
    is_not_there(&fixture, &mut writer).await;
}

async fn cut_after_commit(kind: ServerKind) {
    let fixture = Fixture::new(kind).await;
    let (proxy, _store, mut writer, batch) = behind_proxy(&fixture).await;
    proxy.arm(Fault::CutAfterCommit);
    is_unknown(&mut writer, &batch).await;
    assert_eq!(settle(&fixture, 2).await, Settled::Collided);
    is_there(&fixture, &mut writer).await;
}

/// The client has given up, a SELECT would find nothing, and then the COMMIT arrives. The claim waits for
/// the rows that are still locked, so it sees what has become of them.
async fn late_commit_lands_before_the_claim(kind: ServerKind) {
    let fixture = Fixture::new(kind).await;
    let (proxy, _store, mut writer, batch) = behind_proxy(&fixture).await;
    proxy.arm(Fault::HoldCommitAndCutClient);
    is_unknown(&mut writer, &batch).await;
    proxy.held().await;
    assert_eq!(fixture.seqs(1).await, [1], "a SELECT is deceived");
    let mut claimant = fixture.store.writer().await.unwrap();
    let claim = fixture.batch([fixture.claim(1, 2, 2, "n2@1")]);
    let outcome = claimant.commit(&claim).await;
    assert!(matches!(outcome, Err(CommitError::Repeat(_))), "{outcome:?}");
    let (_, settled) = tokio::join!(
        async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            proxy.release();
        },
        settle(&fixture, 2)
    );
    assert_eq!(settled, Settled::Collided);
    is_there(&fixture, &mut writer).await;
}

/// The server gives the silent session up, the claim lands, and then the COMMIT arrives.
async fn late_commit_after_the_claim_never_lands(kind: ServerKind) {
    let fixture = Fixture::new(kind).await;
    let (proxy, _store, mut writer, batch) = behind_proxy(&fixture).await;
    proxy.arm(Fault::HoldCommitAndCutClient);
    is_unknown(&mut writer, &batch).await;
    proxy.held().await;
    assert_eq!(settle(&fixture, 2).await, Settled::Claimed);
    proxy.release();
    tokio::time::sleep(Duration::from_millis(300)).await;
    is_not_there(&fixture, &mut writer).await;
}

async fn answer_that_never_comes(kind: ServerKind) {
    let fixture = Fixture::new(kind).await;
    let (proxy, _store, mut writer, batch) = behind_proxy(&fixture).await;
    proxy.arm(Fault::SwallowAnswer);
    let since = Instant::now();
    is_unknown(&mut writer, &batch).await;
    assert!(since.elapsed() < ANSWER_TIMEOUT * 5, "{:?}", since.elapsed());
    assert_eq!(settle(&fixture, 2).await, Settled::Collided);
    is_there(&fixture, &mut writer).await;
}

/// The owner freezes between its statements and its COMMIT, with its session open. Its successor waits for
/// no longer than the session's idle time; the thawed owner finds that its batch is lost.
async fn frozen_owner_gives_way(kind: ServerKind) {
    let fixture = Fixture::new(kind).await;
    let (proxy, _store, mut writer, batch) = behind_proxy(&fixture).await;
    proxy.arm(Fault::HoldCommit);
    {
        let mut commit = std::pin::pin!(writer.commit(&batch));
        tokio::select! {
            outcome = &mut commit => panic!("{outcome:?}"),
            () = proxy.held() => {}
        }
        // From here on nobody polls the commit: the owner is frozen.
        let since = Instant::now();
        let mut successor = fixture.store.writer().await.unwrap();
        let claim = fixture.batch([fixture.claim(1, 2, 2, "n2@1")]);
        let mut repeats = 0;
        loop {
            match successor.commit(&claim).await {
                Ok(()) => break,
                Err(CommitError::Repeat(_)) => repeats += 1,
                Err(error) => panic!("{error}"),
            }
        }
        assert!(repeats > 0, "the frozen owner's row was in the way");
        let bound = Duration::from_secs(u64::from(SESSION_IDLE_SECONDS)) * 5;
        assert!(since.elapsed() < bound, "{:?}", since.elapsed());
        proxy.release();
        let outcome = commit.await;
        assert!(matches!(outcome, Err(CommitError::Unknown(_))), "{outcome:?}");
    }
    assert_eq!(settle(&fixture, 2).await, Settled::Collided);
    is_not_there(&fixture, &mut writer).await;
}

/// An opponent with the same session settings, to lock rows by hand.
async fn opponent(fixture: &Fixture) -> sqlx::MySqlConnection {
    let options: sqlx::mysql::MySqlConnectOptions = fixture.url.parse().unwrap();
    let mut connection = options.disable_statement_logging().connect().await.unwrap();
    connection.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED").await.unwrap();
    connection.execute("START TRANSACTION").await.unwrap();
    connection
}

async fn insert(opponent: &mut sqlx::MySqlConnection, service: &str, shard: u32, seqs: std::ops::RangeInclusive<u64>) {
    let rows: Vec<_> = seqs.map(|seq| format!("({shard}, {seq}, 1, '', '', 0, 0, '', 'no-op', '', 0, '')")).collect();
    let sql = format!("INSERT INTO nakku_{service}.journal VALUES {}", rows.join(", "));
    opponent.execute(sqlx::AssertSqlSafe(sql)).await.unwrap();
}

/// The opponent has the row of shard 2 and has written more, so the writer, which has the row of shard 1,
/// is the victim.
async fn deadlock_is_repeated(kind: ServerKind) {
    let fixture = Fixture::new(kind).await;
    let other = Fixture::new(kind).await;
    let mut opponent = opponent(&fixture).await;
    insert(&mut opponent, other.service, 2, 1..=1).await;
    insert(&mut opponent, other.service, 9, 1..=500).await;

    let mut writer = fixture.store.writer().await.unwrap();
    let mut batch = fixture.batch([fixture.row(1, 1)]);
    batch.journal.push((other.service, fixture.row(2, 1)));
    let service = fixture.service;
    // The writer's lock wait must not end first, so both run at once: the opponent asks for the writer's
    // row a good while before that.
    let (outcome, ()) = tokio::join!(writer.commit(&batch), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        insert(&mut opponent, service, 1, 1..=1).await;
    });
    let Err(CommitError::Repeat(cause)) = outcome else { panic!("{outcome:?}") };
    assert!(cause.contains("1213"), "{cause}");
    opponent.execute("ROLLBACK").await.unwrap();
    writer.commit(&batch).await.unwrap();
    assert_eq!(fixture.seqs(1).await, [1]);
}

async fn lock_wait_is_repeated(kind: ServerKind) {
    let fixture = Fixture::new(kind).await;
    let mut opponent = opponent(&fixture).await;
    insert(&mut opponent, fixture.service, 1, 2..=2).await;
    let mut writer = fixture.store.writer().await.unwrap();
    let batch = fixture.batch([fixture.row(1, 1), fixture.row(1, 2)]);
    let outcome = writer.commit(&batch).await;
    let Err(CommitError::Repeat(cause)) = outcome else { panic!("{outcome:?}") };
    assert!(cause.contains("1205"), "{cause}");
    assert_eq!(fixture.seqs(1).await, [0_u64; 0], "what came before the lock wait is rolled back too");
    // The opponent's session ends; what it held is free.
    drop(opponent);
    loop {
        match writer.commit(&batch).await {
            Ok(()) => break,
            Err(CommitError::Repeat(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

/// Leases and views are written and read while everything else waits for a session of the pool.
async fn agreements_do_not_wait_for_reads(kind: ServerKind) {
    const READERS: u32 = 5 * POOL_SESSIONS_MAX as u32;
    let fixture = Fixture::new(kind).await;
    fixture.store.migrate_cluster().await.unwrap();
    let mut opponent = opponent(&fixture).await;
    let lock = format!("LOCK TABLES nakku_{}.stock_state WRITE", fixture.service);
    opponent.execute(AssertSqlSafe(lock)).await.unwrap();
    // Each waits for the table as long as a session does, so the last ones wait in vain for a session.
    let readers: Vec<_> = (0..READERS)
        .map(|shard| {
            let (store, table) = (fixture.store.clone(), fixture.table());
            tokio::spawn(async move { store.load(&table, shard, &Key::new("s-1").unwrap()).await })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let began = Instant::now();
    fixture.store.next_generation(fixture.service).await.expect("written");
    fixture.store.read_cluster().await.expect("read");
    assert!(began.elapsed() < Duration::from_secs(u64::from(LOCK_WAIT_SECONDS)), "{:?}", began.elapsed());
    for reader in readers {
        let outcome = reader.await.unwrap();
        assert!(matches!(outcome, Err(StoreError::Unavailable { .. })), "{outcome:?}");
    }
}

/// However small the table, a delete looks its keys up and never comes by the rows of other shards.
async fn rows_of_others_do_not_block_deletes(kind: ServerKind) {
    let fixture = Fixture::new(kind).await;
    let mut writer = fixture.store.writer().await.unwrap();
    let mut batch = fixture.batch([fixture.row(1, 1)]);
    for shard in 1..=8 {
        batch.states.push(fixture.head(shard, &format!("s-{shard}"), 1, None));
        batch.states.push(fixture.part(shard, &format!("s-{shard}"), "lines/1", Some("1")));
    }
    writer.commit(&batch).await.unwrap();
    let mut opponent = opponent(&fixture).await;
    let service = fixture.service;
    let lock =
        format!("UPDATE nakku_{service}.stock_state SET version = 9 WHERE shard = 2 AND entity = 's-2' AND part = ''");
    opponent.execute(sqlx::AssertSqlSafe(lock)).await.unwrap();
    let mut batch = fixture.batch([fixture.row(1, 2)]);
    batch.states = (0..33).map(|number| fixture.part(3, "s-3", &format!("lines/{number}"), None)).collect();
    writer.commit(&batch).await.unwrap();
    let entity = fixture.store.load(&fixture.table(), 3, &Key::new("s-3").unwrap()).await.unwrap().unwrap();
    assert_eq!(entity.parts, []);
    opponent.execute("ROLLBACK").await.unwrap();
}

async fn session_cut_while_idle(kind: ServerKind) {
    let fixture = Fixture::new(kind).await;
    let (proxy, _store, mut writer, batch) = behind_proxy(&fixture).await;
    proxy.cut_all();
    tokio::time::sleep(Duration::from_millis(50)).await;
    writer.commit(&batch).await.unwrap();
}

async fn session_closed_by_idle_time(kind: ServerKind) {
    let fixture = Fixture::new(kind).await;
    let mut writer = fixture.store.writer().await.unwrap();
    writer.commit(&fixture.batch([fixture.row(1, 1)])).await.unwrap();
    assert_eq!(fixture.seqs(1).await, [1]);
    tokio::time::sleep(Duration::from_secs(u64::from(SESSION_IDLE_SECONDS) + 2)).await;
    writer.commit(&fixture.batch([fixture.row(1, 2)])).await.unwrap();
    assert_eq!(fixture.seqs(1).await, [1, 2]);
}

async fn connection_refused(kind: ServerKind) {
    let fixture = Fixture::new(kind).await;
    let (proxy, _store, mut writer, batch) = behind_proxy(&fixture).await;
    let nowhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let gone = open(&format!("mysql://root:secret@{nowhere}")).await.unwrap();
    let since = Instant::now();
    assert!(matches!(gone.writer().await, Err(StoreError::Unavailable { .. })));
    let error = gone.last_rows(fixture.service, &[1]).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error}");
    assert!(!error.to_string().contains("secret"), "{error}");
    assert!(since.elapsed() < ANSWER_TIMEOUT * 5);
    proxy.refuse();
    let outcome = writer.commit(&batch).await;
    assert!(matches!(outcome, Err(CommitError::NotBegun(StoreError::Unavailable { .. }))), "{outcome:?}");
    proxy.accept();
    writer.commit(&batch).await.unwrap();
}

async fn reads_survive_a_cut(kind: ServerKind) {
    let fixture = Fixture::new(kind).await;
    let (proxy, store, _writer, _batch) = behind_proxy(&fixture).await;
    assert_eq!(store.last_rows(fixture.service, &[1]).await.unwrap().len(), 1);
    proxy.cut_all();
    assert_eq!(store.last_rows(fixture.service, &[1]).await.unwrap().len(), 1);
    assert_eq!(store.raise_incarnation(fixture.service, 0).await.unwrap(), 2);
    proxy.cut_all();
    assert_eq!(store.raise_incarnation(fixture.service, 0).await.unwrap(), 3);
}

async fn wrong_password_is_refused(kind: ServerKind) {
    let fixture = Fixture::new(kind).await;
    let server = fixture.url.rsplit_once('@').unwrap().1;
    let store = open(&format!("mysql://nobody:hunter2@{server}")).await.unwrap();
    assert!(!store.location().contains("hunter2"));
    assert!(store.location().contains("nobody:***@"));
    assert!(!format!("{store:?}").contains("hunter2"));
    let error = store.writer().await.err().expect("refused");
    assert!(matches!(error, StoreError::Refused { .. }), "{error}");
    assert!(!format!("{error} {error:?}").contains("hunter2"));
    for wrong in ["mysql://u:hunter2@host:port", "mysql://u:hunter2@host/database", "postgres://u:hunter2@host"] {
        let error = open(wrong).await.unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    }
}
