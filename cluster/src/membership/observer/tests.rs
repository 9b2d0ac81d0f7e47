//! What an observer concludes, on a clock of the test's own.

use std::time::Duration;

use crate::membership::view::{Member, MemberState, NodeId, Roles, View};
use crate::store::LeaseRow;
use crate::time::BootTime;

use super::Observer;

const LEASE: u64 = 1000;
/// A lease and its margin.
const PATIENCE: u64 = 1100;

struct Scene {
    start: BootTime,
    view: View,
    observer: Observer,
    leases: Vec<LeaseRow>,
}

impl Scene {
    /// Three nodes that are up; the first observes.
    fn new() -> Self {
        let mut view = View::empty("test");
        for name in ["a", "b", "c"] {
            let mut member = Member::joining(node(name), Roles::new(["order"]), "127.0.0.1:1", 1);
            member.lease_ms = LEASE;
            view = view.join(&member, 0).and_then(|view| view.up(&node(name))).expect("new");
        }
        let leases = ["a", "b", "c"]
            .map(|name| LeaseRow { node: name.to_owned(), generation: 1, acknowledged_version: 6, beat: 10 })
            .to_vec();
        Self { start: BootTime::now(), view, observer: Observer::new(node("a"), Duration::from_millis(500)), leases }
    }

    fn at(&self, ms: u64) -> BootTime {
        self.start.plus(Duration::from_millis(ms))
    }

    /// A successful round; the observer's own lease goes on.
    fn round(&mut self, ms: u64) -> Vec<(NodeId, u64)> {
        self.leases[0].beat += 1;
        self.observer.observe(self.at(ms), self.at(ms + 1), &self.view, &self.leases);
        self.observer.silent(&self.view, self.at(ms))
    }

    fn rounds(&mut self, times: impl IntoIterator<Item = u64>) -> Vec<(NodeId, u64)> {
        times.into_iter().map(|ms| self.round(ms)).last().expect("a round")
    }

    fn all_acknowledged(&self) -> u64 {
        self.observer.all_acknowledged(&self.view, u64::MAX)
    }
}

fn node(name: &str) -> NodeId {
    NodeId::new(name, 1)
}

#[test]
fn silence_is_a_beat_that_stands_still_for_a_lease_and_a_margin() {
    let mut scene = Scene::new();
    for ms in (0..=PATIENCE).step_by(100) {
        scene.leases[2].beat += 1;
        assert_eq!(scene.round(ms), [], "after {ms} ms");
    }
    // The first look was at 0 and ended at 1.
    scene.leases[2].beat += 1;
    assert_eq!(scene.round(PATIENCE + 1), [(node("b"), 10)]);
    assert!(scene.observer.next_due(&scene.view, scene.at(PATIENCE)).expect("somebody") <= Duration::from_millis(1));
}

#[test]
fn an_observer_that_was_cut_off_or_stood_still_times_anew() {
    let mut scene = Scene::new();
    scene.rounds((0..=1000).step_by(100));
    scene.observer.interrupted();
    assert_eq!(scene.round(1200), []);
    assert_eq!(scene.rounds((1300..=2300).step_by(100)), []);
    assert_eq!(scene.round(2301).len(), 2);

    let mut frozen = Scene::new();
    frozen.rounds((0..=1000).step_by(100));
    assert_eq!(frozen.round(9000), [], "whoever stood still has not observed");
    assert_eq!(frozen.rounds((9100..10101).step_by(100)), []);
    assert_eq!(frozen.round(9001 + PATIENCE).len(), 2);
}

#[test]
fn a_judgement_that_came_too_late_must_be_outwaited() {
    // B was judged by its beat 10, but renewed before it was put into the view.
    let mut scene = Scene::new();
    scene.rounds((0..=1100).step_by(100));
    scene.view = scene.view.down(&node("b"), 10).expect("up");
    scene.leases[1].beat = 11;
    for row in &mut scene.leases[2..] {
        row.acknowledged_version = 7;
    }
    scene.round(1200);
    assert_eq!(scene.all_acknowledged(), 6, "its lease may be valid");
    // It goes on renewing without ever extending its lease.
    for ms in (1300..=2300).step_by(100) {
        scene.leases[1].beat += 1;
        scene.round(ms);
        assert_eq!(scene.all_acknowledged(), 6);
    }
    scene.round(1201 + PATIENCE);
    assert_eq!(scene.all_acknowledged(), 7);
}

#[test]
fn a_right_judgement_need_not_be_outwaited() {
    let mut scene = Scene::new();
    scene.round(0);
    scene.view = scene.view.down(&node("b"), 10).expect("up");
    scene.leases[2].acknowledged_version = 7;
    scene.round(100);
    assert_eq!(scene.all_acknowledged(), 7);
}

