//! What came back from the admin API.

use std::collections::VecDeque;

use nakku_cluster::inspect::infrastructure::InfrastructureReport;
use nakku_cluster::inspect::path::PathReport;
use nakku_cluster::inspect::report::{
    EntityReport, HistoryReport, MoveReport, NodeReport, ShardReport, TailEntry, TopEntry, TypeReport,
};
use serde::Deserialize;

/// So many commands are kept of what is followed.
pub const TAIL_KEPT: usize = 500;

/// A list, and who did not contribute.
#[derive(Clone, Debug, Deserialize)]
pub struct Listed<T> {
    /// The entries.
    pub items: Vec<T>,
    /// Nodes that did not answer.
    #[serde(default)]
    pub silent: Vec<Silent>,
}

/// A node that did not answer.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Silent {
    /// `name@generation`.
    pub node: String,
    /// What is known of why.
    #[serde(default)]
    pub reason: String,
}

/// A shard that came or went, and where.
#[derive(Clone, Debug, Deserialize)]
pub struct Moved {
    /// `name@generation`.
    #[serde(default)]
    pub node: String,
    /// The rest.
    #[serde(flatten)]
    pub report: MoveReport,
}

/// A command that was answered, and where.
#[derive(Clone, Debug, Deserialize)]
pub struct Tailed {
    /// `name@generation`.
    #[serde(default)]
    pub node: String,
    /// The rest.
    #[serde(flatten)]
    pub entry: TailEntry,
}

/// One entity and its history.
#[derive(Clone, Debug)]
pub struct Looked {
    /// The entity.
    pub report: EntityReport,
    /// A window of its history, or why there is none.
    pub history: Result<HistoryReport, String>,
}

/// What was followed so far, newest first.
#[derive(Clone, Debug, Default)]
pub struct Tail {
    /// At most [`TAIL_KEPT`].
    pub commands: VecDeque<Tailed>,
    /// So many came too fast.
    pub missed: u64,
    /// Nodes that can't be followed.
    pub silent: Vec<Silent>,
}

/// The path of a request, and who did not contribute.
#[derive(Clone, Debug, Deserialize)]
pub struct Traced {
    /// The path.
    #[serde(flatten)]
    pub path: PathReport,
    /// Nodes that did not answer.
    #[serde(default)]
    pub silent: Vec<Silent>,
}

/// What fills a page.
#[derive(Clone, Debug)]
pub enum Content {
    /// Nodes.
    Nodes(Listed<NodeReport>),
    /// Shards.
    Shards(Listed<ShardReport>),
    /// Types, and their commands.
    Types(Listed<TypeReport>),
    /// Entities that stand out.
    Top(Listed<TopEntry>),
    /// Shards that came and went.
    Moves(Listed<Moved>),
    /// What works behind the shards.
    Infrastructure(Listed<InfrastructureReport>),
    /// One entity.
    Entity(Box<Looked>),
    /// The path of one request.
    Path(Box<Traced>),
    /// Its hops are not kept: what the API said.
    NoPath(String),
    /// There is none of that name: what the API said.
    NoEntity(String),
    /// Commands.
    Tail(Tail),
}

/// The name of a node without its generation.
pub fn name_of(node: &str) -> &str {
    node.split_once('@').map_or(node, |(name, _)| name)
}

impl Content {
    /// Nodes that are missing in it.
    pub fn silent(&self) -> &[Silent] {
        match self {
            Self::Nodes(listed) => &listed.silent,
            Self::Shards(listed) => &listed.silent,
            Self::Types(listed) => &listed.silent,
            Self::Top(listed) => &listed.silent,
            Self::Moves(listed) => &listed.silent,
            Self::Infrastructure(listed) => &listed.silent,
            Self::Tail(tail) => &tail.silent,
            Self::Path(traced) => &traced.silent,
            Self::Entity(_) | Self::NoEntity(_) | Self::NoPath(_) => &[],
        }
    }
}

impl Tail {
    /// Takes one more.
    pub fn take(&mut self, command: Tailed) {
        // A node that is followed again after a break of the connection may tell of the last ones once more.
        self.silent.retain(|silent| silent.node != command.node);
        self.commands.push_front(command);
        self.commands.truncate(TAIL_KEPT);
    }

    /// A node that can't be followed for now.
    pub fn silent(&mut self, silent: Silent) {
        self.silent.retain(|known| known.node != silent.node);
        self.silent.push(silent);
    }
}
