//! What the directory of webhooks wants from others: nothing. It is told, and it is asked.

use nakku_cluster::Outstanding;

use super::{Directory, State};

/// Never anything.
pub fn outstanding(_state: &State) -> Outstanding<Directory> {
    Outstanding::none()
}
