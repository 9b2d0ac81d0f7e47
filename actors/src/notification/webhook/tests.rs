//! What becomes of deliveries: in order, over a day, and whatever goes wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use nakku_cluster::events::intake::{self, key_of};
use nakku_cluster::events::{Envelope, Intake};
use nakku_cluster::{Answer, Context, Entity, EntityState, Key, Timestamp};
use serde_json::json;

use super::command::{
    ATTEMPTS_KEPT_MAX, Attempt, DELIVERED_KEPT_MAX, DisabledReason, IN_FLIGHT_MAX, PENDING_MAX, RETRY_FOR, Replay,
    Status, View,
};
use super::sender::{Outcome, SENDER, SendAnswer, SendRequest};
use super::state::Stage;
use super::subscription::{check_types, check_url, means};
use super::{Command, Event, Rejection, Reply, SigningSecret, State, Webhook};
use crate::notification::service;
use crate::notification::webhook_intake::Outgoing;
use crate::properties::Alone;
use crate::simulation::{Faults, Random, World, with_seeds};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

fn secret() -> SigningSecret {
    SigningSecret::of(&[7; 32])
}

fn create(types: &[&str]) -> Command {
    let types = types.iter().map(|one| (*one).to_owned()).collect();
    Command::Create { url: "https://example.com/in".into(), types, secret: secret() }
}

fn envelope(sequence: u64, event_type: &'static str, time: Timestamp) -> Envelope {
    Envelope {
        specversion: "1.0".into(),
        id: format!("1-order-3-{sequence}"),
        source: "/nakku/order/3".into(),
        event_type: event_type.into(),
        subject: "u-1.o-1".into(),
        time,
        datacontenttype: "application/json".into(),
        dataschema: format!("urn:nakku:event:{event_type}:1"),
        traceparent: String::new(),
        service: "order".into(),
        shard: 3,
        sequence,
        previous: sequence - 1,
        topic: None,
        data: json!({ "order": "u-1.o-1" }),
    }
}

fn deliver(sequence: u64) -> Command {
    Command::Deliver { event: Box::new(envelope(sequence, "order.confirmed", Timestamp(1))) }
}

fn answered(attempt: u64, status: u16) -> Command {
    Command::Attempted { attempt, answer: SendAnswer { outcome: Outcome::Answered { status }, took_ms: 3 } }
}

fn made(types: &[&str]) -> Alone<Webhook> {
    let mut webhook = Alone::new("wh-1");
    webhook.tell(create(types)).unwrap();
    webhook
}

fn view(webhook: &mut Alone<Webhook>) -> View {
    match webhook.tell(Command::Get).unwrap().1 {
        Reply::Endpoint(view) => *view,
        other => panic!("{other:?}"),
    }
}

fn log(webhook: &mut Alone<Webhook>) -> Vec<Attempt> {
    match webhook.tell(Command::Attempts { before: None, limit: 200 }).unwrap().1 {
        Reply::Attempts { attempts } => attempts,
        other => panic!("{other:?}"),
    }
}

/// The attempts that are under way, by number, with what they send.
fn under_way(state: &State) -> BTreeMap<u64, String> {
    let sending = state.sending.iter().map(|delivery| state.deliveries.get(delivery).unwrap());
    sending
        .map(|delivery| match delivery.stage {
            Stage::Sending { attempt } => (attempt, delivery.event.id.clone()),
            other => panic!("{other:?}"),
        })
        .collect()
}

#[test]
fn only_public_events_can_be_wanted() {
    let check = |types: &[&str]| check_types(types.iter().map(|one| (*one).to_owned()).collect());
    assert_eq!(check(&["order.*", "order.confirmed", "order.*"]).unwrap(), ["order.*", "order.confirmed"]);
    check(&["user.address.*", "product.price.changed", "location.store.changed"]).unwrap();
    for wrong in ["", "*", ".*", "order", "order.", "order.*.x", "orders.*", "order.made", "nakku.dead_lettered"] {
        check(&[wrong]).expect_err(wrong);
    }
    check(&[]).unwrap_err();
    assert!(means("user.*", "user.address.added") && !means("user.*", "userland.x") && !means("user.*", "user"));
    assert!(!means("order.confirmed", "order.confirmed.twice"));
}

