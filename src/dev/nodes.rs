//! The further nodes of a local dev: real processes of this program, on free ports of the loopback.
//!
//! They write to files in the data folder, not to pipes, so that they go on when the dev itself is killed. A dev
//! that starts again on the folder takes over those that still live.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::ops::Range;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::local::LocalNode;
use crate::settings::print::plain;
use crate::settings::table::{Setting, TABLE, VARIABLE_PREFIX};
use crate::settings::{Layer, Loaded};

/// A node that this dev looks after.
#[derive(Debug)]
pub struct DevNode {
    /// Name, process and addresses.
    pub local: LocalNode,
    /// Only of those that this process has started.
    process: Option<Child>,
    /// What it has written and has not been shown yet.
    output: Tail,
}

/// How often output is shown and processes are looked at.
pub const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Where free ports are looked for,
const PORTS: Range<u16> = 10_000..30_000;
/// and how often.
const PORTS_TRIED: usize = 1000;

impl DevNode {
    /// Starts the node of a number (2 and up).
    ///
    /// # Errors
    /// When no port is free or the program can't be started.
    pub fn start(number: usize, first: &LocalNode, loaded: &Loaded) -> io::Result<Self> {
        let data = Path::new(&loaded.settings.node.data);
        let name = format!("node-{number}");
        let mut variables = inherited(loaded);
        let own = addresses(&name, &first.links)?;
        let endpoint = |setting: &str| own.iter().find(|(name, _)| *name == setting).map(|(_, value)| value.clone());
        let local = LocalNode {
            pid: 0,
            api: format!("http://{}", endpoint("listen.gateway").unwrap_or_default()),
            admin: format!("http://{}", endpoint("listen.admin").unwrap_or_default()),
            links: endpoint("listen.links").unwrap_or_default(),
            name,
        };
        for (setting, value) in own {
            variables.insert(format!("{VARIABLE_PREFIX}{}", setting.replace('.', "_").to_uppercase()), value);
        }
        let log = log_file(data, &local.name);
        let written = File::create(&log)?;
        let mut command = Command::new(std::env::current_exe()?);
        for (variable, _) in std::env::vars_os() {
            let names = |setting: &Setting, name: &str| {
                setting.variable() == name || setting.file_variable().as_deref() == Some(name)
            };
            let ours = variable.to_str().is_some_and(|name| TABLE.iter().any(|setting| names(setting, name)));
            if ours || variable == "NAKKU_CONFIG" {
                command.env_remove(variable);
            }
        }
        let process = command
            .arg("node")
            .envs(variables)
            .stdin(Stdio::null())
            .stdout(written.try_clone()?)
            .stderr(written)
            // Ctrl-C in the terminal is for the dev, which stops its nodes one way or the other.
            .process_group(0)
            .spawn()?;
        let local = LocalNode { pid: process.id(), ..local };
        Ok(Self { local, process: Some(process), output: Tail::new(log, 0) })
    }

    /// Takes over a node of an earlier dev, if it still lives and runs this very program.
    pub fn take_over(local: LocalNode, data: &Path) -> Option<Self> {
        let program = std::fs::read_link(format!("/proc/{}/exe", local.pid)).ok()?;
        let command = std::fs::read(format!("/proc/{}/cmdline", local.pid)).ok()?;
        let same = std::env::current_exe().is_ok_and(|own| own == program);
        let is_node = command.split(|byte| *byte == 0).nth(1) == Some(b"node".as_slice());
        let log = log_file(data, &local.name);
        let shown = std::fs::metadata(&log).map_or(0, |file| file.len());
        (same && is_node && lives(local.pid)).then(|| Self { output: Tail::new(log, shown), process: None, local })
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<String> {
        match &mut self.process {
            Some(process) => process.try_wait().ok().flatten().map(describe),
            None => (!lives(self.local.pid)).then(|| "has ended".to_owned()),
        }
    }

    /// Prints what it has written since the last time, each line under its name.
    pub fn show_output(&mut self) {
        for line in self.output.lines() {
            eprintln!("[{}] {line}", self.local.name);
        }
    }

    /// Tells it to drain and end.
    pub fn tell_to_stop(&self) {
        let pid = i32::try_from(self.local.pid).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // It may have ended a moment ago.
            let _ = kill_process(pid, Signal::TERM);
        }
    }

