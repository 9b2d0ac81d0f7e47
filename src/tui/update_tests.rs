//! What keys, answers and time change, and what is asked for then.

use nakku_cluster::inspect::TopBy;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::place::{Act, Ask, EntityName, Place, TailOf};
use super::samples::Reader;
use super::state::{Effect, Event, Mode};
use super::table::Sort;

fn entity() -> EntityName {
    EntityName { kind: "order.order".into(), key: "u-1.o-2".into() }
}

fn with_nodes() -> Reader {
    let mut reader = Reader::new();
    reader.answered();
    reader
}

/// At the page of an entity.
fn with_entity() -> Reader {
    let mut reader = with_nodes();
    reader.keys("eorder.order/u-1.o-2");
    reader.key(KeyCode::Enter);
    reader.answered();
    reader
}

#[test]
fn what_is_in_front_is_asked_for_again_and_again_but_once_at_a_time() {
    let mut reader = Reader::new();
    assert_eq!(reader.asked(), Some(&Ask::Nodes));
    reader.after(5_000);
    assert_eq!(reader.asked(), None, "the first is not answered yet");
    reader.answered();
    assert_eq!(reader.asked(), Some(&Ask::Nodes), "it is due");
    reader.answered();
    assert_eq!(reader.asked(), None);
    reader.after(1_000);
    assert_eq!(reader.asked(), None);
    reader.after(1_000);
    assert_eq!(reader.asked(), Some(&Ask::Nodes));
    reader.unanswered("nobody is there");
    assert_eq!(reader.asked(), None, "what fails is not asked in a tight loop");
    reader.after(2_000);
    assert_eq!(reader.asked(), Some(&Ask::Nodes));
}

#[test]
fn answers_to_pages_that_are_left_are_dropped() {
    let mut reader = Reader::new();
    let first = reader.state.asked.clone().expect("a question is open");
    reader.keys("2");
    assert_eq!(reader.asked(), Some(&Ask::Shards));
    let result = Ok(super::samples::content(&first.ask));
    reader.happens(Event::Looked { number: first.number, result });
    assert!(reader.state.page().content.is_none() && reader.state.asked.is_some());
    reader.answered();
    assert!(reader.state.page().content.is_some());
}

#[test]
fn a_pause_asks_for_nothing_but_what_is_empty() {
    let mut reader = with_nodes();
    reader.keys(" ");
    reader.after(60_000);
    assert_eq!(reader.asked(), None);
    assert_eq!(reader.state.stale_ms(), None, "who pauses knows that it is old");
    reader.keys("2");
    assert_eq!(reader.asked(), Some(&Ask::Shards));
    reader.answered();
    reader.keys("1");
    assert_eq!(reader.asked(), None);
    reader.keys("r");
    assert_eq!(reader.asked(), Some(&Ask::Nodes));
    reader.answered();
    reader.keys(" ");
    assert_eq!(reader.asked(), Some(&Ask::Nodes));
}

#[test]
fn enter_goes_down_and_esc_comes_back() {
    let mut reader = with_nodes();
    reader.keys("j");
    reader.key(KeyCode::Enter);
    assert_eq!(reader.title(), "shards of node-2");
    reader.answered();
    reader.key(KeyCode::Enter);
    assert_eq!(reader.title(), "moves of order/1");
    reader.key(KeyCode::Esc);
    reader.key(KeyCode::Backspace);
    assert_eq!(reader.title(), "nodes");
    assert_eq!(reader.state.page().row(reader.state.now_at_ms).expect("a row").id, "node-2@4");
    reader.key(KeyCode::Esc);
    assert_eq!(reader.title(), "nodes", "there is nothing before it");

    reader.keys("3");
    reader.answered();
    reader.key(KeyCode::Enter);
    assert_eq!(reader.title(), "commands of order.order");
    reader.answered();
    reader.key(KeyCode::Enter);
    assert_eq!(reader.title(), "order.order by messages");
    reader.answered();
    reader.key(KeyCode::Enter);
    assert_eq!(reader.title(), "order.order/u-1.o-2");
    reader.answered();
    reader.key(KeyCode::Enter);
    assert_eq!(reader.asked(), Some(&Ask::Entity { entity: entity(), version: Some(3), back: 0 }));
    reader.answered();
    reader.after(10_000);
    assert_eq!(reader.asked(), None, "what was stays as it was");
    assert_eq!(reader.state.stale_ms(), None);
    reader.keys("5");
    assert_eq!(reader.title(), "order.order/u-1.o-2", "the last one that was opened has a tab");
}

