//! Who belongs to the cluster: the view that all nodes agree on, and the agent that keeps a node in it.
//!
//! * [`view`]: the versioned view and its pure transitions

pub mod view;

pub use view::{Ended, Member, MemberState, NodeId, NodeIdError, Roles, View};
