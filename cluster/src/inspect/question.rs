//! What can be asked of a node.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::reference::Key;

/// The most entries of one answer.
pub const ENTRIES_MAX: usize = 500;

/// One question to one node.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "question", rename_all = "snake_case")]
pub enum Question {
    /// How it is: its view of the others, its machine, its links.
    Node,
    /// The shards that it serves.
    Shards,
    /// Which shards came and went lately.
    Moves,
    /// What commands its entities were asked, how often, how long it took.
    Types,
    /// One entity whose shard it serves. Nothing is woken.
    Entity(EntityAt),
    /// The history of one entity from the journal, with what each event changed.
    History {
        /// Which.
        entity: EntityAt,
        /// Only events behind this version.
        #[serde(default)]
        after_version: u64,
        /// At most so many.
        limit: u32,
    },
    /// Which entities stand out.
    Top {
        /// By what.
        by: TopBy,
        /// How many.
        limit: u32,
    },
    /// Commands that were answered behind a number, oldest first. Asking begins the recording; it ends a few
    /// seconds after the last question.
    Tail {
        /// The last number that is known.
        after: u64,
        /// Only this kind.
        #[serde(default)]
        kind: Option<String>,
        /// Only this entity.
        #[serde(default)]
        key: Option<Key>,
        /// Only this trace, 32 hexadecimal digits.
        #[serde(default)]
        trace: Option<String>,
        /// At most so many.
        limit: u32,
    },
    /// The hops of one trace that it keeps.
    Path {
        /// Its id, 32 hexadecimal digits.
        trace: String,
    },
    /// Its supervision tree down to the shards.
    Tree,
    /// What it rests on and what works behind its shards: journals, stores, publishers, consumers, brokers.
    Infrastructure,
    /// Its figures of the last quarter of an hour.
    Points,
    /// Do something.
    Act(Act),
}

/// Which entity, and how much of it may be shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntityAt {
    /// `service.entity`.
    pub kind: String,
    /// Which one.
    pub key: Key,
    /// As of this version instead of now.
    #[serde(default)]
    pub version: Option<u64>,
    /// Show personal data and secrets.
    #[serde(default)]
    pub reveal: bool,
}

/// By what entities stand out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TopBy {
    /// Commands.
    Messages,
    /// Time spent deciding.
    Time,
    /// Commands that wait right now.
    Mailbox,
    /// Bytes of the state's head.
    State,
}

/// What can be done on a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "act", rename_all = "snake_case")]
pub enum Act {
    /// Send one entity out of the memory, if nothing of it is in flight.
    Passivate {
        /// Which.
        entity: EntityAt,
    },
    /// Drop one entity's memory and read it anew.
    Restart {
        /// Which.
        entity: EntityAt,
    },
    /// Try an entity again that was set aside.
    Release {
        /// Which.
        entity: EntityAt,
    },
    /// Send out of the memory whatever matches.
    PassivateMatching {
        /// What.
        matching: Matching,
        /// Only count.
        dry_run: bool,
    },
    /// Log otherwise for a time.
    LogLevel {
        /// Such as `nakku_cluster=debug,info`.
        directives: String,
        /// For how long, in seconds.
        for_s: u64,
    },
}

/// Loaded entities that match all that is given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Matching {
    /// `service.entity`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Of this shard number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<u32>,
    /// Not asked for so long, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_ms: Option<u64>,
}

/// Where shards are to be, as an operator wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ViewChange {
    /// A shard goes to a node by name, or back to placement.
    Pin {
        /// The service.
        service: String,
        /// The shard's number.
        shard: u32,
        /// The node.
        node: Option<String>,
    },
    /// A node gives all its shards away and stays up.
    Cordon {
        /// Its name.
        node: String,
    },
    /// A node may own shards again.
    Uncordon {
        /// Its name.
        node: String,
    },
    /// Every shard stays where it is, as long as its node is up.
    Pause,
    /// Shards go where placement has them.
    Resume,
}

impl fmt::Display for ViewChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pin { service, shard, node: Some(node) } => write!(f, "{service}/{shard} to {node}"),
            Self::Pin { service, shard, node: None } => write!(f, "{service}/{shard}"),
            Self::Cordon { node } | Self::Uncordon { node } => f.write_str(node),
            Self::Pause | Self::Resume => f.write_str("all shards"),
        }
    }
}
