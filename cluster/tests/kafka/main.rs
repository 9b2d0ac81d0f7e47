//! Events over real brokers, with nodes that are real processes: what a consumer has seen equals what the
//! source knows, each event once and in order, whatever happens to brokers and nodes.

mod child;
mod node;
#[path = "../support/servers.rs"]
mod servers;
#[path = "../support/settings.rs"]
mod settings;
#[path = "../support/tally.rs"]
mod tally;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use child::Order;
use node::Group;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use servers::Kafka;

/// Entities of a test.
const KEYS: usize = 20;
const BROKERS: std::ops::RangeInclusive<u32> = 1..=3;
const PATIENCE: Duration = Duration::from_secs(60);
/// How long all brokers are away.
const OUTAGE: Duration = Duration::from_secs(60);
/// Between two commands of each caller meanwhile: some 1,000 commands/s.
const OUTAGE_PAUSE_MS: u64 = 10;
/// No command waits for brokers; one is held up by the disk at most.
const OUTAGE_SLOWEST_MS_MAX: i64 = 5_000;
const BOTH: &[&str] = &["source", "sums"];

/// Two tests at once would break each other's brokers; those with brokers of their own, or none, run beside them.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn signal(kafka: &Kafka, broker: u32, signal: Signal) {
    let pid = Pid::from_raw(kafka.pid(broker)).expect("a process id");
    kill_process(pid, signal).expect("the broker can be signalled");
}

