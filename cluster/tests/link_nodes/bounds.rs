//! What is full says so at once, and memory stays bounded.

use std::time::Duration;

use rustix::process::Signal;

use crate::child::Order;
use crate::node::{Node, PATIENCE, start, wait_for};

#[tokio::test]
async fn full_is_overloaded_at_once_and_credits_come_back_with_the_answers() {
    let mut narrow = start("a", 1);
    narrow.credit_messages = 64;
    let (a, b) = Node::pair(narrow, start("b", 1)).await;
    let held = a.burst(&b, "hold", (64, 100), Duration::from_millis(700));
    let overloaded = async {
        wait_for("all credits to be taken", async || a.peer(&b.id).await["in_flight"] == 64).await;
        a.burst(&b, "echo", (1000, 100), PATIENCE).await
    };
    let ((ended, _), (refused, after)) = tokio::join!(held, overloaded);
    assert_eq!(ended["TimedOut"], 64, "{ended:?}");
    assert_eq!(refused["Overloaded"], 1000, "{refused:?}");
    assert!(after < Duration::from_millis(500), "{after:?}");

    assert_eq!(a.peer(&b.id).await["in_flight"], 64, "a caller that gives up gives nothing back");
    assert_eq!(a.request(&b, "echo", "", "x", PATIENCE).await.how, "Overloaded");
    b.order(Order::Release).await;
    wait_for("the credits", async || a.peer(&b.id).await["in_flight"] == 0).await;
    assert_eq!(a.peer(&b.id).await["in_flight_bytes"], 0);
    assert_eq!(a.request(&b, "echo", "", "x", PATIENCE).await.how, "answered");
}

#[tokio::test]
async fn credits_in_bytes_hold_too_and_come_back_when_the_link_closes() {
    let mut narrow = start("a", 1);
    narrow.idle_timeout_ms = 1_000;
    narrow.credit_bytes = 4 << 20;
    let (a, b) = Node::pair(narrow, start("b", 1)).await;
    b.signal(Signal::STOP);
    let (ended, after) = a.burst(&b, "echo", (100, 1 << 19), Duration::from_millis(200)).await;
    assert_eq!((ended["TimedOut"], ended["Overloaded"]), (7, 93), "{ended:?}");
    assert!(after < Duration::from_secs(1), "{after:?}");
    a.wait_linked(&b.id, false).await;
    assert_eq!(a.peer(&b.id).await["in_flight_bytes"], 0);
    b.signal(Signal::CONT);
    a.wait_linked(&b.id, true).await;
    let (ended, _) = a.burst(&b, "echo", (7, 1 << 19), PATIENCE).await;
    assert_eq!(ended["answered"], 7, "{ended:?}");
}

#[tokio::test]
async fn memory_is_bounded_however_much_is_asked_of_a_frozen_peer() {
    let mut patient = start("a", 1);
    (patient.idle_timeout_ms, patient.write_timeout_ms) = (60_000, 60_000);
    patient.credit_bytes = 8 << 20;
    let (a, b) = Node::pair(patient, start("b", 1)).await;
    a.burst(&b, "echo", (2000, 4096), PATIENCE).await;
    let before = a.status().await["rss_kib"].as_u64().unwrap();
    b.signal(Signal::STOP);
    let mut overloaded = 0;
    for _ in 0..20 {
        // 80 MiB each time.
        let (ended, _) = a.burst(&b, "echo", (20_000, 4096), Duration::from_millis(50)).await;
        overloaded += ended["Overloaded"];
        a.order(Order::Notice { to: None, text: "n".repeat(1 << 20) }).await;
    }
    let after = a.status().await["rss_kib"].as_u64().unwrap();
    assert!(overloaded > 390_000, "{overloaded}");
    assert!(after < before + (64 << 10), "{before} KiB before, {after} KiB after");
    b.signal(Signal::CONT);
}

#[tokio::test]
async fn answers_that_nobody_takes_are_bounded_too() {
    let mut patient = start("b", 1);
    (patient.idle_timeout_ms, patient.write_timeout_ms) = (60_000, 60_000);
    patient.credit_bytes = 4 << 20;
    let (a, b) = Node::pair(start("a", 1), patient).await;
    let order = |header: &str| Order::Burst {
        to: b.id.clone(),
        service: "size".to_owned(),
        header: header.to_owned(),
        count: 30,
        body_bytes: 1,
        deadline_ms: 3_000,
    };
    let ended = a.order(order("400000")).await;
    let ended = ended["ended"].as_object().unwrap();
    let (answered, lost) =
        (ended["answered"].as_u64().unwrap(), ended.get("OutcomeUnknown").map_or(0, |n| n.as_u64().unwrap()));
    assert!(answered >= 10 && answered + lost == 30, "12 MB of answers through a window of 4 MiB: {ended:?}");
    wait_for("the window to open again", async || {
        let again = a.order(order("100000")).await;
        again["ended"].get("answered").is_some_and(|answered| answered == 30)
    })
    .await;
}

#[tokio::test]
async fn what_is_too_large_is_not_sent() {
    let (a, b) = Node::pair(start("a", 1), start("b", 1)).await;
    let (ended, after) = a.burst(&b, "echo", (10, (1 << 20) + 1), PATIENCE).await;
    assert_eq!(ended["TooLarge"], 10, "{ended:?}");
    assert!(after < Duration::from_millis(500), "{after:?}");
    // The header ("100") counts too.
    let (ended, _) = a.burst(&b, "echo", (3, (1 << 20) - 3), PATIENCE).await;
    assert_eq!(ended["answered"], 3, "the limit itself passes: {ended:?}");
    assert_eq!(b.status().await["served"], 3);
}

#[tokio::test]
async fn a_receiver_with_less_room_refuses_what_it_has_no_room_for() {
    let mut narrow = start("b", 1);
    narrow.credit_messages = 10;
    narrow.message_bytes_max = 10_000;
    let (a, b) = Node::pair(start("a", 1), narrow).await;
    let (ended, after) = a.burst(&b, "sleep", (50, 100), PATIENCE).await;
    assert!(ended["answered"] >= 10 && ended["answered"] + ended["Overloaded"] == 50, "{ended:?}");
    assert!(after < Duration::from_secs(2), "{after:?}");
    let (ended, _) = a.burst(&b, "echo", (5, 20_000), PATIENCE).await;
    assert_eq!(ended["Refused"], 5, "{ended:?}");
    assert_eq!(a.peer(&b.id).await["in_flight"], 0);
}
