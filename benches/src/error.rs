//! Why a benchmark could not be run.

/// See the module.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// A wrong name or flag.
    #[error("{0}")]
    Usage(String),
    /// The report has been printed, and not everything in it is as it must be.
    #[error("{missed} of the figures above miss their target")]
    Missed {
        /// How many.
        missed: usize,
    },
    /// Something that the scenario needs could not be started or did not answer.
    #[error("{what}: {cause}")]
    Failed {
        /// What was tried.
        what: String,
        /// What came of it.
        cause: String,
    },
    /// A file or process.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The database of a baseline.
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    /// The store.
    #[error(transparent)]
    Store(#[from] nakku_cluster::store::StoreError),
    /// JSON of another process.
    #[error("not the JSON that was expected: {0}")]
    Json(#[from] serde_json::Error),
}

impl BenchError {
    /// What was tried and what came of it.
    pub fn failed(what: impl Into<String>, cause: impl std::fmt::Display) -> Self {
        Self::Failed { what: what.into(), cause: cause.to_string() }
    }
}
