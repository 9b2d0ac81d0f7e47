//! From the ways in which the cluster can fail.

use nakku_cluster::{AskError, Failure};

use super::{Code, Problem};

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        let retry_after = failure.retry_after();
        let code = match &failure {
            Failure::Overloaded { .. } => Code::Overloaded,
            // What is moving and what is away look the same from outside: nothing has happened, try again.
            Failure::Moved { .. } | Failure::Unavailable { .. } => Code::Unavailable,
            Failure::TimedOut => Code::TimedOut,
            Failure::Expired => Code::Expired,
            Failure::Quarantined { .. } => Code::Quarantined,
            Failure::Cycle { .. } | Failure::Crashed { .. } | Failure::Invalid { .. } => Code::Internal,
        };
        if code == Code::Internal {
            tracing::error!(%failure, "an ask could not be carried out");
            return Self::new(code, "the request could not be carried out");
        }
        let problem = Self::new(code, failure.to_string());
        match retry_after {
            Some(pause) => problem.retry_after(pause),
            None => problem,
        }
    }
}

/// Every entity's rejection has one mapping, in `rejection`; with it every way in which an ask can end has.
impl<R: std::error::Error + Into<Problem>> From<AskError<R>> for Problem {
    fn from(error: AskError<R>) -> Self {
        match error {
            AskError::Rejected { rejection, .. } => rejection.into(),
            AskError::Failed(failure) => failure.into(),
        }
    }
}