fn wait_for(what: &str, mut is: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is() {
        assert!(began.elapsed() < PATIENCE, "waited for {what}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// All messages of a topic as they lie there.
fn messages(kafka: &Kafka, topic: &str, count_min: usize) -> Vec<Value> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &kafka.brokers)
        .set("group.id", format!("reader-{:08x}", rand::random::<u32>()))
        .set("auto.offset.reset", "earliest")
        .create()
        .expect("a consumer");
    consumer.subscribe(&[topic]).expect("subscribed");
    let mut messages = Vec::new();
    wait_for(topic, || {
        while let Some(message) = consumer.poll(Duration::from_millis(500)) {
            if let Ok(message) = message {
                messages.push(serde_json::from_slice(message.payload().unwrap_or_default()).unwrap_or_default());
            }
        }
        messages.len() >= count_min
    });
    messages
}

/// The process of a node; see [`child`].
#[test]
fn child_process() {
    child::run();
}

#[test]
fn every_event_is_consumed_once_and_kafkas_own_tools_see_it() {
    let _alone = alone();
    let kafka = servers::kafka();
    let group = Group::on(kafka, "plain", 3);
    let mut first = group.spawn("one", BOTH);
    let mut second = group.spawn("two", BOTH);
    first.tell(&Order::Raise { keys: KEYS, count: 20 });
    second.tell(&Order::Raise { keys: KEYS, count: 20 });
    assert_eq!(first.settles(KEYS), 2 * 20 * KEYS as i64);

    let (topic, of_group) = (group.topic("source"), format!("{}nakku-sums", group.prefix));
    assert!(kafka.tool("kafka-topics", &["--list"]).lines().any(|line| line == topic));
    assert!(kafka.tool("kafka-consumer-groups", &["--list"]).lines().any(|line| line == of_group));
    wait_for("lag 0 of every partition", || {
        let described = kafka.tool("kafka-consumer-groups", &["--describe", "--group", &of_group]);
        let rows = described.lines().filter(|line| line.contains(&topic));
        let lags: Vec<&str> = rows.filter_map(|line| line.split_whitespace().nth(5)).collect();
        lags.len() == 3 && lags.iter().all(|lag| *lag == "0")
    });

    let events = messages(kafka, &topic, 2 * 20 * KEYS);
    for event in &events {
        assert_eq!(event["specversion"], "1.0");
        assert_eq!(event["service"], "source");
    }
    // A node that leaves hands its partitions to the other.
    second.tell(&Order::Drain);
    first.tell(&Order::Raise { keys: KEYS, count: 5 });
    assert_eq!(first.settles(KEYS), 45 * KEYS as i64);
}

#[test]
fn a_consumer_that_knows_nothing_reads_its_topics_from_the_start() {
    let _alone = alone();
    let kafka = servers::kafka();
    let group = Group::on(kafka, "anew", 3);
    let mut node = group.spawn("one", BOTH);
    node.tell(&Order::Raise { keys: KEYS, count: 50 });
    node.settles(KEYS);
    // What the broker knows of the group is behind all that.
    node.tell(&Order::Drain);
    group.forget();
    let mut next = group.spawn("next", BOTH);
    next.tell(&Order::Raise { keys: KEYS, count: 1 });
    assert_eq!(next.settles(KEYS), 51 * KEYS as i64);
}

#[test]
fn what_was_gathered_over_kafka_is_gathered_anew_while_events_come() {
    let _alone = alone();
    gathered_anew(&Group::on(servers::kafka(), "rebuilt", 3));
}

#[test]
fn what_was_gathered_without_a_broker_is_gathered_anew_while_events_come() {
    gathered_anew(&Group::without_brokers("rebuilt"));
}

/// The source and the consumer are two processes, so that journals are read over a link.
fn gathered_anew(group: &Group) {
    let mut source = group.spawn("source", &["source"]);
    let mut sums = group.spawn("sums", &["sums"]);
    source.tell(&Order::Raise { keys: KEYS, count: 100 });
    let before = source.settles(KEYS);
    let whole = |progress: &Value| progress["intakes_left"] == 0 && progress["incomplete"] == serde_json::json!([]);
    assert!(whole(&sums.tell(&Order::Rebuilding)));

    // While nothing else happens.
    let begun = sums.tell(&Order::Rebuild);
    assert!(begun["rows"].as_i64() >= Some(before), "{begun}");
    assert_eq!(source.settles(KEYS), before);
    assert!(whole(&sums.tell(&Order::Rebuilding)));

    // While events come.
    source.tell(&Order::Load { keys: KEYS, pause_ms: 5 });
    std::thread::sleep(Duration::from_millis(500));
    sums.tell(&Order::Rebuild);
    std::thread::sleep(Duration::from_secs(2));
    let raised = source.tell(&Order::Rest)["raised"].as_i64().expect("a number");
    assert!(raised > 0);
    let after = source.settles(KEYS);
    assert!(after >= before + raised, "{after} of {before} and {raised}");
    wait_for("the end of the rebuild", || whole(&sums.tell(&Order::Rebuilding)));

    // And when the consumer dies in the middle.
    sums.tell(&Order::Rebuild);
    sums.kill();
    let mut next = group.spawn("next", &["sums"]);
    assert_eq!(source.settles(KEYS), after);
    wait_for("the end of the rebuild", || whole(&next.tell(&Order::Rebuilding)));
}

#[test]
fn a_broker_dies_and_returns() {
    let _alone = alone();
    let kafka = servers::kafka();
    let group = Group::on(kafka, "broker", 3);
    let mut node = group.spawn("one", BOTH);
    node.tell(&Order::Load { keys: KEYS, pause_ms: 0 });
    std::thread::sleep(Duration::from_secs(1));
    signal(kafka, 2, Signal::KILL);
    std::thread::sleep(Duration::from_secs(3));
    kafka.restart(2);
    std::thread::sleep(Duration::from_secs(2));
    let raised = node.tell(&Order::Rest)["raised"].as_i64().expect("a number");
    let settled = node.settles(KEYS);
    assert!(settled >= raised, "{settled} of {raised}");
}

#[test]
fn all_brokers_are_away_under_load_and_everything_comes_in_order_when_they_return() {
    let _alone = alone();
    let kafka = servers::kafka();
    let group = Group::on(kafka, "away", 3);
    let mut node = group.spawn("one", BOTH);
    // Commands per second, and the slowest of them in milliseconds.
    let load = |node: &mut node::Node, span: Duration| {
        node.tell(&Order::Load { keys: KEYS, pause_ms: OUTAGE_PAUSE_MS });
        std::thread::sleep(span);
        let rest = node.tell(&Order::Rest);
        let number = |name: &str| rest[name].as_i64().expect("a number");
        (number("raised") as f64 / span.as_secs_f64(), number("slowest_ms"))
    };
    let (before, _) = load(&mut node, OUTAGE / 12);
    for broker in BROKERS {
        signal(kafka, broker, Signal::KILL);
    }
    let (away, slowest_ms) = load(&mut node, OUTAGE);
    assert!(away > before / 2.0, "{before:.0} commands/s before, {away:.0} without brokers");
    assert!(slowest_ms < OUTAGE_SLOWEST_MS_MAX, "a command took {slowest_ms} ms without brokers");
    let status = node.says("kafka is away", |status| status["up"] == false);
    let behind = (away * OUTAGE.as_secs_f64() * 0.9) as u64;
    assert!(status["unpublished"].as_u64() > Some(behind), "{status}");
    assert!(status["metric"].as_f64() > Some(behind as f64), "{status}");
    // Also while the brokers return.
    node.tell(&Order::Load { keys: KEYS, pause_ms: OUTAGE_PAUSE_MS });
    std::thread::scope(|scope| {
        for broker in BROKERS {
            scope.spawn(move || kafka.restart(broker));
        }
    });
    std::thread::sleep(Duration::from_secs(2));
    node.tell(&Order::Rest);
    node.settles(KEYS);
    node.says("kafka is back", |status| status["up"] == true && status["unpublished"] == 0);
}

#[test]
fn the_owner_of_shards_dies_between_commit_and_publishing() {
    let _alone = alone();
    let kafka = servers::kafka();
    let group = Group::on(kafka, "owner", 3);
    let mut sums = group.spawn("sums", &["sums"]);
    let mut owner = group.spawn("owner", &["source"]);
    owner.tell(&Order::Raise { keys: KEYS, count: 10 });
    sums.settles(KEYS);
    // Nothing can be published while the brokers stand still.
    for broker in BROKERS {
        signal(kafka, broker, Signal::STOP);
    }
    owner.tell(&Order::Raise { keys: KEYS, count: 10 });
    owner.kill();
    for broker in BROKERS {
        signal(kafka, broker, Signal::CONT);
    }
    let mut heir = group.spawn("heir", &["source"]);
    heir.tell(&Order::Raise { keys: KEYS, count: 5 });
    assert_eq!(sums.settles(KEYS), 25 * KEYS as i64);

    // And with some of a round published.
    heir.tell(&Order::Load { keys: KEYS, pause_ms: 0 });
    std::thread::sleep(Duration::from_secs(1));
    heir.kill();
    let mut third = group.spawn("third", &["source"]);
    third.tell(&Order::Raise { keys: KEYS, count: 1 });
    sums.settles(KEYS);
}

#[test]
fn a_consumer_dies_in_the_middle_of_a_batch() {
    let _alone = alone();
    let kafka = servers::kafka();
    let group = Group::on(kafka, "consumer", 3);
    let mut owner = group.spawn("owner", &["source"]);
    let first = group.spawn("first", &["sums"]);
    let second = group.spawn("second", &["sums"]);
    owner.tell(&Order::Load { keys: KEYS, pause_ms: 0 });
    std::thread::sleep(Duration::from_secs(2));
    first.kill();
    std::thread::sleep(Duration::from_secs(2));
    let third = group.spawn("third", &["sums"]);
    std::thread::sleep(Duration::from_secs(1));
    second.kill();
    let raised = owner.tell(&Order::Rest)["raised"].as_i64().expect("a number");
    assert!(owner.settles(KEYS) >= raised);
    drop(third);
}

#[test]
fn what_can_not_be_processed_is_set_aside_and_the_stream_goes_on() {
    let _alone = alone();
    let kafka = servers::kafka();
    let group = Group::on(kafka, "poison", 3);
    let mut node = group.spawn("one", BOTH);
    let seen = |node: &mut node::Node, sum: i64| {
        wait_for("what follows", || node.tell(&Order::Seen { key: "p".into() })["Ok"]["sum"] == sum);
    };
    for by in [1, tally::REFUSED, 2] {
        node.tell(&Order::RaiseBy { key: "p".into(), by });
    }
    seen(&mut node, 3);
    assert_eq!(node.tell(&Order::Letters { key: "p".into() }), serde_json::json!(["told to"]));

    let producer: BaseProducer =
        ClientConfig::new().set("bootstrap.servers", &kafka.brokers).create().expect("a producer");
    let topic = group.topic("source");
    for partition in 0..3 {
        let record = BaseRecord::to(&topic).key("k").payload("no event at all").partition(partition);
        producer.send(record).map_err(|(error, _)| error).expect("sent");
    }
    producer.flush(PATIENCE).expect("delivered");
    node.tell(&Order::RaiseBy { key: "p".into(), by: 3 });
    seen(&mut node, 6);

    let letters = messages(kafka, &group.topic("dead-letter"), 4);
    let of = |event_type: &str| letters.iter().filter(|letter| letter["type"] == event_type).collect::<Vec<_>>();
    let refused = of("nakku.dead_lettered");
    assert_eq!(refused.len(), 1, "{letters:?}");
    assert_eq!(refused[0]["data"]["reason"], "told to");
    assert_eq!(refused[0]["data"]["event"]["subject"], "p");
    let unreadable = of("nakku.unreadable");
    assert_eq!(unreadable.len(), 3, "{letters:?}");
    assert_eq!(unreadable[0]["data"]["topic"], topic.as_str());
    assert_eq!(unreadable[0]["data"]["payload"], "no event at all");
}

#[test]
fn a_topic_is_missing_at_the_start_and_later() {
    let _alone = alone();
    let kafka = servers::kafka();
    let group = Group::on(kafka, "missing", 3);
    let refused = group.try_spawn("one", BOTH, false).err().expect("it does not start");
    assert!(refused.contains("kafka-topics --create"), "{refused}");
    let topics = ["source", "sums", "dead-letter"].map(|name| group.topic(name));
    let create = |topic: &str| {
        let like = ["--partitions", "3", "--replication-factor", "3"];
        kafka.tool("kafka-topics", &[&["--create", "--topic", topic], like.as_slice()].concat());
    };
    topics.iter().for_each(|topic| create(topic));
    let mut node = group.try_spawn("one", BOTH, false).unwrap_or_else(|error| panic!("{error}"));
    node.tell(&Order::Raise { keys: KEYS, count: 2 });
    node.settles(KEYS);

    kafka.tool("kafka-topics", &["--delete", "--topic", &topics[0]]);
    std::thread::sleep(Duration::from_secs(1));
    node.tell(&Order::Raise { keys: KEYS, count: 2 });
    node.says("the topic is missing", |status| {
        status["up"] == false && status["error"].as_str().is_some_and(|error| error.contains(&topics[0]))
    });
    create(&topics[0]);
    assert_eq!(node.settles(KEYS), 4 * KEYS as i64);
    node.says("all is well", |status| status["up"] == true && status["unpublished"] == 0);
}

#[test]
fn an_older_kafka_with_zookeeper_serves_as_well() {
    let kafka = servers::kafka_zookeeper();
    let group = Group::on(kafka, "older", 1);
    let mut node = group.spawn("one", BOTH);
    node.tell(&Order::Raise { keys: KEYS, count: 20 });
    assert_eq!(node.settles(KEYS), 20 * KEYS as i64);
    let listed = kafka.tool("kafka-topics", &["--list"]);
    assert!(listed.lines().any(|line| line == group.topic("source")), "{listed}");
}

/// Of a program with `--features kafka-tls` only.
#[cfg(feature = "kafka-tls")]
#[test]
fn brokers_are_reached_over_tls_with_user_and_password() {
    let _alone = alone();
    let kafka = servers::kafka_tls();
    let mut group = Group::on(&kafka.kafka, "tls", 1);
    let login = child::Login {
        username: kafka.username.clone(),
        password: kafka.password.clone(),
        authority: kafka.authority.clone(),
    };
    group.login = Some(login.clone());
    let mut node = group.spawn("one", BOTH);
    node.tell(&Order::Raise { keys: KEYS, count: 20 });
    assert_eq!(node.settles(KEYS), 20 * KEYS as i64);

    group.login = Some(child::Login { password: "another".into(), ..login });
    let mut stranger = group.spawn("stranger", &["sums"]);
    stranger.says("nobody gets in with a wrong password", |status| status["up"] == false);
}
