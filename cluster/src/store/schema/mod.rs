#![doc = include_str!("README.md")]

use crate::service::Migration;

/// What the store keeps in every service's database. `{service}` stands for its name.
pub(super) const SERVICE: &[Migration] = &[
    Migration { version: 1, name: "journal and incarnation", sql: include_str!("service.sql") },
    Migration { version: 2, name: "how far events have been published", sql: include_str!("publication.sql") },
    Migration {
        version: SERVICE_VERSION,
        name: "by which replicas show how far they are",
        sql: include_str!("heartbeat.sql"),
    },
];

/// The newest version of what every service's database has.
pub const SERVICE_VERSION: u32 = 3;

/// What the cluster database holds.
pub(super) const CLUSTER: &[Migration] = &[
    Migration { version: 1, name: "topology, view, leases, generations", sql: include_str!("cluster.sql") },
    Migration {
        version: CLUSTER_VERSION,
        name: "known incarnations of the service databases",
        sql: include_str!("cluster_incarnation.sql"),
    },
];

/// The newest version of the cluster database's schema.
pub const CLUSTER_VERSION: u32 = 2;

/// The record of what has been applied; made before anything else.
pub(super) const RECORD: &str = include_str!("record.sql");

/// For how long the rows of a table matter: what a backup has of it, and what a restore does with that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// They are what the database is about: backed up and put back.
    ForGood,
    /// The schema has filled them, in every database for itself. A backup has them to say what it is of; a restore
    /// leaves what is there.
    WithTheDatabase,
    /// They are of running nodes. No backup has them.
    ForAMoment,
}

/// The tables of every service's database that the store makes. Those that services make are kept for good.
const SERVICE_TABLES: &[(&str, Kept)] = &[
    ("migration", Kept::WithTheDatabase),
    ("journal", Kept::ForGood),
    ("incarnation", Kept::WithTheDatabase),
    ("publication", Kept::ForGood),
    ("heartbeat", Kept::ForAMoment),
];

/// The tables of the cluster database. The incarnations that it knows outlive a restore: they are raised by it.
const CLUSTER_TABLES: &[(&str, Kept)] = &[
    ("migration", Kept::WithTheDatabase),
    ("topology", Kept::ForGood),
    ("view", Kept::ForGood),
    ("lease", Kept::ForAMoment),
    ("generation", Kept::ForGood),
    ("incarnation", Kept::WithTheDatabase),
];

/// How long the rows of a table are kept; the database by its service, or `cluster`.
pub fn kept(database: &str, table: &str) -> Kept {
    let tables = if database == crate::restore::CLUSTER { CLUSTER_TABLES } else { SERVICE_TABLES };
    tables.iter().find(|(name, _)| *name == table).map_or(Kept::ForGood, |(_, kept)| *kept)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_table_that_the_store_makes_says_how_long_it_is_kept() {
        for (migrations, tables) in [(SERVICE, SERVICE_TABLES), (CLUSTER, CLUSTER_TABLES)] {
            let texts = migrations.iter().map(|migration| migration.sql).chain([RECORD]);
            let made = texts.flat_map(|sql| sql.split("CREATE TABLE ").skip(1)).filter_map(|rest| {
                let name = rest.trim_start_matches("IF NOT EXISTS ").strip_prefix("{prefix}")?;
                name.split_whitespace().next()
            });
            let known = tables.iter().map(|(name, _)| *name);
            assert_eq!(made.collect::<BTreeSet<_>>(), known.collect::<BTreeSet<_>>());
        }
        assert_eq!(kept("cluster", "lease"), Kept::ForAMoment);
        assert_eq!(kept("order", "order_state"), Kept::ForGood);
    }
}
