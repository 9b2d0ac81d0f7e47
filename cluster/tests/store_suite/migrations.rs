//! Migrations twice, at once, after a crash.

use nakku_cluster::Migration;
use nakku_cluster::store::{Store, StoreError, open};

use crate::fixture::{Fixture, ServerKind, migrations};

crate::on_every_server!(
    second_run_changes_nothing,
    newer_version_adds_to_the_older,
    crash_in_the_middle_is_resumed,
    two_nodes_migrate_at_once,
    mistakes_are_refused,
);

const BRAND: Migration = Migration {
    version: 2,
    name: "brand",
    sql: "ALTER TABLE {prefix}stock_state ADD COLUMN brand VARBINARY(64) NULL;\n\
          CREATE TABLE {prefix}notes (id BIGINT NOT NULL, PRIMARY KEY (id))",
};

async fn commits(fixture: &Fixture, seq: u64) {
    let mut writer = fixture.store.writer().await.unwrap();
    let mut batch = fixture.batch([fixture.row(1, seq)]);
    batch.states.push(fixture.head(1, "s-1", seq, None));
    writer.commit(&batch).await.unwrap();
}

async fn second_run_changes_nothing(kind: ServerKind) {
    let fixture = Fixture::new(kind).await;
    commits(&fixture, 1).await;
    fixture.store.migrate(fixture.service, &migrations(fixture.service)).await.unwrap();
    commits(&fixture, 2).await;
    assert_eq!(fixture.seqs(1).await, [1, 2]);
    assert_eq!(fixture.store.incarnation(fixture.service).await.unwrap(), 1);
}

async fn newer_version_adds_to_the_older(kind: ServerKind) {
    let fixture = Fixture::new(kind).await;
    let mut newer = migrations(fixture.service);
    newer.push(BRAND);
    fixture.store.migrate(fixture.service, &newer).await.unwrap();
    // A node of the older version starts again and writes as it did.
    fixture.store.migrate(fixture.service, &migrations(fixture.service)).await.unwrap();
    commits(&fixture, 1).await;
    fixture.store.migrate(fixture.service, &newer).await.unwrap();
}

/// A run that failed at a later statement stands for a crash there; then the record of a statement that was
/// applied is lost as well.
async fn crash_in_the_middle_is_resumed(kind: ServerKind) {
    let fixture = Fixture::bare(kind).await;
    let whole = migrations(fixture.service);
    let (first, _) = whole[0].sql.split_once(";\n").unwrap();
    let broken = [Migration { sql: format!("{first};\nCREATE NONSENSE;\n").leak(), ..whole[0] }];
    let error = fixture.store.migrate(fixture.service, &broken).await.unwrap_err();
    assert!(matches!(error, StoreError::Refused { .. }), "{error}");
    assert!(error.to_string().contains("service migration 1 (stock), statement 2"), "{error}");
    fixture.store.migrate(fixture.service, &whole).await.unwrap();
    commits(&fixture, 1).await;

    let forget = [Migration { version: 3, name: "forget", sql: "DELETE FROM {prefix}migration WHERE version < 3;\n" }];
    let mut all = whole.clone();
    all.push(BRAND);
    all.extend(forget);
    fixture.store.migrate(fixture.service, &all).await.unwrap();
    fixture.store.migrate(fixture.service, &all).await.unwrap();
    commits(&fixture, 2).await;
    assert_eq!(fixture.store.incarnation(fixture.service).await.unwrap(), 1);
}

async fn two_nodes_migrate_at_once(kind: ServerKind) {
    let fixture = Fixture::bare(kind).await;
    let mut all = migrations(fixture.service);
    all.push(BRAND);
    let mut nodes = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let store = open(&fixture.url).await.unwrap();
        let (service, all) = (fixture.service, all.clone());
        nodes.spawn(async move { store.migrate(service, &all).await });
    }
    while let Some(outcome) = nodes.join_next().await {
        outcome.unwrap().unwrap();
    }
    commits(&fixture, 1).await;
}

async fn mistakes_are_refused(kind: ServerKind) {
    let fixture = Fixture::bare(kind).await;
    let migration = |version, sql| Migration { version, name: "mistake", sql };
    let unique = "CREATE UNIQUE INDEX email ON {prefix}stock_state (category);";
    for wrong in [
        vec![migration(1, unique)],
        vec![migration(2, "SELECT 1;"), migration(1, "SELECT 1;")],
        vec![migration(0, "SELECT 1;")],
    ] {
        let outcome = fixture.store.migrate(fixture.service, &wrong).await;
        assert!(matches!(outcome, Err(StoreError::Refused { .. })), "{outcome:?}");
    }
}
