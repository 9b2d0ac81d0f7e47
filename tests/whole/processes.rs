//! Nodes as processes, and the database server under them.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, MutexGuard};

use crate::certificates::Authority;
use crate::ports::free_port;
use crate::wires::Wire;
use rustix::process::{Pid, Signal, kill_process};

/// Five times what a node takes to start on a busy machine.
pub const START_PATIENCE: Duration = Duration::from_secs(30);
/// Secrets of a cluster that lives for a test.
const SECRET: &str = "a secret of a cluster that lives for one test only";
/// For the admin API of every node.
pub const ADMIN_TOKEN: &str = "an admin token that lives for one test only";

/// A MariaDB server with a folder of its own.
pub struct Database {
    folder: PathBuf,
    pub url: String,
    pub pid: i32,
}

/// One node.
pub struct Node {
    pub name: String,
    pub api: String,
    pub admin: String,
    process: Child,
    frozen: bool,
}

/// Nodes on one database.
pub struct Cluster {
    pub database: Database,
    pub nodes: BTreeMap<String, Node>,
    folder: PathBuf,
    program: PathBuf,
    /// Settings that only this test has.
    settings: Vec<(&'static str, String)>,
    links: BTreeMap<String, (u16, Wire)>,
    authority: Authority,
    _alone: MutexGuard<'static, ()>,
}

/// One cluster at a time: several at once would measure the machine.
static ALONE: Mutex<()> = Mutex::const_new(());

impl Database {
    pub fn start() -> Self {
        let folder = temporary("mariadb");
        let printed = script(&["start", "mariadb", &folder.display().to_string()]);
        let field = |name: &str| {
            let found = printed.split_whitespace().find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
            found.unwrap_or_else(|| panic!("no {name} in what the script printed: {printed}")).to_owned()
        };
        Self { url: field("url"), pid: field("pid").parse().expect("a process id"), folder }
    }

    /// SIGKILL; what was committed is on disk.
    pub fn kill(&self) {
        signal(self.pid, Signal::KILL);
    }

