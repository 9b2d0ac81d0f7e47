//! The protocol of a rider's whereabouts.

use nakku_cluster::Timestamp;
use serde::{Deserialize, Serialize};

use crate::position::Position;

/// A ping older than this is too late to be of use, in milliseconds.
pub const PING_AGE_MAX_MS: i64 = 60_000;
/// How far ahead of ours the clock of a rider's device may be, in milliseconds; what is beyond is refused.
pub const CLOCK_AHEAD_MAX_MS: i64 = 60_000;
/// A ping that comes sooner after the last one that was kept, in milliseconds, …
pub const THIN_MS: i64 = 10_000;
/// … and from nearer to it than this, in metres, is not worth a row.
pub const THIN_M: u32 = 50;
/// A ping that may be farther off than this, in metres, says nothing.
pub const ACCURACY_M_MAX: u32 = 1_000;

/// What a rider's whereabouts can be asked; the key is the user's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    /// From the rider's device: where it is. Repeated, it changes nothing.
    Ping {
        /// Where.
        position: Position,
        /// How far off that may be, in metres.
        accuracy_m: u32,
        /// When it was there, by its own clock.
        at: Timestamp,
    },
    /// Reads where the rider was last.
    Get,
    /// The user was erased: where they were is forgotten, and so is what comes after. Idempotent.
    Forget,
    /// From the directory's answer.
    DirectoryTold {
        /// What it has noted.
        revision: u64,
    },
}

/// What it answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub enum Reply {
    /// To `Ping`: what became of it.
    Ping {
        /// That.
        outcome: PingOutcome,
        /// Where the rider is, as far as is known now.
        last: Option<Fix>,
    },
    /// To `Get`: where the rider was last.
    Last {
        /// Nothing when that was never said.
        last: Option<Fix>,
    },
    /// To the directory and to `Forget`: noted.
    Noted,
}

/// What became of a ping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PingOutcome {
    /// It is kept.
    Kept,
    /// It says hardly anything new.
    Thinned,
    /// It is older than what is known, or too old.
    Stale,
    /// It may be too far off.
    Inaccurate,
}

/// A position with its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fix {
    /// Where.
    pub position: Position,
    /// How far off that may be, in metres.
    pub accuracy_m: u32,
    /// When.
    pub at: Timestamp,
}

/// Why it refused. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "rejection", rename_all = "snake_case")]
pub enum Rejection {
    /// The rider was erased.
    #[error("there is no such rider any more")]
    Gone,
    /// A field does not hold what it must.
    #[error("{field}: {problem}")]
    Invalid {
        /// Such as `position`.
        field: String,
        /// What is wrong with it.
        problem: String,
    },
}
