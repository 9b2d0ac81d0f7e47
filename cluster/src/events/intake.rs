//! The entity that consumes the events of one source shard.
//!
//! An [`Intake`] keeps a high-water mark beside its effect, in the same transaction: an event that comes
//! again is dropped, one whose predecessor is missing is left for later (its publisher sends everything
//! after a failure again), and what can't be processed goes to the dead letters, where it is seen and can
//! be replayed, while the stream behind it goes on. A service that consumes says in a [`Consumer`] what an
//! event means to it and has the rest from here.

use std::fmt;
use std::marker::PhantomData;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use utoipa::ToSchema;

use super::envelope::{Envelope, PublicEvent, SealedEnvelope};
use super::judge::{Judged, consume, judge, understood};
use super::rebuild::{self, Page, Rebuild};
use crate::entity::{Context, Decision, Entity, EntityState, Event as ClusterEvent};
use crate::outstanding::Outstanding;
use crate::parts::{PartSet, Parts};
use crate::reference::{Key, Kind};
use crate::time::Timestamp;

/// The topic of what could not be processed.
pub const DEAD_LETTER_TOPIC: &str = "nakku.dead-letter";
/// The name of the events on it.
pub const DEAD_LETTERED: &str = "nakku.dead_lettered";
/// Dead letters that one intake keeps; the oldest goes first, and stays in the journal and on the topic.
pub const DEAD_LETTERS_MAX: usize = 1000;
/// Events of one command.
pub const BATCH_MAX: usize = 256;

/// What a service does with the events of others.
pub trait Consumer: Sized + Send + Sync + 'static {
    /// The entity, such as `analytics.intake`; its state table is the service's to create.
    const KIND: Kind;
    /// The consumer group at the broker: `nakku-SERVICE`.
    const GROUP: &'static str;
    /// The services whose events it consumes.
    const SOURCES: &'static [&'static str];

    /// What it has gathered: parts only, the head is the intake's.
    type State: Gathered;
    /// What consuming an event changed.
    type Event: Serialize + DeserializeOwned + fmt::Debug + Send + 'static;
    /// What else it can be asked: its sums, or that something was forwarded.
    type Command: Serialize + DeserializeOwned + fmt::Debug + Send + 'static;
    /// What it answers to that.
    type Reply: Serialize + DeserializeOwned + fmt::Debug + Send + 'static;

    /// What an event means, as a function of the event alone. Nothing when it means nothing here.
    ///
    /// # Errors
    /// Why it can't be processed, for the dead letter.
    fn consume(event: &SealedEnvelope) -> Result<Vec<Self::Event>, String>;

    /// Decides one of its own commands.
    fn decide(state: &Self::State, command: Self::Command, context: &mut Context)
    -> Decision<Self::Event, Self::Reply>;

    /// Applies what [`consume`](Consumer::consume) or [`decide`](Consumer::decide) has brought up.
    fn evolve(state: &mut Self::State, event: &Self::Event);

    /// What still has to happen elsewhere, such as forwarding; idempotent there by the event's id.
    fn outstanding(_state: &Self::State) -> Outstanding<Intake<Self>> {
        Outstanding::none()
    }

    /// How many more events it takes now; 0 lets the stream wait, for instance while too much is yet to be
    /// forwarded.
    fn room(_state: &Self::State) -> usize {
        BATCH_MAX
    }
}

/// The parts of a consumer's state.
pub trait Gathered: Default + Send + 'static {
    /// Every set of parts with its name; `dead` and names that begin with `~` are taken.
    fn parts(&mut self) -> Vec<(&'static str, &mut dyn PartSet)>;
    /// Called after the parts have been read from the store, and after a reset has removed them all: what is
    /// derived from them is to be derived again.
    fn loaded(&mut self) {}
}

/// The entity of a [`Consumer`]; its key is [`key_of`] the source.
pub struct Intake<C>(PhantomData<fn() -> C>);

/// The key of the intake of one source shard.
///
/// # Panics
/// Never: a service's name and a number make a key.
pub fn key_of(service: &str, shard: u32) -> Key {
    Key::new(format!("{service}-{shard}")).expect("a service's name and a number make a key")
}

