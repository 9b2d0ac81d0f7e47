//! What other services' events mean to webhooks: each is on its way to the endpoints that want it.
//!
//! What an event means must follow from the event alone, so an intake first gathers all of them, in chunks; then it
//! asks the [directory](super::webhook_directory) where they go, many at once, lets go of those that nobody wants,
//! and hands the others to their endpoints, idempotent there by the event's id. While too much is on its way it takes
//! no more. All of that costs nothing where webhooks are not enabled: then there is no such consumer.

use nakku_cluster::events::intake::{BATCH_MAX, Command as IntakeCommand, Gathered};
use nakku_cluster::events::{Consumer, Envelope, Intake, SealedEnvelope};
use nakku_cluster::{Call, Context, Decision, Effect, Key, Kind, Outstanding, PartSet, Parts, Ref};
use serde::{Deserialize, Serialize};

use super::webhook::{self, Webhook};
use super::webhook_directory::command::{Brief, Route};
use super::webhook_directory::{self, Directory};

/// Events that one intake has on their way; beyond it the stream waits.
pub const ON_THE_WAY_MAX: usize = 1_024;
/// Events of one row.
const CHUNK_MAX: usize = 64;
/// Events that are handed to their endpoints at the same time.
const SIDE_BY_SIDE_MAX: usize = 16;

/// Consumes for the webhooks.
#[derive(Debug)]
pub struct Outgoing;

/// What consuming changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Changed {
    /// An event is on its way.
    Gathered {
        /// With its whole envelope.
        envelope: Box<Envelope>,
    },
    /// It is known where events go.
    Routed {
        /// All up to this sequence.
        through: u64,
        /// Those that go anywhere.
        routes: Vec<Route>,
    },
    /// The endpoints have an event.
    Forwarded {
        /// Which.
        sequence: u64,
    },
}

/// Told by the runtime.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "told", rename_all = "snake_case")]
pub enum Told {
    /// By the directory: where events go.
    Routed {
        /// All up to this sequence.
        through: u64,
        /// Those that go anywhere.
        routes: Vec<Route>,
    },
    /// By the endpoints: they have an event.
    Forwarded {
        /// Which.
        sequence: u64,
    },
}

/// What is on its way.
#[derive(Debug, Default)]
pub struct OnTheWay {
    /// Events of which it is not known where they go; each chunk under the sequence of its first.
    gathered: Parts<u64, Vec<Envelope>>,
    /// Events that go to endpoints, by sequence.
    routed: Parts<u64, Routed>,
    /// How many are in the chunks: derived.
    count: usize,
}

/// An event and where it goes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Routed {
    /// With its whole envelope.
    pub event: Envelope,
    /// One at least.
    pub endpoints: Vec<Key>,
}

impl Gathered for OnTheWay {
    fn parts(&mut self) -> Vec<(&'static str, &mut dyn PartSet)> {
        vec![("gathered", &mut self.gathered), ("routed", &mut self.routed)]
    }

    fn loaded(&mut self) {
        self.count = self.gathered.values().map(Vec::len).sum();
    }
}

impl OnTheWay {
    fn gather(&mut self, event: &Envelope) {
        self.count += 1;
        let last = self.gathered.iter().next_back().filter(|(_, chunk)| chunk.len() < CHUNK_MAX);
        match last.map(|(first, _)| *first).and_then(|first| self.gathered.get_mut(&first)) {
            Some(chunk) => chunk.push(event.clone()),
            None => drop(self.gathered.insert(event.sequence, vec![event.clone()])),
        }
    }

    fn route(&mut self, through: u64, routes: &[Route]) {
        let touched: Vec<u64> = self.gathered.keys().copied().take_while(|first| *first <= through).collect();
        for first in touched {
            let Some(chunk) = self.gathered.remove(&first) else { continue };
            let (known, rest): (Vec<_>, Vec<_>) = chunk.into_iter().partition(|event| event.sequence <= through);
            self.count -= known.len();
            if let Some(next) = rest.first().map(|event| event.sequence) {
                self.gathered.insert(next, rest);
            }
            for event in known {
                if let Ok(at) = routes.binary_search_by_key(&event.sequence, |route| route.sequence) {
                    let endpoints = routes[at].endpoints.clone();
                    self.routed.insert(event.sequence, Routed { event, endpoints });
                }
            }
        }
    }
}

