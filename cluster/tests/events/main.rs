//! Events from one node's journals to the consumers of the same cluster, on a real SQLite file.

#[path = "../support/alone.rs"]
mod alone;
#[path = "../support/settings.rs"]
mod settings;
#[path = "../support/tally.rs"]
mod tally;

use std::sync::atomic::Ordering;

use alone::PATIENCE;
use nakku_cluster::events::intake::{self, Command, Reply, key_of};
use nakku_cluster::events::rebuild::{Page, Rebuilding};
use nakku_cluster::events::{Envelope, Intake, Live, SealedEnvelope, Signal};
use nakku_cluster::inspect::{Question, Report};
use nakku_cluster::membership::Roles;
use nakku_cluster::node::Node;
use nakku_cluster::topology::shard_of;
use nakku_cluster::{Ask, AskError, Cluster, Key, Ref};
use tally::{Ask as Told, FORGIVING, PANICS, REFUSED, Sums, Tally};

const SHARDS: u32 = 4;

fn on_node(test: impl AsyncFnOnce(Cluster)) {
    alone::on_node(start, test);
}

async fn start() -> Node {
    let roles = Roles::new(["source", "sums", "gateway"]);
    let settings = settings::settings("only", roles, &alone::folder("events"), SHARDS);
    Node::start(settings, tally::services(), Vec::new()).await.expect("the node starts")
}

fn tally(key: &str) -> Ref<Tally> {
    Ref::new(Key::new(key).expect("a key"))
}

/// The intake that consumes the shard of an entity.
fn intake(key: &str) -> Ref<Intake<Sums>> {
    Ref::new(key_of("source", shard_of(&Key::new(key).expect("a key"), SHARDS)))
}

async fn raise(cluster: &Cluster, key: &str, by: i64) {
    cluster.ask(&tally(key), &Told::Raise(by), Ask::within(PATIENCE)).await.expect("raised");
}

async fn sum(cluster: &Cluster, key: &str) -> i64 {
    let asked = Command::Own(key.to_owned());
    match cluster.ask(&intake(key), &asked, Ask::within(PATIENCE)).await.expect("a sum").reply {
        Reply::Own(total) => total.sum,
        other => panic!("{other:?}"),
    }
}

async fn becomes(cluster: &Cluster, key: &str, expected: i64) {
    alone::becomes(&format!("the sum of {key}"), expected, async || sum(cluster, key).await).await;
}

#[test]
fn every_public_event_is_consumed_once_and_private_ones_never() {
    on_node(async |cluster| {
        for round in 0..50 {
            let raises = ["t-1", "t-2", "t-3", "t-4", "t-5"].map(|key| raise(&cluster, key, round));
            futures::future::join_all(raises).await;
            cluster.ask(&tally("t-1"), &Told::RaiseQuietly, Ask::within(PATIENCE)).await.expect("raised");
        }
        for key in ["t-1", "t-2", "t-3", "t-4", "t-5"] {
            becomes(&cluster, key, (0..50).sum()).await;
        }
        // What is handed in again changes nothing.
        let history = cluster.history(&tally("t-2"), 0, 100).await.expect("a history");
        assert_eq!(history.len(), 50);
        let events = history.into_iter().map(Envelope::closed).collect();
        let command = Command::Consume { events, complete: false };
        cluster.ask(&intake("t-2"), &command, Ask::within(PATIENCE)).await.expect("consumed");
        assert_eq!(sum(&cluster, "t-2").await, (0..50).sum::<i64>());
    });
}

#[test]
fn what_is_refused_is_set_aside_and_can_be_replayed_and_the_stream_goes_on() {
    on_node(async |cluster| {
        for poison in [REFUSED, PANICS] {
            let key = format!("poison-{poison}");
            raise(&cluster, &key, 1).await;
            raise(&cluster, &key, poison).await;
            raise(&cluster, &key, 2).await;
            becomes(&cluster, &key, 3).await;
            let asked = Command::DeadLetters { after: 0, limit: 100 };
            let Reply::DeadLetters(letters) =
                cluster.ask(&intake(&key), &asked, Ask::within(PATIENCE)).await.expect("letters").reply
            else {
                panic!("other than letters");
            };
            let letter = letters.iter().find(|letter| letter.event.subject == key).expect("a letter");
            assert_eq!((letter.group.as_str(), letter.attempts), ("nakku-sums", 4));
            let replay = Command::Replay { sequence: letter.event.sequence };
            let refused = cluster.ask(&intake(&key), &replay, Ask::within(PATIENCE)).await;
            assert!(
                matches!(refused, Err(AskError::Rejected { rejection: intake::Rejection::StillRefused { .. }, .. })),
                "{refused:?}"
            );
            FORGIVING.store(true, Ordering::SeqCst);
            cluster.ask(&intake(&key), &replay, Ask::within(PATIENCE)).await.expect("replayed");
            FORGIVING.store(false, Ordering::SeqCst);
            assert_eq!(sum(&cluster, &key).await, 3 + poison);
            let again = cluster.ask(&intake(&key), &replay, Ask::within(PATIENCE)).await;
            assert!(again.is_err(), "a letter is replayed once");
        }
    });
}

