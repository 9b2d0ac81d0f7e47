use std::collections::BTreeMap;

use nakku_cluster::events::intake::{self, key_of};
use nakku_cluster::events::{Consumer, Envelope, Intake};
use nakku_cluster::{Answer, Context, EntityState, Key, Timestamp};
use serde_json::json;

use super::command::{Email, MESSAGES_MAX, Preferences};
use super::mailer::MailAnswer;
use super::template::{Language, Template};
use super::*;
use crate::simulation::{Faults, Random, World, with_seeds};

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

fn tell(state: &mut State, command: Command) -> Result<Reply, Rejection> {
    let mut context = Context::new(key("u-1"), Timestamp(1_000), 0, 1, 7);
    let decision = Inbox::decide(state, command, &mut context)?;
    for event in &decision.events {
        Inbox::evolve(state, event);
    }
    Ok(decision.reply)
}

fn deliver(cause: &str, template: Template) -> Command {
    let values = BTreeMap::from([("user".to_owned(), "u-1".to_owned())]);
    Command::Deliver { cause: cause.into(), template, values, at: Timestamp(5) }
}

fn email(state: &State, number: u64) -> Email {
    state.messages.get(&number).unwrap().email.clone()
}

#[test]
fn one_message_for_each_cause_and_no_more_than_an_inbox_keeps() {
    let mut state = State::default();
    for round in 0..2 {
        for cause in 0..MESSAGES_MAX {
            tell(&mut state, deliver(&format!("c-{cause}"), Template::OrderConfirmed)).unwrap();
        }
        assert_eq!(state.head.last_number, MESSAGES_MAX as u64, "{round}");
    }
    tell(&mut state, deliver("one more", Template::Welcome)).unwrap();
    assert_eq!((state.messages.len(), state.messages.keys().next()), (MESSAGES_MAX, Some(&2)));
    let Reply::Messages { messages, unread, .. } =
        tell(&mut state, Command::List { before: Some(100), limit: 3 }).unwrap()
    else {
        panic!("other than messages")
    };
    assert_eq!(messages.iter().map(|message| message.number).collect::<Vec<_>>(), [99, 98, 97]);
    assert_eq!(unread, MESSAGES_MAX as u64);
    tell(&mut state, Command::MarkRead { through: u64::MAX }).unwrap();
    assert_eq!((state.head.read_through, state.unread()), (201, 0));
    tell(&mut state, Command::MarkRead { through: 3 }).unwrap();
    assert_eq!(state.head.read_through, 201, "what is read stays read");
}

#[test]
fn an_email_is_sent_as_the_user_wants_it() {
    let mut state = State::default();
    tell(&mut state, deliver("c-1", Template::OrderConfirmed)).unwrap();
    tell(&mut state, deliver("c-2", Template::RiderAssigned)).unwrap();
    assert_eq!((email(&state, 1), email(&state, 2)), (Email::Reaching, Email::Unwanted));
    let contact = command::Contact { email: "a@example.com".into(), name: "A".into() };
    tell(&mut state, Command::Reached { number: 1, contact: Some(contact.clone()) }).unwrap();
    assert_eq!(email(&state, 1), Email::Sending { contact, language: Language::En });
    tell(&mut state, Command::Mailed { number: 1, answer: MailAnswer::Sent }).unwrap();
    assert_eq!(email(&state, 1), Email::Sent { at: Timestamp(1_000) }, "the address is forgotten");
    let late = MailAnswer::Refused { reason: "late".into() };
    tell(&mut state, Command::Mailed { number: 1, answer: late }).unwrap();
    assert_eq!(email(&state, 1), Email::Sent { at: Timestamp(1_000) });

    let muted = [Template::OrderDelivered].into();
    let preferences = Preferences { language: Language::Hi, email: true, muted };
    tell(&mut state, Command::Prefer { preferences }).unwrap();
    tell(&mut state, deliver("c-3", Template::OrderDelivered)).unwrap();
    assert_eq!(email(&state, 3), Email::Unwanted);
    tell(&mut state, deliver("c-4", Template::OrderConfirmed)).unwrap();
    tell(&mut state, Command::Reached { number: 4, contact: None }).unwrap();
    assert!(matches!(email(&state, 4), Email::Failed { .. }));
}

#[test]
fn causes_and_values_are_bounded() {
    let mut state = State::default();
    for (cause, value) in [("", "x"), (&"x".repeat(200), "x"), ("a\nb", "x"), ("c", &"x".repeat(300)), ("c", "a\u{7}")]
    {
        let values = BTreeMap::from([("order".to_owned(), value.to_owned())]);
        let command = Command::Deliver { cause: cause.into(), template: Template::Welcome, values, at: Timestamp(0) };
        assert!(tell(&mut state, command).is_err(), "{cause:?} {value:?}");
    }
    assert_eq!(state.head().last_number, 0);
}

fn envelope(sequence: u64, event_type: &str, data: serde_json::Value) -> Envelope {
    serde_json::from_value(json!({
        "specversion": "1.0", "id": format!("1-order-3-{sequence}"), "source": "/nakku/order/3", "type": event_type,
        "subject": "u-1.o-1", "time": "2026-01-01T00:00:00Z", "datacontenttype": "application/json",
        "dataschema": format!("urn:nakku:event:{event_type}:1"), "service": "order", "shard": 3,
        "sequence": sequence.to_string(), "previous": (sequence - 1).to_string(), "data": data,
    }))
    .unwrap()
}

