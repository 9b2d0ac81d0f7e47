//! A local cluster of three processes, as `nakku dev --nodes 3` starts it, for tests that look at it from outside.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use self::ports::free_port;

#[path = "../../cluster/tests/support/ports.rs"]
pub mod ports;

/// Five times what it takes to start on a busy machine.
const START_PATIENCE: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Each has a listener of its own, on whatever port is free.
const SERVICES: [&str; 10] =
    ["user", "product", "inventory", "order", "cart", "payment", "delivery", "notification", "location", "analytics"];

/// The cluster, in a folder of its own that goes with it.
pub struct Dev {
    process: Child,
    folder: PathBuf,
    /// What it left for clients.
    pub local: Value,
}

impl Dev {
    /// Starts it and waits until all three nodes can be asked.
    pub fn start(purpose: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("nakku-{purpose}-{:016x}", rand::random::<u64>()));
        std::fs::create_dir_all(&folder).expect("a temporary folder");
        let log = std::fs::File::create(folder.join("dev.log")).expect("a log file");
        let mut command = nakku(&folder, &["dev", "--nodes", "3", "--set", "limits.enabled=false"]);
        let ports = SERVICES.iter().map(|service| format!("service_ports.{service}=0"));
        let listeners =
            ["gateway", "admin", "links"].map(|listener| format!("listen.{listener}=127.0.0.1:{}", free_port()));
        for setting in ports.chain(listeners) {
            command.args(["--set", &setting]);
        }
        command.stdout(log.try_clone().expect("a log file")).stderr(log);
        let mut dev = Self { process: command.spawn().expect("the program starts"), folder, local: Value::Null };
        let deadline = Instant::now() + START_PATIENCE;
        while !dev.is_up() {
            let ended = dev.process.try_wait().expect("it is our child");
            let log = || std::fs::read_to_string(dev.folder.join("dev.log")).unwrap_or_default();
            assert!(ended.is_none() && Instant::now() < deadline, "the dev has not started: {}", log());
            std::thread::sleep(LOOK_EVERY);
        }
        dev
    }

    fn is_up(&mut self) -> bool {
        self.local = read(&self.folder);
        let accepts = |url: &str| TcpStream::connect(url.trim_start_matches("http://")).is_ok();
        let nodes = self.nodes();
        nodes.len() == 3 && nodes.iter().all(|node| accepts(node["admin"].as_str().unwrap_or_default()))
    }

    /// Where it keeps its data.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Its nodes: name, process id, base URLs.
    pub fn nodes(&self) -> Vec<Value> {
        self.local["nodes"].as_array().cloned().unwrap_or_default()
    }

    /// Base URL of the admin listener of one of its nodes, 0 to 2.
    pub fn admin(&self, node: usize) -> String {
        self.local["nodes"][node]["admin"].as_str().expect("a node has an admin API").to_owned()
    }

    /// What opens the admin API.
    pub fn admin_token(&self) -> &str {
        self.local["admin_token"].as_str().expect("a token")
    }

    /// A client command that finds this cluster by itself.
    pub fn nakku(&self, arguments: &[&str]) -> Command {
        nakku(&self.folder, arguments)
    }

    /// SIGKILL for one of its nodes.
    pub fn kill(&self, name: &str) {
        let nodes = self.nodes();
        kill(nodes.iter().find(|node| node["name"] == name).expect("a node of that name"));
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        // The others go on without the first, which has them in its list.
        let local = read(&self.folder);
        local["nodes"].as_array().into_iter().flatten().skip(1).for_each(kill);
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// The program, with nothing of the environment that could set anything.
fn nakku(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nakku"));
    command.args(arguments).arg("--data").arg(folder).env_clear();
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command
}

fn read(folder: &Path) -> Value {
    let local = std::fs::read(folder.join("dev.json")).unwrap_or_default();
    serde_json::from_slice(&local).unwrap_or_default()
}

fn kill(node: &Value) {
    let pid = node["pid"].as_i64().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
    // It may have ended already.
    let _ = pid.map(|pid| kill_process(pid, Signal::KILL));
}
