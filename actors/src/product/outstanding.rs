//! What a product wants from others: nothing. Carts and orders read it, they are not told.

use nakku_cluster::Outstanding;

use super::{Product, State};

/// Nothing.
pub fn outstanding(_state: &State) -> Outstanding<Product> {
    Outstanding::none()
}
