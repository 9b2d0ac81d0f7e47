//! What a user wants from others: nothing. An e-mail asks its user, never the other way round, and sessions
//! that have run out are put away when one opens.

use nakku_cluster::Outstanding;

use super::{State, User};

/// Nothing.
pub fn outstanding(_state: &State) -> Outstanding<User> {
    Outstanding::none()
}
