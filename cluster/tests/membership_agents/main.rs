//! The membership agents of several nodes on one real cluster database.

mod fixture;

use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use fixture::{
    CLUSTER, DEADLINE, Database, LEASE, RENEW, SERVICE, acknowledge_always, eventually, is_declared_down, sees,
    settings,
};
use nakku_cluster::membership::{Ended, MemberState, Membership, MembershipError, NodeId, View};
use nakku_cluster::placement;

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_found_at_once_found_one_cluster() {
    let database = Database::new().await;
    let names: Vec<String> = (0..6).map(|number| format!("node-{number}")).collect();
    let nodes = futures::future::join_all(names.iter().map(|name| database.join(name))).await;
    for node in &nodes {
        let view = sees(node, "all six joining", |view| view.live().count() == 6).await;
        assert_eq!((view.version, view.cluster.as_str()), (6, CLUSTER));
        assert!(placement::owners(&view, SERVICE, 32).iter().all(Option::is_none), "a joining node owns nothing");
    }
    for node in &nodes {
        acknowledge_always(node);
    }
    futures::future::join_all(nodes.iter().map(Membership::set_up)).await.into_iter().for_each(|up| {
        up.expect("up");
    });
    for node in &nodes {
        let view = sees(node, "all six up", |view| view.eligible(SERVICE).count() == 6).await;
        assert_eq!(view.version, 12);
        eventually("all have acknowledged", || *node.all_acknowledged().borrow() == 12).await;
        assert!(node.lease_valid());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_node_is_down_after_its_lease() {
    let database = Database::new().await;
    let (one, two, three) = (database.up("one").await, database.up("two").await, database.up("three").await);
    for node in [&one, &two] {
        sees(node, "three up", |view| view.eligible(SERVICE).count() == 3).await;
    }
    three.abandon();
    let died = Instant::now();
    assert!(!three.lease_valid());
    for node in [&one, &two] {
        let view = sees(node, "three down", |view| view.state(three.node()) == MemberState::Down).await;
        // Its last renewal was sent at most one round before it died.
        assert!(died.elapsed() + RENEW * 2 >= LEASE, "declared down after only {:?}", died.elapsed());
        let ended = view.member(three.node()).expect("not forgotten yet").ended;
        assert!(matches!(ended, Some(Ended::Silent { beat }) if beat > 0), "{ended:?}");
        let version = view.version;
        eventually("the survivors have acknowledged", || *node.all_acknowledged().borrow() >= version).await;
        assert!(node.lease_valid());
    }
    println!("declared down and acknowledged {:?} after its death", died.elapsed());
    assert!(one.silent_ms(two.node()) < DEADLINE.as_millis() as u64);
    assert!(!three.is_declared_down(), "an abandoned node has not been told anything");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drained_node_keeps_others_waiting_until_it_has_acknowledged() {
    let database = Database::new().await;
    let stays = database.up("stays").await;
    let goes = database.join("goes").await;
    goes.set_up().await.expect("up");
    let version = goes.drain().await.expect("draining");
    let view = sees(&stays, "draining", |view| view.state(goes.node()) == MemberState::Draining).await;
    assert!(placement::owners(&view, SERVICE, 32).iter().all(|owner| owner.as_ref() == Some(stays.node())));
    tokio::time::sleep(RENEW * 5).await;
    assert!(*stays.all_acknowledged().borrow() < version, "it has not acknowledged yet");
    goes.acknowledge(version).await;
    stays.poke();
    eventually("the drained node has acknowledged", || *stays.all_acknowledged().borrow() >= version).await;
    assert_eq!(stays.acknowledged_version(goes.node()), version);

    goes.leave().await.expect("left");
    let view = sees(&stays, "left", |view| view.state(goes.node()) == MemberState::Down).await;
    assert_eq!(view.member(goes.node()).and_then(|member| member.ended), Some(Ended::Left));
    let took = eventually("nobody waits for a node that left", || *stays.all_acknowledged().borrow() >= view.version);
    assert!(took.await < LEASE, "there is no lease to wait for");
    assert!(!goes.lease_valid() && !goes.is_declared_down());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_the_database_moves_nothing() {
    let database = Database::new().await;
    let nodes = [database.up("one").await, database.up("two").await, database.up("three").await];
    for node in &nodes {
        sees(node, "three up", |view| view.eligible(SERVICE).count() == 3).await;
    }
    let version = nodes[0].view().borrow().version;
    database.outage.store(true, Ordering::SeqCst);
    for node in &nodes {
        eventually("the lease runs out", || !node.lease_valid()).await;
        assert!(!node.store_reachable());
        assert!(node.store_health().error.is_some_and(|error| error.contains("cut on purpose")));
    }
    tokio::time::sleep(LEASE * 2).await;
    // One of them does not see the end of the outage.
    nodes[2].abandon();
    database.outage.store(false, Ordering::SeqCst);
    let back = Instant::now();
    for node in &nodes[..2] {
        eventually("the lease is back", || node.lease_valid()).await;
        assert!(node.store_reachable());
        assert_eq!(node.view().borrow().version, version, "an outage must move nothing");
    }
    sees(&nodes[0], "the dead one down", |view| view.state(nodes[2].node()) == MemberState::Down).await;
    assert!(back.elapsed() >= LEASE, "its silence counts from the end of the outage on");
    assert!(nodes[..2].iter().all(|node| !node.is_declared_down()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_cut_off_finds_itself_down_and_comes_back_as_a_new_one() {
    let database = Database::new().await;
    let stays = database.up("stays").await;
    let reached = database.reached();
    let cut = Membership::join(reached.clone(), settings("cut")).await.expect("joined");
    cut.set_up().await.expect("up");
    sees(&stays, "both up", |view| view.eligible(SERVICE).count() == 2).await;
    reached.cut.store(true, Ordering::SeqCst);
    sees(&stays, "down", |view| view.state(cut.node()) == MemberState::Down).await;
    assert!(!cut.lease_valid(), "its lease must be over before others call it down");
    assert!(!cut.is_declared_down(), "it can't know yet");
    reached.cut.store(false, Ordering::SeqCst);
    tokio::time::timeout(DEADLINE, cut.declared_down()).await.expect("it finds itself down");
    assert!(!cut.lease_valid());
    assert!(cut.set_up().await.is_err_and(|error| is_declared_down(&error)));

    let again = database.up("cut").await;
    assert_eq!(*again.node(), NodeId::new("cut", 2));
    let view = sees(&stays, "the new one up", |view| view.state(again.node()) == MemberState::Up).await;
    assert_eq!(view.state(cut.node()), MemberState::Down);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_node_comes_back_without_a_lease() {
    let database = Database::new().await;
    let stays = database.up("stays").await;
    let (joined, frozen) = mpsc::channel();
    let (freeze, freezes) = mpsc::channel::<()>();
    let (thaw, thaws) = mpsc::channel::<()>();
    let reached = database.reached();
    // A thread and a runtime of its own, all of which stand still.
    let thread = thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        runtime.block_on(async move {
            let node = Membership::join(reached.clone(), settings("frozen")).await.expect("joined");
            acknowledge_always(&node);
            node.set_up().await.expect("up");
            joined.send(node.clone()).expect("the test waits");
            loop {
                tokio::time::sleep(Duration::from_millis(5)).await;
                if reached.is_idle() && freezes.try_recv().is_ok() {
                    // Until the other has seen it down, however slow the machine: for a fixed time it might come back
                    // before that and renew its lease, as it may.
                    thaws.recv_timeout(DEADLINE * 2).expect("the test thaws it");
                    let valid = node.lease_valid();
                    tokio::time::timeout(DEADLINE, node.declared_down()).await.expect("finds itself down");
                    return valid || node.lease_valid();
                }
            }
        })
    });
    let node = tokio::task::spawn_blocking(move || frozen.recv_timeout(DEADLINE).expect("joined")).await.expect("ran");
    sees(&stays, "both up", |view| view.eligible(SERVICE).count() == 2).await;
    freeze.send(()).expect("it listens");
    let view = sees(&stays, "down", |view| view.state(node.node()) == MemberState::Down).await;
    assert!(!node.lease_valid(), "the lease runs out while it stands still");
    eventually("the successor may serve", || *stays.all_acknowledged().borrow() >= view.version).await;
    thaw.send(()).expect("it waits");
    let ever_valid = tokio::task::spawn_blocking(|| thread.join().expect("no panic")).await.expect("ran");
    assert!(!ever_valid, "it must not believe in its lease when it comes back");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_node_replaces_its_older_life_but_outwaits_its_lease() {
    let database = Database::new().await;
    let stays = database.up("stays").await;
    let old = database.up("node").await;
    sees(&stays, "both up", |view| view.eligible(SERVICE).count() == 2).await;
    eventually("the older life has renewed", || old.lease_valid()).await;
    let new = database.up("node").await;
    assert_eq!(new.node().generation, old.node().generation + 1);
    let view = sees(&stays, "replaced", |view| view.state(new.node()) == MemberState::Up).await;
    let ended = view.member(old.node()).and_then(|member| member.ended);
    assert!(matches!(ended, Some(Ended::Replaced { beat }) if beat > 0), "{ended:?}");
    tokio::time::timeout(DEADLINE, old.declared_down()).await.expect("the older life finds itself replaced");
    for node in [&stays, &new] {
        eventually("the older lease has run out", || *node.all_acknowledged().borrow() >= view.version).await;
    }
    let over = |view: &View| view.member(old.node()).is_some_and(|member| member.ended == Some(Ended::Left));
    sees(&stays, "the view says so to those who come later", over).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_serves_while_a_replaced_life_may() {
    let database = Database::new().await;
    let stays = database.up("stays").await;
    let reached = database.reached();
    let old = Membership::join(reached.clone(), settings("node")).await.expect("joined");
    acknowledge_always(&old);
    old.set_up().await.expect("up");
    sees(&stays, "both up", |view| view.eligible(SERVICE).count() == 2).await;
    // The older life hears nothing any more and goes by its lease alone.
    reached.cut.store(true, Ordering::SeqCst);
    let new = database.join("node").await;
    let replaced = sees(&stays, "replaced", |view| view.state(old.node()) == MemberState::Down).await.version;
    let mut overlapped = false;
    let began = Instant::now();
    while began.elapsed() < DEADLINE {
        // In this order: what has been acknowledged stays so, a lease only ends.
        let acknowledged = [&stays, &new].iter().any(|node| *node.all_acknowledged().borrow() >= replaced);
        overlapped |= acknowledged && old.lease_valid();
        if acknowledged && !old.lease_valid() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(!overlapped, "a successor would have served beside a valid lease");
    assert!(began.elapsed() < LEASE * 3, "and it waits no longer than a lease: {:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_cluster_delays_nobody_longer_than_a_lease() {
    let database = Database::new().await;
    for name in ["one", "two", "three"] {
        database.up(name).await.abandon();
    }
    tokio::time::sleep(LEASE * 2).await;
    let began = Instant::now();
    let new = database.up("new").await;
    let view = sees(&new, "alone", |view| view.live().count() == 1).await;
    eventually("nobody to wait for", || *new.all_acknowledged().borrow() >= view.version).await;
    println!("alone {:?} after its start", began.elapsed());
    assert!(began.elapsed() >= LEASE);
    assert!(placement::owners(&view, SERVICE, 8).iter().all(|owner| owner.as_ref() == Some(new.node())));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_feature_level_rises_when_all_support_it() {
    let database = Database::new().await;
    let at_level = |name: &str, feature_level| {
        let mut settings = settings(name);
        settings.feature_level = feature_level;
        Membership::join(database.reached(), settings)
    };
    let old = at_level("old", 1).await.expect("founded");
    let new = at_level("new", 3).await.expect("joined");
    old.set_up().await.expect("up");
    new.set_up().await.expect("up");
    tokio::time::sleep(RENEW * 4).await;
    assert_eq!(new.view().borrow().feature_level, 1);
    old.drain().await.expect("drained");
    old.leave().await.expect("left");
    sees(&new, "the level has risen", |view| view.feature_level == 3).await;
    let refused = at_level("old", 1).await.expect_err("too old now");
    assert!(matches!(refused, MembershipError::TooOld { required: 3, supported: 1 }), "{refused}");
    let mut elsewhere = settings("elsewhere");
    elsewhere.cluster = "another".to_owned();
    let refused = Membership::join(database.reached(), elsewhere).await.expect_err("another cluster");
    assert!(matches!(refused, MembershipError::OtherCluster { .. }), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn lives_that_are_over_are_forgotten() {
    let database = Database::new().await;
    let mut short = settings("stays");
    short.lease = Duration::from_millis(90);
    short.renew = Duration::from_millis(30);
    let stays = Membership::join(database.reached(), short.clone()).await.expect("joined");
    stays.set_up().await.expect("up");
    short.name = "crashes".to_owned();
    for _ in 0..3 {
        let life = Membership::join(database.reached(), short.clone()).await.expect("joined");
        life.set_up().await.expect("up");
        life.abandon();
    }
    sees(&stays, "the dead are known", |view| view.members.len() == 4).await;
    sees(&stays, "the dead are forgotten", |view| view.members.len() == 1).await;
    let began = Instant::now();
    while database.rows().await.leases.len() > 1 {
        assert!(began.elapsed() < DEADLINE, "their lease row goes too");
        tokio::time::sleep(RENEW).await;
    }
}
