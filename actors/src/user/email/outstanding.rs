//! What an e-mail wants from others: when a claim is due, the user's word on whether the registration took
//! place.

use nakku_cluster::{Call, Effect, Outstanding, Ref};

use super::command::Command;
use super::state::Ownership;
use super::{Email, State};
use crate::user::{self, User};

/// A timer while it is claimed, and the question once the claim is due.
pub fn outstanding(state: &State) -> Outstanding<Email> {
    let head = &state.head;
    match (&head.ownership, &head.email) {
        (Ownership::Claimed { due_at, .. }, _) => Outstanding::none().wake(*due_at, Command::ClaimDue),
        (Ownership::Questioned { user }, Some(email)) => {
            let question =
                Call::ask(&Ref::<User>::new(user.clone()), &user::Command::SettleEmail { email: email.clone() });
            let asked = user.clone();
            Outstanding::none().effect(Effect::new("settle", head.claims, vec![question], move |answers| {
                let held = answers.first().map(nakku_cluster::Answer::of::<User>);
                Command::Settle { user: asked, held: matches!(held, Some(Ok(user::Reply::EmailHeld))) }
            }))
        }
        _ => Outstanding::none(),
    }
}
