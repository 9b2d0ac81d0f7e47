//! Looks into nodes, shards and entities of a running cluster, and acts on them, over the admin API of any node.
//!
//! - [`watch`]: one look or one every few seconds, as text or JSON
//! - [`nodes`], [`shards`], [`types`], [`tree`]: what there is, where, and how it does
//! - [`entity`]: one entity, now or as of a version, and its history
//! - [`tail`]: commands as they are answered; [`trace`]: the path of one request
//! - [`infrastructure`]: what works behind the shards
//! - [`act`]: whatever changes something, always for a reason
//! - [`outstanding`]: the effects and the reminder of one entity
//! - [`profile`]: what a node's processor does for a time
//! - [`completion`]: what a shell completes, names of the live cluster among it
//! - [`kind`]: kinds by shorter names
//! - [`address`]: paths of the API

pub mod act;
mod address;
pub mod completion;
pub mod entity;
pub mod infrastructure;
mod kind;
pub mod nodes;
pub mod outstanding;
pub mod profile;
pub mod shards;
pub mod tail;
pub mod trace;
pub mod tree;
pub mod types;
mod watch;

#[cfg(test)]
mod tests;

use clap::{Args, Subcommand};

use super::client::ClientArguments;
use super::outcome::Done;
use crate::surface::{events, units};

/// What can be looked at, and what can be done.
#[derive(Debug, Subcommand)]
pub enum Inspect {
    /// List nodes: how each is, what it holds, how it reaches the others
    Nodes(nodes::Nodes),
    /// List shards: where they are and how much is asked of them
    Shards(shards::Shards),
    /// List shards that came and went lately
    Moves(shards::Moves),
    /// List kinds of entities: how often they are asked, how it ends, how long it takes
    Types(types::Types),
    /// List the entities that stand out
    Top(types::Top),
    /// Print what supervises what
    Tree(tree::Tree),
    /// Print one entity: where it lives, what waits, its state
    Entity(entity::Entity),
    /// Print the events of one entity, and what each has changed
    History(entity::History),
    /// Print commands as they are answered, anywhere in the cluster
    Tail(tail::Tail),
    /// Print the path of one request over all its hops, with times
    Trace(trace::Trace),
    /// List what works behind the shards: journal writers, servers, publishers, consumers
    #[command(alias = "infra")]
    Infrastructure(infrastructure::Infrastructure),
    /// Put a shard on a node, where it stays until it is unpinned
    Move(act::Move),
    /// Give a shard that was moved back to placement
    Unpin(act::Unpin),
    /// Take all shards from a node, so that it can be stopped
    Drain(act::OneNode),
    /// Give a drained node its share again
    Undrain(act::OneNode),
    /// Pause or resume the moves that joining and leaving nodes would cause
    #[command(subcommand)]
    Rebalancing(act::Rebalancing),
    /// Have one node log more or less for a time
    LogLevel(act::LogLevel),
    /// Take a profile of what a node's processor does
    Profile(profile::Profile),
    /// Retry or give up what one entity has outstanding elsewhere
    #[command(subcommand)]
    Effect(outstanding::Effect),
    /// Wake one entity as its reminder would
    #[command(subcommand)]
    Reminder(outstanding::Reminder),
    /// Send one entity out of the memory
    Passivate(act::OneEntity),
    /// Drop what the memory holds of one entity and read it anew
    Restart(act::OneEntity),
    /// Try one entity again that was set aside after repeated failures
    Release(act::OneEntity),
    /// Send entities out of the memory that match; only counts them unless --yes is given
    PassivateMatching(act::PassivateMatching),
    /// Print what makes a shell complete commands, flags and names: source <(nakku completion bash)
    Completion(completion::Completion),
}

/// Whom to ask, and for whom the answer is.
#[derive(Clone, Debug, Args)]
pub struct Look {
    /// The admin API of any node and its token
    #[command(flatten)]
    pub client: ClientArguments,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Does what was asked for.
pub async fn run(command: &Inspect) -> Done {
    match command {
        Inspect::Nodes(arguments) => nodes::nodes(arguments).await,
        Inspect::Shards(arguments) => shards::shards(arguments).await,
        Inspect::Moves(arguments) => shards::moves(arguments).await,
        Inspect::Types(arguments) => types::types(arguments).await,
        Inspect::Top(arguments) => types::top(arguments).await,
        Inspect::Tree(arguments) => tree::tree(arguments).await,
        Inspect::Entity(arguments) => entity::entity(arguments).await,
        Inspect::History(arguments) => entity::history(arguments).await,
        Inspect::Tail(arguments) => tail::tail(arguments).await,
        Inspect::Trace(arguments) => trace::trace(arguments).await,
        Inspect::Infrastructure(arguments) => infrastructure::infrastructure(arguments).await,
        Inspect::Move(arguments) => act::move_shard(arguments).await,
        Inspect::Unpin(arguments) => act::unpin(arguments).await,
        Inspect::Drain(one) => act::drain(one).await,
        Inspect::Undrain(one) => act::undrain(one).await,
        Inspect::Rebalancing(command) => act::rebalancing(command).await,
        Inspect::LogLevel(arguments) => act::log_level(arguments).await,
        Inspect::Profile(arguments) => profile::profile(arguments).await,
        Inspect::Effect(command) => outstanding::effect(command).await,
        Inspect::Reminder(command) => outstanding::reminder(command).await,
        Inspect::Passivate(one) => act::passivate(one).await,
        Inspect::Restart(one) => act::restart(one).await,
        Inspect::Release(one) => act::release(one).await,
        Inspect::PassivateMatching(arguments) => act::passivate_matching(arguments).await,
        Inspect::Completion(arguments) => completion::print(arguments),
    }
}