#[test]
fn the_last_beat_of_a_replaced_life_is_known() {
    let replaced = |beat: u64| {
        let mut scene = Scene::new();
        scene.rounds((0..=500).step_by(100));
        let mut again = scene.view.member(&node("b")).expect("member").clone();
        again.node.generation = 2;
        scene.view = scene.view.join(&again, beat).expect("newer");
        scene.leases[1] = LeaseRow { node: "b".to_owned(), generation: 2, acknowledged_version: 0, beat: 11 };
        scene.leases[2].acknowledged_version = 7;
        scene
    };
    // Its last renewal was seen at 1 ms.
    let mut seen = replaced(10);
    seen.rounds((600..=1100).step_by(100));
    assert_eq!(seen.all_acknowledged(), 6);
    seen.round(PATIENCE + 1);
    assert_eq!(seen.all_acknowledged(), 7);
    // It had renewed once more since.
    let mut unseen = replaced(11);
    unseen.rounds((600..=1700).step_by(100));
    assert_eq!(unseen.all_acknowledged(), 6);
    unseen.round(601 + PATIENCE);
    assert_eq!(unseen.all_acknowledged(), 7);
}

#[test]
fn whoever_joins_later_does_not_wait_for_a_lease_that_others_have_outwaited() {
    let mut scene = Scene::new();
    scene.rounds((0..=500).step_by(100));
    let mut again = scene.view.member(&node("b")).expect("member").clone();
    again.node.generation = 2;
    scene.view = scene.view.join(&again, 10).expect("newer");
    scene.leases[1] = LeaseRow { node: "b".to_owned(), generation: 2, acknowledged_version: 0, beat: 11 };
    scene.leases[0].acknowledged_version = 7;
    scene.leases[2].acknowledged_version = 7;
    scene.rounds((600..=PATIENCE).step_by(100));
    assert!(scene.observer.waited_for().is_empty(), "its lease may still hold");
    scene.round(PATIENCE + 1);
    assert!(scene.observer.waited_for().iter().eq([&node("b")]));
    let newcomer = |view: &View| {
        let mut newcomer = Observer::new(node("d"), Duration::from_millis(500));
        newcomer.observe(scene.at(PATIENCE + 2), scene.at(PATIENCE + 3), view, &scene.leases);
        newcomer.all_acknowledged(view, u64::MAX)
    };
    let up_since = scene.view.member(&node("b")).expect("member").up_since;
    assert_eq!(newcomer(&scene.view), up_since, "for all that it knows the lease still holds");
    let told = scene.view.run_out(&node("b")).expect("it is not said yet");
    assert_eq!(newcomer(&told), 7);
    assert_eq!(told.run_out(&node("b")), None, "it is said once");
    scene.view = told;
    scene.round(PATIENCE + 100);
    assert!(scene.observer.waited_for().is_empty());
}

#[test]
fn nobody_waits_for_those_who_never_served() {
    let mut scene = Scene::new();
    let joining = Member::joining(node("d"), Roles::new(["order"]), "127.0.0.1:1", 1);
    scene.view = scene.view.join(&joining, 0).expect("new");
    for row in &mut scene.leases {
        row.acknowledged_version = 7;
    }
    scene.round(0);
    assert_eq!(scene.all_acknowledged(), 7);
    // One that has just come up gives nothing away.
    scene.view = scene.view.up(&node("d")).expect("joining");
    for row in &mut scene.leases {
        row.acknowledged_version = 8;
    }
    scene.round(100);
    assert_eq!(scene.all_acknowledged(), 8);
    assert_eq!(scene.view.state(&node("d")), MemberState::Up);
}

#[test]
fn rows_without_a_member_and_lives_that_are_over_are_forgotten_in_time() {
    let mut scene = Scene::new();
    let forget = Duration::from_secs(2);
    scene.leases.push(LeaseRow { node: "zombie".to_owned(), generation: 4, acknowledged_version: 0, beat: 1 });
    scene.view = scene.view.leave(&node("b")).expect("up");
    scene.rounds((0..=1900).step_by(100));
    assert_eq!(scene.observer.forgettable(scene.at(2000), forget), []);
    assert_eq!(scene.observer.orphans(scene.at(2000), forget), []);
    assert_eq!(scene.observer.forgettable(scene.at(2001), forget), [node("b")]);
    assert_eq!(scene.observer.orphans(scene.at(2001), forget), [NodeId::new("zombie", 4)]);
    scene.leases[3].beat += 1;
    scene.round(2000);
    assert_eq!(scene.observer.orphans(scene.at(2001), forget), []);
}
