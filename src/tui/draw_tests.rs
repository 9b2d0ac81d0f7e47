//! Every view on the smallest usual terminal.

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::KeyCode;

use super::answers::{Content, TAIL_KEPT};
use super::draw::draw;
use super::samples::{self, NOW, Reader};
use super::state::{Event, Followed, State};

fn drawn_at(state: &State, width: u16, height: u16) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a test has a terminal");
    terminal.draw(|frame| draw(frame, state)).expect("it takes everything");
    let buffer = terminal.backend().buffer();
    let line = |y: u16| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>();
    (0..height).map(|y| line(y).trim_end().to_owned()).collect()
}

fn drawn(reader: &Reader) -> String {
    drawn_at(&reader.state, 80, 24).join("\n")
}

#[track_caller]
fn has(screen: &str, texts: &[&str]) {
    for text in texts {
        assert!(screen.contains(text), "{text:?} is not in\n{screen}");
    }
}

fn at(tab: char) -> Reader {
    let mut reader = Reader::new();
    reader.answered();
    if tab != '1' {
        reader.keys(&tab.to_string());
        reader.answered();
    }
    reader
}

#[test]
fn nodes() {
    let screen = drawn(&at('1'));
    has(&screen, &["1 nodes", "asking http://127.0.0.1:7947  live", "silent: node-3@1 (no answer within 1 s)"]);
    has(&screen, &["node-1@1 up", "held", "312 MiB", "12345", "1/2", "2h02m", "node-3@1 silent 4s"]);
}

#[test]
fn nodes_on_a_wide_screen_say_more() {
    let narrow = drawn(&at('1'));
    let wide = drawn_at(&at('1').state, 140, 24).join("\n");
    has(&wide, &["slowest", "410µs", "clock", "version", "0.1.0", "gateway,order"]);
    assert!(!narrow.contains("gateway,order"), "{narrow}");
}

#[test]
fn shards_scroll_with_the_reader() {
    let mut reader = at('2');
    has(&drawn(&reader), &["›order ", "commands/s", "marks", "shards", "31", "m move"]);
    reader.key(KeyCode::End);
    let screen = drawn(&reader);
    has(&screen, &["›user", "40029"]);
    assert!(!screen.contains("40005 "), "{screen}");
}

#[test]
fn types_and_their_commands() {
    let mut reader = at('3');
    has(&drawn(&reader), &["order.order", "user.user", "18.0ms", "failed%", "set aside", "silent: node-3@1"]);
    reader.key(KeyCode::Enter);
    reader.answered();
    has(&drawn(&reader), &["types › commands of order.order", "Confirm", "node-2@4", "overloaded 2, rejected 8"]);
}

#[test]
fn long_names_are_cut() {
    let screen = drawn(&at('4'));
    has(&screen, &["top by messages", "1280", "user.user/u-a-customer", "…", "node-2@4", "b by what"]);
    assert!(!screen.contains("on-one-line"), "{screen}");
}

#[test]
fn one_entity() {
    let mut reader = at('1');
    reader.keys("eorder.order u-1.o-2");
    has(&drawn(&reader), &["open KIND KEY: order.order u-1.o-2"]);
    reader.key(KeyCode::Enter);
    reader.answered();
    let screen = drawn(&reader);
    has(&screen, &["nodes › order.order/u-1.o-2", "loaded · on node-2@4 in shard order/7", "version 3 (3 durable)"]);
    has(&screen, &["masked: /address", "history", "confirmed", "status \"placed\"→\"confirmed\"", "p passivate"]);
    reader.key(KeyCode::Right);
    has(&drawn(&reader), &["\"status\": \"confirmed\""]);
    reader.key(KeyCode::Right);
    has(&drawn(&reader), &["Confirm", "accepted", "decided in", "40µs"]);
    reader.key(KeyCode::Right);
    has(&drawn(&reader), &["charge", "payment.payment/u-1.o-2"]);
    reader.key(KeyCode::Right);
    reader.key(KeyCode::Enter);
    reader.answered();
    has(&drawn(&reader), &["as of version 3", "past", "\"status\": \"confirmed\""]);
    reader.key(KeyCode::Right);
    has(&drawn(&reader), &["event   confirmed", "cause   request r-1", "change  status"]);
}

#[test]
fn a_live_tail() {
    let mut reader = Reader::new();
    reader.answered();
    reader.keys("6");
    has(&drawn(&reader), &["live tail", "waiting for commands"]);
    let number = reader.state.following.0;
    for command in 0..(TAIL_KEPT as u64 + 10) {
        let what = Followed::Command(Box::new(samples::tailed(command)));
        reader.happens(Event::Followed { number, what });
    }
    reader.happens(Event::Followed { number, what: Followed::Missed(12) });
    has(&drawn(&reader), &["order.order/u-1.o-509", "rejected", "1.2ms", "12 came too fast and are not shown"]);
    let Some(Content::Tail(tail)) = &reader.state.page().content else { panic!("there is a tail") };
    assert_eq!(tail.commands.len(), TAIL_KEPT);
}

