//! A cluster's databases put back as they were at one moment, and made ready for a new life of the cluster.
//!
//! Rows go in as they are, but for what tells of the life that is over. Leases and members are left out, and the view
//! goes on one version later, so that every claim that is made from then on is newer than those in the journals. Each
//! service database gets an incarnation that no life before can have had. What the lost time has told consumers lies
//! with brokers still, under an old incarnation. So every intake is told the new one and drops what is older, also one
//! that the backup does not have, since its first event came later; what an intake lacks of the events that went out
//! before the backup, it reads from the journal.
//!
//! While it lasts, the cluster database holds a mark instead of a topology, and no node starts on it. So a restore
//! that ended half-way is never taken for a whole one.
//!
//! - `target`: what is there before, and whether it may go
//! - `events`: intakes

mod events;
mod target;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::membership::View;
use crate::service::Service;
use crate::store::schema::{self, Kept};
use crate::store::snapshot::{Cell, Filler, SnapshotError, Table};
use crate::store::{ClusterStore, SqlStore, Store, StoreError};
use crate::time::Timestamp;
use crate::topology::{Topology, TopologyError};
use events::{Consumed, HeadRow, IntakeTable};
use target::Prepared;

/// The cluster database, beside those of the services.
pub const CLUSTER: &str = "cluster";

/// Where rows are put back.
#[derive(Clone, Debug)]
pub struct Target {
    /// Server of the cluster database.
    pub cluster: Arc<SqlStore>,
    /// Those of the services' databases, by the names that the topology has for them. Names of one server share a
    /// store.
    pub servers: BTreeMap<String, Arc<SqlStore>>,
    /// The services of this program.
    pub services: Vec<Service>,
}

/// What was founded, as of the moment that is put back.
#[derive(Clone, Debug)]
pub struct Origin {
    /// What the cluster was founded with.
    pub topology: Topology,
    /// The highest incarnation of each service's databases.
    pub incarnations: BTreeMap<String, u64>,
}

/// Why nothing, or not everything, is put back.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// A server can't be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A row can't be written.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// The settings are not those of the cluster.
    #[error("{0}; set it as it was when the backup was made")]
    Topology(#[from] TopologyError),
    /// The settings name no address of a server.
    #[error(
        "the backup has databases on server {0:?}, of which the settings have no address; set databases as they were"
    )]
    Server(String),
    /// Nodes are at work.
    #[error("{nodes} still work on {location}; stop every node of the cluster first")]
    Running {
        /// Their names.
        nodes: String,
        /// The cluster database.
        location: String,
    },
    /// Something would be lost.
    #[error(
        "{database} at {location} is not empty (its table {table} has rows); restore into new databases, or give up what \
         is there by --replace {cluster}"
    )]
    NotEmpty {
        /// Such as `nakku_order`.
        database: String,
        /// Where.
        location: String,
        /// The first of its tables with rows.
        table: String,
        /// The name of the cluster in the backup.
        cluster: String,
    },
    /// A newer program has made the backup.
    #[error(
        "the backup has {what}, which this version does not know; restore it with the version that made it, or a later one"
    )]
    Unknown {
        /// A table or a column.
        what: String,
    },
    /// A row is not what its table's rows are.
    #[error("a row of {table} is not as it must be: {reason}")]
    Row {
        /// With its database.
        table: String,
        /// What is wrong.
        reason: String,
    },
}

/// A restore under way.
#[derive(Debug)]
pub struct Restore {
    target: Target,
    origin: Origin,
    /// The new one of each service and location.
    incarnations: HashMap<(String, String), u64>,
    /// Of the cluster that was there before.
    view_version: u64,
    consumed: Consumed,
    view: Option<Vec<u8>>,
    generations: Vec<(String, u64)>,
}

/// A table that is being put back.
#[derive(Debug)]
pub struct TableRestore {
    database: String,
    table: Table,
    kind: TableKind,
    /// By location.
    fillers: HashMap<String, Filler>,
}

