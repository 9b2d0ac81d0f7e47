//! `nakku effect` and `nakku reminder`: what one entity has outstanding.

use clap::{Args, Subcommand};
use nakku_cluster::inspect::EffectAt;

use super::act::{Because, OneEntity, post};
use super::entity::Named;
use crate::cli::outcome::{Done, Wrong};
use crate::cli::show;

/// `nakku effect`.
#[derive(Debug, Subcommand)]
pub enum Effect {
    /// Make the next attempt now, not after its pause
    Retry(OneEffect),
    /// End it as if its attempts were used up, where the entity knows what is to happen then
    GiveUp(OneEffect),
}

/// `nakku reminder`.
#[derive(Debug, Subcommand)]
pub enum Reminder {
    /// Give the entity now what its reminder would; what follows it decides by its state and the clock
    Fire(OneEntity),
}

/// One effect of one entity.
#[derive(Debug, Args)]
pub struct OneEffect {
    /// Whom to ask, and why
    #[command(flatten)]
    pub because: Because,
    /// Whose
    #[command(flatten)]
    pub named: Named,
    /// Which, as nakku entity shows it: STEP, or STEP:ORDINAL where the step has several
    pub effect: EffectAt,
}

/// Retries or gives up.
pub async fn effect(command: &Effect) -> Done {
    match command {
        Effect::Retry(one) => act(one, "retry", "is tried now", "moved meanwhile").await,
        Effect::GiveUp(one) => act(one, "give-up", "was given up", "is wanted still: the entity has decided so").await,
    }
}

/// Fires.
pub async fn reminder(command: &Reminder) -> Done {
    let Reminder::Fire(one) = command;
    let (kind, key) = one.named.parts()?;
    let answer = post(&one.because.look, &["entities", &kind, &key, "reminder", "fire"], &one.because.body()).await?;
    if one.because.look.json {
        return show::as_json(&answer);
    }
    let told = if answer["entities"] == 0 { "has decided that it is too early" } else { "was woken and has gone on" };
    show::line(&format!("{kind}/{key} {told}"))
}

async fn act(one: &OneEffect, act: &str, done: &str, not: &str) -> Done {
    let (kind, key) = one.named.parts()?;
    let effect = one.effect.to_string();
    let answer =
        post(&one.because.look, &["entities", &kind, &key, "effects", &effect, act], &one.because.body()).await?;
    if one.because.look.json {
        show::as_json(&answer)?;
    }
    if answer["entities"] == 0 {
        return Err(Wrong::Failed(format!("{effect} of {kind}/{key} {not}")));
    }
    if one.because.look.json { Ok(()) } else { show::line(&format!("{effect} of {kind}/{key} {done}")) }
}