#[test]
fn moves() {
    has(&drawn(&at('7')), &["order/7", "opened", "released", "lost", "death", "1m01s", "23ms", "node-3@1"]);
}

#[test]
fn what_works_behind_the_shards() {
    let mut reader = at('8');
    let screen = drawn(&reader);
    has(&screen, &[" 8 infra ", "? help", "infrastructure", "silent: node-3@1", "←→ panels  Enter shards"]);
    has(&screen, &["3 more under trouble · node-2@4: writer 1 of mysql://10.0.0.12:3306 failed"]);
    has(&screen, &["journal writer", "mysql://10.0.0.12:3306", "3/8192", " 412 ", "16.2", "21.0ms", "failed"]);
    reader.key(KeyCode::Right);
    has(&drawn(&reader), &["database default-1", "183µs", "redis", "down", "connection refus"]);
    reader.key(KeyCode::Right);
    has(&drawn(&reader), &["publisher", "rows behind", "23s", "the broker is away"]);
    reader.key(KeyCode::Right);
    has(&drawn(&reader), &["nakku-analytics", "390", "dead letters", "stuck", "rebuilding", "12 of 110 left, "]);
    has(&drawn_at(&reader.state, 140, 24).join("\n"), &["12 of 110 left, 400 of 1200 rows read", "cart, order"]);
    reader.key(KeyCode::Right);
    let screen = drawn(&reader);
    has(&screen, &["node-2@4: redis can't be used: connection refused by the server, which has no"]);
    has(&screen, &["     listener at this address", "node-2@4: events of cart wait: the broker is away"]);
    reader.key(KeyCode::Left);
    reader.key(KeyCode::Enter);
    reader.answered();
    has(&drawn(&reader), &["infrastructure › shards of node-1", "commands/s"]);
    reader.key(KeyCode::Esc);
    reader.answered();
    reader.keys("/node-2");
    has(&drawn(&reader), &["/node-2 1 of 2", "nakku-analytics"]);
}

#[test]
fn what_is_old_is_said_to_be() {
    let mut reader = at('1');
    reader.after(2_000);
    reader.unanswered("none of 3 nodes answers");
    reader.after(7_000);
    has(&drawn(&reader), &["STALE: 9s old  none of 3 nodes answers", "node-1@1"]);
    assert_eq!(reader.state.now_at_ms, NOW + 9_000);
    reader.answered();
    has(&drawn(&reader), &["live"]);
}

#[test]
fn help_prompts_and_small_screens() {
    let mut reader = at('2');
    reader.keys("?");
    has(&drawn(&reader), &["another view", "move shard", "undrain node", "any key goes back"]);
    reader.keys("x");
    reader.keys("/user");
    has(&drawn(&reader), &["filter: user", "/user 1 of 31"]);
    reader.key(KeyCode::Enter);
    reader.keys("m");
    reader.keys("node-2");
    reader.key(KeyCode::Enter);
    has(&drawn(&reader), &["move shard user/0 to node-2, reason:"]);
    reader.keys(&"a long reason ".repeat(10));
    reader.key(KeyCode::Enter);
    has(&drawn(&reader), &["move shard user/0 to node-2 because of", "… y/n"]);
    for (width, height) in [(0, 0), (1, 1), (39, 9), (40, 10), (200, 60)] {
        let lines = drawn_at(&reader.state, width, height);
        assert_eq!(lines.len(), usize::from(height));
    }
}

#[test]
fn the_way_of_a_request() {
    let mut reader = Reader::new();
    reader.keys("6");
    reader.state.page_mut().content = Some(Content::Tail(samples::tail(3)));
    reader.keys("w");
    reader.answered();
    let screen = drawn(&reader);
    has(&screen, &["live tail › path of 4bf92f35", "2 hops in 1.2ms · trace 4bf92f3577b34da6a3ce929d0e0e4736"]);
    has(&screen, &["request POST /api/v1/orders", "   ask order.order/u-1.o-2", "accepted", "silent: node-3@1"]);
    reader.key(KeyCode::End);
    reader.key(KeyCode::Enter);
    reader.answered();
    has(&drawn(&reader), &["› order.order/u-1.o-2", "version 3"]);
    reader.keys("1");
    reader.answered();
    reader.keys("w");
    has(&drawn(&reader), &["w needs a command or an event that has a trace"]);
}

#[test]
fn an_empty_tail_of_a_sample_is_drawn_too() {
    let mut reader = Reader::new();
    reader.keys("6");
    reader.state.page_mut().content = Some(Content::Tail(samples::tail(3)));
    has(&drawn(&reader), &["order.order/u-1.o-2", "7 came too fast"]);
}
