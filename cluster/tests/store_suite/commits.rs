//! What a batch does, and how it fails cleanly.

use std::time::Duration;

use nakku_cluster::store::{Batch, CommitError, Store};
use nakku_cluster::{ColumnValue, Key};

use crate::fixture::{Fixture, ServerKind};

crate::on_every_server!(
    batch_is_there_as_written,
    large_batch_is_split,
    large_rows_are_split_by_bytes,
    collision_leaves_nothing,
    collision_within_a_batch_leaves_nothing,
    parts_are_replaced_and_deleted,
    two_services_commit_together,
    bad_batches_are_refused_before_they_are_sent,
    dropped_commit_leaves_nothing_open,
    writers_of_other_shards_do_not_disturb,
);

async fn batch_is_there_as_written(kind: ServerKind) {
    let fixture = Fixture::new(kind).await;
    let mut writer = fixture.store.writer().await.unwrap();
    let mut batch = fixture.batch([fixture.claim(3, 1, 7, "n1@1"), fixture.row(3, 2)]);
    batch.states.push(fixture.head(3, "s-3", 2, Some(5)));
    batch.states.push(fixture.part(3, "s-3", "lines/butter", Some("100")));
    writer.commit(&batch).await.unwrap();

    let rows = fixture.store.journal(fixture.service, 3, 0, 10).await.unwrap();
    assert_eq!(rows, [fixture.claim(3, 1, 7, "n1@1"), fixture.row(3, 2)]);
    let entity = fixture.store.load(&fixture.table(), 3, &Key::new("s-3").unwrap()).await.unwrap().unwrap();
    assert_eq!((entity.version, entity.seq, entity.head), (2, 2, b"{\"version\":2}".to_vec()));
    assert_eq!(entity.parts, [("lines/butter".to_owned(), b"100".to_vec())]);
}

async fn large_batch_is_split(kind: ServerKind) {
    let fixture = Fixture::new(kind).await;
    let mut writer = fixture.store.writer().await.unwrap();
    let mut batch = fixture.batch((1..=300).map(|seq| fixture.row(1, seq)));
    for number in 0..777 {
        batch.states.push(fixture.head(1, &format!("s-{number}"), 1, None));
    }
    writer.commit(&batch).await.unwrap();
    assert_eq!(fixture.seqs(1).await, (1..=300).collect::<Vec<_>>());
    let entity = fixture.store.load(&fixture.table(), 1, &Key::new("s-776").unwrap()).await.unwrap();
    assert_eq!(entity.unwrap().version, 1);

    let states = (0..777).map(|number| fixture.part(1, &format!("s-{number}"), "", None)).collect();
    writer.commit(&Batch { states, ..fixture.batch([fixture.row(1, 301)]) }).await.unwrap();
    for number in [0, 255, 256, 776] {
        let key = Key::new(format!("s-{number}")).unwrap();
        assert!(fixture.store.load(&fixture.table(), 1, &key).await.unwrap().is_none());
    }
}

async fn large_rows_are_split_by_bytes(kind: ServerKind) {
    let fixture = Fixture::new(kind).await;
    let mut writer = fixture.store.writer().await.unwrap();
    let large = "x".repeat(3 * 1024 * 1024);
    let mut batch = fixture.batch([fixture.row(1, 1)]);
    for number in 0..7 {
        batch.states.push(fixture.part(1, "s-1", &format!("lines/{number}"), Some(&large)));
    }
    batch.states.push(fixture.head(1, "s-1", 1, None));
    writer.commit(&batch).await.unwrap();
    let entity = fixture.store.load(&fixture.table(), 1, &Key::new("s-1").unwrap()).await.unwrap().unwrap();
    assert_eq!(entity.parts.len(), 7);
    assert!(entity.parts.iter().all(|(_, data)| data.len() == large.len()));

    let too_large = "x".repeat(9 * 1024 * 1024);
    let mut batch = fixture.batch([fixture.row(1, 2)]);
    batch.states.push(fixture.part(1, "s-1", "lines/0", Some(&too_large)));
    assert!(matches!(writer.commit(&batch).await, Err(CommitError::Refused(_))));
    assert_eq!(fixture.seqs(1).await, [1]);
}