#[test]
fn views_are_reached_by_number_and_by_tab() {
    let mut reader = with_nodes();
    for title in
        ["shards", "types", "top by messages", "no entity yet", "live tail", "moves", "infrastructure", "nodes"]
    {
        reader.key(KeyCode::Tab);
        assert_eq!(reader.title(), title);
    }
    reader.key(KeyCode::BackTab);
    assert_eq!(reader.title(), "infrastructure");
    reader.keys("5");
    assert!(matches!(reader.state.mode, Mode::Prompt { .. }), "an entity is asked for");
}

#[test]
fn rows_are_sorted_and_filtered() {
    let mut reader = with_nodes();
    reader.keys("2");
    reader.answered();
    reader.keys("ss");
    assert_eq!(reader.state.page().sort, Some(Sort { column: 1, reverse: false }));
    let first = |reader: &Reader| reader.state.page().row(reader.state.now_at_ms).map(|row| row.id);
    assert_eq!(first(&reader).as_deref(), Some("order/29"));
    reader.keys("S");
    assert_eq!(first(&reader).as_deref(), Some("order/0"));
    reader.keys(&"s".repeat(14));
    assert_eq!(reader.state.page().sort, Some(Sort { column: 0, reverse: false }), "it goes round");
    reader.keys("/USER");
    assert_eq!(first(&reader).as_deref(), Some("user/0"));
    reader.key(KeyCode::Enter);
    reader.key(KeyCode::Esc);
    assert_eq!(reader.state.page().filter, "");
    assert_eq!(reader.title(), "shards");
}

#[test]
fn the_reader_stays_at_a_row_while_others_come_and_go() {
    let mut reader = with_nodes();
    reader.keys("j");
    let number = {
        reader.keys("r");
        reader.state.asked.as_ref().expect("a question is open").number
    };
    let super::answers::Content::Nodes(mut listed) = super::samples::content(&Ask::Nodes) else {
        panic!("the sample has nodes")
    };
    listed.items.reverse();
    reader.happens(Event::Looked { number, result: Ok(super::answers::Content::Nodes(listed)) });
    let page = reader.state.page();
    assert_eq!(page.position(&page.table(reader.state.now_at_ms)), 0);
    assert_eq!(page.row(reader.state.now_at_ms).expect("a row").id, "node-2@4");
}

#[test]
fn nothing_is_done_without_a_reason_and_a_yes() {
    let mut reader = with_entity();
    reader.keys("p");
    reader.key(KeyCode::Enter);
    assert!(matches!(reader.state.mode, Mode::Prompt { .. }), "an empty reason is none");
    reader.keys("it hangs q?");
    reader.key(KeyCode::Enter);
    assert!(matches!(reader.state.mode, Mode::Confirm { .. }));
    reader.keys("qx ");
    assert!(matches!(reader.state.mode, Mode::Confirm { .. }) && !reader.state.over, "neither yes nor no");
    reader.keys("n");
    assert!(reader.effects.iter().all(|effect| !matches!(effect, Effect::Act { .. })));
    reader.keys("p");
    reader.keys("it hangs");
    reader.key(KeyCode::Enter);
    reader.keys("y");
    let act = Act::Passivate(entity());
    assert_eq!(reader.effects, [Effect::Act { act: act.clone(), reason: "it hangs".into() }]);
    reader.happens(Event::Acted { act, result: Ok("done".into()) });
    assert!(reader.state.notice.as_ref().is_some_and(|notice| notice.text == "passivate order.order/u-1.o-2: done"));
    assert!(reader.asked().is_some(), "it is looked at again at once");
    reader.after(10_000);
    assert_eq!(reader.state.notice, None);
}

