//! One node on a real SQLite file: entities, effects, reminders, failures.

#[path = "../support/alone.rs"]
mod alone;
mod operate;
mod sample;
#[path = "../support/settings.rs"]
mod settings;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use alone::PATIENCE;
use async_trait::async_trait;
use nakku_cluster::membership::Roles;
use nakku_cluster::node::{Node, NodeSettings};
use nakku_cluster::provider::{Provider, ProviderError};
use nakku_cluster::runtime::RuntimeSettings;
use nakku_cluster::{Answered, Ask, AskError, Cluster, Failure, Key, Query, Timestamp};
use sample::{Command, Counter, Negative, Total, counter};

/// How long an entity stays in memory here.
const PASSIVATE_AFTER: Duration = Duration::from_secs(1);

/// Answers that the oracle withholds before it speaks.
static SILENCE: AtomicU32 = AtomicU32::new(0);

#[derive(Debug)]
struct Oracle;

#[async_trait]
impl Provider for Oracle {
    fn name(&self) -> &'static str {
        "oracle"
    }
    async fn call(&self, _: &str, _: &[u8]) -> Result<Vec<u8>, ProviderError> {
        let silent = SILENCE.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        let away = || ProviderError::Unavailable { provider: "oracle", cause: "silent".into() };
        if silent { Err(away()) } else { Ok(br#""seven""#.to_vec()) }
    }
}

fn on_node(test: impl AsyncFnOnce(Cluster)) {
    alone::on_node(start, test);
}

async fn start() -> Node {
    let runtime = RuntimeSettings {
        passivate_after: PASSIVATE_AFTER,
        mailbox_max: 256,
        reminder_interval: Duration::from_millis(200),
        ..RuntimeSettings::default()
    };
    let settings = settings::settings("only", Roles::new(["sample"]), &alone::folder("runtime"), 4);
    let settings = NodeSettings { runtime, ..settings };
    Node::start(settings, vec![sample::service()], vec![Arc::new(Oracle)]).await.expect("the node starts")
}

async fn ask(cluster: &Cluster, key: &str, command: Command) -> Result<Answered<Total>, AskError<Negative>> {
    cluster.ask(&counter(key), &command, Ask::within(PATIENCE)).await
}

async fn total(cluster: &Cluster, key: &str) -> i64 {
    ask(cluster, key, Command::Get).await.expect("a total").reply.0
}

/// Asks until the total is as expected.
async fn becomes(cluster: &Cluster, key: &str, expected: i64) {
    alone::becomes(key, expected, async || total(cluster, key).await).await;
}

#[test]
fn what_is_acknowledged_is_there_and_versions_rise() {
    on_node(async |cluster| {
        for round in 1..=20 {
            let answered = ask(&cluster, "c-plain", Command::Add(2)).await.expect("added");
            assert_eq!((answered.reply, answered.entity_version), (Total(2 * round), round.unsigned_abs()));
        }
        let refused = ask(&cluster, "c-plain", Command::Add(-41)).await;
        assert!(matches!(refused, Err(AskError::Rejected { entity_version: 20, .. })), "{refused:?}");
        assert_eq!(total(&cluster, "c-plain").await, 40);
    });
}

#[test]
fn concurrent_commands_are_decided_one_at_a_time() {
    on_node(async |cluster| {
        let adds = (0..200).map(|_| ask(&cluster, "c-busy", Command::Add(1)));
        let mut versions: Vec<u64> = futures::future::join_all(adds)
            .await
            .into_iter()
            .map(|answer| answer.expect("added").entity_version)
            .collect();
        versions.sort_unstable();
        assert_eq!(versions, (1..=200).collect::<Vec<u64>>());
    });
}

#[test]
fn a_command_with_an_id_is_executed_once_until_it_expires() {
    on_node(async |cluster| {
        let once = || Ask::within(PATIENCE).once("edge-1", Timestamp::now().plus(PATIENCE));
        let first = cluster.ask(&counter("c-once"), &Command::Add(5), once()).await.expect("added");
        let again = cluster.ask(&counter("c-once"), &Command::Add(5), once()).await.expect("answered as before");
        assert_eq!((first.reply, again.reply), (Total(5), Total(5)));
        assert_eq!(total(&cluster, "c-once").await, 5);
        // It also survives leaving the memory.
        tokio::time::sleep(PASSIVATE_AFTER + Duration::from_millis(2500)).await;
        let later = cluster.ask(&counter("c-once"), &Command::Add(5), once()).await.expect("answered as before");
        assert_eq!((later.reply, total(&cluster, "c-once").await), (Total(5), 5));
        let late = Ask::within(PATIENCE).once("edge-2", Timestamp(1));
        let refused = cluster.ask(&counter("c-once"), &Command::Add(5), late).await;
        assert!(matches!(refused, Err(AskError::Failed(Failure::Expired))), "{refused:?}");
    });
}

#[test]
fn an_effect_reaches_the_other_entity_once() {
    on_node(async |cluster| {
        for id in 1..=30 {
            let to = Key::new("c-target").expect("a key");
            ask(&cluster, "c-source", Command::Forward { to, amount: 3, id }).await.expect("accepted");
        }
        becomes(&cluster, "c-target", 90).await;
        assert_eq!(total(&cluster, "c-source").await, 90);
    });
}

#[test]
fn an_effect_is_repeated_and_in_the_end_given_up() {
    on_node(async |cluster| {
        SILENCE.store(2, Ordering::SeqCst);
        ask(&cluster, "c-oracle", Command::Provide).await.expect("accepted");
        becomes(&cluster, "c-oracle", 5).await;
        SILENCE.store(3, Ordering::SeqCst);
        ask(&cluster, "c-oracle", Command::Provide).await.expect("accepted");
        becomes(&cluster, "c-oracle", 1_000_000).await;
    });
}

#[test]
fn a_reminder_wakes_an_entity_that_has_left_the_memory() {
    on_node(async |cluster| {
        let at = Timestamp::now().plus(PASSIVATE_AFTER + Duration::from_millis(2500));
        ask(&cluster, "c-reminded", Command::RemindAt(at)).await.expect("accepted");
        tokio::time::sleep(at.since(Timestamp::now()) + Duration::from_secs(1)).await;
        // Read without waking it: the list comes from the table.
        let rows = cluster.list::<Counter>(&Query::new().limit(500)).await.expect("a list");
        let row = rows.iter().find(|row| row.key.as_str() == "c-reminded").expect("it is in the list");
        assert_eq!((row.head.total, row.head.remind_at), (1, None));
    });
}

#[test]
fn a_panic_restarts_the_entity_and_its_neighbour_does_not_notice() {
    on_node(async |cluster| {
        ask(&cluster, "c-frail", Command::Add(7)).await.expect("added");
        let refused = ask(&cluster, "c-frail", Command::PanicWhileEvolving).await;
        assert!(matches!(refused, Err(AskError::Failed(Failure::Crashed { .. }))), "{refused:?}");
        let answered = ask(&cluster, "c-frail", Command::Add(1)).await.expect("restarted");
        assert_eq!((answered.reply, answered.entity_version), (Total(8), 2));
        assert_eq!(total(&cluster, "c-solid").await, 0);
    });
}

#[test]
fn an_entity_that_keeps_failing_is_quarantined_and_named() {
    on_node(async |cluster| {
        ask(&cluster, "c-broken", Command::Add(1)).await.expect("added");
        for _ in 0..5 {
            let refused = ask(&cluster, "c-broken", Command::Panic).await;
            assert!(matches!(refused, Err(AskError::Failed(Failure::Crashed { .. }))), "{refused:?}");
        }
        let refused = ask(&cluster, "c-broken", Command::Get).await;
        let Err(AskError::Failed(Failure::Quarantined { entity })) = refused else { panic!("{refused:?}") };
        assert_eq!(entity, "sample.counter/c-broken");
        let status = cluster.status().await;
        assert!(status.quarantined.contains(&entity), "{:?}", status.quarantined);
        assert_eq!(total(&cluster, "c-whole").await, 0);
    });
}

#[test]
fn a_state_that_would_be_too_large_is_refused_and_the_entity_goes_on() {
    on_node(async |cluster| {
        ask(&cluster, "c-large", Command::Add(1)).await.expect("added");
        let refused = ask(&cluster, "c-large", Command::Fill(20_000)).await;
        assert!(matches!(refused, Err(AskError::Failed(Failure::Invalid { .. }))), "{refused:?}");
        let answered = ask(&cluster, "c-large", Command::Add(1)).await.expect("added");
        assert_eq!((answered.reply, answered.entity_version), (Total(2), 2));
    });
}

#[test]
fn a_cycle_is_refused_with_its_path() {
    on_node(async |cluster| {
        let chain = vec![counter("c-one").address(), counter("c-two").address()];
        let ask = Ask { chain, ..Ask::within(PATIENCE) };
        let refused = cluster.ask(&counter("c-one"), &Command::Get, ask).await;
        let Err(AskError::Failed(Failure::Cycle { path })) = refused else { panic!("{refused:?}") };
        assert_eq!(path, ["sample.counter/c-one", "sample.counter/c-two", "sample.counter/c-one"]);
    });
}

#[test]
fn a_full_mailbox_refuses_at_once() {
    on_node(async |cluster| {
        let asks = (0..2000).map(|_| ask(&cluster, "c-crowded", Command::Add(1)));
        let answers = futures::future::join_all(asks).await;
        let added = answers.iter().filter(|answer| answer.is_ok()).count();
        let overloaded = |answer: &&Result<_, _>| matches!(answer, Err(AskError::Failed(Failure::Overloaded { .. })));
        assert_eq!(added + answers.iter().filter(overloaded).count(), 2000);
        assert!(added >= 256, "what fits the mailbox is executed");
        assert_eq!(total(&cluster, "c-crowded").await, i64::try_from(added).expect("small"));
    });
}

#[test]
fn lists_go_page_by_page_over_declared_columns() {
    on_node(async |cluster| {
        for number in 0..30 {
            ask(&cluster, &format!("l-{number:02}"), Command::Add(number)).await.expect("added");
        }
        let mut seen = Vec::new();
        let mut after = Some(Key::new("l-").expect("a key"));
        loop {
            let page = Query::new().integer("parity", 1).after(after).limit(4);
            let rows = cluster.list::<Counter>(&page).await.expect("a page");
            let Some(last) = rows.last() else { break };
            after = Some(last.key.clone());
            seen.extend(rows.into_iter().filter(|row| row.key.as_str().starts_with("l-")).map(|row| row.head.total));
        }
        assert_eq!(seen, (0..30).filter(|number| number % 2 == 1).collect::<Vec<i64>>());
        let refused = cluster.list::<Counter>(&Query::new().integer("total", 1)).await;
        assert!(matches!(refused, Err(Failure::Invalid { .. })), "{refused:?}");
    });
}
