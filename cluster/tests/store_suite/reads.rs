//! Load, due, list, last rows, pruning.

use nakku_cluster::store::{CommitError, JournalRow, Store, StoreError};
use nakku_cluster::{ColumnValue, Key, Query, Timestamp};

use crate::fixture::{Fixture, ServerKind};

crate::on_every_server!(
    last_rows_of_the_shards_that_have_one,
    due_comes_page_by_page,
    list_comes_page_by_page,
    undeclared_columns_are_refused,
    pruning_keeps_claims_and_the_last_row,
    zombie_collides_after_pruning,
    missing_service_is_refused,
    an_entity_has_its_own_history,
);

async fn last_rows_of_the_shards_that_have_one(kind: ServerKind) {
    let fixture = Fixture::new(kind).await;
    let mut writer = fixture.store.writer().await.unwrap();
    let shards: Vec<u32> = (0..150).collect();
    assert_eq!(fixture.store.last_rows(fixture.service, &shards).await.unwrap(), []);
    assert_eq!(fixture.store.last_rows(fixture.service, &[]).await.unwrap(), []);
    for shard in (0..150).filter(|shard| shard % 3 == 0) {
        let rows = (1..=u64::from(shard % 5) + 1).map(|seq| fixture.row(shard, seq));
        writer.commit(&fixture.batch(rows)).await.unwrap();
    }
    let last = fixture.store.last_rows(fixture.service, &shards).await.unwrap();
    let expected: Vec<_> =
        (0..150).filter(|shard| shard % 3 == 0).map(|shard| fixture.row(shard, u64::from(shard % 5) + 1)).collect();
    assert_eq!(last, expected);
    let row = fixture.store.journal_row(fixture.service, 3, 2).await.unwrap();
    assert_eq!(row, Some(fixture.row(3, 2)));
    assert_eq!(fixture.store.journal_row(fixture.service, 3, 9).await.unwrap(), None);
}

async fn due_comes_page_by_page(kind: ServerKind) {
    let fixture = Fixture::new(kind).await;
    let mut writer = fixture.store.writer().await.unwrap();
    let mut batch = fixture.batch([fixture.row(1, 1)]);
    let mut expected = Vec::new();
    for number in 0..120_i64 {
        let shard = u32::try_from(number % 4).unwrap();
        let key = format!("s-{number:03}");
        // Many at one time, some never, some later.
        let wake_at = (number % 10 != 0).then_some(if number % 7 == 0 { 9_000 } else { number / 40 });
        batch.states.push(fixture.head(shard, &key, 1, wake_at));
        if shard != 3 && wake_at.is_some_and(|time| time <= 100) {
            expected.push((wake_at.unwrap(), key));
        }
    }
    expected.sort();
    writer.commit(&batch).await.unwrap();
    let table = fixture.table();
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let page = fixture.store.due(&table, &[0, 1, 2], Timestamp(100), after.as_ref(), 7).await.unwrap();
        assert!(page.iter().all(|due| due.shard != 3));
        found.extend(page.iter().map(|due| (due.wake_at.0, due.key.as_str().to_owned())));
        let Some(last) = page.last() else { break };
        after = Some(last.clone());
    }
    assert_eq!(found, expected);
    assert_eq!(fixture.store.due(&table, &[], Timestamp(100), None, 7).await.unwrap(), []);
}

async fn list_comes_page_by_page(kind: ServerKind) {
    let fixture = Fixture::new(kind).await;
    let mut writer = fixture.store.writer().await.unwrap();
    let mut batch = fixture.batch([fixture.row(1, 1)]);
    for number in 0..60_u32 {
        let mut head = fixture.head(number % 8, &format!("s-{number:02}"), u64::from(number) + 1, None);
        let category = if number % 2 == 0 { ColumnValue::Text("dairy".into()) } else { ColumnValue::Null };
        head.row.as_mut().unwrap().columns[0] = category;
        batch.states.push(head);
        // Parts have no columns and are never listed.
        batch.states.push(fixture.part(number % 8, &format!("s-{number:02}"), "lines/x", Some("1")));
    }
    batch.states.push({
        let mut other_case = fixture.head(1, "s-99", 1, None);
        other_case.row.as_mut().unwrap().columns[0] = ColumnValue::Text("Dairy".into());
        other_case
    });
    writer.commit(&batch).await.unwrap();
    let table = fixture.table();
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let query = Query::new().text("category", "dairy").after(after.clone()).limit(7);
        let page = fixture.store.list(&table, &query).await.unwrap();
        assert!(page.len() <= 7);
        let Some(last) = page.last() else { break };
        after = Some(last.key.clone());
        found.extend(page.iter().map(|row| row.key.as_str().to_owned()));
    }
    let expected: Vec<_> = (0..60).step_by(2).map(|number| format!("s-{number:02}")).collect();
    assert_eq!(found, expected);

    let one = Query::new().text("category", "dairy").integer("price_minor", 5);
    let rows = fixture.store.list(&table, &one).await.unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!((rows[0].key.as_str(), rows[0].version, rows[0].head.clone()), ("s-04", 5, b"{\"version\":5}".to_vec()));
    let mut null = Query::new().limit(500);
    null.equals.push(("category", ColumnValue::Null));
    assert_eq!(fixture.store.list(&table, &null).await.unwrap().len(), 30);
    assert_eq!(fixture.store.list(&table, &Query::new().limit(500)).await.unwrap().len(), 61);
}

