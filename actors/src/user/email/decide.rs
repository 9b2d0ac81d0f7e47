//! How an e-mail decides.

use std::time::Duration;

use nakku_cluster::{Context, Decision, Key};

use super::State;
use super::command::{Command, Rejection, Reply};
use super::event::Event;
use super::state::Ownership;

/// How long a claim lasts before the user is asked whether the registration took place. Longer than any
/// request, so that a registration that goes well is never in a race with the question.
pub const CLAIM: Duration = Duration::from_secs(60);

/// Decides one command.
///
/// # Errors
/// The e-mail's refusal.
pub fn decide(state: &State, command: Command, context: &mut Context) -> Result<Decision<Event, Reply>, Rejection> {
    let ownership = &state.head.ownership;
    match command {
        Command::Claim { user } => claim(ownership, user, context),
        Command::Get => Ok(Decision::reply(whose(ownership))),
        Command::Release { user } => match ownership {
            Ownership::Held { user: held_by } if *held_by == user => {
                Ok(Decision::event(Event::Released { user }, Reply::Free))
            }
            // The registration may still be on its way: only the user can say that it never will arrive.
            Ownership::Claimed { user: claimed_for, .. } if *claimed_for == user => {
                Ok(Decision::event(Event::Questioned {}, whose(ownership)))
            }
            _ => Ok(Decision::reply(whose(ownership))),
        },
        Command::ClaimDue => match ownership {
            Ownership::Claimed { due_at, .. } if *due_at <= context.now => {
                Ok(Decision::event(Event::Questioned {}, whose(ownership)))
            }
            _ => Ok(Decision::reply(whose(ownership))),
        },
        Command::Settle { user, held } => match ownership {
            Ownership::Questioned { user: asked } if *asked == user => Ok(if held {
                Decision::event(Event::Confirmed { user: user.clone() }, Reply::Owned { user })
            } else {
                Decision::event(Event::Released { user }, Reply::Free)
            }),
            _ => Ok(Decision::reply(whose(ownership))),
        },
    }
}

fn claim(ownership: &Ownership, user: Key, context: &Context) -> Result<Decision<Event, Reply>, Rejection> {
    match ownership {
        Ownership::Free => {
            let claimed =
                Event::Claimed { email: context.key.clone(), user: user.clone(), due_at: context.now.plus(CLAIM) };
            Ok(Decision::event(claimed, Reply::Owned { user }))
        }
        _ if owner(ownership) == Some(&user) => Ok(Decision::reply(Reply::Owned { user })),
        Ownership::Claimed { due_at, .. } => Err(Rejection::Pending { until: *due_at }),
        Ownership::Questioned { .. } => Err(Rejection::Pending { until: context.now }),
        Ownership::Held { .. } => Err(Rejection::Taken),
    }
}

fn owner(ownership: &Ownership) -> Option<&Key> {
    match ownership {
        Ownership::Free => None,
        Ownership::Claimed { user, .. } | Ownership::Questioned { user } | Ownership::Held { user } => Some(user),
    }
}

fn whose(ownership: &Ownership) -> Reply {
    owner(ownership).map_or(Reply::Free, |user| Reply::Owned { user: user.clone() })
}