    /// Starts again on the same data and port.
    pub fn restart(&mut self) {
        let printed = script(&["restart", &self.folder.display().to_string()]);
        let pid =
            printed.split_whitespace().find_map(|word| word.strip_prefix("pid=")).expect("the script prints a pid");
        self.pid = pid.parse().expect("a process id");
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        signal(self.pid, Signal::KILL);
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Cluster {
    /// Starts a database and so many nodes, `node-1` and on, each with all roles.
    pub async fn start(count: usize) -> Self {
        Self::start_with(count, Vec::new()).await
    }

    /// The same with further settings, such as `LOG_LEVEL`.
    pub async fn start_with(count: usize, settings: Vec<(&'static str, String)>) -> Self {
        let alone = ALONE.lock().await;
        let folder = temporary("cluster");
        let program = PathBuf::from(env!("CARGO_BIN_EXE_nakku"));
        let mut cluster = Self {
            database: Database::start(),
            nodes: BTreeMap::new(),
            authority: Authority::new(&folder),
            folder,
            program,
            settings,
            links: BTreeMap::new(),
            _alone: alone,
        };
        for number in 1..=count {
            cluster.launch(&format!("node-{number}")).await;
        }
        cluster.all_ready().await;
        cluster
    }

    /// Starts a node without waiting for it; under a name that was there before it comes back.
    pub async fn launch(&mut self, name: &str) {
        let (api, admin) = (free_port(), free_port());
        if !self.links.contains_key(name) {
            let port = free_port();
            self.links.insert(name.to_owned(), (port, Wire::to(port).await));
        }
        let (links, wire) = &self.links[name];
        let certified = self.authority.sign(name);
        let log = File::options().create(true).append(true).open(self.log(name)).expect("a log file");
        let mut command = Command::new(&self.program);
        command.arg("node").env_clear();
        for (setting, value) in [
            ("NODE_NAME", name.to_owned()),
            ("NODE_ROLES", "all".to_owned()),
            ("NODE_DATA", self.folder.display().to_string()),
            ("CLUSTER_NAME", "test".to_owned()),
            ("CLUSTER_COOKIE", SECRET.to_owned()),
            ("CLUSTER_SHARDS", "16".to_owned()),
            ("DATABASES_DEFAULT", self.database.url.clone()),
            ("LISTEN_GATEWAY", format!("127.0.0.1:{api}")),
            ("LISTEN_ADMIN", format!("127.0.0.1:{admin}")),
            ("LISTEN_LINKS", format!("127.0.0.1:{links}")),
            ("LINKS_ADVERTISE", format!("127.0.0.1:{}", wire.port)),
            ("LINKS_TLS", "mutual".to_owned()),
            ("LINKS_TLS_CERT", certified.certificate.display().to_string()),
            ("LINKS_TLS_KEY", certified.key.display().to_string()),
            ("LINKS_TLS_CA", certified.authority.display().to_string()),
            ("SERVICE_PORTS_HOST", "127.0.0.1".to_owned()),
            ("AUTH_JWT_SECRET", SECRET.to_owned()),
            ("AUTH_ADMIN_TOKEN", ADMIN_TOKEN.to_owned()),
            ("PAYMENT_SIMULATED_CARD", "true".to_owned()),
            // Every customer here has the same address.
            ("LIMITS_ENABLED", "false".to_owned()),
        ] {
            command.env(format!("NAKKU_{setting}"), value);
        }
        for (setting, value) in &self.settings {
            command.env(format!("NAKKU_{setting}"), value);
        }
        for service in SERVICES {
            command.env(format!("NAKKU_SERVICE_PORTS_{}", service.to_uppercase()), "0");
        }
        let process = command
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("RUST_BACKTRACE", "1")
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle on the log"))
            .stderr(log)
            .spawn()
            .expect("the node starts");
        let node = Node {
            name: name.to_owned(),
            api: format!("http://127.0.0.1:{api}"),
            admin: format!("http://127.0.0.1:{admin}"),
            process,
            frozen: false,
        };
        self.nodes.insert(name.to_owned(), node);
    }

    /// Waits until every node that is not frozen says so.
    pub async fn all_ready(&self) {
        for node in self.nodes.values().filter(|node| !node.frozen) {
            self.ready(&node.name).await;
        }
    }

    pub async fn ready(&self, name: &str) {
        let node = &self.nodes[name];
        let ready = async || {
            let answer = reqwest::Client::new().get(format!("{}/ready", node.api)).timeout(Duration::from_secs(1));
            answer.send().await.is_ok_and(|answer| answer.status().is_success())
        };
        let began = Instant::now();
        while !ready().await {
            assert!(began.elapsed() < START_PATIENCE, "{name} is not ready in time; its log:\n{}", self.tail(name));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Gateways of nodes that live and are not frozen.
    pub fn apis(&self) -> Vec<String> {
        self.nodes.values().filter(|node| !node.frozen).map(|node| node.api.clone()).collect()
    }

    pub fn kill(&mut self, name: &str) {
        let mut node = self.nodes.remove(name).expect("a node of that name");
        node.process.kill().expect("it can be killed");
        node.process.wait().expect("it ends");
    }

    /// SIGKILL of every node.
    pub fn kill_all(&mut self) {
        for name in self.nodes.keys().cloned().collect::<Vec<_>>() {
            self.kill(&name);
        }
    }

    /// A setting of all nodes that are launched from now on.
    pub fn set(&mut self, setting: &'static str, value: impl Into<String>) {
        self.settings.retain(|(name, _)| *name != setting);
        self.settings.push((setting, value.into()));
    }

    /// Where a service's database is.
    pub fn database_of(&self, service: &str) -> &str {
        let own = format!("DATABASES_{}", service.to_uppercase());
        self.settings.iter().find(|(name, _)| *name == own).map_or(&self.database.url, |(_, url)| url)
    }

    /// A command of the program, on the databases that the nodes use.
    pub fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(&self.program);
        command.args(arguments).env_clear();
        command.env("NAKKU_CLUSTER_NAME", "test").env("NAKKU_CLUSTER_SHARDS", "16");
        command.env("NAKKU_DATABASES_DEFAULT", &self.database.url);
        for (setting, value) in self.settings.iter().filter(|(name, _)| name.starts_with("DATABASES_")) {
            command.env(format!("NAKKU_{setting}"), value);
        }
        command.stdin(Stdio::null()).output().expect("the program starts")
    }

    /// The wire by which the others reach a node's links.
    pub fn wire(&self, name: &str) -> &Wire {
        &self.links[name].1
    }

    pub fn freeze(&mut self, name: &str) {
        let node = self.nodes.get_mut(name).expect("a node of that name");
        signal(node.pid(), Signal::STOP);
        node.frozen = true;
    }

    pub fn thaw(&mut self, name: &str) {
        let node = self.nodes.get_mut(name).expect("a node of that name");
        signal(node.pid(), Signal::CONT);
        node.frozen = false;
    }

    /// SIGTERM, and waits for a good end.
    pub async fn drain(&mut self, name: &str) {
        let mut node = self.nodes.remove(name).expect("a node of that name");
        signal(node.pid(), Signal::TERM);
        let began = Instant::now();
        loop {
            match node.process.try_wait().expect("its state can be read") {
                Some(status) => {
                    assert!(status.success(), "{name} ended with {status}; its log:\n{}", self.tail(name));
                    return;
                }
                None if began.elapsed() > START_PATIENCE * 2 => panic!("{name} does not end:\n{}", self.tail(name)),
                None => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }

    fn log(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.log"))
    }

    /// What a node has logged.
    pub fn log_of(&self, name: &str) -> String {
        std::fs::read_to_string(self.log(name)).unwrap_or_default()
    }

    /// The end of a node's log.
    pub fn tail(&self, name: &str) -> String {
        let log = std::fs::read_to_string(self.log(name)).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }
}

impl Node {
    fn pid(&self) -> i32 {
        i32::try_from(self.process.id()).expect("process ids are small")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for node in self.nodes.values_mut() {
            let _ = node.process.kill();
            let _ = node.process.wait();
        }
        if std::thread::panicking() {
            eprintln!("logs are kept in {}", self.folder.display());
        } else {
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}

pub const SERVICES: [&str; 10] =
    ["user", "product", "inventory", "order", "cart", "payment", "delivery", "notification", "location", "analytics"];

pub fn temporary(what: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("nakku-{what}-{:016x}", rand::random::<u64>()));
    std::fs::create_dir_all(&folder).expect("a temporary folder");
    folder
}

fn signal(pid: i32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid) {
        // It may have ended already.
        let _ = kill_process(pid, signal);
    }
}

/// The script that starts the real servers.
fn script(arguments: &[&str]) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/servers/run");
    let output = Command::new(script).args(arguments).stdin(Stdio::null()).output().expect("the script runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{arguments:?}: {said}{}", String::from_utf8_lossy(&output.stderr));
    said
}
