//! Who belongs to the cluster: the view that all nodes agree on, and the agent that keeps a node in it.
//!
//! * [`view`]: the versioned view and its pure transitions
//! * [`settings`]: what a membership is set up with
//! * `join`: how a node begins its life
//! * [`agent`]: the actor that renews the lease, reads the view and changes it
//! * [`observer`]: what it concludes from the others' beats, without I/O
//! * [`handle`]: the membership as the rest of the process sees it
//! * [`error`]: why a node can't be a member
//!
//! # The protocol
//!
//! The cluster database holds one view, changed only by compare-and-swap, and one lease row per node name:
//! generation, a beat that every renewal raises, and the newest view that the node has acknowledged. A
//! *round* of a node renews its row and then reads view and rows in one statement. Who owns a shard follows
//! from the view alone ([`placement`](crate::placement)). From view to view a shard changes hands like this:
//!
//! 1. The former owner sees the view, stops accepting, finishes, flushes, and acknowledges the version.
//! 2. The new owner waits until [`all_acknowledged`](Membership::all_acknowledged) has reached the version
//!    of *its newest view*. (Versions may be skipped, so an acknowledgement of a later view says nothing
//!    about an earlier one: read `all_acknowledged` first, then the view, then compare.)
//! 3. It writes a claim row with the view's version as epoch at the next (shard, seq), never over an equal or
//!    higher epoch of another node; then it loads, and serves.
//!
//! # Why it is safe
//!
//! *Writes* need no clock. The claim takes the place in the journal that any later row of the former owner
//! would need, so whatever that one still sends collides on the primary key; and what is before the claim can
//! no longer change, so a load after it sees every write that was ever acknowledged. An unknown outcome is
//! settled the same way: by claiming the place that the lost row would have.
//!
//! *Reads* from memory need that nobody else has acknowledged a write in the meantime, and a new owner
//! acknowledges nothing before step 2. A member that is down acknowledges nothing any more; there the lease
//! stands in. It is counted by its holder from before the renewal was sent, on the boot-time clock, and a
//! renewal counts only if the view read *after* it still has the node. Whoever calls a node down has seen
//! its beat stand still for a lease and a tenth, and writes that beat into the view
//! ([`Ended::Silent`]). If the row still has it, no renewal came between judgement and view, and the lease has
//! run out. If it has gone on (the judge stood still before its swap), or if a new life of the same name came
//! first ([`Ended::Replaced`]), everybody waits for one lease from when they first saw the node down: the
//! last renewal that can count was sent before that. One of those who have waited says so in the view, so that a node
//! that joins later does not wait once more for its first shards.
//!
//! *An outage of the cluster database moves nothing.* Others are timed only from one successful round to the
//! next; after a failed one, or after the observer itself stood still, timing begins anew.
//!
//! *A life ends once.* States only move forward, `down` is final, a restart is a new generation, and a node
//! that finds itself down ([`declared_down`](Membership::declared_down)) must end its process's service.
//!
//! The test `ownership_model` goes through all interleavings of this protocol within bounds, and shows for
//! each rule above what goes wrong without it.

pub mod agent;
pub mod error;
pub mod handle;
mod join;
pub mod observer;
pub mod settings;
pub mod view;

pub use error::MembershipError;
pub use handle::{Membership, StoreHealth};
pub use settings::{FEATURE_LEVEL, MembershipSettings};
pub use view::{Ended, Member, MemberState, NodeId, NodeIdError, Pin, Roles, View};