#[derive(Clone, Debug)]
enum TableKind {
    /// As it is, each row to the server of its shard.
    Rows { shard: usize },
    /// The same, but for the heads, which are written last.
    Intake { shard: usize, intake: IntakeTable },
    /// As they are, and the heads of intakes depend on them.
    Publications { shard: usize },
    /// The view, which is changed.
    View,
    /// How many lives each node has had.
    Generations,
    /// Of the life that is over, or the schema's own.
    LeftOut,
}

impl Restore {
    /// Looks whether the databases may take it, empties them if `replace` says so, and marks them as being put back.
    ///
    /// # Errors
    /// A [`RestoreError`]; unless it is of a server, nothing has been changed.
    pub async fn begin(target: Target, origin: Origin, replace: bool) -> Result<Self, RestoreError> {
        let Prepared { incarnations, view_version } = target.prepare(&origin, replace).await?;
        target.cluster.mark_restoring().await?;
        Ok(Self {
            consumed: Consumed::of(&target.services),
            target,
            origin,
            incarnations,
            view_version,
            view: None,
            generations: Vec::new(),
        })
    }

    /// A table whose rows follow.
    ///
    /// # Errors
    /// [`RestoreError::Unknown`] for what this version does not have.
    pub async fn table(&self, database: &str, table: &Table) -> Result<TableRestore, RestoreError> {
        self.target.check_layout(&self.origin.topology, database, table).await?;
        let kind = self.kind_of(database, table)?;
        Ok(TableRestore { database: database.to_owned(), table: table.clone(), kind, fillers: HashMap::new() })
    }

    /// One row of it.
    ///
    /// # Errors
    /// Those of its server.
    pub async fn row(&mut self, table: &mut TableRestore, mut row: Vec<Cell>) -> Result<(), RestoreError> {
        let TableRestore { database, table: layout, kind, fillers } = table;
        let wrong = |reason: String| RestoreError::Row { table: format!("nakku_{database}.{}", layout.name), reason };
        let fields = Fields { layout, row: &row };
        let shard = match kind {
            TableKind::LeftOut => return Ok(()),
            TableKind::View => {
                self.view = Some(fields.bytes("content").map_err(wrong)?);
                return Ok(());
            }
            TableKind::Generations => {
                let node = String::from_utf8_lossy(&fields.bytes("node").map_err(wrong)?).into_owned();
                self.generations.push((node, fields.number("generation").map_err(wrong)?));
                return Ok(());
            }
            TableKind::Publications { shard } => {
                let number = u32::try_from(fields.number("shard").map_err(wrong)?);
                let number = number.map_err(|error| wrong(error.to_string()))?;
                self.consumed.published(database, number, fields.number("published").map_err(wrong)?);
                *shard
            }
            TableKind::Rows { shard } => *shard,
            TableKind::Intake { shard, intake } => match self.consumed.keep(intake, row).map_err(wrong)? {
                Some(part) => {
                    row = part;
                    *shard
                }
                None => return Ok(()),
            },
        };
        let Some(Cell::Integer(shard)) = row.get(shard) else { return Err(wrong("its shard is no number".into())) };
        let shard = u32::try_from(*shard).map_err(|error| wrong(error.to_string()))?;
        let store = self.target.store_of(&self.origin.topology, database, shard)?;
        let filler = fillers
            .entry(store.location().to_owned())
            .or_insert_with(|| Filler::new(store, database.as_str(), layout.clone()));
        Ok(filler.put(row).await?)
    }

    /// Writes what is left of a table.
    ///
    /// # Errors
    /// Those of its servers.
    pub async fn end(&self, table: TableRestore) -> Result<(), RestoreError> {
        for filler in table.fillers.into_values() {
            filler.finish().await?;
        }
        Ok(())
    }

    /// Raises the incarnations and lets nodes start. Returns the new incarnation of each service.
    ///
    /// # Errors
    /// Those of the servers; then no node starts yet.
    pub async fn finish(mut self) -> Result<BTreeMap<String, u64>, RestoreError> {
        self.write_heads().await?;
        let mut raised = BTreeMap::new();
        for ((service, location), incarnation) in &self.incarnations {
            let servers = self.target.of_service(&self.origin.topology, service)?;
            let there: Vec<_> = servers.into_iter().filter(|(_, store)| store.location() == location).collect();
            if let Some((_, store)) = there.first() {
                store.raise_incarnation(service, incarnation - 1).await?;
            }
            for (name, _) in there {
                self.target.cluster.remember_incarnation(service, name, *incarnation).await?;
            }
            let highest: &mut u64 = raised.entry(service.clone()).or_default();
            *highest = (*highest).max(*incarnation);
        }
        let view = match self.view.take() {
            Some(json) => Some(next_life(&json, self.view_version)?),
            None => None,
        };
        self.target.cluster.end_restoring(&self.origin.topology.to_json(), view, &self.generations).await?;
        Ok(raised)
    }

