//! Peers that die, freeze, come back, or send what nobody understands.

use std::time::Duration;

use rustix::process::Signal;
use serde::Serialize;
use serde_json::json;

use crate::node::{Node, PATIENCE, start, wait_for};

#[tokio::test]
async fn a_killed_peer_ends_what_is_outstanding_at_once() {
    let (a, b) = Node::pair(start("a", 1), start("b", 1)).await;
    let asked = a.burst(&b, "hold", (300, 1024), PATIENCE);
    let killed = async {
        wait_for("requests to arrive", async || b.status().await["served"] == 300).await;
        b.signal(Signal::KILL);
        std::time::Instant::now()
    };
    let ((ended, _), killed) = tokio::join!(asked, killed);
    assert_eq!(ended["OutcomeUnknown"], 300, "{ended:?}");
    assert!(killed.elapsed() < Duration::from_secs(1), "{:?}", killed.elapsed());
    wait_for("a suspicion", async || a.status().await["suspected"] == json!(["b@1"])).await;
    assert_eq!(a.request(&b, "echo", "", "x", PATIENCE).await.how, "NotConnected");
}

#[tokio::test]
async fn requests_to_a_frozen_peer_end_by_their_deadline() {
    let mut patient = start("a", 1);
    patient.idle_timeout_ms = 60_000;
    let (a, b) = Node::pair(patient, start("b", 1)).await;
    b.signal(Signal::STOP);
    let ended = a.request(&b, "echo", "", "x", Duration::from_millis(500)).await;
    assert_eq!(ended.how, "TimedOut");
    assert!(ended.after >= Duration::from_millis(500) && ended.after < Duration::from_secs(2), "{ended:?}");
    assert_eq!(a.peer(&b.id).await["connected"], true, "the idle timer has not fired");
    b.signal(Signal::CONT);
}

#[tokio::test]
async fn a_silent_peer_is_closed_after_the_idle_timer_and_does_not_execute_what_it_missed() {
    let mut quick = [start("a", 1), start("b", 1)];
    quick.iter_mut().for_each(|start| start.idle_timeout_ms = 1_000);
    let [a, b] = quick;
    let (a, b) = Node::pair(a, b).await;
    assert_eq!(a.request(&b, "echo", "", "x", PATIENCE).await.how, "answered");
    b.signal(Signal::STOP);
    let (ended, after) = a.burst(&b, "echo", (1000, 1024), PATIENCE).await;
    assert_eq!(ended["OutcomeUnknown"], 1000, "{ended:?}");
    assert!(after < Duration::from_secs(5), "closed by the idle timer: {after:?}");
    a.wait_linked(&b.id, false).await;
    assert!(a.has_logged("the peer was silent for 1000 ms"));
    wait_for("a suspicion", async || a.status().await["suspected"] == json!(["b@1"])).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    b.signal(Signal::CONT);
    a.wait_linked(&b.id, true).await;
    assert_eq!(a.request(&b, "echo", "", "x", PATIENCE).await.how, "answered");
    assert_eq!(b.status().await["served"], 2, "one before it froze, one on the new link");
}

#[tokio::test]
async fn a_stuck_writer_is_closed_after_its_deadline() {
    let mut stuck = start("a", 1);
    stuck.idle_timeout_ms = 60_000;
    stuck.write_timeout_ms = 1_000;
    let (a, b) = Node::pair(stuck, start("b", 1)).await;
    b.signal(Signal::STOP);
    let (ended, after) = a.burst(&b, "echo", (30, 1_000_000), Duration::from_secs(30)).await;
    assert_eq!(ended["OutcomeUnknown"], 30, "{ended:?}");
    assert!(after >= Duration::from_millis(900) && after < Duration::from_secs(5), "{after:?}");
    assert!(a.has_logged("no byte could be written for 1000 ms"));
    b.signal(Signal::CONT);
}