#[test]
fn addresses_are_checked() {
    for right in ["https://example.com", "https://example.com:8443/a?b=c", "https://[2001:db8::1]/x"] {
        check_url(right, false).expect(right);
    }
    check_url("http://127.0.0.1:80/x", true).unwrap();
    let long = format!("https://example.com/{}", "x".repeat(3000));
    for wrong in [
        "",
        "example.com",
        "http://example.com/",
        "ftp://example.com/",
        "file:///etc/passwd",
        "https://user@example.com/",
        "https://user:password@example.com/",
        "https://:password@example.com/",
        "https://example.com/#fragment",
        "https://exa mple.com/",
        "https://example.com/\n",
        "https:///",
        &long,
    ] {
        assert!(check_url(wrong, false).is_err(), "{wrong:?}");
    }
    assert!(check_url("gopher://example.com/", true).is_err());
    assert_eq!(check_url("https://EXAMPLE.com", false).unwrap(), "https://example.com/");
    assert_eq!(check_url("https://0x7f.1/", false).unwrap(), "https://127.0.0.1/", "in a form that can be judged");
}

#[test]
fn a_refused_delivery_is_sent_again_after_a_pause() {
    let mut webhook = made(&["order.*"]);
    webhook.tell(deliver(1)).unwrap();
    assert_eq!(under_way(&webhook.state), [(1, "1-order-3-1".to_owned())].into());
    webhook.tell(answered(1, 500)).unwrap();
    let due = view(&mut webhook).next_attempt_at.unwrap();
    let pause = due.since(webhook.now).as_millis();
    assert!((3750..=5000).contains(&pause), "{pause}");
    assert_eq!(super::outstanding::outstanding(&webhook.state).wake.unwrap().at, due);
    webhook.tell(Command::Due).unwrap();
    assert!(under_way(&webhook.state).is_empty(), "too early");
    webhook.now = due;
    webhook.tell(Command::Due).unwrap();
    assert_eq!(under_way(&webhook.state), [(2, "1-order-3-1".to_owned())].into());
    webhook.tell(answered(1, 200)).unwrap();
    assert_eq!(webhook.state.sending.len(), 1, "an answer to another attempt is none to this one");
    webhook.tell(answered(2, 204)).unwrap();
    webhook.tell(deliver(1)).unwrap();
    assert_eq!(webhook.state.pending(), 0, "a repetition is not sent again");
    let attempts = log(&mut webhook);
    let told: Vec<_> =
        attempts.iter().map(|one| (one.number, one.nth, one.event.as_str(), &one.answer.outcome)).collect();
    let status = |status| Outcome::Answered { status };
    assert_eq!(told, [(2, 2, "1-order-3-1", &status(204)), (1, 1, "1-order-3-1", &status(500))]);
    assert_eq!(view(&mut webhook).last_success_at, Some(due));
}

/// Answers all attempts with a status as time goes on, for so long.
fn let_fail(webhook: &mut Alone<Webhook>, milliseconds: i64, status: u16) -> u64 {
    let end = webhook.now.0 + milliseconds;
    let mut attempts = 0;
    loop {
        for attempt in under_way(&webhook.state).into_keys() {
            attempts += 1;
            webhook.tell(answered(attempt, status)).unwrap();
        }
        match webhook.state.next_attempt_at().filter(|at| at.0 <= end && webhook.state.is_enabled()) {
            Some(at) => {
                webhook.now = webhook.now.max(at);
                webhook.tell(Command::Due).unwrap();
            }
            None if webhook.state.sending.is_empty() => break,
            None => {}
        }
    }
    webhook.now = Timestamp(end);
    attempts
}