/// The source of an intake, from its key.
pub fn source_of(key: &Key) -> Option<(&str, u32)> {
    let (service, shard) = key.as_str().rsplit_once('-')?;
    Some((service, shard.parse().ok()?))
}

/// What an intake is told; `T` is the consumer's own command.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command<T> {
    /// Events of its source in the order of their sequence.
    Consume {
        /// At most [`BATCH_MAX`].
        events: Vec<SealedEnvelope>,
        /// The source has nothing between these and what the intake has consumed, whatever their
        /// predecessors say: it is a journal or a topic whose older part is gone.
        #[serde(default)]
        complete: bool,
    },
    /// An event that was refused so often that it is set aside.
    SetAside {
        /// The event.
        event: Box<Envelope>,
        /// Why it can't be processed.
        reason: String,
        /// How often it was tried.
        attempts: u32,
    },
    /// The dead letters behind a sequence, in order.
    DeadLetters {
        /// The last one that is known already.
        #[serde(default)]
        after: u64,
        /// How many, at most 100.
        limit: usize,
    },
    /// Try a dead letter again.
    Replay {
        /// Its sequence.
        sequence: u64,
    },
    /// Forget what was gathered and begin anew, from the first row of the source's journal. Dead letters stay.
    Reset,
    /// Some of that journal, as it was asked for.
    Reread(Page),
    /// The consumer's own.
    Own(T),
}

/// What an intake answers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply<T> {
    /// How far it got.
    Consumed(Progress),
    /// See [`Command::DeadLetters`].
    DeadLetters(Vec<DeadLetter>),
    /// It has been processed and is no dead letter any more.
    Replayed,
    /// It has forgotten what it gathered.
    Reset,
    /// The consumer's own.
    Own(T),
}

/// How far an intake has got.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Everything up to this sequence is done.
    pub high_water: u64,
    /// How many of the events that were handed in are done, now or before.
    pub done: usize,
    /// The next event it was given can't be processed: its sequence and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<(u64, String)>,
    /// It was given events whose predecessor it lacks: that predecessor's sequence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lacks: Option<u64>,
    /// It takes no more for now.
    #[serde(default)]
    pub full: bool,
}

/// What happened to an intake.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event<T> {
    /// Events were consumed.
    Consumed {
        /// Up to here.
        through: Mark,
        /// What they changed.
        events: Vec<T>,
    },
    /// An event was set aside.
    SetAside {
        /// With its cause.
        letter: Box<DeadLetter>,
    },
    /// A dead letter was processed after all.
    Replayed {
        /// Which.
        sequence: u64,
        /// What it changed.
        events: Vec<T>,
    },
    /// It begins anew.
    Reset {
        /// The service that it consumes.
        service: String,
        /// And the shard.
        shard: u32,
    },
    /// The journal has been read again up to a row.
    Reread {
        /// Up to here.
        through: u64,
        /// Rows below this one were missing; 0 when none were.
        #[serde(default)]
        begins_at: u64,
    },
    /// What came meanwhile is to be read from the journal as well.
    Owed {
        /// Up to here.
        until: u64,
    },
    /// The consumer's own.
    Own {
        /// What it changed.
        event: T,
    },
}

/// An event that could not be processed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DeadLetter {
    /// The group that could not.
    pub group: String,
    /// Why.
    pub reason: String,
    /// How often it was tried.
    pub attempts: u32,
    /// When it was set aside.
    #[schema(value_type = i64)]
    pub set_aside_at: Timestamp,
    /// The event.
    pub event: Envelope,
}

/// Why an intake refused a command of a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "rejection", rename_all = "snake_case")]
pub enum Rejection {
    /// There is no such dead letter.
    #[error("there is no dead letter {sequence}")]
    NoSuchLetter {
        /// What was asked for.
        sequence: u64,
    },
    /// It can't be processed yet.
    #[error("the event still can't be processed: {reason}")]
    StillRefused {
        /// Why.
        reason: String,
    },
}

/// What an intake remembers.
#[derive(Debug, Default)]
pub struct State<S> {
    pub(super) head: Head,
    dead: Parts<u64, DeadLetter>,
    pub(super) gathered: S,
}