    /// Waits until it has ended. False when it is still there at the deadline.
    pub async fn wait(&mut self, deadline: Instant) -> bool {
        loop {
            let ended = self.ended().is_some();
            self.show_output();
            if ended || Instant::now() >= deadline {
                return ended;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

/// What somebody set, as variables.
fn inherited(loaded: &Loaded) -> BTreeMap<String, String> {
    let set = TABLE.iter().filter_map(|setting| {
        let (value, layer) = loaded.values.get(setting.name)?;
        (*layer != Layer::Default).then(|| (setting.variable(), plain(value)))
    });
    set.collect()
}

/// What is a node's own: its name, whom it meets first, and free ports.
fn addresses(name: &str, seed: &str) -> io::Result<Vec<(&'static str, String)>> {
    let mut own = vec![("node.name", name.to_owned()), ("node.seed", seed.to_owned())];
    // All are held until each is chosen, so that none is chosen twice.
    let mut held = Vec::new();
    for setting in TABLE {
        let is_listener = setting.name.starts_with("listen.");
        let is_port = setting.name.starts_with("service_ports.") && setting.name != "service_ports.host";
        if !is_listener && !is_port {
            continue;
        }
        let listener = free()?;
        let address = listener.local_addr()?;
        own.push((setting.name, if is_listener { address.to_string() } else { address.port().to_string() }));
        held.push(listener);
    }
    own.push(("links.advertise", String::new()));
    Ok(own)
}

/// A port below those that systems hand out by themselves: between here and the node's start, one of these would be gone
/// as soon as anything asks for any. If none is found, one of them after all.
fn free() -> io::Result<TcpListener> {
    let bind = |port| TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    let mut tried = std::iter::repeat_with(|| bind(rand::random_range(PORTS))).take(PORTS_TRIED);
    tried.find_map(Result::ok).map_or_else(|| bind(0), Ok)
}

fn log_file(data: &Path, node: &str) -> PathBuf {
    data.join(format!("{node}.log"))
}

/// Whether a process is there and not merely waiting to be reaped.
fn lives(pid: u32) -> bool {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    // The name of the program stands in parentheses and may itself hold spaces: proc(5).
    let state = stat.rsplit_once(')').and_then(|(_, rest)| rest.trim_start().chars().next());
    !matches!(state, None | Some('Z' | 'X'))
}

fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(0), _) => "has ended".into(),
        (Some(code), _) => format!("has failed with exit code {code}"),
        (None, Some(signal)) => format!("was killed by signal {signal}"),
        (None, None) => "has ended".into(),
    }
}

/// A file that another process appends lines to.
#[derive(Debug)]
struct Tail {
    file: PathBuf,
    position: u64,
    unfinished: Vec<u8>,
}

/// The most that is read at once, in bytes.
const READ_BYTES_MAX: u64 = 256 * 1024;

impl Tail {
    fn new(file: PathBuf, position: u64) -> Self {
        Self { file, position, unfinished: Vec::new() }
    }

    fn lines(&mut self) -> Vec<String> {
        let mut fresh = Vec::new();
        let read = File::open(&self.file).and_then(|mut file| {
            file.seek(SeekFrom::Start(self.position))?;
            file.take(READ_BYTES_MAX).read_to_end(&mut fresh)
        });
        // A file that can't be read now is tried again the next time.
        self.position += read.map_or(0, |count| count as u64);
        self.unfinished.extend(fresh);
        let Some(end) = self.unfinished.iter().rposition(|byte| *byte == b'\n') else { return Vec::new() };
        let rest = self.unfinished.split_off(end + 1);
        let whole = std::mem::replace(&mut self.unfinished, rest);
        String::from_utf8_lossy(&whole).lines().map(str::to_owned).collect()
    }
}
