//! What can be looked at, followed and done.

use nakku_cluster::inspect::TopBy;

/// The views, in the order of their keys. The last one's whole name, infrastructure, would leave no room for the key of
/// the help on 80 columns.
pub const TABS: [&str; 8] = ["nodes", "shards", "types", "top", "entity", "tail", "moves", "infra"];
/// Number of the tab of one entity: it is empty until one is opened.
pub const ENTITY_TAB: usize = 4;

/// An entity by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntityName {
    /// `service.entity`.
    pub kind: String,
    /// Which one.
    pub key: String,
}

/// Where the reader can be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// All nodes.
    Nodes,
    /// Shards of all services and nodes, or of one.
    Shards {
        /// Of this one only.
        service: Option<String>,
        /// On this one only, without its generation.
        node: Option<String>,
    },
    /// Kinds of entities.
    Types,
    /// The commands of one kind.
    Commands {
        /// Which.
        kind: String,
    },
    /// Entities that stand out.
    Top {
        /// By what.
        by: TopBy,
        /// Of this kind only.
        kind: Option<String>,
    },
    /// One entity.
    Entity {
        /// Which.
        entity: EntityName,
        /// As of this version instead of now.
        version: Option<u64>,
    },
    /// No entity yet.
    NoEntity,
    /// Commands as they are answered.
    Tail(TailOf),
    /// The path of one request.
    Path {
        /// Its trace.
        trace: String,
    },
    /// Shards that came and went.
    Moves {
        /// `service/number`.
        shard: Option<String>,
    },
    /// What works behind the shards.
    Infrastructure,
}

/// Whose commands are followed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TailOf {
    /// Of this kind only.
    pub kind: Option<String>,
    /// Of this entity only.
    pub key: Option<String>,
}

/// One question to the admin API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// See [`Place::Nodes`].
    Nodes,
    /// See [`Place::Shards`].
    Shards,
    /// See [`Place::Types`].
    Types,
    /// See [`Place::Top`].
    Top(TopBy),
    /// See [`Place::Moves`].
    Moves,
    /// See [`Place::Infrastructure`].
    Infrastructure,
    /// See [`Place::Path`].
    Path(String),
    /// See [`Place::Entity`].
    Entity {
        /// Which.
        entity: EntityName,
        /// As of this version instead of now.
        version: Option<u64>,
        /// So many windows of its history back.
        back: u64,
    },
}

/// What a row, or the entity that is shown, can be acted on as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A node, without its generation.
    Node(String),
    /// A shard.
    Shard {
        /// The service.
        service: String,
        /// Its number.
        number: u32,
    },
    /// A kind of entity.
    Kind(String),
    /// An entity.
    Entity(EntityName),
}

/// What can be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Send an entity out of the memory.
    Passivate(EntityName),
    /// Drop an entity's memory and read it anew.
    Restart(EntityName),
    /// Try an entity again that was set aside.
    Release(EntityName),
    /// Have another node serve a shard.
    Move {
        /// The service.
        service: String,
        /// Its number.
        number: u32,
        /// Its name, without generation.
        node: String,
    },
    /// Take all shards from a node.
    Drain(String),
    /// Give it shards again.
    Undrain(String),
}

impl EntityName {
    /// From `service.entity/key`, as lists have it, or `service.entity key`, as people type it.
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, key) = text.trim().split_once(['/', ' '])?;
        let key = key.trim();
        (kind.contains('.') && !key.is_empty()).then(|| Self { kind: kind.to_owned(), key: key.to_owned() })
    }
}

impl std::fmt::Display for EntityName {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}/{}", self.kind, self.key)
    }
}

impl Place {
    /// Where each tab begins.
    pub fn of_tab(tab: usize) -> Self {
        match tab {
            0 => Self::Nodes,
            1 => Self::Shards { service: None, node: None },
            2 => Self::Types,
            3 => Self::Top { by: TopBy::Messages, kind: None },
            ENTITY_TAB => Self::NoEntity,
            5 => Self::Tail(TailOf::default()),
            6 => Self::Moves { shard: None },
            _ => Self::Infrastructure,
        }
    }

    /// What it is called on the way that led here.
    pub fn title(&self) -> String {
        match self {
            Self::Nodes => "nodes".into(),
            Self::Shards { service: None, node: None } => "shards".into(),
            Self::Shards { service: Some(service), .. } => format!("shards of {service}"),
            Self::Shards { node: Some(node), .. } => format!("shards of {node}"),
            Self::Types => "types".into(),
            Self::Commands { kind } => format!("commands of {kind}"),
            Self::Top { by, kind: None } => format!("top by {}", by_name(*by)),
            Self::Top { by, kind: Some(kind) } => format!("{kind} by {}", by_name(*by)),
            Self::Entity { entity, version: None } => entity.to_string(),
            Self::Entity { version: Some(version), .. } => format!("as of version {version}"),
            Self::NoEntity => "no entity yet".into(),
            Self::Tail(TailOf { kind: None, .. }) => "live tail".into(),
            Self::Tail(TailOf { kind: Some(kind), key: None }) => format!("live tail of {kind}"),
            Self::Tail(TailOf { kind: Some(kind), key: Some(key) }) => format!("live tail of {kind}/{key}"),
            Self::Path { trace } => format!("path of {}", &trace[..trace.len().min(8)]),
            Self::Moves { shard: None } => "moves".into(),
            Self::Moves { shard: Some(shard) } => format!("moves of {shard}"),
            Self::Infrastructure => "infrastructure".into(),
        }
    }

    /// What has to be asked to fill it; nothing where it is filled otherwise.
    pub fn ask(&self, back: u64) -> Option<Ask> {
        match self {
            Self::Nodes => Some(Ask::Nodes),
            Self::Shards { .. } => Some(Ask::Shards),
            Self::Types | Self::Commands { .. } => Some(Ask::Types),
            Self::Top { by, .. } => Some(Ask::Top(*by)),
            Self::Moves { .. } => Some(Ask::Moves),
            Self::Infrastructure => Some(Ask::Infrastructure),
            Self::Path { trace } => Some(Ask::Path(trace.clone())),
            Self::Entity { entity, version } => Some(Ask::Entity { entity: entity.clone(), version: *version, back }),
            Self::NoEntity | Self::Tail(_) => None,
        }
    }
}

impl Act {
    /// As the question before it is done puts it.
    pub fn describe(&self) -> String {
        match self {
            Self::Passivate(entity) => format!("passivate {entity}"),
            Self::Restart(entity) => format!("restart {entity}"),
            Self::Release(entity) => format!("release {entity} from quarantine"),
            Self::Move { service, number, node } => format!("move shard {service}/{number} to {node}"),
            Self::Drain(node) => format!("drain {node}"),
            Self::Undrain(node) => format!("undrain {node}"),
        }
    }
}

/// As the API calls it.
pub fn by_name(by: TopBy) -> &'static str {
    match by {
        TopBy::Messages => "messages",
        TopBy::Time => "time",
        TopBy::Mailbox => "mailbox",
        TopBy::State => "state",
    }
}

/// The next one.
pub fn by_next(by: TopBy) -> TopBy {
    match by {
        TopBy::Messages => TopBy::Time,
        TopBy::Time => TopBy::Mailbox,
        TopBy::Mailbox => TopBy::State,
        TopBy::State => TopBy::Messages,
    }
}