/// How far it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The last event's sequence.
    pub high_water: u64,
    /// Of the source's database.
    #[serde(default)]
    pub incarnation: u64,
    /// It reads from the journal, or has: it has begun anew, or was put back with less than its source had published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rebuild: Option<Rebuild>,
}

/// The high-water mark: everything up to here is done. A mark of 0 is before the first event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The last event's sequence.
    pub high_water: u64,
    /// Of the source's database.
    #[serde(default)]
    pub incarnation: u64,
}

impl Head {
    /// The high-water mark.
    pub fn mark(&self) -> Mark {
        Mark { high_water: self.high_water, incarnation: self.incarnation }
    }

    /// Nothing is missing that has been there before.
    pub fn is_whole(&self) -> bool {
        self.rebuild.as_ref().is_none_or(Rebuild::is_over)
    }

    fn move_to(&mut self, mark: Mark) {
        (self.high_water, self.incarnation) = (mark.high_water, mark.incarnation);
    }
}

impl<S: Gathered> EntityState for State<S> {
    type Head = Head;

    fn head(&self) -> &Head {
        &self.head
    }

    fn head_mut(&mut self) -> &mut Head {
        &mut self.head
    }

    fn parts(&mut self) -> Vec<(&'static str, &mut dyn PartSet)> {
        let mut parts = self.gathered.parts();
        parts.push(("dead", &mut self.dead));
        parts
    }

    fn loaded(&mut self) {
        self.gathered.loaded();
    }
}

impl<T: Serialize + DeserializeOwned + fmt::Debug + Send + 'static> ClusterEvent for Event<T> {
    fn event_type(&self) -> &'static str {
        match self {
            Self::Consumed { .. } => "intake.consumed",
            Self::SetAside { .. } => "intake.set_aside",
            Self::Replayed { .. } => "intake.replayed",
            Self::Reset { .. } => "intake.reset",
            Self::Reread { .. } => "intake.reread",
            Self::Owed { .. } => "intake.owed",
            Self::Own { .. } => "intake.changed",
        }
    }
}