#[tokio::test]
async fn a_restarted_node_gets_its_links_while_its_former_life_is_frozen() {
    // In both directions of dialing.
    for (peer, restarted) in [("a", "m"), ("z", "m")] {
        let mut patient = start(peer, 1);
        patient.idle_timeout_ms = 60_000;
        let (peer, former) = Node::pair(patient, start(restarted, 1)).await;
        former.signal(Signal::STOP);
        let next = Node::spawn(start(restarted, 2)).await;
        let begun = std::time::Instant::now();
        peer.list(&[&next]).await;
        next.list(&[&peer]).await;
        peer.wait_linked(&next.id, true).await;
        next.wait_linked(&peer.id, true).await;
        assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
        assert_eq!(peer.request(&next, "echo", "", "x", PATIENCE).await.how, "answered");
        assert_eq!(peer.request(&former, "echo", "", "x", PATIENCE).await.how, "NotConnected");
        assert_eq!(peer.status().await["suspected"], json!([]), "closed because it is no longer listed");

        former.signal(Signal::CONT);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(former.request(&peer, "echo", "", "x", PATIENCE).await.how, "NotConnected");
        assert_eq!(peer.peer(&next.id).await["connected"], true, "the former life evicts nobody");
        // The former life goes on dialing where it is the one that does, and is told why not.
        if *former.id.name < *peer.id.name {
            wait_for("the refusal", async || former.has_logged("it knows generation 2 of the node")).await;
        }
    }
}

#[derive(Serialize)]
struct Header<'a> {
    service: &'a str,
    from_generation: u64,
    to_generation: u64,
    // What a newer version might add.
    shard: (&'a str, u32),
}

fn header(service: &str, from_generation: u64, to_generation: u64) -> Vec<u8> {
    let header = Header { service, from_generation, to_generation, shard: ("order", 3) };
    rmp_serde::to_vec_named(&header).unwrap()
}

#[tokio::test]
async fn what_nobody_understands_is_refused_with_its_reason_and_the_link_lives() {
    let (a, b) = Node::pair(start("a", 1), start("b", 4)).await;
    let unknown = a.raw(&b, "request-of-a-newer-version", header("echo", 1, 4)).await;
    assert_eq!(unknown.how, "Refused");
    assert!(unknown.text.contains("unknown kind of message \"request-of-a-newer-version\""), "{unknown:?}");
    for garbage in [vec![], vec![0xc1; 40], b"{\"service\":\"echo\"}".to_vec(), vec![0x9f; 3]] {
        let refused = a.raw(&b, "request", garbage).await;
        assert_eq!(refused.how, "Refused");
        assert!(refused.text.contains("undecodable header"), "{refused:?}");
    }
    for (from, to) in [(1, 3), (1, 5), (2, 4)] {
        let stale = a.raw(&b, "request", header("echo", from, to)).await;
        assert_eq!(stale.how, "Refused");
        assert!(stale.text.contains("stale generation"), "{stale:?}");
    }
    assert_eq!(b.status().await["served"], 0, "none of it was executed");

    let newer = a.raw(&b, "request", header("echo", 1, 4)).await;
    assert_eq!((newer.how.as_str(), newer.text.as_str()), ("answered", "body"), "a field more is no harm");
    assert_eq!(a.peer(&b.id).await["in_flight"], 0, "refusals give credits back");
    assert_eq!(a.status().await["suspected"], json!([]));
}

#[tokio::test]
async fn a_panic_of_the_target_is_answered_and_the_link_lives() {
    let (a, b) = Node::pair(start("a", 1), start("b", 1)).await;
    let ended = a.request(&b, "panic", "", "x", PATIENCE).await;
    assert_eq!(ended.how, "OutcomeUnknown");
    assert!(ended.after < Duration::from_secs(2), "{ended:?}");
    let ended = a.request(&b, "size", &((1 << 20) + 1).to_string(), "x", PATIENCE).await;
    assert_eq!(ended.how, "OutcomeUnknown", "its answer is too large to send");
    assert_eq!(a.request(&b, "echo", "", "x", PATIENCE).await.how, "answered");
    assert_eq!(a.peer(&b.id).await["in_flight"], 0);
    assert_eq!(a.status().await["suspected"], json!([]));
}
