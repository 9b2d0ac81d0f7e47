//! What a user wants from others: once it is erased, that those forget it too who keep something of it and hear of
//! nothing. Whoever consumes events is told by `user.erased`.

use nakku_cluster::{Call, Effect, Outstanding, Ref};

use super::command::{Command, WipeStep};
use super::state::Wiping;
use super::{State, User, email};
use crate::cart::{self, Cart};
use crate::location::rider::{self, Rider};

/// One effect for each who has yet to forget an erased user; nothing before.
pub fn outstanding(state: &State) -> Outstanding<User> {
    let Some(wiping) = &state.head.wiping else { return Outstanding::none() };
    wiping.left.iter().fold(Outstanding::none(), |outstanding, step| outstanding.effect(wipe(wiping, *step)))
}

fn wipe(wiping: &Wiping, step: WipeStep) -> Effect<User> {
    let user = wiping.user.clone();
    match step {
        WipeStep::Email => {
            let release = email::Command::Release { user: user.clone() };
            let call = Call::ask(&Ref::<email::Email>::new(wiping.email.clone()), &release);
            Effect::new("free_email", 0, vec![call], move |answers| {
                // A claim that is being settled may yet be confirmed by an answer from before the erasure: only
                // when it is no longer this user's is it free.
                let owned = email::Reply::Owned { user };
                let freed = matches!(answers[0].of::<email::Email>(), Ok(whose) if whose != owned);
                Command::Wiped { step: freed.then_some(step) }
            })
        }
        WipeStep::Cart => {
            let call = Call::ask(&Ref::<Cart>::new(user), &cart::Command::Close);
            Effect::new("close_cart", 0, vec![call], move |answers| done(answers[0].of::<Cart>().is_ok(), step))
        }
        WipeStep::Whereabouts => {
            let call = Call::ask(&Ref::<Rider>::new(user), &rider::Command::Forget);
            Effect::new("forget_whereabouts", 0, vec![call], move |answers| {
                done(answers[0].of::<Rider>().is_ok(), step)
            })
        }
    }
}

/// A refusal moves nothing, so that it is tried again.
fn done(is_done: bool, step: WipeStep) -> Command {
    Command::Wiped { step: is_done.then_some(step) }
}