#[test]
fn an_endpoint_that_is_dead_for_a_day_is_disabled_and_loses_nothing() {
    let mut webhook = made(&["order.*"]);
    for sequence in 1..=3 {
        webhook.tell(deliver(sequence)).unwrap();
    }
    let_fail(&mut webhook, DAY_MS - 1, 503);
    assert_eq!(view(&mut webhook).status, Status::Enabled, "not before the day is over");
    let attempts = log(&mut webhook).len();
    assert!((30..90).contains(&attempts), "{attempts}");
    let_fail(&mut webhook, 1, 503);
    let shown = view(&mut webhook);
    let Status::Disabled { reason, at } = &shown.status else { panic!("{shown:?}") };
    assert_eq!(*at, Timestamp(1_000_000 + DAY_MS));
    assert_eq!(*reason, DisabledReason::Unreachable { last: Outcome::Answered { status: 503 } });
    assert!(reason.to_string().contains("24 hours") && reason.to_string().contains("503"), "{reason}");
    assert_eq!((shown.pending, shown.failed, shown.next_attempt_at), (0, 3, None));
    assert!(super::outstanding::outstanding(&webhook.state).wake.is_none());

    webhook.tell(deliver(4)).unwrap();
    assert_eq!(webhook.state.pending(), 0, "nothing is sent to it any more");
    let refused = webhook.tell(Command::Replay { what: Replay::Failed }).unwrap_err();
    assert!(matches!(refused, Rejection::Disabled { .. }));
    webhook.tell(Command::Update { url: None, types: None, enabled: Some(true) }).unwrap();
    let (_, replayed) = webhook.tell(Command::Replay { what: Replay::Failed }).unwrap();
    assert_eq!(replayed, Reply::Replayed { events: 3, unknown: vec![], left: 0 });
    let again: BTreeSet<String> = under_way(&webhook.state).into_values().collect();
    assert_eq!(again, ["1-order-3-1", "1-order-3-2", "1-order-3-3"].map(str::to_owned).into());
    // The day begins anew.
    let_fail(&mut webhook, DAY_MS - 1, 500);
    assert!(webhook.state.is_enabled());
}

#[test]
fn one_event_that_an_endpoint_never_takes_does_not_disable_it() {
    let mut webhook = made(&["order.*"]);
    webhook.tell(deliver(1)).unwrap();
    let_fail(&mut webhook, DAY_MS / 2, 400);
    webhook.tell(deliver(2)).unwrap();
    let attempt = webhook.state.head.last_attempt;
    webhook.tell(answered(attempt, 200)).unwrap();
    let_fail(&mut webhook, DAY_MS, 400);
    let shown = view(&mut webhook);
    assert_eq!((shown.status, shown.pending, shown.failed), (Status::Enabled, 0, 1));
}

#[test]
fn an_endpoint_that_is_gone_is_disabled_at_once() {
    let mut webhook = made(&["order.*"]);
    webhook.tell(deliver(1)).unwrap();
    webhook.tell(answered(1, 410)).unwrap();
    let shown = view(&mut webhook);
    assert!(matches!(shown.status, Status::Disabled { reason: DisabledReason::Gone, .. }), "{shown:?}");
    assert_eq!(shown.failed, 1);
}

#[test]
fn what_waits_is_bounded_and_so_is_what_is_under_way_and_kept() {
    let mut webhook = made(&["order.*"]);
    for sequence in 1..=PENDING_MAX as u64 {
        webhook.tell(deliver(sequence)).unwrap();
    }
    assert_eq!((webhook.state.pending(), webhook.state.sending.len()), (PENDING_MAX, IN_FLIGHT_MAX));
    webhook.tell(deliver(PENDING_MAX as u64 + 1)).unwrap();
    let shown = view(&mut webhook);
    assert!(matches!(shown.status, Status::Disabled { reason: DisabledReason::Backlog, .. }), "{shown:?}");
    assert_eq!((shown.pending, shown.failed), (0, PENDING_MAX as u64 + 1), "what did not fit is kept as well");

    webhook.tell(Command::Update { url: None, types: None, enabled: Some(true) }).unwrap();
    let (_, replayed) = webhook.tell(Command::Replay { what: Replay::Failed }).unwrap();
    assert_eq!(replayed, Reply::Replayed { events: PENDING_MAX as u64, unknown: vec![], left: 1 });
    let attempts = let_fail(&mut webhook, 1, 200);
    assert_eq!((attempts, webhook.state.failed.len()), (PENDING_MAX as u64, 1));
    assert_eq!(webhook.state.delivered.len(), DELIVERED_KEPT_MAX);
    assert_eq!(webhook.state.attempts.len(), ATTEMPTS_KEPT_MAX);
    assert_eq!(webhook.state.by_event.len(), webhook.state.deliveries.len());
}

