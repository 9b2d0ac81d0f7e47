//! What an intake wants from others.

use nakku_cluster::Outstanding;
use nakku_cluster::events::Intake;

use super::{Analytics, State};

/// Nothing: it counts what it is told and answers when it is asked.
pub fn outstanding(_state: &State) -> Outstanding<Intake<Analytics>> {
    Outstanding::none()
}
