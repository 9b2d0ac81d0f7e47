//! What is wrong with Kafka at present.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Troubles by whom they concern, such as `group nakku-analytics`.
#[derive(Debug, Default)]
pub(super) struct Health(Mutex<BTreeMap<String, String>>);

impl Health {
    /// Something is wrong.
    pub(super) fn trouble(&self, whom: &str, what: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(whom.to_owned(), what);
    }

    /// It is right again.
    pub(super) fn fine(&self, whom: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(whom);
    }

    /// All of it in one line.
    pub(super) fn troubles(&self) -> Option<String> {
        let troubles = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lines: Vec<String> = troubles.iter().map(|(whom, what)| format!("{whom}: {what}")).collect();
        (!lines.is_empty()).then(|| lines.join("; "))
    }
}
