//! What can be asked of a node.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::reference::Key;

/// How long a node may take to answer most questions.
pub const PATIENCE: Duration = Duration::from_secs(2);
/// How long it may take to make a profile of what it has noted.
pub const PROFILE_MADE_WITHIN: Duration = Duration::from_secs(20);
/// The longest time that is profiled.
pub const PROFILE_S_MAX: u32 = 60;
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
    /// Note for a time what its processor does, answered when that is over. One at a time.
    Profile {
        /// For how long.
        seconds: u32,
        /// How it is shown.
        format: ProfileFormat,
    },
    /// A part of the last profile.
    ProfilePart {
        /// Which profile.
        number: u64,
        /// From this byte on.
        from: u64,
    },
}

impl Question {
    /// How long a node may take to answer.
    pub(crate) fn patience(&self) -> Duration {
        match self {
            Self::Profile { seconds, .. } => PATIENCE + PROFILE_MADE_WITHIN + Duration::from_secs(u64::from(*seconds)),
            _ => PATIENCE,
        }
    }

    /// What its answer may take while it is made, in KiB, with the forms that it has on its way to another node.
    pub(crate) fn answer_kib(&self) -> u32 {
        match self {
            Self::Entity(_) | Self::History { .. } | Self::Path { .. } | Self::Types | Self::Shards | Self::Moves => {
                1536
            }
            Self::Act(_) | Self::Profile { .. } => 0,
            _ => 768,
        }
    }
}

/// How a profile is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProfileFormat {
    /// A line for each stack, frames joined by `;`, outermost first, and how often it was seen.
    Folded,
    /// An SVG that can be looked at in a browser.
    Flamegraph,
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

/// Which outstanding effect of an entity: `step` or `step:ordinal`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EffectAt {
    /// The step.
    pub step: String,
    /// Its repeat; without it the step must have only one.
    #[serde(default)]
    pub ordinal: Option<u64>,
}

/// By what entities stand out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
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
    /// Make the next attempt of an outstanding effect now, not after its pause.
    RetryEffect {
        /// Whose.
        entity: EntityAt,
        /// Which.
        effect: EffectAt,
    },
    /// End an outstanding effect as if its attempts were used up, where the entity knows what is to happen then.
    GiveUpEffect {
        /// Whose.
        entity: EntityAt,
        /// Which.
        effect: EffectAt,
    },
    /// Give an entity now what its reminder would give it. What follows it decides by its state and the clock, so that
    /// nothing may.
    FireReminder {
        /// Whose.
        entity: EntityAt,
    },
    /// Always refused: when an entity must be awake follows from its state, so that it would be set again at once.
    CancelReminder {
        /// Whose.
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

impl FromStr for EffectAt {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (step, ordinal) = text.split_once(':').map_or((text, None), |(step, ordinal)| (step, Some(ordinal)));
        let ordinal = ordinal.map(str::parse).transpose();
        match ordinal {
            Ok(ordinal) if !step.is_empty() => Ok(Self { step: step.to_owned(), ordinal }),
            _ => Err(format!("{text:?} names no effect: write STEP or STEP:ORDINAL, such as mail:3")),
        }
    }
}

impl fmt::Display for EffectAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.step)?;
        self.ordinal.map_or(Ok(()), |ordinal| write!(f, ":{ordinal}"))
    }
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
