//! Exit codes, and the one line that says what is wrong and what to do.

use std::fmt;
use std::process::ExitCode;

use crate::settings::SettingsError;

/// Why a command did not do what it was asked to.
#[derive(Debug)]
pub enum Wrong {
    /// It could not be done: exit code 1.
    Failed(String),
    /// It was asked wrongly: exit code 2.
    Usage(String),
}

/// How a command ends.
pub type Done = Result<(), Wrong>;

impl Wrong {
    /// A failure in words.
    pub fn failed(message: impl fmt::Display) -> Self {
        Self::Failed(message.to_string())
    }

    /// Says it on standard error.
    pub fn report(&self) -> ExitCode {
        let (message, code) = match self {
            Self::Failed(message) => (message, 1),
            Self::Usage(message) => (message, 2),
        };
        eprintln!("nakku: {message}");
        ExitCode::from(code)
    }
}

impl From<SettingsError> for Wrong {
    fn from(error: SettingsError) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<std::io::Error> for Wrong {
    fn from(error: std::io::Error) -> Self {
        Self::Failed(error.to_string())
    }
}
