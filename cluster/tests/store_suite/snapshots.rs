//! All servers as of one moment, while writers go on; rows read as they are and put back the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nakku_cluster::store::snapshot::{self, Cell, Filler, Snapshot, Table, Wanted};
use nakku_cluster::store::{CommitError, SqlStore, Store, StoreError};

use crate::fixture::{Fixture, ServerKind};

crate::on_every_server!(
    rows_come_back_as_they_were,
    a_moment_is_the_same_in_every_database,
    tables_are_emptied_but_for_the_schemas_own
);

/// Far more than writers wait, also on a busy machine.
const HELD_UP_MAX: Duration = Duration::from_secs(5);

fn wanted(fixture: &Fixture) -> Wanted {
    Wanted { store: fixture.store.clone(), databases: vec![fixture.service.to_owned()] }
}

async fn rows(snapshot: &mut Snapshot, database: &str, table: &Table) -> Vec<Vec<Cell>> {
    let mut rows = Vec::new();
    let take = |row: &[Cell]| {
        rows.push(row.to_vec());
        Ok(())
    };
    let count = snapshot.rows(database, table, take).await.expect("rows are read");
    assert_eq!(count, rows.len() as u64);
    rows
}

async fn table(snapshot: &mut Snapshot, database: &str, name: &str) -> Table {
    let tables = snapshot.tables(database).await.expect("tables are listed");
    tables.into_iter().find(|table| table.name == name).unwrap_or_else(|| panic!("no table {name}"))
}

async fn rows_come_back_as_they_were(kind: ServerKind) {
    let (from, to) = (Fixture::new(kind).await, Fixture::new(kind).await);
    let mut writer = from.store.writer().await.expect("a session");
    for first in (1..=600).step_by(200) {
        let mut batch = from.batch((first..first + 200).map(|seq| from.row(7, seq)));
        batch.journal.iter_mut().for_each(|(_, row)| row.payload = vec![0, 0xFF, b'\'', (row.seq % 256) as u8]);
        batch.states.push(from.head(7, "s-7", first, (first > 1).then_some(5)));
        batch.states.push(from.part(7, "s-7", &format!("line/{first}"), Some("{}")));
        writer.commit(&batch).await.expect("commits");
    }
    let mut moment = snapshot::take(vec![wanted(&from)]).await.expect("a snapshot");
    let snapshot = &mut moment.snapshots[0];
    assert_eq!(snapshot.schema_versions(from.service).await.expect("versions").service, 1);
    assert_eq!(snapshot.incarnation(from.service).await.expect("it answers"), Some(1));
    for name in ["journal", "stock_state", "publication"] {
        let layout = table(snapshot, from.service, name).await;
        let mut expected = rows(snapshot, from.service, &layout).await;
        let mut filler = Filler::new(to.store.clone(), to.service, layout.clone());
        for row in &expected {
            filler.put(row.clone()).await.expect("it is written");
        }
        assert_eq!(filler.finish().await.expect("it is written"), expected.len() as u64);
        let mut there = snapshot::take(vec![wanted(&to)]).await.expect("a snapshot").snapshots.remove(0);
        let mut found = rows(&mut there, to.service, &layout).await;
        let key = |row: &Vec<Cell>| format!("{:?}", &row[..3]);
        expected.sort_by_key(key);
        found.sort_by_key(key);
        assert_eq!(found, expected, "{name}");
    }
    assert_eq!(to.seqs(7).await, (1..=600).collect::<Vec<u64>>());
    let none = snapshot.tables("no_such_service").await.expect("it is not there");
    assert!(none.is_empty(), "{none:?}");
}

/// A writer of two databases, on two sessions, as two nodes are: what it writes to the second rests on what it has
/// written to the first. So no moment may have more in the second.
async fn a_moment_is_the_same_in_every_database(kind: ServerKind) {
    let (first, second) = (Arc::new(Fixture::new(kind).await), Arc::new(Fixture::new(kind).await));
    let stop = Arc::new(AtomicBool::new(false));
    let longest = Arc::new(AtomicU64::new(0));
    let writers: Vec<_> = (0..4u32)
        .map(|shard| {
            let (first, second) = (Arc::clone(&first), Arc::clone(&second));
            let (stop, longest) = (Arc::clone(&stop), Arc::clone(&longest));
            tokio::spawn(async move {
                let mut seq = 0;
                while !stop.load(Ordering::Relaxed) {
                    seq += 1;
                    for fixture in [&first, &second] {
                        let began = Instant::now();
                        commit(fixture, shard, seq).await;
                        longest.fetch_max(began.elapsed().as_millis() as u64, Ordering::Relaxed);
                    }
                }
                seq
            })
        })
        .collect();
    let mut seen = Vec::new();
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        // The second is begun first, so that it is not by chance that it has less.
        let both = if kind == ServerKind::Sqlite {
            vec![wanted(&second), wanted(&first)]
        } else {
            // On one server, as two databases of it, and as two servers.
            vec![wanted(&second), Wanted { store: again(&first).await, ..wanted(&first) }]
        };
        let mut moment = snapshot::take(both).await.expect("a snapshot");
        assert!(moment.held_up < HELD_UP_MAX, "writers waited for {:?}", moment.held_up);
        // They go on while it is read.
        tokio::time::sleep(Duration::from_millis(50)).await;
        let mut counts = Vec::new();
        for (snapshot, fixture) in moment.snapshots.iter_mut().zip([&second, &first]) {
            let layout = table(snapshot, fixture.service, "journal").await;
            let rows = rows(snapshot, fixture.service, &layout).await;
            let of = |shard: i64| rows.iter().filter(|row| row[0] == Cell::Integer(shard)).count();
            counts.push([of(0), of(1), of(2), of(3)]);
        }
        for (later, earlier) in counts[0].iter().zip(counts[1]) {
            assert!(*later <= earlier && earlier <= later + 1, "{counts:?}");
        }
        seen.push(counts[1][0]);
    }
    stop.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.expect("no writer fails");
    }
    assert!(seen.first() < seen.last(), "nobody has written: {seen:?}");
    eprintln!("the longest commit took {} ms", longest.load(Ordering::Relaxed));
}

async fn again(fixture: &Fixture) -> Arc<SqlStore> {
    nakku_cluster::store::open(&fixture.url).await.expect("the address is right")
}

async fn commit(fixture: &Fixture, shard: u32, seq: u64) {
    let batch = fixture.batch([fixture.row(shard, seq)]);
    let mut writer = fixture.store.writer().await.expect("a session");
    loop {
        match writer.commit(&batch).await {
            Ok(()) => return,
            Err(CommitError::Repeat(_) | CommitError::NotBegun(StoreError::Unavailable { .. })) => {}
            Err(other) => panic!("{other}"),
        }
    }
}

async fn tables_are_emptied_but_for_the_schemas_own(kind: ServerKind) {
    let fixture = Fixture::new(kind).await;
    let filled = async || snapshot::layouts(&fixture.store, fixture.service).await.expect("tables are listed").filled;
    assert_eq!(filled().await, None, "the schema's own rows do not count");
    let mut writer = fixture.store.writer().await.expect("a session");
    writer.commit(&fixture.batch([fixture.row(1, 1)])).await.expect("commits");
    fixture.store.raise_incarnation(fixture.service, 6).await.expect("it is raised");
    assert_eq!(filled().await.as_deref(), Some("journal"));
    snapshot::clear(&fixture.store, fixture.service).await.expect("it is emptied");
    assert_eq!(filled().await, None);
    assert_eq!(fixture.store.incarnation(fixture.service).await.expect("it answers"), 7);
}
