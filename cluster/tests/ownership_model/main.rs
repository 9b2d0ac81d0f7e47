//! The protocol by which nodes own shards, checked by going through everything that can happen.
//!
//! One shard, two or three nodes, a journal whose primary key decides, a cluster database with view and
//! leases. Nodes crash; transactions, renewals and swaps land late or never; answers are lost. Any node may
//! stand still between any two of its steps for as long as it takes the others to do whatever they like, so
//! freezing and coming back with writes decided on long ago needs no action of its own.
//!
//! Each rule that the protocol rests on is also left out once, which must lead to a violation.

mod model;
mod state;
mod steps;

use std::time::Instant;

use model::{Broken, Ownership};
use state::Budget;
use stateright::{Checker, CheckerBuilder, Expectation, HasDiscoveries, Model};

const THREADS: usize = 2;
/// What is asked of each search that goes to the end.
const STATES_MIN: usize = 100_000;
/// When time waits for the nodes there are fewer.
const STATES_OF_FAST_NODES: usize = 25_000;
/// Three nodes have too many states to go through all.
const STATES_OF_THREE: usize = 2_000_000;

const QUIET: Budget = Budget { crashes: 0, losses: 0, writes: 1, no_ops: 0, ticks: None };
const TWO_NODES: Ownership<2> = Ownership { broken: None, budget: QUIET, lease: 1, views_max: 2, urgent: false };

const MOVES: &str = "ownership moves";
const LATE: &str = "a late write of a former owner collides";
const COMMITTED: &str = "an unknown outcome proves committed";
const LOST: &str = "an unknown outcome proves lost";
const ALL: &str = "all writes are acknowledged";

#[test]
fn unknown_outcomes() {
    let budget = Budget { losses: 1, ..QUIET };
    holds("unknown outcomes", Ownership { budget, ..TWO_NODES }, &[MOVES, LATE, COMMITTED, LOST, ALL]);
}

#[test]
fn reads_without_a_lease() {
    let budget = Budget { no_ops: 1, writes: 2, ..QUIET };
    holds("reads without a lease", Ownership { budget, ..TWO_NODES }, &[MOVES, LATE, ALL]);
}

#[test]
fn a_crash_and_ownership_that_comes_back() {
    let budget = Budget { crashes: 1, ..QUIET };
    holds("a crash, ownership that comes back", Ownership { budget, views_max: 3, ..TWO_NODES }, &[MOVES, LATE, ALL]);
}

#[test]
fn somebody_serves_in_the_end() {
    // Time enough for a lease to run out, to be seen, and for the successor to go on.
    let budget = Budget { crashes: 1, losses: 1, writes: 2, ticks: Some(6), ..QUIET };
    let model = Ownership { budget, lease: 2, views_max: 4, urgent: true, ..TWO_NODES };
    let states = explore("fast nodes", model.checker(), &[]);
    assert!(states >= STATES_OF_FAST_NODES, "only {states} states");
}

#[test]
fn three_nodes_as_far_as_it_goes() {
    let model = Ownership::<3> { broken: None, budget: QUIET, lease: 1, views_max: 3, urgent: false };
    let states = explore("three nodes, in part", model.checker().target_state_count(STATES_OF_THREE), &[]);
    assert!(states >= STATES_MIN, "{states} states");
}

#[test]
fn without_a_claim_a_late_write_is_lost() {
    violates(Broken::NoClaim, Ownership { views_max: 3, ..TWO_NODES });
}

#[test]
fn an_unknown_outcome_can_not_be_looked_up() {
    let budget = Budget { losses: 1, ..QUIET };
    violates(Broken::UnknownBySelect, Ownership { budget, ..TWO_NODES });
}

#[test]
fn a_successor_can_not_answer_before_the_acknowledgement() {
    violates(Broken::OpenEarly, TWO_NODES);
}

#[test]
fn down_does_not_mean_that_the_lease_has_run_out() {
    violates(Broken::DownWithoutBeat, Ownership { views_max: 3, ..TWO_NODES });
}

#[test]
fn a_renewal_does_not_count_for_a_node_that_is_down() {
    violates(Broken::RenewalAfterDown, Ownership { views_max: 3, ..TWO_NODES });
}

#[test]
fn a_claim_must_not_go_over_a_higher_epoch() {
    violates(Broken::ClaimOverHigher, TWO_NODES);
}

/// Goes through all states.
fn holds<const N: usize>(name: &str, model: Ownership<N>, seen: &[&'static str]) {
    let states = explore(name, model.checker(), seen);
    assert!(states >= STATES_MIN, "only {states} states: the bounds are too narrow to show anything");
}

fn explore<const N: usize>(name: &str, checker: CheckerBuilder<Ownership<N>>, seen: &[&'static str]) -> usize {
    let began = Instant::now();
    let checker = checker.threads(THREADS).spawn_bfs().join();
    let states = checker.unique_state_count();
    println!("{name}: {states} unique states to depth {} in {:?}", checker.max_depth(), began.elapsed());
    for property in checker.model().properties() {
        let found = checker.discovery(property.name);
        match (&property.expectation, &found) {
            (Expectation::Sometimes, found) => {
                println!("  Sometimes: {}: {}", property.name, if found.is_some() { "seen" } else { "not seen" });
                assert!(found.is_some() || !seen.contains(&property.name), "{}: never seen: {}", name, property.name);
            }
            (expectation, None) => println!("  {expectation:?}: {}: holds", property.name),
            (_, Some(path)) => panic!("{name}: violated: {}\n{:#?}", property.name, path.clone().into_actions()),
        }
    }
    states
}

/// Expects a violation.
fn violates<const N: usize>(rule: Broken, model: Ownership<N>) {
    let model = Ownership { broken: Some(rule), ..model };
    let checker = model.checker().threads(THREADS).finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    let properties = checker.model().properties();
    let required = properties.iter().filter(|property| property.expectation != Expectation::Sometimes);
    let violated = required.filter_map(|property| Some((property.name, checker.discovery(property.name)?))).next();
    let (name, path) = violated.unwrap_or_else(|| panic!("{rule:?} is not noticed"));
    let actions = path.into_actions();
    println!("{rule:?}: \"{name}\" is violated after {} steps, {} states", actions.len(), checker.unique_state_count());
    for action in actions {
        println!("  {action:?}");
    }
}