#[test]
fn what_was_delivered_can_be_sent_again() {
    let mut webhook = made(&["order.*"]);
    webhook.tell(deliver(1)).unwrap();
    webhook.tell(answered(1, 200)).unwrap();
    let what = Replay::Events(vec!["1-order-3-1".into(), "1-order-3-9".into(), "1-order-3-1".into()]);
    let (_, replayed) = webhook.tell(Command::Replay { what: what.clone() }).unwrap();
    assert_eq!(replayed, Reply::Replayed { events: 1, unknown: vec!["1-order-3-9".into()], left: 0 });
    assert_eq!(under_way(&webhook.state), [(2, "1-order-3-1".to_owned())].into());
    let (events, _) = webhook.tell(Command::Replay { what }).unwrap();
    assert_eq!(events, [], "it is on its way");
    webhook.tell(Command::Replay { what: Replay::Events(vec![]) }).unwrap_err();
}

#[test]
fn another_secret_holds_beside_the_one_before_for_a_day() {
    let mut webhook = made(&["order.*"]);
    webhook.tell(deliver(1)).unwrap();
    let other = SigningSecret::of(&[9; 32]);
    webhook.tell(Command::RotateSecret { secret: other.clone() }).unwrap();
    let endpoint = webhook.state.head.endpoint.clone().unwrap();
    assert_eq!(endpoint.secret, other);
    assert_eq!(endpoint.previous, Some((secret(), Timestamp(webhook.now.0 + DAY_MS))));
    webhook.tell(Command::RotateSecret { secret: SigningSecret::new("whsec_c2hvcnQ=") }).unwrap_err();
    webhook.tell(Command::RotateSecret { secret: SigningSecret::new("secret") }).unwrap_err();
    let text = format!("{:?} {:?} {:?}", webhook.state, create(&["order.*"]), Command::RotateSecret { secret: other });
    assert!(!text.contains("BwcH") && !text.contains("CQkJ"), "a secret is never printed");
}

#[test]
fn a_deleted_webhook_is_empty_and_its_id_is_spent() {
    let mut webhook = made(&["order.*"]);
    webhook.tell(deliver(1)).unwrap();
    webhook.tell(Command::Delete).unwrap();
    assert_eq!((webhook.state.deliveries.len(), webhook.state.pending()), (0, 0));
    assert_eq!(webhook.state.columns(), [nakku_cluster::ColumnValue::Null]);
    assert_eq!(webhook.tell(Command::Get).unwrap_err(), Rejection::NotFound);
    assert_eq!(webhook.tell(create(&["order.*"])).unwrap_err(), Rejection::AlreadyExists);
    assert_eq!(webhook.tell(deliver(2)).unwrap().1, Reply::Unwanted);
}

/// Whatever comes in whatever order: indexes fit the parts, and no more is under way or waits than may.
#[test]
fn indexes_fit_whatever_comes() {
    with_seeds(20, |seed| {
        let mut random = Random::new(seed);
        let (mut state, mut now) = (State::default(), Timestamp(1_000_000));
        for turn in 0..2_000 {
            now = Timestamp(now.0 + random.below(60_000) as i64);
            let attempt = random.below(state.head.last_attempt + 2);
            let command = match random.below(40) {
                0 => create(&["order.*"]),
                1 => Command::Update { url: None, types: None, enabled: Some(random.percent(70)) },
                2 => Command::Replay { what: Replay::Failed },
                3 => Command::Replay { what: Replay::Events(vec![format!("1-order-3-{}", 1 + random.below(60))]) },
                4 => Command::Registered { revision: random.below(state.head.revision + 1), accepted: true },
                5 if turn == 1_500 => Command::Delete,
                5..=15 => deliver(1 + random.below(60)),
                16..=25 => Command::Due,
                _ => answered(attempt, *random.one_of(&[200, 200, 500, 404, 410])),
            };
            let mut context = Context::new(Key::new("wh-1").unwrap(), now, turn, 1, random.below(u64::MAX));
            if let Ok(decision) = Webhook::decide(&state, command, &mut context) {
                decision.events.iter().for_each(|event| Webhook::evolve(&mut state, event));
            }
            consistent(&state);
        }
    });
}

fn consistent(state: &State) {
    let mut loaded = State { head: state.head.clone(), deliveries: state.deliveries.clone(), ..State::default() };
    loaded.loaded();
    assert_eq!((&loaded.waiting, &loaded.sending), (&state.waiting, &state.sending));
    assert_eq!((&loaded.delivered, &loaded.failed), (&state.delivered, &state.failed));
    assert_eq!(loaded.by_event, state.by_event);
    assert!(state.sending.len() <= IN_FLIGHT_MAX && state.pending() <= PENDING_MAX);
    assert!(state.is_enabled() || state.pending() == 0, "nothing waits for a disabled endpoint");
}

