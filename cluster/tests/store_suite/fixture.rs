//! A store with a service of the test's own, on each kind of server.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use nakku_cluster::store::{Batch, CLAIM, JournalRow, SqlStore, StateRow, StateTable, StateWrite, Store, open};
use nakku_cluster::{Column, ColumnKind, ColumnValue, Key, Kind, Migration, Timestamp};

use crate::servers;

/// Five times what a test takes on a loaded machine.
pub const TEST_DEADLINE: Duration = Duration::from_secs(120);

/// The kind of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerKind {
    Sqlite,
    Mariadb,
    Mysql,
}

/// A service of its own on some server.
pub struct Fixture {
    pub store: Arc<SqlStore>,
    pub service: &'static str,
    pub url: String,
    folder: Option<PathBuf>,
}

pub const COLUMNS: &[Column] =
    &[Column { name: "category", kind: ColumnKind::Text }, Column { name: "price_minor", kind: ColumnKind::Integer }];

/// The schema that every test uses; as the store's schema page has it.
pub fn migrations(service: &str) -> Vec<Migration> {
    let sql = format!(
        "-- What a service writes.
CREATE TABLE {{prefix}}stock_state (
    shard INTEGER NOT NULL,
    entity VARBINARY(128) NOT NULL,
    part VARBINARY(192) NOT NULL,
    version BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    data LONGBLOB NOT NULL,
    wake_at BIGINT NULL,
    category VARBINARY(64) NULL,
    price_minor BIGINT NULL,
    PRIMARY KEY (shard, entity, part)
);
CREATE INDEX {service}_stock_wake_at ON {{prefix}}stock_state (wake_at, entity);
CREATE INDEX {service}_stock_category ON {{prefix}}stock_state (category, entity);
"
    );
    vec![Migration { version: 1, name: "stock", sql: sql.leak() }]
}

impl Fixture {
    pub async fn new(kind: ServerKind) -> Self {
        let fixture = Self::bare(kind).await;
        fixture.store.migrate(fixture.service, &migrations(fixture.service)).await.expect("migrates");
        fixture
    }

    /// Not yet migrated.
    pub async fn bare(kind: ServerKind) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let service = format!("suite_{}_{number}", std::process::id()).leak();
        let folder = (kind == ServerKind::Sqlite).then(|| std::env::temp_dir().join(format!("nakku_{service}")));
        let url = match &folder {
            Some(folder) => format!("sqlite://{}/store.db", folder.display()),
            None => server_url(kind).await.to_owned(),
        };
        let store = open(&url).await.expect("the address is right");
        Self { store, service, url, folder }
    }

    /// On a server of the test's own.
    pub async fn at(url: String) -> Self {
        let store = open(&url).await.expect("the address is right");
        let fixture = Self { store, service: "suite", url, folder: None };
        fixture.store.migrate(fixture.service, &migrations(fixture.service)).await.expect("migrates");
        fixture
    }

    /// What another process has made and will remove.
    pub async fn of_another_process(url: &str, service: String) -> Self {
        let store = open(url).await.expect("the address is right");
        Self { store, service: service.leak(), url: url.to_owned(), folder: None }
    }

    pub fn table(&self) -> StateTable {
        StateTable { kind: Kind { service: self.service, entity: "stock" }, columns: COLUMNS }
    }

    /// A journal row of an entity.
    pub fn row(&self, shard: u32, seq: u64) -> JournalRow {
        JournalRow {
            shard,
            seq,
            epoch: 1,
            writer: "n1@1".into(),
            entity: format!("stock/s-{shard}"),
            entity_version: seq,
            previous_seq: seq - 1,
            command_id: format!("command-{seq}"),
            event_type: "stock.counted".to_owned(),
            payload: format!("{{\"seq\":{seq}}}").into_bytes(),
            occurred_at: Timestamp(1_700_000_000_000),
            traceparent: String::new(),
        }
    }

    /// The row by which a node takes a shard.
    pub fn claim(&self, shard: u32, seq: u64, epoch: u64, writer: &str) -> JournalRow {
        JournalRow {
            epoch,
            writer: writer.into(),
            entity: String::new(),
            entity_version: 0,
            previous_seq: 0,
            event_type: CLAIM.to_owned(),
            ..self.row(shard, seq)
        }
    }

    pub fn batch(&self, rows: impl IntoIterator<Item = JournalRow>) -> Batch {
        Batch { journal: rows.into_iter().map(|row| (self.service, row)).collect(), states: Vec::new() }
    }

    /// The head of an entity.
    pub fn head(&self, shard: u32, key: &str, version: u64, wake_at: Option<i64>) -> StateWrite {
        StateWrite {
            table: self.table(),
            shard,
            entity: Key::new(key).expect("a key"),
            part: String::new(),
            row: Some(StateRow {
                version,
                seq: version,
                data: format!("{{\"version\":{version}}}").into_bytes(),
                wake_at: wake_at.map(Timestamp),
                columns: vec![
                    ColumnValue::Text("dairy".into()),
                    ColumnValue::Integer(i64::try_from(version).expect("small")),
                ],
            }),
        }
    }

    /// A part of an entity; nothing deletes it.
    pub fn part(&self, shard: u32, key: &str, part: &str, data: Option<&str>) -> StateWrite {
        StateWrite {
            table: self.table(),
            shard,
            entity: Key::new(key).expect("a key"),
            part: part.to_owned(),
            row: data.map(|data| StateRow {
                version: 0,
                seq: 0,
                data: data.as_bytes().to_vec(),
                wake_at: None,
                columns: Vec::new(),
            }),
        }
    }

    /// The seqs of a shard's rows.
    pub async fn seqs(&self, shard: u32) -> Vec<u64> {
        let rows = self.store.journal(self.service, shard, 0, 1_000_000).await.expect("reads the journal");
        rows.into_iter().map(|row| row.seq).collect()
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        if let Some(folder) = &self.folder {
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

/// The server's address; starts it when it is not there yet. Nothing for SQLite.
pub async fn server_url(kind: ServerKind) -> &'static str {
    let start = move || match kind {
        ServerKind::Sqlite => "",
        ServerKind::Mariadb => servers::mariadb_url(),
        ServerKind::Mysql => servers::mysql_url(),
    };
    tokio::task::spawn_blocking(start).await.expect("a server")
}

/// Makes a test of an async function for each kind of server, with a deadline.
#[macro_export]
macro_rules! on_every_server {
    ($($name:ident),* $(,)?) => {
        $crate::on_servers!(Sqlite, sqlite: $($name),*);
        $crate::on_servers!(Mariadb, mariadb: $($name),*);
        $crate::on_servers!(Mysql, mysql: $($name),*);
    };
}

/// The same for one kind.
#[macro_export]
macro_rules! on_servers {
    ($kind:ident, $module:ident: $($name:ident),*) => {
        mod $module {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    let kind = $crate::fixture::ServerKind::$kind;
                    // The first test waits for the server; that is no part of its own time.
                    $crate::fixture::server_url(kind).await;
                    let work = super::$name(kind);
                    tokio::time::timeout($crate::fixture::TEST_DEADLINE, work).await.expect("within the deadline");
                }
            )*
        }
    };
}
