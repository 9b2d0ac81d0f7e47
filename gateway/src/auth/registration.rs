//! Making a user: the e-mail is claimed for a key that nobody has, then the user registers under it.

use std::time::Duration;

use nakku_actors::user::command::{Profile, Role};
use nakku_actors::user::email::{self, Email};
use nakku_actors::user::{Command, Reply, User};
use nakku_cluster::{Ask, AskError, Cluster, Key, Ref, Timestamp};
use rand::RngExt;

use super::Passwords;
use crate::problem::{Code, Problem};

/// Characters of a user's id after `u-`: 100 bits of base 32.
const USER_ID_CHARACTERS: usize = 20;
/// RFC 4648, in lower case.
const BASE_32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
/// How often an e-mail that is just being given up is asked for.
const CLAIM_TRIES: u32 = 10;
/// Pause between these tries.
const CLAIM_PAUSE: Duration = Duration::from_millis(50);

/// Who is to be made, as typed.
pub struct NewUser {
    /// To log in with.
    pub email: String,
    /// As it will be shown.
    pub name: String,
    /// To log in with.
    pub password: String,
    /// At least one.
    pub roles: Vec<Role>,
    /// Where a rider or a member of a store's staff works.
    pub store: Option<Key>,
}

/// Makes a user. A failure in the middle leaves nothing: the claim on the e-mail is given up, or ends by
/// itself.
///
/// # Errors
/// When the e-mail is taken, a field is not valid, or the cluster fails.
pub async fn register(
    cluster: &Cluster,
    passwords: &Passwords,
    ask: Ask,
    new: NewUser,
) -> Result<(Key, Profile), Problem> {
    let NewUser { email, name, password, roles, store } = new;
    let email =
        email::normalise(&email).map_err(|error| Problem::new(Code::InvalidValue, error.to_string()).field("email"))?;
    let password = Passwords::check(password)?;
    let owner = email::reference(&email);
    let user = new_user();
    // Before the password is hashed, which is dear.
    claim(cluster, &ask, &owner, &user).await?;
    let registered = match passwords.hash(password).await {
        Ok(password_hash) => {
            let command = Command::Register { email, name, password_hash, roles, store };
            cluster.ask(&Ref::<User>::new(user.clone()), &command, ask.clone()).await.map_err(Problem::from)
        }
        Err(problem) => Err(problem),
    };
    match registered {
        Ok(answered) => match answered.reply {
            Reply::Profile(profile) => Ok((user, profile)),
            other => Err(Problem::unexpected(&other)),
        },
        Err(problem) => {
            // So that the same e-mail can be tried again at once.
            let _ = cluster.ask(&owner, &email::Command::Release { user }, ask).await;
            Err(problem)
        }
    }
}

/// Claims an e-mail. One that is just being given up is waited for.
async fn claim(cluster: &Cluster, ask: &Ask, owner: &Ref<Email>, user: &Key) -> Result<(), Problem> {
    let command = email::Command::Claim { user: user.clone() };
    let mut tries = CLAIM_TRIES;
    loop {
        tries -= 1;
        match cluster.ask(owner, &command, ask.clone()).await {
            Ok(_) => return Ok(()),
            Err(AskError::Rejected { rejection: email::Rejection::Pending { until }, .. }) => {
                if is_registered(cluster, ask, owner).await? {
                    return Err(email::Rejection::Taken.into());
                }
                if tries == 0 || until > Timestamp::now() {
                    return Err(email::Rejection::Pending { until }.into());
                }
            }
            Err(error) => return Err(error.into()),
        }
        tokio::time::sleep(CLAIM_PAUSE).await;
    }
}

/// Whether the user for whom an e-mail is claimed has registered. The e-mail itself learns of it only when the
/// claim is due.
async fn is_registered(cluster: &Cluster, ask: &Ask, owner: &Ref<Email>) -> Result<bool, Problem> {
    let email::Reply::Owned { user } = cluster.ask(owner, &email::Command::Get, ask.clone()).await?.reply else {
        return Ok(false);
    };
    match cluster.ask(&Ref::<User>::new(user), &Command::Get, ask.clone()).await {
        Ok(_) => Ok(true),
        Err(AskError::Rejected { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn new_user() -> Key {
    let mut random = rand::rng();
    let id: String =
        (0..USER_ID_CHARACTERS).map(|_| char::from(BASE_32[random.random_range(0..BASE_32.len())])).collect();
    Key::new(format!("u-{id}")).expect("base 32 makes a key")
}
