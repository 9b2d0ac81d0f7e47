//! Scripts in Lua, which Redis runs as one: nothing comes between their reading and their writing.

use redis::{Cmd, ErrorKind, RedisError, ServerErrorKind};

/// One script.
#[derive(Debug)]
pub(super) struct Script {
    code: &'static str,
    hash: String,
}

impl Script {
    pub fn new(code: &'static str) -> Self {
        Self { code, hash: redis::Script::new(code).get_hash().to_owned() }
    }

    /// Runs it by its hash, which a server knows once it has run it.
    pub fn by_hash(&self, keys: &[&str], arguments: &[&str]) -> Cmd {
        command("EVALSHA", &self.hash, keys, arguments)
    }

    /// Runs it by its text.
    pub fn whole(&self, keys: &[&str], arguments: &[&str]) -> Cmd {
        command("EVAL", self.code, keys, arguments)
    }

    /// Whether the server has not run it yet.
    pub fn is_unknown(&self, error: &RedisError) -> bool {
        error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
    }
}

fn command(name: &str, script: &str, keys: &[&str], arguments: &[&str]) -> Cmd {
    let mut command = redis::cmd(name);
    command.arg(script).arg(keys.len()).arg(keys).arg(arguments);
    command
}
