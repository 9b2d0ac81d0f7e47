//! Who belongs to the cluster: the view that all nodes agree on, and the agent that keeps a node in it.
//!
//! * [`view`]: the versioned view and its pure transitions
//! * [`settings`]: what a membership is set up with
//! * `join`: how a node begins its life
//! * [`agent`]: the actor that renews the lease, reads the view and changes it
//! * [`observer`]: what it concludes from the others' beats, without I/O
//! * [`handle`]: the membership as the rest of the process sees it
//! * [`error`]: why a node can't be a member

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
pub use view::{Ended, Member, MemberState, NodeId, NodeIdError, Roles, View};
