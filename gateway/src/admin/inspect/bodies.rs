//! What the routes answer with, and what they are asked with.

use nakku_cluster::inspect::report::TailEntry;
use serde::Serialize;
use utoipa::ToSchema;

use super::views::SilentNode;

/// The data of an event `command` of the tail.
#[derive(Debug, Serialize, ToSchema)]
#[allow(dead_code, reason = "the stream writes it as JSON; this says how it looks")]
pub(super) struct Told {
    #[serde(flatten)]
    entry: TailEntry,
    /// `name@generation`.
    node: String,
}

/// What an act did.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Acted {
    /// How many entities it concerned; 0 when nothing was to be done.
    pub(super) entities: u64,
}

/// What an act on many entities did.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ActedEverywhere {
    /// How many entities it concerned, or would.
    pub(super) entities: u64,
    /// Nodes that did not answer in time; nothing is known of what they did.
    pub(super) silent: Vec<SilentNode>,
}

/// Where shards are to be has changed.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ViewChanged {
    /// The version of the view that says so.
    pub(super) view_version: u64,
}

/// What is logged has changed.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LogChanged {
    /// For how long, in seconds.
    pub(super) for_s: u64,
}
