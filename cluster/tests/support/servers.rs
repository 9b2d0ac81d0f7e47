//! Real database servers for tests.
//!
//! A server comes from the environment (`NAKKU_TEST_MARIADB_URL`, `NAKKU_TEST_MYSQL_URL`), as
//! `deploy/servers/run with … -- COMMAND` sets it; where there is none, the script starts one for this test
//! process and stops it when the process ends, however it ends. It never skips: no server is a failure.
//!
//! Needs the standard library only, so that tests of other crates can take it in by `#[path]`.

#![allow(dead_code, reason = "not every test binary uses every server")]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

/// A MariaDB for this test process.
pub fn mariadb_url() -> &'static str {
    static URL: OnceLock<String> = OnceLock::new();
    URL.get_or_init(|| from_environment_or_script("mariadb"))
}

/// A MariaDB that is reached over TLS only: its address, in which stands the file of the authority, and that file.
pub fn mariadb_tls() -> [String; 2] {
    static SERVER: OnceLock<[String; 2]> = OnceLock::new();
    SERVER.get_or_init(|| all_from_environment_or_script("mariadb-tls", ["URL", "CA"])).clone()
}

/// A Redis that is reached over TLS only and wants a password: its address, the authority's file, the password.
pub fn redis_tls() -> [String; 3] {
    static SERVER: OnceLock<[String; 3]> = OnceLock::new();
    SERVER.get_or_init(|| all_from_environment_or_script("redis-tls", ["URL", "CA", "PASSWORD"])).clone()
}

/// A MySQL 8 for this test process, with an account that logs in by caching_sha2_password.
pub fn mysql_url() -> &'static str {
    static URL: OnceLock<String> = OnceLock::new();
    URL.get_or_init(|| from_environment_or_script("mysql"))
}

/// A MariaDB and its semi-synchronous replica for this test process.
pub fn mariadb_pair() -> &'static Pair {
    static PAIR: OnceLock<Pair> = OnceLock::new();
    PAIR.get_or_init(|| Pair::from_environment_or_script("mariadb-pair"))
}

/// A MySQL 8 and its asynchronous replica for this test process.
pub fn mysql_pair() -> &'static Pair {
    static PAIR: OnceLock<Pair> = OnceLock::new();
    PAIR.get_or_init(|| Pair::from_environment_or_script("mysql-pair"))
}

/// A primary and its replica.
#[derive(Debug)]
pub struct Pair {
    pub url: String,
    pub replica_url: String,
    /// Of an account that may do everything.
    pub operator_url: String,
    pub replica_operator_url: String,
    /// Has `node-1` and, for the replica, `node-2`.
    pub folder: PathBuf,
}

impl Pair {
    fn from_environment_or_script(kind: &str) -> Self {
        let parts = ["URL", "REPLICA_URL", "OPERATOR_URL", "REPLICA_OPERATOR_URL", "DIR"];
        let [url, replica_url, operator_url, replica_operator_url, folder] =
            all_from_environment_or_script(kind, parts);
        Self { url, replica_url, operator_url, replica_operator_url, folder: folder.into() }
    }
}

/// A Kafka of three brokers for this test process.
pub fn kafka() -> &'static Kafka {
    static KAFKA: OnceLock<Kafka> = OnceLock::new();
    KAFKA.get_or_init(|| Kafka::from_environment_or_script("kafka"))
}

/// An older Kafka, of one broker, with ZooKeeper.
pub fn kafka_zookeeper() -> &'static Kafka {
    static KAFKA: OnceLock<Kafka> = OnceLock::new();
    KAFKA.get_or_init(|| Kafka::from_environment_or_script("kafka-zookeeper"))
}

/// A Kafka of one broker that is reached over TLS, with user and password.
pub fn kafka_tls() -> &'static KafkaTls {
    static KAFKA: OnceLock<KafkaTls> = OnceLock::new();
    KAFKA.get_or_init(|| {
        let [url, bin, folder, authority, username, password] =
            all_from_environment_or_script("kafka-tls", ["URL", "BIN", "DIR", "CA", "USER", "PASSWORD"]);
        let kafka = Kafka { brokers: url, bin: bin.into(), folder: folder.into() };
        KafkaTls { kafka, authority: authority.into(), username, password }
    })
}

