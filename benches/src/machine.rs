//! What ran, on what machine, and how much processor time each process took, from `/proc`.

use std::collections::HashMap;
use std::fs;
use std::time::{Duration, Instant};

use serde::Serialize;

/// The kernel's unit of processor time in `/proc`; 100 on every Linux that we build for.
const TICKS_PER_SECOND: f64 = 100.0;
/// A process that is none of ours is named when it took at least this share of one processor.
const BUSY_SHARE_MIN: f64 = 0.02;
/// How many of them are named.
const BUSY_NAMED_MAX: usize = 8;

/// The machine while a scenario ran.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// Processors that this process may use.
    pub processors: usize,
    /// Their name.
    pub model: String,
    /// Linux and its release.
    pub kernel: String,
    /// Load average of the last minute before and after.
    pub load_before: f64,
    /// See `load_before`.
    pub load_after: f64,
    /// What all other processes took, as a share of one processor; those that have ended count too.
    pub others_share: f64,
    /// Those of them that are still there and were busy, with their share of one processor.
    pub others: Vec<(String, f64)>,
    /// Versions of what was measured.
    pub versions: Vec<(String, String)>,
}

/// Watches the machine from now on.
#[derive(Debug)]
pub struct Watch {
    began: Instant,
    load_before: f64,
    busy_before: u64,
    own_before: u64,
    ticks_before: HashMap<u32, u64>,
}

impl Watch {
    /// Notes how things stand.
    pub fn start() -> Self {
        Self {
            began: Instant::now(),
            load_before: load(),
            busy_before: busy_ticks(),
            own_before: ended_ticks(),
            ticks_before: all_ticks(),
        }
    }

    /// What the machine did since; processes of this program, what it started and `own` are not "others".
    pub fn finish(self, own: &[u32], versions: Vec<(String, String)>) -> Machine {
        let elapsed = self.began.elapsed().as_secs_f64();
        let mut others: Vec<(String, f64)> = Vec::new();
        let busy = busy_ticks().saturating_sub(self.busy_before);
        let mut own_busy = ended_ticks().saturating_sub(self.own_before);
        for (pid, ticks) in all_ticks() {
            // What started since is counted from its own beginning.
            let taken = ticks.saturating_sub(self.ticks_before.get(&pid).copied().unwrap_or(0));
            let share = taken as f64 / TICKS_PER_SECOND / elapsed;
            if is_own(pid, own) {
                own_busy += taken;
            } else if share >= BUSY_SHARE_MIN {
                others.push((name(pid), share));
            }
        }
        others.sort_by(|left, right| right.1.total_cmp(&left.1));
        others.truncate(BUSY_NAMED_MAX);
        Machine {
            processors: std::thread::available_parallelism().map_or(0, std::num::NonZeroUsize::get),
            model: first_line("/proc/cpuinfo", "model name"),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned(),
            load_before: self.load_before,
            load_after: load(),
            others_share: busy.saturating_sub(own_busy) as f64 / TICKS_PER_SECOND / elapsed,
            others,
            versions,
        }
    }
}

/// Processor time that a process has taken, user and system, with its ended threads.
pub fn processor_time(pid: u32) -> Duration {
    ticks(pid).map_or(Duration::ZERO, |ticks| Duration::from_secs_f64(ticks as f64 / TICKS_PER_SECOND))
}

/// Resident memory of a process in bytes.
pub fn resident_bytes(pid: u32) -> u64 {
    status_bytes(pid, "VmRSS")
}

/// What of it is not the contents of files, which the kernel can drop and read again.
pub fn anonymous_bytes(pid: u32) -> u64 {
    status_bytes(pid, "RssAnon")
}

fn status_bytes(pid: u32, field: &str) -> u64 {
    let line = first_line(&format!("/proc/{pid}/status"), field);
    let kibibytes: u64 = line.trim_end_matches("kB").trim().parse().unwrap_or(0);
    kibibytes * 1024
}

fn load() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|first| first.parse().ok()).unwrap_or(f64::NAN)
}

/// What follows the colon of the first line that begins so.
fn first_line(path: &str, begin: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with(begin)).unwrap_or_default();
    line.split_once(':').map_or("", |(_, value)| value).trim().to_owned()
}

/// The fields of `/proc/PID/stat` behind the name, which may hold spaces: state first.
fn stat(pid: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, behind) = text.rsplit_once(')')?;
    Some(behind.split_whitespace().map(str::to_owned).collect())
}

fn ticks(pid: u32) -> Option<u64> {
    let fields = stat(pid)?;
    Some(fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?)
}

/// What this process's children have taken that have ended and been waited for.
fn ended_ticks() -> u64 {
    let fields = stat(std::process::id()).unwrap_or_default();
    fields.get(13..15).unwrap_or_default().iter().filter_map(|field| field.parse::<u64>().ok()).sum()
}

/// What all processors have worked: all but idle, waiting for disks and stolen.
fn busy_ticks() -> u64 {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let fields = text.lines().next().unwrap_or_default().split_whitespace().skip(1);
    let ticks: Vec<u64> = fields.filter_map(|field| field.parse().ok()).collect();
    [0, 1, 2, 5, 6].iter().filter_map(|place| ticks.get(*place)).sum()
}

fn all_ticks() -> HashMap<u32, u64> {
    let Ok(entries) = fs::read_dir("/proc") else { return HashMap::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter_map(|pid| Some((pid, ticks(pid)?))).collect()
}

fn is_own(pid: u32, own: &[u32]) -> bool {
    let mut ancestor = pid;
    while ancestor > 1 {
        if ancestor == std::process::id() || own.contains(&ancestor) {
            return true;
        }
        let parent = stat(ancestor).and_then(|fields| fields.get(1)?.parse().ok());
        ancestor = parent.unwrap_or(0);
    }
    false
}

fn name(pid: u32) -> String {
    fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim().to_owned()
}
