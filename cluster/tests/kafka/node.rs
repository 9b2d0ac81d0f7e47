//! A child process as the tests see it.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::Value;
use sqlx::{Connection, SqliteConnection};

use crate::child::{ANSWER, Login, Order, Start, VARIABLE};
use crate::servers::Kafka;
use crate::tally::Total;

/// How long one order may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long the consumers may take to be where the source is.
const SETTLE_PATIENCE: Duration = Duration::from_secs(60);

/// Nodes of one test: their database, and their own topics and group at the brokers.
pub struct Group {
    folder: PathBuf,
    brokers: Option<String>,
    replication: u16,
    pub prefix: String,
    pub login: Option<Login>,
}

impl Group {
    pub fn on(kafka: &Kafka, name: &str, replication: u16) -> Self {
        let mut group = Self::without_brokers(name);
        (group.brokers, group.replication) = (Some(kafka.brokers.clone()), replication);
        group
    }

    pub fn without_brokers(name: &str) -> Self {
        let unique = format!("{name}-{:08x}", rand::random::<u32>());
        let folder = std::env::temp_dir().join(format!("nakku-kafka-{unique}"));
        Self { folder, brokers: None, replication: 1, prefix: format!("{unique}."), login: None }
    }

    /// Removes all that the consumer has gathered, as if it had never been there. No node may run.
    pub fn forget(&self) {
        let url = format!("sqlite://{}/nakku.db", self.folder.display());
        let runtime = tokio::runtime::Runtime::new().expect("a runtime starts");
        runtime.block_on(async {
            let mut database = SqliteConnection::connect(&url).await.expect("the database opens");
            sqlx::query("DELETE FROM nakku_sums__intake_state").execute(&mut database).await.expect("deleted");
        });
    }

    pub fn topic(&self, service: &str) -> String {
        format!("{}{service}", self.prefix)
    }

    pub fn spawn(&self, name: &str, roles: &[&str]) -> Node {
        self.try_spawn(name, roles, true).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub fn try_spawn(&self, name: &str, roles: &[&str], create_topics: bool) -> Result<Node, String> {
        Node::spawn(&Start {
            name: name.to_owned(),
            roles: roles.iter().map(|role| (*role).to_owned()).collect(),
            folder: self.folder.clone(),
            brokers: self.brokers.clone(),
            topic_prefix: self.prefix.clone(),
            replication: self.replication,
            create_topics,
            login: self.login.clone(),
        })
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A running node; killed when dropped.
pub struct Node {
    child: Child,
    orders: ChildStdin,
    answers: Receiver<Value>,
}

impl Node {
    fn spawn(start: &Start) -> Result<Self, String> {
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args(["child_process", "--exact", "--nocapture"])
            .env(VARIABLE, serde_json::to_string(start).expect("JSON"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program can be started");
        let orders = child.stdin.take().expect("a pipe");
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        let (sender, answers) = channel();
        std::thread::spawn(move || {
            // The harness prints the test's name on the first answer's line.
            for line in output.lines().map_while(Result::ok) {
                if let Some((_, answer)) = line.split_once(ANSWER) {
                    let _ = sender.send(serde_json::from_str(answer).expect("an answer"));
                }
            }
        });
        let this = Self { child, orders, answers };
        match this.answers.recv_timeout(PATIENCE).expect("the node starts").get("error") {
            Some(error) => Err(error.as_str().unwrap_or_default().to_owned()),
            None => Ok(this),
        }
    }

    pub fn tell(&mut self, order: &Order) -> Value {
        let line = serde_json::to_string(order).expect("JSON");
        writeln!(self.orders, "{line}").expect("the node lives");
        self.answers.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("no answer to {order:?}"))
    }

    /// Ends it as a power failure would.
    pub fn kill(mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it ends");
    }

    /// Waits until the consumers have seen of every entity what its source knows, each event once and in order.
    /// Returns how many events that is.
    pub fn settles(&mut self, keys: usize) -> i64 {
        let began = Instant::now();
        loop {
            let pairs = self.tell(&Order::Compare { keys });
            let pairs: Vec<[Result<Total, String>; 2]> = serde_json::from_value(pairs).expect("pairs");
            for [_, seen] in &pairs {
                assert!(seen.as_ref().map_or(0, |seen| seen.wrong) == 0, "twice, late or never: {pairs:?}");
            }
            if pairs.iter().all(|[told, seen]| told.is_ok() && told == seen) {
                return pairs.iter().filter_map(|[told, _]| told.as_ref().ok()).map(|told| told.count).sum();
            }
            assert!(began.elapsed() < SETTLE_PATIENCE, "source and consumer still differ: {pairs:?}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Waits until the node says this of Kafka.
    pub fn says(&mut self, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        let began = Instant::now();
        loop {
            let status = self.tell(&Order::Status);
            if is(&status) {
                return status;
            }
            assert!(began.elapsed() < SETTLE_PATIENCE, "{what}: {status}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
