//! What an operator does with what an entity has outstanding.

use nakku_cluster::inspect::{Act, EffectAt, EntityAt, Question, Report};
use nakku_cluster::{Ask, Cluster, Key, Timestamp};

use crate::alone::PATIENCE;
use crate::sample::{Command, counter};
use crate::{ask, becomes, on_node, total};

fn at(key: &str) -> EntityAt {
    EntityAt { kind: "sample.counter".into(), key: Key::new(key).expect("a key"), version: None, reveal: false }
}

async fn act(cluster: &Cluster, key: &str, act: impl FnOnce(EntityAt) -> Act) -> Report {
    let target = counter(key).address();
    cluster.inspect_owner(&target, Question::Act(act(at(key)))).await.expect("the owner answers")
}

fn effect(text: &str) -> EffectAt {
    text.parse().expect("it names an effect")
}

#[track_caller]
fn refused(report: &Report, wanted: &str) {
    let (Report::Refused { reason: said } | Report::Absent { what: said }) = report else { panic!("{report:?}") };
    assert!(said.contains(wanted), "{said}");
}

#[test]
fn a_reminder_is_fired_before_its_time_and_never_cancelled() {
    on_node(async |cluster| {
        let later = Timestamp(Timestamp::now().0 + 3_600_000);
        ask(&cluster, "o-reminded", Command::RemindAt(later)).await.expect("accepted");
        // Out of the memory it is read for it.
        let left = async || {
            let look =
                cluster.inspect_owner(&counter("o-reminded").address(), Question::Entity(at("o-reminded"))).await;
            let Ok(Report::Entity(report)) = look else { panic!("{look:?}") };
            i64::from(report.presence == "passivated")
        };
        crate::alone::becomes("passivated", 1, left).await;
        let cancel = |entity| Act::CancelReminder { entity };
        refused(&act(&cluster, "o-reminded", cancel).await, "because its state says so");
        assert_eq!(left().await, 1, "nobody is woken by a refusal");

        let fire = |entity| Act::FireReminder { entity };
        let fired = act(&cluster, "o-reminded", fire).await;
        assert!(matches!(fired, Report::Acted { entities: 1 }), "{fired:?}");
        assert_eq!(total(&cluster, "o-reminded").await, 1);
        refused(&act(&cluster, "o-reminded", fire).await, "reminder of sample.counter/o-reminded");
        refused(&act(&cluster, "o-reminded", cancel).await, "reminder of sample.counter/o-reminded");
        refused(&act(&cluster, "o-nobody", fire).await, "sample.counter/o-nobody");
        assert_eq!(total(&cluster, "o-nobody").await, 0);
    });
}

#[test]
fn effects_that_fail_are_named_retried_and_kept_where_nothing_else_will_do() {
    on_node(async |cluster| {
        ask(&cluster, "o-broken", Command::Add(0)).await.expect("added");
        for _ in 0..5 {
            let target = counter("o-broken");
            cluster.ask(&target, &Command::Panic, Ask::within(PATIENCE)).await.expect_err("it panics");
        }
        for id in [7, 8] {
            let to = Key::new("o-broken").expect("a key");
            ask(&cluster, "o-source", Command::Forward { to, amount: 3, id }).await.expect("accepted");
        }
        let failed = async || {
            let look = cluster.inspect_owner(&counter("o-source").address(), Question::Entity(at("o-source"))).await;
            let Ok(Report::Entity(report)) = look else { panic!("{look:?}") };
            i64::from(report.effects.len() == 2 && report.effects.iter().all(|effect| effect.attempts >= 3))
        };
        crate::alone::becomes("failed attempts", 1, failed).await;

        // With something in flight it stays, and says so.
        let passivated = act(&cluster, "o-source", |entity| Act::Passivate { entity }).await;
        assert!(matches!(passivated, Report::Acted { entities: 0 }), "{passivated:?}");
        assert_eq!(failed().await, 1, "its effects are under way still");

        let retry = |name: &str| {
            let effect = effect(name);
            move |entity| Act::RetryEffect { entity, effect }
        };
        let give_up = |name: &str| {
            let effect = effect(name);
            move |entity| Act::GiveUpEffect { entity, effect }
        };
        refused(&act(&cluster, "o-source", retry("forward")).await, "name one of forward:7, forward:8");
        refused(&act(&cluster, "o-source", retry("forward:9")).await, "outstanding are forward:7, forward:8");
        refused(&act(&cluster, "o-source", give_up("forward:7")).await, "no way to do without");
        refused(&act(&cluster, "o-broken", retry("forward:7")).await, "set aside");

        let released = act(&cluster, "o-broken", |entity| Act::Release { entity }).await;
        assert!(matches!(released, Report::Acted { entities: 1 }), "{released:?}");
        for name in ["forward:7", "forward:8"] {
            let retried = act(&cluster, "o-source", retry(name)).await;
            // The pause may just have been over.
            assert!(matches!(retried, Report::Acted { entities: 1 } | Report::Absent { .. }), "{retried:?}");
        }
        becomes(&cluster, "o-broken", 6).await;
        // The other one knows a moment before its own effects are over.
        let left = async || {
            let look = cluster.inspect_owner(&counter("o-source").address(), Question::Entity(at("o-source"))).await;
            let Ok(Report::Entity(report)) = look else { panic!("{look:?}") };
            i64::try_from(report.effects.len()).expect("a few")
        };
        crate::alone::becomes("effects left", 0, left).await;
        refused(&act(&cluster, "o-source", retry("forward:7")).await, "nothing is outstanding");
    });
}