async fn undeclared_columns_are_refused(kind: ServerKind) {
    let fixture = Fixture::new(kind).await;
    for column in ["data", "category = category OR part"] {
        let outcome = fixture.store.list(&fixture.table(), &Query::new().text(column, "x")).await;
        assert!(matches!(outcome, Err(StoreError::Refused { .. })), "{outcome:?}");
    }
}

async fn pruning_keeps_claims_and_the_last_row(kind: ServerKind) {
    let fixture = Fixture::new(kind).await;
    let mut writer = fixture.store.writer().await.unwrap();
    let rows = (1..=20).map(|seq| match seq {
        1 | 8 => fixture.claim(1, seq, seq, "n1@1"),
        _ => fixture.row(1, seq),
    });
    writer.commit(&fixture.batch(rows)).await.unwrap();
    writer.commit(&fixture.batch((1..=3).map(|seq| fixture.row(2, seq)))).await.unwrap();

    assert_eq!(fixture.store.prune(fixture.service, 1, 6, 100).await.unwrap(), 4);
    assert_eq!(fixture.seqs(1).await, [1].into_iter().chain(6..=20).collect::<Vec<_>>());
    assert_eq!(fixture.store.prune(fixture.service, 1, 1_000, 5).await.unwrap(), 5);
    assert_eq!(fixture.seqs(1).await, [1, 8].into_iter().chain(12..=20).collect::<Vec<_>>());
    assert_eq!(fixture.store.prune(fixture.service, 1, 1_000, 100).await.unwrap(), 8);
    assert_eq!(fixture.seqs(1).await, [1, 8, 20]);
    assert_eq!(fixture.store.prune(fixture.service, 1, 1_000, 100).await.unwrap(), 0);
    assert_eq!(fixture.seqs(2).await, [1, 2, 3]);
    assert_eq!(fixture.store.prune(fixture.service, 9, 1_000, 100).await.unwrap(), 0);
}

/// An owner that has been frozen since seq 5 wakes up after its successor has claimed at 6, written on and
/// pruned: its next seq is the claim's, which is still there.
async fn zombie_collides_after_pruning(kind: ServerKind) {
    let fixture = Fixture::new(kind).await;
    let mut zombie = fixture.store.writer().await.unwrap();
    zombie.commit(&fixture.batch((1..=5).map(|seq| fixture.row(1, seq)))).await.unwrap();
    let mut successor = fixture.store.writer().await.unwrap();
    successor.commit(&fixture.batch([fixture.claim(1, 6, 2, "n2@1")])).await.unwrap();
    successor.commit(&fixture.batch((7..=30).map(|seq| fixture.row(1, seq)))).await.unwrap();
    while fixture.store.prune(fixture.service, 1, u64::MAX, 4).await.unwrap() > 0 {}
    assert_eq!(fixture.seqs(1).await, [6, 30]);

    let mut late = fixture.batch((6..=9).map(|seq| fixture.row(1, seq)));
    late.states.push(fixture.head(1, "s-1", 9, None));
    assert!(matches!(zombie.commit(&late).await, Err(CommitError::Collision)));
    assert_eq!(fixture.seqs(1).await, [6, 30]);
    assert!(fixture.store.load(&fixture.table(), 1, &Key::new("s-1").unwrap()).await.unwrap().is_none());
}

async fn missing_service_is_refused(kind: ServerKind) {
    let fixture = Fixture::bare(kind).await;
    let outcome = fixture.store.last_rows(fixture.service, &[1]).await;
    assert!(matches!(outcome, Err(StoreError::Refused { .. })), "{outcome:?}");
    let outcome = fixture.store.last_rows("Robert'); --", &[1]).await;
    assert!(matches!(outcome, Err(StoreError::Refused { .. })), "{outcome:?}");
}

async fn an_entity_has_its_own_history(kind: ServerKind) {
    let fixture = Fixture::new(kind).await;
    let mut writer = fixture.store.writer().await.unwrap();
    let row = |seq: u64, entity: &str| JournalRow { entity: entity.into(), ..fixture.row(3, seq) };
    let rows = (1..=9).map(|seq| row(seq, if seq % 3 == 0 { "thing/a" } else { "thing/b" }));
    writer.commit(&fixture.batch(rows)).await.unwrap();
    let history = async |after, limit| {
        let rows = fixture.store.entity_journal(fixture.service, 3, "thing/a", after, limit).await.unwrap();
        rows.iter().map(|row| row.seq).collect::<Vec<_>>()
    };
    assert_eq!(history(0, 10).await, [3, 6, 9]);
    assert_eq!(history(3, 1).await, [6]);
    assert_eq!(history(9, 10).await, [0u64; 0]);
}