impl Consumer for Outgoing {
    const KIND: Kind = Kind { service: "notification", entity: "webhook_intake" };
    const GROUP: &'static str = "nakku-webhooks";
    const SOURCES: &'static [&'static str] = &[
        "user",
        "product",
        "inventory",
        "order",
        "cart",
        "payment",
        "delivery",
        "notification",
        "location",
        "analytics",
    ];
    type State = OnTheWay;
    type Event = Changed;
    type Command = Told;
    type Reply = ();

    fn consume(event: &SealedEnvelope) -> Result<Vec<Changed>, String> {
        // What is not on the topic of its service is no event of the shop.
        if event.topic.is_some() {
            return Ok(Vec::new());
        }
        Ok(vec![Changed::Gathered { envelope: Box::new(event.clone().opened()) }])
    }

    fn decide(state: &OnTheWay, told: Told, _: &mut Context) -> Decision<Changed, ()> {
        let changed = match told {
            Told::Routed { through, routes } => {
                let is_news = state.gathered.keys().next().is_some_and(|first| *first <= through);
                is_news.then_some(Changed::Routed { through, routes })
            }
            Told::Forwarded { sequence } => {
                state.routed.contains_key(&sequence).then_some(Changed::Forwarded { sequence })
            }
        };
        Decision::events(changed.into_iter().collect(), ())
    }

    fn evolve(state: &mut OnTheWay, event: &Changed) {
        match event {
            Changed::Gathered { envelope } => state.gather(envelope),
            Changed::Routed { through, routes } => state.route(*through, routes),
            Changed::Forwarded { sequence } => drop(state.routed.remove(sequence)),
        }
    }

    fn outstanding(state: &OnTheWay) -> Outstanding<Intake<Self>> {
        let mut outstanding = Outstanding::none();
        if let Some(first) = state.gathered.keys().next() {
            outstanding = outstanding.effect(ask_the_directory(state, *first));
        }
        for (sequence, routed) in state.routed.iter().take(SIDE_BY_SIDE_MAX) {
            outstanding = outstanding.effect(forward(*sequence, routed));
        }
        outstanding
    }

    fn room(state: &OnTheWay) -> usize {
        ON_THE_WAY_MAX.saturating_sub(state.count + state.routed.len())
    }
}

/// Named by the first event, so that what comes while the directory is asked waits for the next time.
fn ask_the_directory(state: &OnTheWay, first: u64) -> Effect<Intake<Outgoing>> {
    let events = state.gathered.values().flatten().take(BATCH_MAX).map(|event| Brief {
        sequence: event.sequence,
        event_type: event.event_type.to_string(),
        time: event.time,
    });
    let events: Vec<Brief> = events.collect();
    let through = events.last().map_or(first, |event| event.sequence);
    let call = Call::ask(&webhook_directory::reference(), &webhook_directory::Command::Route { events });
    Effect::new("route", first, vec![call], move |answers| {
        let Ok(webhook_directory::Reply::Routes { routes }) = answers[0].of::<Directory>() else {
            // The runtime takes that for a failed attempt and asks again.
            panic!("the directory answers a question for routes with routes")
        };
        IntakeCommand::Own(Told::Routed { through, routes })
    })
}

fn forward(sequence: u64, routed: &Routed) -> Effect<Intake<Outgoing>> {
    let deliver = webhook::Command::Deliver { event: Box::new(routed.event.clone()) };
    let calls = routed.endpoints.iter().map(|endpoint| Call::ask(&Ref::<Webhook>::new(endpoint.clone()), &deliver));
    // A refusal is as good: what an endpoint won't take it never will.
    Effect::new("forward", sequence, calls.collect(), move |_| IntakeCommand::Own(Told::Forwarded { sequence }))
}
