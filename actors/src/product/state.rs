//! What a product remembers: a head only, with the columns by which the catalogue is listed.

use nakku_cluster::{Column, ColumnKind, ColumnValue, EntityState};

use super::command::Product;
use super::event::Event;

/// The column that holds the category.
pub const CATEGORY: &str = "category";
/// The column that is 1 for what has left the catalogue and 0 else.
pub const ARCHIVED: &str = "archived";

/// A product's state.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// The product itself.
    pub head: Product,
}

impl State {
    /// Applies an event.
    pub fn evolve(&mut self, event: &Event) {
        let head = &mut self.head;
        match event {
            Event::Created { details, price } => {
                *head = Product { exists: true, details: details.clone(), price: *price, archived: false };
            }
            Event::Updated { details } => head.details = details.clone(),
            Event::PriceChanged { price, .. } => head.price = *price,
            Event::Archived {} => head.archived = true,
        }
    }
}

impl EntityState for State {
    type Head = Product;

    const COLUMNS: &'static [Column] =
        &[Column { name: CATEGORY, kind: ColumnKind::Text }, Column { name: ARCHIVED, kind: ColumnKind::Integer }];

    fn head(&self) -> &Product {
        &self.head
    }

    fn head_mut(&mut self) -> &mut Product {
        &mut self.head
    }

    fn columns(&self) -> Vec<ColumnValue> {
        vec![ColumnValue::Text(self.head.details.category.clone()), ColumnValue::Integer(i64::from(self.head.archived))]
    }
}