impl<C: Consumer> Entity for Intake<C> {
    const KIND: Kind = C::KIND;
    // What events say that are kept.
    const PERSONAL: &'static [&'static str] = &["data"];
    type State = State<C::State>;
    type Command = Command<C::Command>;
    type Reply = Reply<C::Reply>;
    type Event = Event<C::Event>;
    type Rejection = Rejection;

    fn decide(
        state: &Self::State,
        command: Self::Command,
        context: &mut Context,
    ) -> Result<Decision<Self::Event, Self::Reply>, Rejection> {
        match command {
            Command::Consume { events, complete } => Ok(consume::<C>(state, &events, complete)),
            Command::SetAside { event, reason, attempts } => {
                let judged = judge(state.head.mark(), &event, false);
                let letter = || DeadLetter {
                    group: C::GROUP.into(),
                    reason,
                    attempts,
                    set_aside_at: context.now,
                    event: (*event).clone(),
                };
                let events = match judged {
                    Judged::Next => vec![Event::SetAside { letter: Box::new(letter()) }],
                    Judged::Repeat | Judged::Lacks => Vec::new(),
                };
                let high_water = match judged {
                    Judged::Next => event.sequence,
                    Judged::Repeat | Judged::Lacks => state.head.high_water,
                };
                let progress = Progress { high_water, ..Progress::default() };
                Ok(Decision::events(events, Reply::Consumed(progress)))
            }
            Command::DeadLetters { after, limit } => {
                let letters = state.dead.iter_after(Some(&after)).map(|(_, letter)| letter.clone());
                Ok(Decision::reply(Reply::DeadLetters(letters.take(limit.min(100)).collect())))
            }
            Command::Replay { sequence } => {
                let letter = state.dead.get(&sequence).ok_or(Rejection::NoSuchLetter { sequence })?;
                if state.head.high_water < sequence {
                    // Since the reset; it must not count twice.
                    return Err(Rejection::StillRefused { reason: "the stream is about to bring it again".into() });
                }
                let events = understood::<C>(&letter.event.clone().closed())
                    .map_err(|reason| Rejection::StillRefused { reason })?;
                Ok(Decision::event(Event::Replayed { sequence, events }, Reply::Replayed))
            }
            Command::Reset => {
                let begun = state.head.high_water > 0 || !state.head.is_whole();
                let reset = source_of(&context.key).filter(|_| begun);
                let reset = reset.map(|(service, shard)| Event::Reset { service: service.into(), shard });
                Ok(Decision::events(reset.into_iter().collect(), Reply::Reset))
            }
            Command::Reread(page) => Ok(rebuild::reread::<C>(state, page, context)),
            Command::Own(command) => {
                let Decision { events, reply } = C::decide(&state.gathered, command, context);
                let events = events.into_iter().map(|event| Event::Own { event }).collect();
                Ok(Decision::events(events, Reply::Own(reply)))
            }
        }
    }

    fn evolve(state: &mut Self::State, event: &Self::Event) {
        match event {
            Event::Consumed { through, events } => {
                let since = state.head.high_water;
                state.head.move_to(*through);
                // Set aside before a reset, and consumed now: they must not be replayed as well.
                let behind = state.dead.iter_after(Some(&since)).map(|(sequence, _)| *sequence);
                let after_all: Vec<u64> = behind.take_while(|sequence| *sequence <= through.high_water).collect();
                after_all.iter().for_each(|sequence| drop(state.dead.remove(sequence)));
                events.iter().for_each(|event| C::evolve(&mut state.gathered, event));
            }
            Event::SetAside { letter } => {
                let sequence = letter.event.sequence;
                state.head.move_to(letter.event.mark());
                state.dead.insert(sequence, (**letter).clone());
                let oldest = state.dead.keys().next().copied();
                if let Some(oldest) = oldest.filter(|_| state.dead.len() > DEAD_LETTERS_MAX) {
                    state.dead.remove(&oldest);
                }
            }
            Event::Replayed { sequence, events } => {
                state.dead.remove(sequence);
                events.iter().for_each(|event| C::evolve(&mut state.gathered, event));
            }
            Event::Reset { service, shard } => {
                let before = state.head.rebuild.take().unwrap_or_default();
                let until = state.head.high_water.max(before.until);
                let (service, number) = (service.clone(), before.number + 1);
                let rebuild = Rebuild { service, shard: *shard, number, until, ..Rebuild::default() };
                state.head = Head { rebuild: Some(rebuild), ..Head::default() };
                state.gathered.parts().into_iter().for_each(|(_, set)| set.clear());
                state.gathered.loaded();
            }
            Event::Reread { through, begins_at } => {
                if let Some(rebuild) = &mut state.head.rebuild {
                    rebuild.through = *through;
                    rebuild.begins_at = rebuild.begins_at.max(*begins_at);
                }
            }
            Event::Owed { until } => {
                if let Some(rebuild) = &mut state.head.rebuild {
                    rebuild.until = rebuild.until.max(*until);
                }
            }
            Event::Own { event } => C::evolve(&mut state.gathered, event),
        }
    }

    fn outstanding(state: &Self::State) -> Outstanding<Self> {
        let outstanding = C::outstanding(&state.gathered);
        match rebuild::effect(&state.head) {
            Some(page) => outstanding.effect(page),
            None => outstanding,
        }
    }

    fn publish(_key: &Key, event: &Self::Event) -> Option<PublicEvent> {
        match event {
            Event::SetAside { letter } => {
                let event = PublicEvent::new(DEAD_LETTERED, letter);
                Some(PublicEvent { topic: Some(DEAD_LETTER_TOPIC), ..event })
            }
            _ => None,
        }
    }
}

/// A [`Consumer`] without its type: whom to feed with what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConsumerType {
    /// The consumer group.
    pub group: &'static str,
    /// The intake's kind.
    pub kind: Kind,
    /// The services whose events it consumes.
    pub sources: &'static [&'static str],
}

impl ConsumerType {
    /// Of a consumer.
    pub fn of<C: Consumer>() -> Self {
        Self { group: C::GROUP, kind: C::KIND, sources: C::SOURCES }
    }
}