async fn collision_leaves_nothing(kind: ServerKind) {
    let fixture = Fixture::new(kind).await;
    let mut owner = fixture.store.writer().await.unwrap();
    let mut zombie = fixture.store.writer().await.unwrap();
    owner.commit(&fixture.batch([fixture.claim(1, 1, 2, "n2@1")])).await.unwrap();

    let mut late = fixture.batch([fixture.row(2, 1), fixture.row(1, 1), fixture.row(1, 2)]);
    late.states.push(fixture.head(1, "s-1", 1, None));
    assert!(matches!(zombie.commit(&late).await, Err(CommitError::Collision)));
    assert_eq!(fixture.seqs(1).await, [1]);
    assert_eq!(fixture.seqs(2).await, [0_u64; 0]);
    assert!(fixture.store.load(&fixture.table(), 1, &Key::new("s-1").unwrap()).await.unwrap().is_none());

    // The same session goes on, and so does the owner's.
    zombie.commit(&fixture.batch([fixture.row(2, 1)])).await.unwrap();
    owner.commit(&fixture.batch([fixture.row(1, 2)])).await.unwrap();
}

async fn collision_within_a_batch_leaves_nothing(kind: ServerKind) {
    let fixture = Fixture::new(kind).await;
    let mut writer = fixture.store.writer().await.unwrap();
    let batch = fixture.batch([fixture.row(1, 1), fixture.row(1, 1)]);
    assert!(matches!(writer.commit(&batch).await, Err(CommitError::Collision)));
    assert_eq!(fixture.seqs(1).await, [0_u64; 0]);
}

async fn parts_are_replaced_and_deleted(kind: ServerKind) {
    let fixture = Fixture::new(kind).await;
    let mut writer = fixture.store.writer().await.unwrap();
    let key = Key::new("s-1").unwrap();
    let mut batch = fixture.batch([fixture.row(1, 1)]);
    batch.states.push(fixture.head(1, "s-1", 1, None));
    for part in ["lines/a", "lines/A", "lines/b"] {
        batch.states.push(fixture.part(1, "s-1", part, Some("1")));
    }
    writer.commit(&batch).await.unwrap();

    let mut batch = fixture.batch([fixture.row(1, 2)]);
    batch.states.push(fixture.head(1, "s-1", 2, None));
    batch.states.push(fixture.part(1, "s-1", "lines/a", Some("2")));
    batch.states.push(fixture.part(1, "s-1", "lines/b", None));
    batch.states.push(fixture.part(1, "s-1", "lines/never-there", None));
    writer.commit(&batch).await.unwrap();

    let entity = fixture.store.load(&fixture.table(), 1, &key).await.unwrap().unwrap();
    assert_eq!(entity.version, 2);
    // Bytes are compared, so these are two.
    assert_eq!(entity.parts, [("lines/A".to_owned(), b"1".to_vec()), ("lines/a".to_owned(), b"2".to_vec())]);
}

async fn two_services_commit_together(kind: ServerKind) {
    let one = Fixture::new(kind).await;
    let other = Fixture::bare(kind).await;
    one.store.migrate(other.service, &crate::fixture::migrations(other.service)).await.unwrap();
    let mut writer = one.store.writer().await.unwrap();
    let mut batch = one.batch([one.row(1, 1)]);
    batch.journal.push((other.service, one.row(1, 1)));
    batch.states.push(other.head(1, "s-1", 1, None));
    writer.commit(&batch).await.unwrap();

    // A clash in one service leaves nothing in the other.
    let mut batch = one.batch([one.row(1, 2)]);
    batch.journal.push((other.service, one.row(1, 1)));
    assert!(matches!(writer.commit(&batch).await, Err(CommitError::Collision)));
    assert_eq!(one.seqs(1).await, [1]);
    assert!(one.store.load(&other.table(), 1, &Key::new("s-1").unwrap()).await.unwrap().is_some());
}

