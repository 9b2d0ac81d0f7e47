//! What a cart wants from others: nothing. The order that holds it always lets go of it.

use nakku_cluster::Outstanding;

use super::{Cart, State};

/// Nothing.
pub fn outstanding(_state: &State) -> Outstanding<Cart> {
    Outstanding::none()
}