fn confirmed(sequence: u64) -> Envelope {
    envelope(
        sequence,
        "order.confirmed",
        json!({ "order": "u-1.o-1", "user": "u-1", "store": "s-1", "total_minor": 12_050, "captured_minor": 0,
            "placed_at_ms": 1, "confirmed_at_ms": 2, "promised_minutes": 11 }),
    )
}

#[test]
fn events_become_messages() {
    let consumed = Notices::consume(&confirmed(4).closed()).unwrap();
    let [super::intake::Changed::Noticed { notice }] = consumed.as_slice() else { panic!("{consumed:?}") };
    assert_eq!((notice.user.as_str(), notice.template, notice.sequence), ("u-1", Template::OrderConfirmed, 4));
    let text = notice.template.text(Language::En, &notice.values);
    assert_eq!(text.body, "Order u-1.o-1 over ₹120.50 is confirmed and will be with you in about 11 minutes.");
    // What no message tells of, and what can't be read.
    assert_eq!(Notices::consume(&envelope(5, "order.created", json!({})).closed()).unwrap(), []);
    Notices::consume(&envelope(6, "order.confirmed", json!({ "order": "u-1.o-1" })).closed()).unwrap_err();
}

/// Whatever the order and however often things happen, each cause is one message and one e-mail.
#[test]
fn every_cause_is_told_once_whatever_goes_wrong() {
    with_seeds(20, |seed| {
        let mut world = World::new(&[service(false)], seed);
        world.faults = Faults::MANY;
        let profile = json!({ "reply": "profile", "email": "asha@example.com", "name": "Asha", "roles": ["customer"],
            "store": null, "addresses": [], "registered_at": 1, "last_login_at": null });
        world.stand_in("user.user", Box::new(move |_, _| Answer::Reply(serde_json::to_vec(&profile).unwrap())));
        world.stand_in(mailer::MAILER, Box::new(|_, _| Answer::Reply(serde_json::to_vec(&MailAnswer::Sent).unwrap())));
        let mut random = Random::new(seed);
        let source = key_of("order", 3);
        let count = 1 + random.below(40);
        let events: Vec<Envelope> = (1..=count).map(confirmed).collect();
        let mut high_water = 0;
        while high_water < count {
            // Batches overlap with what was handed in before.
            let from = random.below(high_water + 1) as usize;
            let through = (from as u64 + 1 + random.below(10)).min(count) as usize;
            let command = intake::Command::Consume {
                events: events[from..through].iter().cloned().map(Envelope::closed).collect(),
                complete: false,
            };
            let reply = world.ask::<Intake<Notices>>(&source, &command).unwrap();
            let intake::Reply::Consumed(progress) = reply else { panic!("{reply:?}") };
            assert_eq!((progress.refused, progress.lacks), (None, None));
            high_water = progress.high_water;
            for _ in 0..random.below(10) {
                world.step();
            }
        }
        world.settle();
        let list = Command::List { before: None, limit: 100 };
        let Reply::Messages { messages, .. } = world.ask::<Inbox>(&key("u-1"), &list).unwrap() else { panic!() };
        assert_eq!(messages.len() as u64, count);
        assert!(messages.iter().all(|message| matches!(message.email, Email::Sent { .. })), "{messages:?}");
    });
}

#[test]
fn an_erased_user_is_told_nothing_any_more() {
    let erased = |sequence| envelope(sequence, "user.erased", json!({ "user": "u-1", "erased_at_ms": 9 }));
    let mut world = World::new(&[service(false)], 1);
    world.stand_in("user.user", Box::new(|_, _| Answer::Rejected(br#"{"rejection":"not_found"}"#.to_vec())));
    let source = key_of("order", 3);
    let hindi = Preferences { language: Language::Hi, email: true, muted: [].into() };
    world.ask::<Inbox>(&key("u-1"), &Command::Prefer { preferences: hindi.clone() }).unwrap();
    for events in [vec![confirmed(1)], vec![erased(2), confirmed(3)]] {
        let events = events.into_iter().map(Envelope::closed).collect();
        let command = intake::Command::Consume { events, complete: false };
        world.ask::<Intake<Notices>>(&source, &command).unwrap();
        world.settle();
    }
    let list = Command::List { before: None, limit: 100 };
    for _ in 0..2 {
        let Reply::Messages { messages, unread, language, .. } = world.ask::<Inbox>(&key("u-1"), &list).unwrap() else {
            panic!("other than messages")
        };
        assert_eq!((messages, unread, language), (Vec::new(), 0, Language::En));
        assert_eq!(world.ask::<Inbox>(&key("u-1"), &deliver("late", Template::Welcome)), Err(Rejection::Erased));
        let prefer = Command::Prefer { preferences: hindi.clone() };
        assert_eq!(world.ask::<Inbox>(&key("u-1"), &prefer), Err(Rejection::Erased));
        world.ask::<Inbox>(&key("u-1"), &Command::Erase { at: Timestamp(99) }).unwrap();
    }
    // An e-mail that was under way when its message went is not asked for again, and its answer finds nothing.
    let mut state = State::default();
    tell(&mut state, deliver("c-1", Template::OrderConfirmed)).unwrap();
    let contact = command::Contact { email: "a@example.com".into(), name: "A".into() };
    tell(&mut state, Command::Reached { number: 1, contact: Some(contact) }).unwrap();
    tell(&mut state, Command::Erase { at: Timestamp(9) }).unwrap();
    tell(&mut state, Command::Mailed { number: 1, answer: MailAnswer::Sent }).unwrap();
    assert!(state.messages.is_empty() && Inbox::outstanding(&state).effects.is_empty());
    assert_eq!(state.head.erased, Some(Timestamp(9)));
}