/// From an intake over the directory to the endpoint: whatever goes wrong, and whoever is forgotten in the middle and
/// read back, each wanted event that occurred after the webhook was made arrives, and no other does.
#[test]
fn every_wanted_event_arrives_whatever_goes_wrong() {
    with_seeds(20, |seed| {
        let mut world = World::new(&[service(true)], seed);
        let (began, webhook) = (world.now, Key::new("wh-1").unwrap());
        world.ask::<Webhook>(&webhook, &create(&["order.*"])).unwrap();
        world.settle();
        world.faults = Faults::MANY;
        let arrived = Arc::new(Mutex::new(BTreeMap::<String, u32>::new()));
        let (sent, mut chance) = (arrived.clone(), Random::new(seed));
        let sender = move |_: &Key, request: serde_json::Value| {
            let request: SendRequest = serde_json::from_value(request).unwrap();
            assert_eq!((request.url.as_str(), &request.secret), ("https://example.com/in", &secret()));
            let body: Envelope = serde_json::from_str(&request.body).unwrap();
            assert_eq!(body.id, request.event_id);
            let taken = chance.percent(60);
            if taken {
                *sent.lock().unwrap().entry(request.event_id).or_default() += 1;
            }
            let outcome = if taken {
                Outcome::Answered { status: 200 }
            } else {
                Outcome::Unanswered { reason: "the connection was refused".into() }
            };
            Answer::Reply(serde_json::to_vec(&SendAnswer { outcome, took_ms: 1 }).unwrap())
        };
        world.stand_in(SENDER, Box::new(sender));

        let mut random = Random::new(seed);
        let count = 1 + random.below(300);
        let mut wanted = BTreeSet::new();
        let events: Vec<Envelope> = (1..=count)
            .map(|sequence| {
                let event_type = *random.one_of(&["order.created", "order.confirmed", "payment.failed"]);
                // What occurred before the webhook was made may come after it.
                let before = random.percent(20);
                let time = Timestamp(if before { began.0 - 1 } else { began.0 + random.below(1000) as i64 });
                let event = envelope(sequence, event_type, time);
                if !before && event_type.starts_with("order.") {
                    wanted.insert(event.id.clone());
                }
                event
            })
            .collect();
        let source = key_of("order", 3);
        let mut high_water = 0;
        while high_water < count {
            let from = random.below(high_water + 1) as usize;
            let through = (high_water + 1 + random.below(40)).min(count) as usize;
            let command = intake::Command::Consume {
                events: events[from..through].iter().cloned().map(Envelope::closed).collect(),
                complete: false,
            };
            let reply = world.ask::<Intake<Outgoing>>(&source, &command).unwrap();
            let intake::Reply::Consumed(progress) = reply else { panic!("{reply:?}") };
            assert_eq!((progress.refused, progress.lacks), (None, None));
            high_water = progress.high_water;
            for _ in 0..random.below(20) {
                world.step();
            }
        }
        world.settle_until(Timestamp(began.0 + DAY_MS - 1));
        let arrived: BTreeSet<String> = arrived.lock().unwrap().keys().cloned().collect();
        assert_eq!(arrived, wanted);
        let Reply::Endpoint(shown) = world.ask::<Webhook>(&webhook, &Command::Get).unwrap() else { panic!() };
        assert_eq!((shown.status, shown.pending, shown.failed), (Status::Enabled, 0, 0));
    });
}

#[test]
fn without_webhooks_nothing_is_spent_on_them() {
    let (with, without) = (service(true), service(false));
    assert!(with.consumers.iter().any(|consumer| consumer.group == "nakku-webhooks"));
    assert!(without.consumers.iter().all(|consumer| consumer.group != "nakku-webhooks"));
    assert!(without.types.iter().all(|one| !one.kind().entity.starts_with("webhook")));
    let sources = with.consumers.last().unwrap().sources;
    assert!(crate::services().iter().all(|service| sources.contains(&service.name)), "every service is a source");
}

#[test]
fn a_day_is_a_day() {
    assert_eq!(RETRY_FOR.as_millis() as i64, DAY_MS);
    let mut webhook = made(&["order.*"]);
    let (events, _) = webhook.tell(deliver(1)).unwrap();
    assert!(matches!(events[..], [Event::Queued { .. }, Event::Started { attempt: 1, delivery: 1, .. }]), "{events:?}");
}