async fn bad_batches_are_refused_before_they_are_sent(kind: ServerKind) {
    let fixture = Fixture::new(kind).await;
    let mut writer = fixture.store.writer().await.unwrap();
    let mut long = fixture.row(1, 1);
    long.command_id = "c".repeat(513);
    let mut far = fixture.row(1, 1);
    far.epoch = u64::MAX;
    let mut columns = fixture.head(1, "s-1", 1, None);
    columns.row.as_mut().unwrap().columns.pop();
    let mut types = fixture.head(1, "s-1", 1, None);
    types.row.as_mut().unwrap().columns[1] = ColumnValue::Text("dear".into());
    for batch in [
        fixture.batch([long]),
        fixture.batch([far]),
        Batch { states: vec![columns], ..fixture.batch([fixture.row(1, 1)]) },
        Batch { states: vec![types], ..fixture.batch([fixture.row(1, 1)]) },
    ] {
        assert!(matches!(writer.commit(&batch).await, Err(CommitError::Refused(_))));
    }
    // A table that is not there is the server's refusal.
    let mut batch = fixture.batch([fixture.row(1, 1)]);
    let mut elsewhere = fixture.head(1, "s-1", 1, None);
    elsewhere.table.kind.entity = "missing";
    batch.states.push(elsewhere);
    assert!(matches!(writer.commit(&batch).await, Err(CommitError::Refused(_))));
    assert_eq!(fixture.seqs(1).await, [0_u64; 0]);
    writer.commit(&fixture.batch([fixture.row(1, 1)])).await.unwrap();
}

/// Commits are dropped after ever longer times; whatever has happened, the next one of the same writer
/// stands on its own, and nothing is left open to block another writer.
async fn dropped_commit_leaves_nothing_open(kind: ServerKind) {
    let fixture = Fixture::new(kind).await;
    let mut writer = fixture.store.writer().await.unwrap();
    let mut other = fixture.store.writer().await.unwrap();
    let mut next_seq = 1;
    for micros in (0..6_000).step_by(300) {
        let mut batch = fixture.batch([fixture.row(1, next_seq)]);
        batch.states.push(fixture.head(1, "s-1", next_seq, None));
        let _ = tokio::time::timeout(Duration::from_micros(micros), writer.commit(&batch)).await;
        // A claim settles whether it landed, as the journal writer would do it.
        loop {
            match other.commit(&fixture.batch([fixture.claim(1, next_seq, 1, "n1@1")])).await {
                Ok(()) => break,
                Err(CommitError::Collision) => break,
                Err(CommitError::Repeat(_)) => {}
                Err(error) => panic!("{error}"),
            }
        }
        next_seq += 1;
        let mut batch = fixture.batch([fixture.row(1, next_seq)]);
        batch.states.push(fixture.head(1, "s-1", next_seq, None));
        loop {
            match writer.commit(&batch).await {
                Ok(()) => break,
                Err(CommitError::Repeat(_)) => {}
                Err(error) => panic!("{error}"),
            }
        }
        next_seq += 1;
    }
    assert_eq!(fixture.seqs(1).await, (1..next_seq).collect::<Vec<_>>());
}

async fn writers_of_other_shards_do_not_disturb(kind: ServerKind) {
    let fixture = Fixture::new(kind).await;
    let mut tasks = tokio::task::JoinSet::new();
    for shard in 0..4 {
        let mut writer = fixture.store.writer().await.unwrap();
        let batches: Vec<_> = (1..=50)
            .map(|seq| {
                let mut batch = fixture.batch([fixture.row(shard, seq)]);
                batch.states.push(fixture.head(shard, &format!("s-{shard}"), seq, Some(1)));
                batch
            })
            .collect();
        tasks.spawn(async move {
            for batch in batches {
                loop {
                    match writer.commit(&batch).await {
                        Ok(()) => break,
                        Err(CommitError::Repeat(_)) => {}
                        Err(error) => panic!("shard {shard}: {error}"),
                    }
                }
            }
        });
    }
    while let Some(outcome) = tasks.join_next().await {
        outcome.unwrap();
    }
    for shard in 0..4 {
        assert_eq!(fixture.seqs(shard).await, (1..=50).collect::<Vec<_>>());
    }
}
