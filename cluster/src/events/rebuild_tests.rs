//! Decisions of an intake that gathers anew.

use serde_json::json;

use super::*;
use crate::entity::Entity;
use crate::events::PublicEvent;
use crate::events::intake::{Gathered, Mark, Progress, key_of};
use crate::parts::{PartSet, Parts};
use crate::reference::Kind;
use crate::store::JournalRow;
use crate::time::Timestamp;

/// Refused by the consumer.
const REFUSED: u64 = 3;

#[derive(Debug)]
struct Sums;

#[derive(Debug, Default)]
struct Sum(Parts<String, u64>);

impl Gathered for Sum {
    fn parts(&mut self) -> Vec<(&'static str, &mut dyn PartSet)> {
        vec![("sum", &mut self.0)]
    }
}

impl Consumer for Sums {
    const KIND: Kind = Kind { service: "sums", entity: "intake" };
    const GROUP: &'static str = "nakku-sums";
    const SOURCES: &'static [&'static str] = &["source"];
    type State = Sum;
    type Event = u64;
    type Command = ();
    type Reply = u64;

    fn consume(event: &SealedEnvelope) -> Result<Vec<u64>, String> {
        let number: u64 = event.data()?;
        if number == REFUSED { Err("told to".into()) } else { Ok(vec![number]) }
    }

    fn decide(state: &Sum, (): (), _: &mut Context) -> Decision<u64, u64> {
        Decision::reply(state.0.get("all").copied().unwrap_or_default())
    }

    fn evolve(state: &mut Sum, event: &u64) {
        let sum = state.0.get("all").copied().unwrap_or_default() + event;
        state.0.insert("all".into(), sum);
    }
}

fn event(sequence: u64) -> SealedEnvelope {
    let row = JournalRow {
        shard: 2,
        seq: sequence,
        epoch: 1,
        writer: "node@1".into(),
        entity: "tally/t".into(),
        entity_version: sequence,
        previous_seq: sequence - 1,
        command_id: String::new(),
        event_type: "tally.raised".into(),
        payload: Vec::new(),
        occurred_at: Timestamp(0),
        traceparent: String::new(),
    };
    SealedEnvelope::sealed("source", 1, &row, PublicEvent::new("tally.raised", &json!(sequence)), sequence - 1)
}

fn page(sequences: std::ops::RangeInclusive<u64>, through: u64) -> Command<()> {
    Command::Reread(Page { events: sequences.map(event).collect(), through, begins_at: 0 })
}

fn told(state: &mut State<Sum>, command: Command<()>) -> Reply<u64> {
    let mut context = Context::new(key_of("source", 2), Timestamp(1), 0, 1, 7);
    let decision = Intake::<Sums>::decide(state, command, &mut context).expect("it is not refused");
    decision.events.iter().for_each(|event| Intake::<Sums>::evolve(state, event));
    decision.reply
}

fn sum(state: &mut State<Sum>) -> u64 {
    match told(state, Command::Own(())) {
        Reply::Own(sum) => sum,
        other => panic!("{other:?}"),
    }
}

fn consume(state: &mut State<Sum>, sequences: std::ops::RangeInclusive<u64>) -> Progress {
    match told(state, Command::Consume { events: sequences.map(event).collect(), complete: false }) {
        Reply::Consumed(progress) => progress,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_comes_meanwhile_is_owed_and_read_from_the_journal() {
    let mut state = State::<Sum>::default();
    told(&mut state, Command::Reset);
    assert!(state.head.is_whole(), "there was nothing to forget");
    assert_eq!(consume(&mut state, 1..=2).done, 2);
    told(&mut state, Command::Reset);
    assert_eq!((sum(&mut state), state.head.is_whole()), (0, false));
    assert!(effect::<Sums>(&state.head).is_some());

    let progress = consume(&mut state, 4..=6);
    assert_eq!((progress.done, progress.lacks, sum(&mut state)), (3, None, 0));
    told(&mut state, page(1..=2, 2));
    assert_eq!((sum(&mut state), state.head.is_whole()), (3, false));
    // The same page again, as after a crash, and one with an event that is refused.
    told(&mut state, page(1..=2, 2));
    told(&mut state, page(3..=5, 5));
    assert_eq!((sum(&mut state), state.head.mark()), (12, Mark { high_water: 5, incarnation: 1 }));
    told(&mut state, page(6..=6, 6));
    assert_eq!((sum(&mut state), state.head.is_whole()), (18, true));
    assert!(effect::<Sums>(&state.head).is_none());
    let Reply::DeadLetters(letters) = told(&mut state, Command::DeadLetters { after: 0, limit: 9 }) else {
        panic!("other than letters");
    };
    assert_eq!(letters.iter().map(|letter| letter.event.sequence).collect::<Vec<_>>(), [REFUSED]);
    // From here on as ever.
    assert_eq!(consume(&mut state, 7..=7).done, 1);
    assert_eq!(consume(&mut state, 9..=9).lacks, Some(8));
    assert_eq!(sum(&mut state), 25);
}

#[test]
fn an_event_that_is_refused_at_the_end_leaves_no_gap_behind() {
    let mut state = State::<Sum>::default();
    consume(&mut state, 1..=2);
    told(&mut state, Command::Reset);
    consume(&mut state, 3..=3);
    told(&mut state, page(1..=3, 3));
    assert_eq!((state.head.high_water, state.head.is_whole()), (3, true));
    assert_eq!(consume(&mut state, 4..=4).done, 1);
}

#[test]
fn rows_that_are_gone_are_told_of() {
    let mut state = State::<Sum>::default();
    consume(&mut state, 1..=2);
    told(&mut state, Command::Reset);
    told(&mut state, Command::Reread(Page { events: vec![event(2)], through: 2, begins_at: 2 }));
    let all = Rebuilding::of([(&key_of("source", 2), &state.head)]);
    assert_eq!((all.intakes_left, all.rows_read, all.rows), (0, 2, 2));
    assert_eq!(all.incomplete, [Incomplete { intake: key_of("source", 2), begins_at: 2 }]);
}