#[test]
fn a_shard_is_moved_to_a_node_that_there_is() {
    let mut reader = with_nodes();
    reader.keys("m");
    assert!(reader.state.notice.as_ref().is_some_and(|notice| notice.text.contains("needs a shard")));
    reader.keys("2");
    reader.answered();
    reader.keys("mnode-9");
    reader.key(KeyCode::Enter);
    assert!(reader.state.notice.as_ref().is_some_and(|notice| notice.text.contains("there are node-1, node-2")));
    reader.keys("mnode-2");
    reader.key(KeyCode::Enter);
    reader.keys("hot");
    reader.key(KeyCode::Enter);
    reader.keys("y");
    let act = Act::Move { service: "order".into(), number: 0, node: "node-2".into() };
    assert_eq!(reader.effects, [Effect::Act { act, reason: "hot".into() }]);
    reader.keys("1");
    reader.keys("ddisk");
    reader.key(KeyCode::Enter);
    reader.keys("y");
    assert_eq!(reader.effects, [Effect::Act { act: Act::Drain("node-1".into()), reason: "disk".into() }]);
}

#[test]
fn a_tail_is_followed_while_it_is_in_front() {
    let mut reader = with_nodes();
    reader.keys("6");
    let number = reader.state.last_number;
    assert_eq!(reader.effects, [Effect::Follow { number, of: Some(TailOf::default()) }]);
    reader.keys(" ");
    assert_eq!(reader.effects, [Effect::Follow { number: number + 1, of: None }]);
    reader.keys(" ");
    assert_eq!(reader.effects, [Effect::Follow { number: number + 2, of: Some(TailOf::default()) }]);
    reader.keys("3");
    assert!(reader.effects.contains(&Effect::Follow { number: reader.state.following.0, of: None }));
    reader.answered();
    reader.keys("f");
    assert_eq!(reader.title(), "live tail of order.order");
}

#[test]
fn top_goes_through_what_entities_stand_out_by() {
    let mut reader = with_nodes();
    reader.keys("4");
    reader.answered();
    for by in [TopBy::Time, TopBy::Mailbox, TopBy::State, TopBy::Messages] {
        reader.keys("b");
        assert_eq!(reader.asked(), Some(&Ask::Top(by)));
        assert!(reader.state.page().content.is_none(), "other figures are not shown under its name");
    }
}

#[test]
fn another_node_is_told_of() {
    let mut reader = with_nodes();
    let instead = Some("http://127.0.0.1:7947".to_owned());
    reader.happens(Event::Endpoint { url: "http://127.0.0.1:9".into(), instead });
    assert_eq!(reader.state.endpoint, "http://127.0.0.1:9");
    let notice = reader.state.notice.as_ref().expect("it is told");
    assert_eq!(notice.text, "http://127.0.0.1:7947 does not answer; asking http://127.0.0.1:9");
}

#[test]
fn there_are_ways_out() {
    let mut reader = with_nodes();
    reader.keys("/q");
    assert!(!reader.state.over, "a q that is typed is a letter");
    let key = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    reader.happens(Event::Key(key));
    assert!(reader.state.over);
    let mut reader = with_nodes();
    reader.keys("q");
    assert!(reader.state.over);
    let mut reader = with_nodes();
    reader.happens(Event::Stop);
    assert!(reader.state.over);
}

#[test]
fn going_round_in_circles_keeps_no_more_than_some_pages() {
    let mut reader = with_entity();
    for _ in 0..100 {
        reader.keys("eorder.order u-1.o-2");
        reader.key(KeyCode::Enter);
    }
    assert!(reader.state.tabs[0].len() <= 20);
    for _ in 0..100 {
        reader.key(KeyCode::Esc);
    }
    assert_eq!(reader.state.page().place, Place::Nodes);
    reader.keys("enonsense");
    reader.key(KeyCode::Enter);
    assert_eq!(reader.state.page().place, Place::Nodes);
    assert!(reader.state.notice.as_ref().is_some_and(|notice| notice.bad));
}