/// See [`kafka_tls`].
#[derive(Debug)]
pub struct KafkaTls {
    pub kafka: Kafka,
    /// PEM file of the certificate that signs the broker's.
    pub authority: PathBuf,
    pub username: String,
    pub password: String,
}

/// Brokers, and the folder with Kafka's own tools.
#[derive(Debug)]
pub struct Kafka {
    pub brokers: String,
    pub bin: PathBuf,
    /// Has a folder for each broker: `node-1` and on.
    pub folder: PathBuf,
}

impl Kafka {
    fn from_environment_or_script(kind: &str) -> Self {
        let [brokers, bin, folder] = all_from_environment_or_script(kind, ["URL", "BIN", "DIR"]);
        Self { brokers, bin: bin.into(), folder: folder.into() }
    }

    /// The process of a broker.
    pub fn pid(&self, node: u32) -> i32 {
        let file = self.folder.join(format!("node-{node}/pid"));
        let text = std::fs::read_to_string(file).expect("a file with the process's id");
        text.trim().parse().expect("a number")
    }

    /// Starts a broker again that was killed, and returns when it answers.
    pub fn restart(&self, node: u32) {
        let folder = self.folder.join(format!("node-{node}"));
        let status = Command::new(script()).arg("restart").arg(folder).stdout(Stdio::null()).status();
        assert!(status.expect("deploy/servers/run can be started").success(), "broker {node} does not start again");
    }

    /// Runs one of Kafka's own tools, such as `kafka-topics --list`, and returns what it prints.
    pub fn tool(&self, name: &str, arguments: &[&str]) -> String {
        let mut command = Command::new(self.bin.join(name));
        let output = command.args(["--bootstrap-server", &self.brokers]).args(arguments).output();
        let output = output.expect("Kafka's tools can be started");
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{name} {arguments:?}: {printed} {}", String::from_utf8_lossy(&output.stderr));
        printed
    }
}

/// The script that starts servers.
pub fn script() -> PathBuf {
    let mut folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    loop {
        let script = folder.join("deploy/servers/run");
        if script.exists() {
            return script;
        }
        folder = folder.parent().expect("deploy/servers/run stands in a folder above the crate");
    }
}

fn from_environment_or_script(kind: &str) -> String {
    let name = format!("NAKKU_TEST_{}_URL", kind.to_uppercase());
    match std::env::var(&name) {
        Ok(url) if !url.is_empty() => url,
        _ => start_for_this_process(kind, &name),
    }
}

/// Several of the variables that the script sets for a kind.
fn all_from_environment_or_script<const N: usize>(kind: &str, parts: [&str; N]) -> [String; N] {
    let name = format!("NAKKU_TEST_{}", kind.to_uppercase().replace('-', "_"));
    let names = parts.map(|part| format!("{name}_{part}"));
    let values = names.clone().map(|name| std::env::var(name).unwrap_or_default());
    if !values.iter().any(String::is_empty) {
        return values;
    }
    // One line with all of them, the first of which may have commas itself.
    let line = start_for_this_process(kind, &names.join(";$"));
    let mut values = line.split(';').map(ToOwned::to_owned);
    names.map(|name| values.next().unwrap_or_else(|| panic!("the script did not name {name}")))
}

/// The script runs `cat` as its command: it ends, and the server with it, when this process has closed the
/// pipe, which the kernel does for whatever reason the process ends.
fn start_for_this_process(kind: &str, name: &str) -> String {
    let mut child = Command::new(script())
        .args(["with", kind, "--", "sh", "-c"])
        .arg(format!("echo \"url=${name}\"; exec cat >/dev/null"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("deploy/servers/run can be started");
    let output = child.stdout.take().expect("the output was asked for");
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line).expect("deploy/servers/run can be read");
    let Some(url) = line.trim().strip_prefix("url=").filter(|url| !url.is_empty()) else {
        let status = child.wait();
        panic!("no {kind} server: set {name}, or see what deploy/servers/run says above ({status:?})");
    };
    static CHILDREN: std::sync::Mutex<Vec<Child>> = std::sync::Mutex::new(Vec::new());
    CHILDREN.lock().expect("no test panics here").push(child);
    url.to_owned()
}
