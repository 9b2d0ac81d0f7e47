//! Properties of a work list by itself; how it works with deliveries and rosters is tested with the deliveries.

use nakku_cluster::{Key, Timestamp};

use super::Rider;
use super::command::{CLEARED_MAX, Command, Job, JobStage, Presence, Rejection, Reply, View};
use crate::delivery::service;
use crate::simulation::{Faults, World, with_seeds};

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

fn job(delivery: &str, attempt: u32, stage: JobStage) -> Job {
    Job {
        delivery: key(delivery),
        attempt,
        store: key("s-1"),
        address: "12, 100 Feet Road".into(),
        total_minor: 100,
        cash_due_minor: 0,
        stage,
        offer_until: Timestamp(0),
    }
}

fn view(reply: Result<Reply, Rejection>) -> View {
    match reply {
        Ok(Reply::Rider(view)) => view,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_has_left_the_list_never_comes_back_and_stages_only_rise() {
    with_seeds(40, |seed| {
        let mut world = World::new(&[service()], seed);
        world.faults = Faults::MANY;
        let rider = key("u-1");
        view(world.ask::<Rider>(&rider, &Command::GoOnline { store: key("s-1") }));
        world.settle();
        world.faults = Faults::MANY;
        let mut cleared = Vec::new();
        let mut before: Option<Job> = None;
        for _ in 0..300 {
            let delivery = format!("u-9.o-{}", world.random.below(4));
            let attempt = 1 + world.random.below(40) as u32;
            if world.random.percent(30) {
                let clear = Command::Clear { delivery: key(&delivery), attempt };
                assert_eq!(world.ask::<Rider>(&rider, &clear), Ok(Reply::Noted));
                cleared.push((key(&delivery), attempt));
            } else {
                let stage = *world.random.one_of(&[JobStage::Offered, JobStage::Assigned, JobStage::PickedUp]);
                let _ = world.ask::<Rider>(&rider, &Command::Show { job: job(&delivery, attempt, stage) });
            }
            let now = view(world.ask::<Rider>(&rider, &Command::Get)).job;
            if let Some(now) = &now {
                let gone = cleared.iter().any(|(gone, until)| *gone == now.delivery && now.attempt <= *until);
                assert!(!gone, "{now:?} had left the list");
            }
            if let (Some(before), Some(now)) = (&before, &now) {
                assert_eq!(before.delivery, now.delivery, "one delivery at a time");
                assert!((before.attempt, before.stage) <= (now.attempt, now.stage));
            }
            before = now;
        }
    });
}

#[test]
fn offers_reach_only_those_at_work() {
    let mut world = World::new(&[service()], 1);
    let rider = key("u-1");
    let show = |stage| Command::Show { job: job("u-9.o-1", 1, stage) };
    assert_eq!(world.ask::<Rider>(&rider, &show(JobStage::Offered)), Ok(Reply::Away));
    let elsewhere = Command::GoOnline { store: key("s-2") };
    view(world.ask::<Rider>(&rider, &elsewhere));
    assert_eq!(world.ask::<Rider>(&rider, &show(JobStage::Offered)), Ok(Reply::Away));
    let here = Command::GoOnline { store: key("s-1") };
    assert!(matches!(world.ask::<Rider>(&rider, &here), Err(Rejection::Elsewhere { .. })));
    view(world.ask::<Rider>(&rider, &Command::GoOffline));
    world.settle();
    assert_eq!(view(world.ask::<Rider>(&rider, &here)).presence, Presence::Coming);
    world.settle();
    assert_eq!(view(world.ask::<Rider>(&rider, &here)).presence, Presence::Online);
    assert_eq!(world.ask::<Rider>(&rider, &show(JobStage::Offered)), Ok(Reply::Noted));
    let busy = Command::Show { job: job("u-9.o-2", 1, JobStage::Offered) };
    assert_eq!(world.ask::<Rider>(&rider, &busy), Ok(Reply::Away));
    let in_hand = Err(Rejection::JobInHand { delivery: key("u-9.o-1") });
    assert_eq!(world.ask::<Rider>(&rider, &Command::GoOffline), in_hand);
    for number in 0..2 * CLEARED_MAX {
        let clear = Command::Clear { delivery: key(&format!("u-9.o-{number}")), attempt: 1 };
        assert_eq!(world.ask::<Rider>(&rider, &clear), Ok(Reply::Noted));
    }
    assert_eq!(view(world.ask::<Rider>(&rider, &Command::GoOffline)).presence, Presence::Leaving);
}
