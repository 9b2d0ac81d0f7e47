//! Placement is even, steady and the same for everybody.

use std::cell::RefCell;
use std::collections::BTreeMap;

use nakku_cluster::membership::{Member, MemberState, NodeId, Roles, View};
use nakku_cluster::placement::owners;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

const SERVICE: &str = "order";

#[test]
fn counts_differ_by_one_at_most() {
    check(&(1usize..40, 1u32..300), |(nodes, shards)| {
        let owned = counts(&owners(&view(nodes), SERVICE, shards));
        let most = owned.values().max().copied().unwrap_or_default();
        let least = if owned.len() < nodes { 0 } else { owned.values().min().copied().unwrap_or_default() };
        prop_assert_eq!(owned.values().sum::<usize>(), shards as usize);
        prop_assert!(most - least <= 1, "{:?}", owned);
        Ok(())
    });
}

#[test]
fn a_join_or_a_death_moves_few_shards() {
    let mut worst: f64 = 0.0;
    check(&(1usize..20, 32u32..257, any::<prop::sample::Index>()), |(nodes, shards, which)| {
        let whole = view(nodes + 1);
        let leaving = whole.members[which.index(nodes + 1)].node.clone();
        let fewer = whole.down(&leaving, 1).expect("it was up");
        let (before, after) = (owners(&fewer, SERVICE, shards), owners(&whole, SERVICE, shards));
        let moved = before.iter().zip(&after).filter(|(one, other)| one != other).count();
        // No way around moving what the one node owns. Evenness costs more, most where a node has few shards: the
        // worst that a hundred thousand random clusters showed was four times as much.
        let unavoidable = f64::from(shards) / (nodes + 1) as f64;
        worst = worst.max(moved as f64 / unavoidable);
        prop_assert!(moved as f64 <= 4.0 * unavoidable + 3.0, "{} moved, {} at least", moved, unavoidable);
        Ok(())
    });
    println!("worst movement: {worst:.2} times the unavoidable");
}

#[test]
fn a_restarted_node_gets_its_shards_back() {
    check(&(1usize..12, 1u32..100, any::<prop::sample::Index>()), |(nodes, shards, which)| {
        let before = view(nodes);
        let old = before.members[which.index(nodes)].clone();
        let mut fresh = old.clone();
        fresh.node = NodeId::new(old.node.name.clone(), old.node.generation + 1);
        let joined = before.join(&fresh, 1).expect("newer");
        prop_assert_eq!(joined.state(&old.node), MemberState::Down);
        let after = joined.up(&fresh.node).expect("joining");
        let names = |view: &View| -> Vec<_> {
            owners(view, SERVICE, shards).into_iter().map(|owner| owner.expect("owned").name).collect()
        };
        prop_assert_eq!(names(&before), names(&after));
        prop_assert!(!owners(&after, SERVICE, shards).contains(&Some(old.node)));
        Ok(())
    });
}

#[test]
fn the_order_of_members_does_not_matter() {
    let orders = (2usize..12).prop_flat_map(|nodes| Just((0..nodes).collect::<Vec<_>>()).prop_shuffle());
    check(&(orders, 1u32..100), |(order, shards)| {
        let straight = view(order.len());
        let mut shuffled = straight.clone();
        shuffled.members = order.iter().map(|index| straight.members[*index].clone()).collect();
        prop_assert_eq!(owners(&straight, SERVICE, shards), owners(&shuffled, SERVICE, shards));
        Ok(())
    });
}

#[test]
fn services_with_the_same_nodes_are_neighbours() {
    let view = view(5);
    assert_eq!(owners(&view, "order", 32), owners(&view, "cart", 32));
}

#[test]
fn only_nodes_that_are_up_and_have_the_role_own_shards() {
    let view = view(4);
    let node = |index: usize| view.members[index].node.clone();
    let mut other = Member::joining(NodeId::new("other", 1), Roles::new(["gateway"]), "127.0.0.1:1", 1);
    other.state = MemberState::Up;
    let mut fewer = view.drain(&node(1)).expect("up").down(&node(2), 1).expect("up");
    fewer.members.push(other);
    let joining = Member::joining(NodeId::new("late", 1), Roles::new([SERVICE]), "127.0.0.1:1", 1);
    let joined = fewer.join(&joining, 0).expect("new");
    let owned = counts(&owners(&joined, SERVICE, 32));
    assert_eq!(owned.into_keys().collect::<Vec<_>>(), [node(0), node(3)]);
    assert_eq!(owners(&View::empty("empty"), SERVICE, 2), [None, None]);
}

#[test]
fn a_pin_holds_while_its_node_is_up() {
    let plain = view(3);
    let free = owners(&plain, SERVICE, 9);
    let away = plain.members.iter().find(|member| Some(&member.node) != free[4].as_ref()).expect("three").node.clone();
    let pinned = plain.pin(SERVICE, 4, Some(&away.name)).expect("new");
    let placed = owners(&pinned, SERVICE, 9);
    assert_eq!(placed[4], Some(away.clone()));
    assert!(counts(&placed).values().all(|count| *count == 3));
    assert_eq!(owners(&pinned, "cart", 9), owners(&plain, "cart", 9));
    let without = pinned.down(&away, 1).expect("up");
    assert!(owners(&without, SERVICE, 9)[4].as_ref().is_some_and(|owner| *owner != away));
}

/// Nodes that are all up and run everything.
fn view(nodes: usize) -> View {
    let mut view = View::empty("test");
    for index in 0..nodes {
        let node = NodeId::new(format!("node-{index}"), 1);
        let member = Member::joining(node.clone(), Roles::new(["order", "cart"]), "127.0.0.1:1", 1);
        view = view.join(&member, 0).and_then(|view| view.up(&node)).expect("new");
    }
    view
}

fn counts(owners: &[Option<NodeId>]) -> BTreeMap<NodeId, usize> {
    let mut counts = BTreeMap::new();
    for owner in owners.iter().flatten() {
        *counts.entry(owner.clone()).or_default() += 1;
    }
    counts
}

/// Runs a property over random cases of a printed seed, or of the one in `NAKKU_TEST_SEED`.
fn check<S: Strategy>(strategy: &S, test: impl FnMut(S::Value) -> Result<(), TestCaseError>) {
    let seed: u64 = match std::env::var("NAKKU_TEST_SEED") {
        Ok(text) => text.parse().expect("NAKKU_TEST_SEED is a number"),
        Err(_) => rand::random(),
    };
    println!("NAKKU_TEST_SEED={seed}");
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config { failure_persistence: None, ..Config::with_cases(400) };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let test = RefCell::new(test);
    runner.run(strategy, |case| (test.borrow_mut())(case)).expect("the property holds");
}
