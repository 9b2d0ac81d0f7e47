//! The same rows by the database client alone: multi-row statements, one transaction a batch.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sqlx::mysql::MySqlArguments;
use sqlx::{Arguments as _, AssertSqlSafe, MySqlConnection};

use nakku_cluster::journal::NewRow;
use nakku_cluster::store::StateWrite;

use crate::arguments::BenchArguments;
use crate::database::Database;
use crate::error::BenchError;

use super::rows::{ENTITIES_PER_LANE, Entity, SHARDS_PER_LANE};

/// Commands per second on so many connections in batches of this size.
pub async fn measure(
    database: &Database,
    service: &'static str,
    connections: usize,
    batch: usize,
    arguments: &BenchArguments,
) -> Result<f64, BenchError> {
    let done = Arc::new(AtomicU64::new(0));
    let mut writers = tokio::task::JoinSet::new();
    for lane in 0..connections {
        let mut connection = database.connect().await?;
        sqlx::query("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED").execute(&mut connection).await?;
        let writer = Writer {
            connection,
            insert: journal_insert(service, batch),
            upsert: state_upsert(service, batch),
            entities: (0..ENTITIES_PER_LANE).map(|number| Entity::new(number, lane, connections)).collect(),
            next_seqs: vec![1; SHARDS_PER_LANE * connections],
            batch,
            done: Arc::clone(&done),
        };
        writers.spawn(writer.run());
    }
    let rate = super::rate(&done, arguments.warmup, arguments.duration).await;
    writers.abort_all();
    while let Some(ended) = writers.join_next().await {
        if let Ok(Err(error)) = ended {
            return Err(error);
        }
    }
    Ok(rate)
}

struct Writer {
    connection: MySqlConnection,
    insert: Arc<str>,
    upsert: Arc<str>,
    entities: Vec<Entity>,
    next_seqs: Vec<u64>,
    batch: usize,
    done: Arc<AtomicU64>,
}

impl Writer {
    async fn run(mut self) -> Result<(), BenchError> {
        let mut at = 0;
        loop {
            let rows: Vec<(NewRow, StateWrite)> =
                (0..self.batch).map(|place| self.entities[(at + place) % ENTITIES_PER_LANE].next()).collect();
            at += self.batch;
            let (journal, states) = self.bind(&rows)?;
            sqlx::raw_sql("START TRANSACTION").execute(&mut self.connection).await?;
            sqlx::query_with(AssertSqlSafe(Arc::clone(&self.insert)), journal).execute(&mut self.connection).await?;
            sqlx::query_with(AssertSqlSafe(Arc::clone(&self.upsert)), states).execute(&mut self.connection).await?;
            sqlx::raw_sql("COMMIT").execute(&mut self.connection).await?;
            self.done.fetch_add(self.batch as u64, Ordering::Relaxed);
        }
    }

    fn bind(&mut self, rows: &[(NewRow, StateWrite)]) -> Result<(MySqlArguments, MySqlArguments), BenchError> {
        let mut journal = MySqlArguments::default();
        let mut states = MySqlArguments::default();
        journal.reserve(rows.len() * 12, 0);
        states.reserve(rows.len() * 7, 0);
        let wrong = |error: sqlx::error::BoxDynError| BenchError::failed("binding a row", error);
        for (row, write) in rows {
            let seq = self.next_seqs[write.shard as usize];
            self.next_seqs[write.shard as usize] += 1;
            let entity = format!("thing/{}", write.entity);
            journal.add(i64::from(write.shard)).map_err(wrong)?;
            journal.add(seq as i64).map_err(wrong)?;
            journal.add(1_i64).map_err(wrong)?;
            journal.add("bench@1".as_bytes()).map_err(wrong)?;
            journal.add(entity.as_bytes()).map_err(wrong)?;
            journal.add(row.entity_version as i64).map_err(wrong)?;
            journal.add(0_i64).map_err(wrong)?;
            journal.add(row.command_id.as_bytes()).map_err(wrong)?;
            journal.add(row.event_type.as_bytes()).map_err(wrong)?;
            journal.add(row.payload.as_slice()).map_err(wrong)?;
            journal.add(row.occurred_at.0).map_err(wrong)?;
            journal.add(row.traceparent.as_bytes()).map_err(wrong)?;
            states.add(i64::from(write.shard)).map_err(wrong)?;
            states.add(write.entity.as_str().as_bytes()).map_err(wrong)?;
            states.add(write.part.as_bytes()).map_err(wrong)?;
            states.add(row.entity_version as i64).map_err(wrong)?;
            states.add(seq as i64).map_err(wrong)?;
            states.add(write.row.as_ref().map_or(&[][..], |state| state.data.as_slice())).map_err(wrong)?;
            states.add(Option::<i64>::None).map_err(wrong)?;
        }
        Ok((journal, states))
    }
}

fn journal_insert(service: &str, rows: usize) -> Arc<str> {
    let values = vec!["(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"; rows].join(", ");
    format!(
        "INSERT INTO nakku_{service}.journal (shard, seq, epoch, writer, entity, entity_version, previous_seq, \
         command_id, type, payload, occurred_at, traceparent) VALUES {values}"
    )
    .into()
}

fn state_upsert(service: &str, rows: usize) -> Arc<str> {
    let values = vec!["(?, ?, ?, ?, ?, ?, ?)"; rows].join(", ");
    format!(
        "INSERT INTO nakku_{service}.thing_state (shard, entity, part, version, seq, data, wake_at) VALUES {values} \
         ON DUPLICATE KEY UPDATE version = VALUES(version), seq = VALUES(seq), data = VALUES(data), \
         wake_at = VALUES(wake_at)"
    )
    .into()
}
