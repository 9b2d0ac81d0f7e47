//! A node at work, seen from outside as an operator and a container see it: where it listens, what it says of its
//! health and of what it rests on, with secrets in files and nowhere else.

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

#[path = "../cluster/tests/support/ports.rs"]
mod ports;
#[path = "../cluster/tests/support/servers.rs"]
mod servers;

/// Five times what a node takes to start on a busy machine.
const PATIENCE: Duration = Duration::from_secs(150);
const SECRET: &str = "4c1f0d7e9b3a58626f7d1e0c9b8a7f6e5d4c3b2a19080706";
const SERVICES: [&str; 10] =
    ["user", "product", "inventory", "order", "cart", "payment", "delivery", "notification", "location", "analytics"];

/// A node with a folder of its own and its secrets in files there.
struct Node {
    folder: PathBuf,
    variables: BTreeMap<String, String>,
    process: Option<Child>,
}

impl Node {
    fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("nakku-running-{:016x}", rand::random::<u64>()));
        std::fs::create_dir_all(&folder).expect("a temporary folder");
        let mut node = Self { variables: BTreeMap::new(), process: None, folder };
        for setting in ["CLUSTER_COOKIE", "AUTH_JWT_SECRET", "AUTH_ADMIN_TOKEN"] {
            node.secret(setting, SECRET);
        }
        node.set("NODE_NAME", "node-1");
        node.set("NODE_DATA", &node.folder.display().to_string());
        node.set("LINKS_TLS", "off");
        node.set("LINKS_ADVERTISE", "127.0.0.1:7946");
        node
    }

    fn set(&mut self, setting: &str, value: &str) {
        self.variables.insert(format!("NAKKU_{setting}"), value.to_owned());
    }

    /// As Docker and Kubernetes mount it.
    fn secret(&mut self, setting: &str, value: &str) {
        let file = self.folder.join(setting.to_lowercase());
        std::fs::write(&file, format!("{value}\n")).expect("the folder takes a file");
        self.set(&format!("{setting}_FILE"), &file.display().to_string());
    }

    /// A command with the node's own environment.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env_clear().envs(&self.variables).current_dir(&self.folder).stdin(Stdio::null());
        command
    }

    fn start(&mut self, mut command: Command) {
        let log = std::fs::File::create(self.folder.join("log")).expect("a log file");
        command.stdout(log.try_clone().expect("a second handle")).stderr(log);
        self.process = Some(command.spawn().expect("it starts"));
    }

    fn pid(&self) -> u32 {
        self.process.as_ref().expect("it was started").id()
    }

    /// Asks until something is there.
    fn eventually<T>(&mut self, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        let began = Instant::now();
        loop {
            if let Some(found) = look() {
                return found;
            }
            let process = self.process.as_mut().expect("it was started");
            let ended = process.try_wait().expect("its state can be read");
            let log = std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            assert!(ended.is_none() && began.elapsed() < PATIENCE, "{what}: {ended:?}; the log:\n{log}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            let _ = process.kill();
            let _ = process.wait();
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// The library under the links (ractor_cluster) has a listener of its own that can't be switched off. It gets a port of
/// the system's choice, on loopback, where nobody comes.
const OF_THE_LINKS_LIBRARY: usize = 1;

/// Ports on which a process listens, of the network that it is in, and whether each is on loopback alone.
fn listening(pid: u32) -> BTreeMap<u16, bool> {
    let held: BTreeSet<String> = std::fs::read_dir(format!("/proc/{pid}/fd"))
        .into_iter()
        .flatten()
        .filter_map(|file| std::fs::read_link(file.ok()?.path()).ok())
        .filter_map(|target| Some(target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned()))
        .collect();
    let mut ports = BTreeMap::new();
    // What listens for connections, and what takes datagrams from anybody.
    for (table, state) in [("tcp", "0A"), ("tcp6", "0A"), ("udp", "07"), ("udp6", "07")] {
        let text = std::fs::read_to_string(format!("/proc/{pid}/net/{table}")).unwrap_or_default();
        for line in text.lines().skip(1) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let port = fields[1].rsplit(':').next().and_then(|digits| u16::from_str_radix(digits, 16).ok());
            if fields[3] == state && held.contains(fields[9]) {
                // As the kernel writes 127.0.0.1 on machines of today.
                ports.extend(port.map(|port| (port, fields[1].starts_with("0100007F:"))));
            }
        }
    }
    ports
}

/// The first column of the table of ports, which people read.
fn documented() -> BTreeSet<u16> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/README.md");
    let page = std::fs::read_to_string(page).expect("deploy/README.md is there");
    let table = page.split("<!-- ports -->").nth(1).expect("it has a table behind <!-- ports -->");
    let table = table.split("<!-- /ports -->").next().unwrap_or_default();
    let rows = table.trim().lines().filter_map(|line| line.strip_prefix('|')?.split('|').next());
    let ports: BTreeSet<u16> = rows.filter_map(|cell| cell.trim().trim_matches('`').parse().ok()).collect();
    assert!(ports.len() > 5, "the table of ports can't be read: {ports:?}");
    ports
}

#[test]
fn a_node_listens_where_the_table_says_and_nowhere_else() {
    let mut node = Node::new();
    // A network of its own, in which the documented ports are free.
    let mut command = node.command("unshare");
    command.args(["--map-root-user", "--net", "--", "sh", "-c", "ip link set lo up && exec \"$0\" node"]);
    command.arg(env!("CARGO_BIN_EXE_nakku")).env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    node.start(command);
    let pid = node.pid();
    let expected = documented();
    node.eventually("it does not listen on all documented ports", || {
        let found = listening(pid);
        expected.iter().all(|port| found.contains_key(port)).then_some(())
    });
    // What would come later.
    std::thread::sleep(Duration::from_secs(2));
    let found = listening(pid);
    assert!(expected.iter().all(|port| found.contains_key(port)), "{found:?}");
    assert!(found[&7947], "the admin listener is for this machine: {found:?}");
    let others: Vec<_> = found.into_iter().filter(|(port, _)| !expected.contains(port)).collect();
    let is_known = others.len() <= OF_THE_LINKS_LIBRARY && others.iter().all(|(_, on_loopback)| *on_loopback);
    assert!(is_known, "deploy/README.md does not list {others:?}, on which a node with all roles listens");
}

#[test]
fn health_is_asked_by_the_nodes_own_settings_and_without_its_secrets() {
    let mut node = Node::new();
    let api = ports::free_port();
    let order = std::iter::repeat_with(ports::free_port).find(|port| *port != api).expect("another one");
    node.set("LISTEN_GATEWAY", &format!("127.0.0.1:{api}"));
    node.set("LISTEN_LINKS", "127.0.0.1:0");
    node.set("LISTEN_ADMIN", "127.0.0.1:0");
    node.set("SERVICE_PORTS_HOST", "127.0.0.1");
    for service in SERVICES {
        node.set(&format!("SERVICE_PORTS_{}", service.to_uppercase()), "0");
    }
    node.set("SERVICE_PORTS_ORDER", &order.to_string());
    let [database, authority] = servers::mariadb_tls();
    let [redis, redis_authority, password] = servers::redis_tls();
    assert!(database.contains(&password) && redis.contains(&password) && Path::new(&authority).is_file());
    let bare = |url: &str| url.replace(&format!(":{password}@"), "@");
    node.set("DATABASES_DEFAULT", &bare(&database));
    node.secret("DATABASES_PASSWORD", &password);
    node.set("DATABASES_CLUSTER", &format!("sqlite:{}/cluster.db", node.folder.display()));
    node.set("REDIS_URL", &bare(&redis).replace("//@", "//"));
    node.secret("REDIS_PASSWORD", &password);
    node.set("REDIS_TLS_CA", &redis_authority);
    node.set("REDIS_DEADLINE_MS", "5000");
    // Nobody is there.
    node.set("KAFKA_BROKERS", "127.0.0.1:1");
    let mut command = node.command(env!("CARGO_BIN_EXE_nakku"));
    command.arg("node");
    node.start(command);

    let variables = node.variables.clone();
    let health = |without: &str, arguments: &[&str]| -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nakku"));
        let variables = variables.iter().filter(|(name, _)| without.is_empty() || !name.contains(without));
        command.arg("health").args(arguments).env_clear().envs(variables).current_dir("/").stdin(Stdio::null());
        command.output().expect("it starts")
    };
    node.eventually("it is not ready", || health("", &["--ready"]).status.success().then_some(()));
    for secret in ["CLUSTER_COOKIE_FILE", "AUTH_JWT_SECRET_FILE", "DATABASES_PASSWORD_FILE"] {
        let file = &variables[&format!("NAKKU_{secret}")];
        std::fs::remove_file(file).expect("the secret is there");
    }
    assert!(health("", &["--ready"]).status.success(), "no secret is needed");
    assert!(health("_FILE", &[]).status.success(), "nor a variable that names one");

    let names = |url: &str| -> BTreeMap<String, bool> {
        let output = health("", &["--json", "--endpoint", url]);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
        assert!(!said.contains(&password) && !said.contains(SECRET), "{said}");
        let body: Value = serde_json::from_str(&said).expect("JSON");
        let dependencies = body["dependencies"].as_array().expect("dependencies").clone();
        assert!(dependencies.iter().all(|one| one["latency_us"].is_u64()), "{body}");
        let named = |one: &Value| (one["name"].as_str().expect("a name").to_owned(), one["up"] == true);
        dependencies.iter().map(named).collect()
    };
    let of_services = [("database cluster", true), ("database default-1", true), ("kafka", false)];
    let of_services: BTreeMap<String, bool> = of_services.map(|(name, up)| (name.to_owned(), up)).into();
    let mut of_gateway = of_services.clone();
    of_gateway.insert("redis".to_owned(), true);
    assert_eq!(names(&format!("http://127.0.0.1:{api}")), of_gateway);
    assert_eq!(names(&format!("http://127.0.0.1:{order}")), of_services, "no service uses Redis");

    // Secrets stand in files alone.
    let read = |name: &str| {
        String::from_utf8_lossy(&std::fs::read(format!("/proc/{}/{name}", node.pid())).expect(name)).into_owned()
    };
    for shown in [read("cmdline"), read("environ"), std::fs::read_to_string(node.folder.join("log")).expect("a log")] {
        assert!(!shown.contains(SECRET) && !shown.contains(&password), "{shown}");
    }

    // A node that does not answer: bounded, and told in one line.
    let process = node.process.as_mut().expect("it runs");
    process.kill().and_then(|()| process.wait()).expect("it ends");
    let silent = TcpListener::bind(("127.0.0.1", api)).expect("its port is free again");
    let began = Instant::now();
    let output = health("", &["--ready", "--timeout-ms", "500"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("within 500 ms"), "{said}");
    drop(silent);
    let output = health("", &["--ready"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("nothing answers at"), "it says who does not answer");
}
