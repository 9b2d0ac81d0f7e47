//! What a webhook wants from others: that the directory knows what it wants, and that the sender makes the attempts
//! that have begun; and to be awake when the next one is due.

use nakku_cluster::{Call, Effect, Key, Outstanding};

use super::command::{Command, Status};
use super::sender::{Outcome, SENDER, SendAnswer, SendRequest};
use super::state::{Delivery, Endpoint, Stage};
use super::{State, Webhook};
use crate::notification::webhook_directory::{self, Directory};

/// After so many tries in which not even the sender answered, the attempt has failed; with the runtime's backoff that
/// is a matter of a few minutes.
const SENDER_TRIES_MAX: u32 = 60;

/// See the module.
pub fn outstanding(state: &State) -> Outstanding<Webhook> {
    let mut outstanding = Outstanding::none();
    if let Some(id) = state.head.id.as_ref().filter(|_| state.head.registered < state.head.revision) {
        outstanding = outstanding.effect(register(state, id));
    }
    let Some(endpoint) = &state.head.endpoint else { return outstanding };
    let under_way = state.sending.iter().filter_map(|delivery| send(endpoint, state.deliveries.get(delivery)?));
    for effect in under_way {
        outstanding = outstanding.effect(effect);
    }
    match state.next_attempt_at() {
        Some(at) if endpoint.status == Status::Enabled => outstanding.wake(at, Command::Due),
        _ => outstanding,
    }
}

fn register(state: &State, id: &Key) -> Effect<Webhook> {
    let revision = state.head.revision;
    let enabled = state.head.endpoint.as_ref().filter(|endpoint| endpoint.status == Status::Enabled);
    let types = enabled.map(|endpoint| endpoint.types.clone()).unwrap_or_default();
    let set = webhook_directory::Command::Set { endpoint: id.clone(), revision, types };
    let call = Call::ask(&webhook_directory::reference(), &set);
    Effect::new("register", revision, vec![call], move |answers| {
        let accepted = answers[0].of::<Directory>().is_ok();
        Command::Registered { revision, accepted }
    })
}

fn send(endpoint: &Endpoint, delivery: &Delivery) -> Option<Effect<Webhook>> {
    let Stage::Sending { attempt } = delivery.stage else { return None };
    let request = SendRequest {
        url: endpoint.url.clone(),
        secret: endpoint.secret.clone(),
        previous: endpoint.previous.clone(),
        event_id: delivery.event.id.clone(),
        body: serde_json::to_string(&delivery.event).ok()?,
    };
    let call = Call::provider(SENDER, &request);
    let effect = Effect::new("send", attempt, vec![call], move |answers| Command::Attempted {
        attempt,
        answer: answers[0].provided(),
    });
    let outcome = Outcome::Unanswered { reason: "this node could not send it".into() };
    let given_up = Command::Attempted { attempt, answer: SendAnswer { outcome, took_ms: 0 } };
    Some(effect.give_up_after(SENDER_TRIES_MAX, given_up))
}