    /// Writes the heads of all intakes.
    async fn write_heads(&mut self) -> Result<(), RestoreError> {
        let Self { target, origin, incarnations, consumed, .. } = self;
        // The new one of the database that holds a shard.
        let incarnation = |service: &str, shard: u32| {
            let store = target.store_of(&origin.topology, service, shard).ok()?;
            incarnations.get(&(service.to_owned(), store.location().to_owned())).copied()
        };
        let heads = consumed.heads(&origin.topology, incarnation);
        let heads = heads.map_err(|(table, reason)| RestoreError::Row { table, reason })?;
        // Those that were kept have the columns of the backup, new ones those that each has.
        let mut fillers: HashMap<(String, &str, Table), Filler> = HashMap::new();
        for (shard, HeadRow { table, row }) in heads {
            let store = target.store_of(&origin.topology, table.service(), shard)?;
            let filler = fillers
                .entry((store.location().to_owned(), table.service(), table.layout().clone()))
                .or_insert_with(|| Filler::new(store, table.service(), table.layout().clone()));
            filler.put(row).await?;
        }
        for filler in fillers.into_values() {
            filler.finish().await?;
        }
        Ok(())
    }

    fn kind_of(&self, database: &str, table: &Table) -> Result<TableKind, RestoreError> {
        let unknown = |what: String| RestoreError::Unknown { what };
        if schema::kept(database, &table.name) != Kept::ForGood {
            return Ok(TableKind::LeftOut);
        }
        Ok(match (database, table.name.as_str()) {
            (CLUSTER, "view") => TableKind::View,
            (CLUSTER, "generation") => TableKind::Generations,
            // It is in the manifest as well, and written last.
            (CLUSTER, "topology") => TableKind::LeftOut,
            (_, name) => {
                let sharded = table.index("shard");
                let shard =
                    sharded.ok_or_else(|| unknown(format!("a table nakku_{database}.{name} without shards")))?;
                match IntakeTable::of(&self.target.services, database, table) {
                    Some(intake) => TableKind::Intake { shard, intake },
                    None if name == "publication" => TableKind::Publications { shard },
                    None => TableKind::Rows { shard },
                }
            }
        })
    }
}

/// The least that a new incarnation is: the seconds of the clock. A backup can't know of a restore that came after
/// it, whose events have gone out under the number that follows its own.
fn incarnation_now() -> u64 {
    u64::try_from(Timestamp::now().0 / 1000).unwrap_or(0)
}

/// The view without its members, one version later than any that was there.
fn next_life(json: &[u8], known_version: u64) -> Result<(u64, Vec<u8>), RestoreError> {
    let view = View::from_json(json)
        .map_err(|error| RestoreError::Row { table: "nakku_cluster.view".into(), reason: error.to_string() })?;
    let view = View { version: view.version.max(known_version) + 1, members: Vec::new(), ..view };
    Ok((view.version, view.to_json()))
}

/// A row by the names of its columns.
struct Fields<'a> {
    layout: &'a Table,
    row: &'a [Cell],
}

impl Fields<'_> {
    fn number(&self, column: &str) -> Result<u64, String> {
        match self.layout.index(column).and_then(|index| self.row.get(index)) {
            Some(Cell::Integer(number)) => u64::try_from(*number).map_err(|_| format!("{column} is {number}")),
            _ => Err(format!("it has no number in {column}")),
        }
    }

    fn bytes(&self, column: &str) -> Result<Vec<u8>, String> {
        match self.layout.index(column).and_then(|index| self.row.get(index)) {
            Some(Cell::Bytes(bytes)) => Ok(bytes.clone()),
            _ => Err(format!("it has no bytes in {column}")),
        }
    }
}
