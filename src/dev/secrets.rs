//! The secrets of a local dev: made at random once, kept in the data folder so that tokens outlive a restart.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::local::write_private;

/// What `secrets.json` holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Secrets {
    /// `cluster.cookie`.
    pub cookie: String,
    /// `auth.jwt_secret`.
    pub jwt_secret: String,
    /// `auth.admin_token`.
    pub admin_token: String,
}

impl Secrets {
    /// Those of a data folder.
    ///
    /// # Errors
    /// When the folder takes none, or holds a file that is none.
    pub fn of(data: &Path) -> io::Result<Self> {
        let file = data.join("secrets.json");
        match std::fs::read(&file) {
            Ok(content) => Ok(serde_json::from_slice(&content)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let fresh = Self { cookie: random(), jwt_secret: random(), admin_token: random() };
                write_private(&file, &serde_json::to_vec_pretty(&fresh)?)?;
                Ok(fresh)
            }
            Err(error) => Err(error),
        }
    }
}

/// 256 random bits in hexadecimal.
fn random() -> String {
    let bytes: [u8; 32] = rand::random();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
