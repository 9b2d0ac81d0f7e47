//! Servers and processes that are killed in the middle of a batch, and processes that share a SQLite file.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nakku_cluster::store::sqlite::BUSY_TIMEOUT;
use nakku_cluster::store::{Batch, CommitError, SqlStore, Store, StoreWriter, open};
use sqlx::{ConnectOptions, Executor};

use crate::fixture::{Fixture, ServerKind, TEST_DEADLINE, migrations};
use crate::servers;

/// A server answers again this long after it has been started.
const RETURN_DEADLINE: Duration = Duration::from_secs(10);

/// The script keeps this server until its input is closed.
struct OwnMariadb {
    script: Child,
    url: String,
    folder: String,
}

impl OwnMariadb {
    fn start() -> Self {
        let mut script = Command::new(servers::script())
            .args(["with", "mariadb", "--", "sh", "-c"])
            .arg("echo \"$NAKKU_TEST_MARIADB_URL\"; echo \"$NAKKU_TEST_MARIADB_DIR\"; exec cat >/dev/null")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the script starts");
        let mut lines = BufReader::new(script.stdout.take().expect("asked for")).lines();
        let mut line = || lines.next().expect("a server, or see above").expect("text");
        let (url, folder) = (line(), line());
        Self { script, url, folder }
    }

    fn kill_and_restart(&self, pause: Duration) {
        let pid = std::fs::read_to_string(Path::new(&self.folder).join("pid")).expect("the server has a pid");
        run(Command::new("kill").args(["-KILL", pid.trim()]));
        std::thread::sleep(pause);
        run(Command::new(servers::script()).args(["restart", &self.folder]).stdout(Stdio::null()));
    }
}

impl Drop for OwnMariadb {
    fn drop(&mut self) {
        drop(self.script.stdin.take());
        let _ = self.script.wait();
    }
}

fn run(command: &mut Command) {
    let status = command.status().expect("can be run");
    assert!(status.success(), "{command:?}: {status}");
}

/// Writes on until told to stop, settling what is unknown by a claim, as the journal does. Returns the
/// highest seq that was acknowledged and how often the outcome was unknown.
async fn write_through_deaths(store: Arc<SqlStore>, fixture: Arc<Fixture>, until: Instant) -> (u64, u32) {
    let mut writer = store.writer().await.unwrap();
    let mut next_seq = 1;
    let mut unknown = 0;
    let mut settling = false;
    while Instant::now() < until || settling {
        let batch = if settling {
            fixture.batch([fixture.claim(1, next_seq, 1, "n1@1")])
        } else {
            let mut batch = fixture.batch((next_seq..next_seq + 20).map(|seq| fixture.row(1, seq)));
            batch.states.push(fixture.head(1, "s-1", next_seq + 19, None));
            batch
        };
        match commit_within(&mut writer, &batch).await {
            Ok(()) => {
                next_seq += batch.journal.len() as u64;
                settling = false;
            }
            // The lost batch, or the lost claim, has landed: its last row says how far.
            Err(CommitError::Collision) if settling => {
                let last = store.last_rows(fixture.service, &[1]).await.unwrap();
                next_seq = last[0].seq + 1;
                settling = false;
            }
            Err(CommitError::Unknown(_)) => {
                unknown += 1;
                settling = true;
            }
            Err(CommitError::Repeat(_) | CommitError::NotBegun(_)) => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(error) => panic!("{error}"),
        }
    }
    (next_seq - 1, unknown)
}

async fn commit_within(writer: &mut Box<dyn StoreWriter>, batch: &Batch) -> Result<(), CommitError> {
    tokio::time::timeout(TEST_DEADLINE, writer.commit(batch)).await.expect("a commit always ends")
}

