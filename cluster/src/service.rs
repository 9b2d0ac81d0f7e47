//! What a service hands to the cluster: its entities and its schema.

use std::fmt;
use std::sync::Arc;

use crate::entity::Entity;
use crate::events::{Consumer, ConsumerType, Intake};
use crate::instance::{EntityType, TypeOf};

/// One domain service.
#[derive(Clone)]
pub struct Service {
    /// Its name: role of a node, half of its database's name (`nakku_<name>`), topic of its events.
    pub name: &'static str,
    /// The port of its `/health`, `/ready` and `/metrics` unless set otherwise.
    pub default_port: u16,
    /// Its schema, oldest first.
    pub migrations: &'static [Migration],
    /// Its entities.
    pub types: Vec<Arc<dyn EntityType>>,
    /// What it consumes of the events of others.
    pub consumers: Vec<ConsumerType>,
}

/// One step of a schema. It only expands (new tables, new nullable columns, new indexes); what it makes
/// superfluous is dropped one released version later.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    /// 1, 2, 3 and so on.
    pub version: u32,
    /// What it does, in a few words.
    pub name: &'static str,
    /// Statements separated by `;` at the end of a line. `{prefix}` stands for what precedes a table's
    /// name. They hold for SQLite, MariaDB and MySQL alike: VARBINARY, BIGINT, INTEGER, LONGBLOB columns,
    /// PRIMARY KEY inside the table, indexes by `CREATE INDEX` with a name unique in the whole project.
    pub sql: &'static str,
}

impl Service {
    /// A service without entities yet.
    pub fn new(name: &'static str, default_port: u16, migrations: &'static [Migration]) -> Self {
        Self { name, default_port, migrations, types: Vec::new(), consumers: Vec::new() }
    }

    /// Adds an entity.
    ///
    /// # Panics
    /// When the entity names another service: a mistake of the program.
    #[must_use]
    pub fn entity<E: Entity>(mut self) -> Self {
        assert_eq!(E::KIND.service, self.name, "{} belongs to another service", E::KIND);
        self.types.push(Arc::new(TypeOf::<E>::new()));
        self
    }

    /// Adds a consumer and its intake.
    #[must_use]
    pub fn consumer<C: Consumer>(mut self) -> Self {
        self.consumers.push(ConsumerType::of::<C>());
        self.entity::<Intake<C>>()
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("name", &self.name).field("port", &self.default_port).finish_non_exhaustive()
    }
}
