//! What an entity still wants from the rest of the world, as a function of its state.
//!
//! An [`Effect`] is named by step and ordinal. After the commit that brought it up the runtime runs its
//! calls side by side, once for as long as the name stays outstanding, repeats the ones without an answer
//! with backoff, and hands all answers to [`Effect::then`], whose command the entity decides like any
//! other. When that command leaves the effect outstanding, the attempt has failed and is repeated.

use std::fmt;

use serde::Serialize;

use crate::entity::Entity;
use crate::reference::{Address, Ref};
use crate::time::Timestamp;

/// Everything outstanding of one state.
pub struct Outstanding<E: Entity> {
    /// What has to happen elsewhere.
    pub effects: Vec<Effect<E>>,
    /// The time at which the entity must be awake, and the command that it is then given.
    pub wake: Option<Wake<E>>,
}

/// A durable timer. It is at most one second late under normal load and may repeat; the command it gives
/// must move the state on so that the timer goes away or moves.
pub struct Wake<E: Entity> {
    /// When.
    pub at: Timestamp,
    /// What the entity is told then.
    pub command: E::Command,
}

/// One thing that has to happen elsewhere: one or more calls whose answers come back as one command.
pub struct Effect<E: Entity> {
    /// The step of the process, such as `authorise`; with the ordinal it names the effect.
    pub step: &'static str,
    /// Tells repeats of a step apart (a second reminder, a retry with another rider).
    pub ordinal: u64,
    /// Run side by side; each is repeated until it has an answer.
    pub calls: Vec<Call>,
    /// Turns the answers, in the order of `calls`, into a command of the entity itself.
    pub then: Then<E>,
    /// When to stop trying.
    pub give_up: Option<GiveUp<E>>,
}

/// See [`Effect::then`].
pub type Then<E> = Box<dyn FnOnce(Vec<Answer>) -> <E as Entity>::Command + Send>;

/// When and how an effect ends without an answer.
pub struct GiveUp<E: Entity> {
    /// After so many failed attempts on this node; an owner that takes over starts again at one.
    pub attempts: u32,
    /// What the entity is told then.
    pub command: E::Command,
}

/// One call of an effect.
#[derive(Clone, Debug)]
pub enum Call {
    /// A command to another entity, idempotent there by business key.
    Ask {
        /// Whom.
        target: Address,
        /// The target's command as JSON.
        command: Vec<u8>,
    },
    /// A request to a provider outside (a card network), idempotent there by the effect's command id.
    Provider {
        /// The name under which the provider is registered at the node.
        name: &'static str,
        /// The request as JSON.
        request: Vec<u8>,
    },
}

impl Call {
    /// A command to another entity.
    pub fn ask<T: Entity>(target: &Ref<T>, command: &T::Command) -> Self {
        Self::Ask { target: target.address(), command: to_json(command) }
    }

    /// A request to a provider.
    pub fn provider(name: &'static str, request: &impl Serialize) -> Self {
        Self::Provider { name, request: to_json(request) }
    }
}

/// The definite answer to one call.
#[derive(Clone, Debug)]
pub enum Answer {
    /// The reply as JSON.
    Reply(Vec<u8>),
    /// The rejection as JSON. Nothing has changed there.
    Rejected(Vec<u8>),
}

impl Answer {
    /// The answer of an entity, typed.
    ///
    /// # Errors
    /// The target's rejection.
    ///
    /// # Panics
    /// When the JSON is not the target's: the runtime catches that as a failed attempt of the effect.
    pub fn of<T: Entity>(&self) -> Result<T::Reply, T::Rejection> {
        match self {
            Self::Reply(json) => Ok(serde_json::from_slice(json).expect("a reply of the asked kind")),
            Self::Rejected(json) => Err(serde_json::from_slice(json).expect("a rejection of the asked kind")),
        }
    }

    /// The answer of a provider, typed.
    ///
    /// # Panics
    /// As [`Answer::of`].
    pub fn provided<R: serde::de::DeserializeOwned>(&self) -> R {
        let (Self::Reply(json) | Self::Rejected(json)) = self;
        serde_json::from_slice(json).expect("an answer of the asked provider")
    }
}

impl<E: Entity> Outstanding<E> {
    /// Nothing outstanding.
    pub fn none() -> Self {
        Self { effects: Vec::new(), wake: None }
    }

    /// Adds an effect.
    #[must_use]
    pub fn effect(mut self, effect: Effect<E>) -> Self {
        self.effects.push(effect);
        self
    }

    /// Sets the timer; of two the earlier one stays.
    #[must_use]
    pub fn wake(mut self, at: Timestamp, command: E::Command) -> Self {
        if self.wake.as_ref().is_none_or(|wake| at < wake.at) {
            self.wake = Some(Wake { at, command });
        }
        self
    }
}

impl<E: Entity> Effect<E> {
    /// An effect of one step with its calls.
    pub fn new(
        step: &'static str,
        ordinal: u64,
        calls: Vec<Call>,
        then: impl FnOnce(Vec<Answer>) -> E::Command + Send + 'static,
    ) -> Self {
        Self { step, ordinal, calls, then: Box::new(then), give_up: None }
    }

    /// Ends the effect with `command` after `attempts` failures.
    #[must_use]
    pub fn give_up_after(mut self, attempts: u32, command: E::Command) -> Self {
        self.give_up = Some(GiveUp { attempts, command });
        self
    }
}

impl<E: Entity> fmt::Debug for Effect<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Effect")
            .field("step", &self.step)
            .field("ordinal", &self.ordinal)
            .field("calls", &self.calls)
            .finish_non_exhaustive()
    }
}

impl<E: Entity> fmt::Debug for Outstanding<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outstanding")
            .field("effects", &self.effects)
            .field("wake_at", &self.wake.as_ref().map(|wake| wake.at))
            .finish()
    }
}

fn to_json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("commands and requests have string keys and serialise")
}
