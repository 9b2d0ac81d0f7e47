//! Whether e-mail and password belong together, told so that time says nothing about which e-mails are known.

use nakku_actors::user::command::PasswordHash;
use nakku_actors::user::{self, Command, Reply, User, email};
use nakku_cluster::{Ask, AskError, Cluster, Key, Ref};

use super::Passwords;
use crate::problem::{Code, Problem};

/// The user behind an e-mail and a password. Each question to an entity is sent with an ask of its own.
///
/// # Errors
/// Wrong credentials when they don't belong together; what the cluster failed with.
pub async fn log_in(
    cluster: &Cluster,
    passwords: &Passwords,
    ask: impl Fn() -> Ask,
    email: &str,
    password: String,
) -> Result<Key, Problem> {
    let known = credentials(cluster, ask, email).await?;
    let (user, hash) = known.map_or((None, None), |(user, hash)| (Some(user), Some(hash)));
    // Also without a user: the time must not tell.
    let right = passwords.verify(password, hash).await?;
    let user = user.filter(|_| right);
    user.ok_or_else(|| Problem::new(Code::WrongCredentials, "e-mail or password is wrong"))
}

/// The user and the hash of the password behind an e-mail.
async fn credentials(
    cluster: &Cluster,
    ask: impl Fn() -> Ask,
    email: &str,
) -> Result<Option<(Key, PasswordHash)>, Problem> {
    let Ok(email) = email::normalise(email) else { return Ok(None) };
    let owner = cluster.ask(&email::reference(&email), &email::Command::Get, ask()).await?;
    let email::Reply::Owned { user } = owner.reply else { return Ok(None) };
    match cluster.ask(&Ref::<User>::new(user.clone()), &Command::Credentials, ask()).await {
        Ok(answered) => match answered.reply {
            Reply::Credentials { password_hash, .. } => Ok(Some((user, password_hash))),
            other => Err(Problem::unexpected(&other)),
        },
        // Claimed, but not registered yet.
        Err(AskError::Rejected { rejection: user::Rejection::NotFound, .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