/// Two kills while a writer is at work. Every acknowledged row is there afterwards, without a gap.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mariadb_killed_in_mid_batch() {
    let server = tokio::task::spawn_blocking(OwnMariadb::start).await.unwrap();
    let fixture = Arc::new(Fixture::at(server.url.clone()).await);
    let store = open(&server.url).await.unwrap();
    let until = Instant::now() + Duration::from_secs(8);
    let writing = tokio::spawn(write_through_deaths(store.clone(), fixture.clone(), until));
    let server = tokio::task::spawn_blocking(move || {
        for pause in [Duration::ZERO, Duration::from_millis(700)] {
            std::thread::sleep(Duration::from_millis(1_500));
            server.kill_and_restart(pause);
        }
        server
    })
    .await
    .unwrap();
    // Reads come back by themselves.
    let since = Instant::now();
    while let Err(error) = store.last_rows(fixture.service, &[1]).await {
        assert!(since.elapsed() < RETURN_DEADLINE, "{error}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let (acknowledged, unknown) = tokio::time::timeout(TEST_DEADLINE, writing).await.unwrap().unwrap();
    assert!(acknowledged > 100, "only {acknowledged} rows were written");
    println!("{acknowledged} rows acknowledged, {unknown} unknown outcomes");
    let seqs = fixture.seqs(1).await;
    assert!(seqs.iter().copied().eq(1..=seqs.len() as u64), "the journal has a gap");
    assert!(seqs.len() as u64 >= acknowledged, "{} rows of {acknowledged}", seqs.len());
    drop(server);
}

/// Two stores on one file stand for two processes: the library locks between connections alike.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_file_is_shared_by_two_stores() {
    let fixture = Fixture::new(ServerKind::Sqlite).await;
    let other = open(&fixture.url).await.unwrap();
    other.migrate(fixture.service, &migrations(fixture.service)).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for (shard, store) in [(1, fixture.store.clone()), (2, other.clone())] {
        let mut writer = store.writer().await.unwrap();
        let batches: Vec<_> = (1..=200).map(|seq| fixture.batch([fixture.row(shard, seq)])).collect();
        tasks.spawn(async move {
            for batch in batches {
                loop {
                    match commit_within(&mut writer, &batch).await {
                        Ok(()) => break,
                        Err(CommitError::Repeat(_)) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            }
        });
    }
    while let Some(outcome) = tasks.join_next().await {
        outcome.unwrap();
    }
    for shard in [1, 2] {
        assert_eq!(fixture.seqs(shard).await, (1..=200).collect::<Vec<_>>());
    }
    let mut late = other.writer().await.unwrap();
    let outcome = late.commit(&fixture.batch([fixture.row(1, 200)])).await;
    assert!(matches!(outcome, Err(CommitError::Collision)), "{outcome:?}");
}

/// A store that writes without a pause does not starve another one: commits of the two alternate.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_writers_take_turns() {
    const COMMITS: u64 = 40;
    let fixture = Arc::new(Fixture::new(ServerKind::Sqlite).await);
    let busy = open(&fixture.url).await.unwrap();
    let done = Arc::new(AtomicU64::new(0));
    let (own, ended) = (fixture.clone(), done.clone());
    let writing = tokio::spawn(async move {
        let mut writer = busy.writer().await.unwrap();
        let mut seq = 0;
        while ended.load(Ordering::SeqCst) == 0 {
            seq += 1;
            commit_within(&mut writer, &own.batch([own.row(1, seq)])).await.unwrap();
        }
        seq
    });
    let mut writer = fixture.store.writer().await.unwrap();
    let mut slowest = Duration::ZERO;
    for seq in 1..=COMMITS {
        let since = Instant::now();
        commit_within(&mut writer, &fixture.batch([fixture.row(2, seq)])).await.unwrap();
        slowest = slowest.max(since.elapsed());
    }
    done.store(1, Ordering::SeqCst);
    let busy_commits = writing.await.unwrap();
    println!("{COMMITS} commits beside {busy_commits}, the slowest took {slowest:?}");
    assert!(busy_commits < COMMITS * 20, "{busy_commits} commits for {COMMITS} of the other");
    assert!(slowest < BUSY_TIMEOUT, "{slowest:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_file_that_is_busy_is_repeated() {
    let fixture = Fixture::new(ServerKind::Sqlite).await;
    let mut writer = fixture.store.writer().await.unwrap();
    let options: sqlx::sqlite::SqliteConnectOptions = fixture.url.parse().unwrap();
    let mut opponent = options.connect().await.unwrap();
    opponent.execute("BEGIN IMMEDIATE").await.unwrap();
    let since = Instant::now();
    let outcome = writer.commit(&fixture.batch([fixture.row(1, 1)])).await;
    assert!(matches!(outcome, Err(CommitError::Repeat(_))), "{outcome:?}");
    assert!(since.elapsed() < BUSY_TIMEOUT * 5);
    // Reads go on meanwhile.
    assert_eq!(fixture.seqs(1).await, [0_u64; 0]);
    opponent.execute("ROLLBACK").await.unwrap();
    writer.commit(&fixture.batch([fixture.row(1, 1)])).await.unwrap();
}

/// The file and the service that the other process is to write to.
const CHILD_FILE: &str = "NAKKU_TEST_CHILD_FILE";
const CHILD_SERVICE: &str = "NAKKU_TEST_CHILD_SERVICE";
/// It starts and gets its turns within this time.
const CHILD_DEADLINE: Duration = Duration::from_secs(20);

/// Another process commits to the same file and is killed in the middle, several times, while this one
/// goes on. What it had acknowledged is there, and its death blocks nobody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_process_killed_in_mid_batch() {
    let fixture = Fixture::new(ServerKind::Sqlite).await;
    let mut writer = fixture.store.writer().await.unwrap();
    let mut own_seq = 0;
    let acknowledged_by_child = Arc::new(AtomicU64::new(0));
    for round in 1..=5_u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "deaths::child_that_writes", "--ignored", "--nocapture"])
            .env(CHILD_FILE, &fixture.url)
            .env(CHILD_SERVICE, fixture.service)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = child.stdout.take().unwrap();
        let (before, counter) = (acknowledged_by_child.load(Ordering::SeqCst), acknowledged_by_child.clone());
        let reading = std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if let Some(seq) = line.strip_prefix("acknowledged ").and_then(|seq| seq.parse().ok()) {
                    counter.store(seq, Ordering::SeqCst);
                }
            }
        });
        // The child's start is not what is measured.
        let until = Instant::now() + CHILD_DEADLINE;
        while acknowledged_by_child.load(Ordering::SeqCst) < before + 20 * round {
            assert!(Instant::now() < until, "the child writes nothing while this process writes");
            match commit_within(&mut writer, &fixture.batch([fixture.row(2, own_seq + 1)])).await {
                Ok(()) => own_seq += 1,
                Err(CommitError::Repeat(_)) => {}
                Err(error) => panic!("{error}"),
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
        tokio::task::spawn_blocking(move || reading.join().unwrap()).await.unwrap();
        let acknowledged = acknowledged_by_child.load(Ordering::SeqCst);
        let since = Instant::now();
        commit_within(&mut writer, &fixture.batch([fixture.row(2, own_seq + 1)])).await.unwrap();
        own_seq += 1;
        assert!(since.elapsed() < BUSY_TIMEOUT, "a dead process was in the way: {:?}", since.elapsed());
        let seqs = fixture.seqs(1).await;
        assert!(seqs.iter().copied().eq(1..=seqs.len() as u64), "the journal has a gap");
        assert!(acknowledged <= seqs.len() as u64, "{acknowledged} acknowledged, {} there", seqs.len());
    }
    assert_eq!(fixture.seqs(2).await.len() as u64, own_seq);
}

/// Not a test of its own: what the other process does.
#[tokio::test]
#[ignore = "run by sqlite_process_killed_in_mid_batch"]
async fn child_that_writes() {
    let (Ok(url), Ok(service)) = (std::env::var(CHILD_FILE), std::env::var(CHILD_SERVICE)) else { return };
    let fixture = Fixture::of_another_process(&url, service).await;
    let mut writer = fixture.store.writer().await.unwrap();
    let mut seq = fixture.seqs(1).await.len() as u64;
    loop {
        let mut batch = fixture.batch((seq + 1..=seq + 10).map(|seq| fixture.row(1, seq)));
        batch.states.push(fixture.head(1, "s-1", seq + 10, None));
        match writer.commit(&batch).await {
            Ok(()) => seq += 10,
            Err(CommitError::Repeat(_)) => continue,
            Err(error) => panic!("{error}"),
        }
        println!("acknowledged {seq}");
        std::io::stdout().flush().unwrap();
    }
}