#[test]
fn a_gap_is_left_alone_until_what_is_missing_comes() {
    on_node(async |cluster| {
        let target: Ref<Intake<Sums>> = Ref::new(key_of("source", 1_000));
        let event = |sequence: u64, previous: u64| event_of(1_000, sequence, previous);
        let consume = async |events: Vec<SealedEnvelope>| {
            let command = Command::Consume { events, complete: false };
            match cluster.ask(&target, &command, Ask::within(PATIENCE)).await.expect("an answer").reply {
                Reply::Consumed(progress) => (progress.high_water, progress.lacks),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(consume(vec![event(5, 3)]).await, (0, Some(3)), "the first is missing");
        assert_eq!(consume(vec![event(2, 0), event(3, 2)]).await, (3, None));
        assert_eq!(consume(vec![event(8, 5)]).await, (3, Some(5)));
        assert_eq!(consume(vec![event(3, 2), event(5, 3), event(8, 5), event(9, 8)]).await, (9, None));
        // The source's database was restored as it was after 5, and its incarnation raised.
        let restored = |sequence, previous| {
            let id = format!("2-source-1000-{sequence}");
            Envelope { id, ..event(sequence, previous) }
        };
        assert_eq!(consume(vec![restored(7, 5)]).await, (7, None));
        assert_eq!(consume(vec![event(9, 8), event(10, 9)]).await, (7, None), "late ones of the lost time");
        assert_eq!(consume(vec![restored(8, 7)]).await, (8, None));
    });
}

#[test]
fn a_rebuild_is_seen_for_as_long_as_it_lasts() {
    on_node(async |cluster| {
        let target: Ref<Intake<Sums>> = Ref::new(key_of("source", 1_001));
        let tell = async |command: Command<String>| {
            cluster.ask(&target, &command, Ask::within(PATIENCE)).await.expect("an answer");
        };
        let seen = async || -> Option<Rebuilding> {
            let report = cluster.inspect("only", Question::Infrastructure).await.expect("the node looks");
            let Report::Infrastructure(report) = report else { panic!("{report:?}") };
            let group = report.consumers.into_iter().find(|one| one.group == "nakku-sums");
            group.expect("its consumer").rebuilding
        };
        tell(Command::Consume { events: vec![event_of(1_001, 1, 0), event_of(1_001, 3, 1)], complete: false }).await;
        assert_eq!(seen().await, None);
        // There is no journal of such a shard, so nobody but this test tells it what was there.
        tell(Command::Reset).await;
        let begun = seen().await.expect("it is seen");
        assert!(begun.intakes >= begun.intakes_left, "{begun:?}");
        assert_eq!((begun.intakes_left, begun.rows_read, begun.rows), (1, 0, 3));
        tell(Command::Reread(Page { through: 2, ..Page::default() })).await;
        assert_eq!(seen().await.map(|half| (half.intakes_left, half.rows_read)), Some((1, 2)));
        tell(Command::Reread(Page { through: 3, ..Page::default() })).await;
        assert_eq!(seen().await, None);
    });
}

/// Of a source shard that no node has, so that nobody but a test feeds its intake.
fn event_of(shard: u32, sequence: u64, previous: u64) -> SealedEnvelope {
    let json = serde_json::json!({
        "specversion": "1.0", "id": format!("1-source-{shard}-{sequence}"), "source": format!("/nakku/source/{shard}"),
        "type": "tally.raised", "subject": "gap", "time": "2026-01-01T00:00:00Z",
        "datacontenttype": "application/json", "dataschema": "urn:nakku:event:tally.raised:1",
        "service": "source", "shard": shard, "sequence": sequence.to_string(),
        "previous": previous.to_string(), "data": { "number": sequence, "by": 1 }
    });
    serde_json::from_value(json).expect("an envelope")
}

#[test]
fn watchers_hear_of_events_and_signals_at_once() {
    on_node(async |cluster| {
        let mut live = cluster.live();
        raise(&cluster, "watched", 7).await;
        cluster.signal(Signal { topic: "rider/r-1".into(), body: "{}".into() });
        let (mut event, mut signal) = (false, false);
        while !(event && signal) {
            match tokio::time::timeout(PATIENCE, live.recv()).await.expect("in time").expect("live") {
                Live::Event(seen) => event |= seen.subject == "watched" && seen.data["by"] == 7,
                Live::Signal(seen) => signal |= seen.topic == "rider/r-1",
                Live::Listening => {}
            }
        }
    });
}
