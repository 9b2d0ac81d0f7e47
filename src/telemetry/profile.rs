//! What the processor does, for a time: a timer of the operating system interrupts whatever thread runs and notes its
//! stack. While no profile is taken this costs nothing.

use std::collections::HashMap;
use std::fmt::Write;

use nakku_cluster::inspect::ProfileFormat;
use nakku_cluster::inspect::controls::Profiling;
use pprof::{ProfilerGuard, ProfilerGuardBuilder, Report};

/// Looks a second of processor time. Not a round number, so that what happens in step with the clock is seen rightly.
const LOOKS_PER_S: i32 = 199;
/// A stack is not walked from within these: there a thread may hold what walking needs.
const NOT_FROM_WITHIN: [&str; 4] = ["libc", "libgcc", "pthread", "vdso"];

/// Begins.
///
/// # Errors
/// When the operating system has no such timer for us.
pub fn start() -> Result<Box<dyn Profiling>, String> {
    let guard = ProfilerGuardBuilder::default().frequency(LOOKS_PER_S).blocklist(&NOT_FROM_WITHIN).build();
    let guard = guard.map_err(|error| format!("the profile can't be begun: {error}"))?;
    Ok(Box::new(Taking { guard }))
}

struct Taking {
    guard: ProfilerGuard<'static>,
}

impl Profiling for Taking {
    fn finish(self: Box<Self>, format: ProfileFormat) -> Result<Vec<u8>, String> {
        let report = self.guard.report().build().map_err(|error| format!("the profile can't be read: {error}"))?;
        drop(self.guard);
        let shown = match format {
            ProfileFormat::Folded => Ok(folded(&stacks(&report)).into_bytes()),
            ProfileFormat::Flamegraph => drawn(&report),
        };
        // What was read of the program's symbols would stay in the memory: hundreds of MiB where they are all there.
        backtrace::clear_symbol_cache();
        shown
    }
}

/// Names of frames, outermost first behind the thread, and how often it was seen.
type Stacks = Vec<(Vec<String>, i64)>;

fn stacks(report: &Report) -> Stacks {
    let mut seen: HashMap<Vec<String>, i64> = HashMap::new();
    for (frames, count) in &report.data {
        let symbols = frames.frames.iter().rev().flat_map(|frame| frame.iter().rev());
        let names = symbols.map(|symbol| symbol.to_string().replace([';', '\n'], ":"));
        let stack = std::iter::once(frames.thread_name_or_id()).chain(names).collect();
        *seen.entry(stack).or_default() += i64::try_from(*count).unwrap_or(i64::MAX);
    }
    let mut stacks: Stacks = seen.into_iter().collect();
    stacks.sort_unstable();
    stacks
}

fn folded(stacks: &Stacks) -> String {
    let mut text = String::new();
    for (stack, count) in stacks {
        let _ = writeln!(text, "{} {count}", stack.join(";"));
    }
    text
}

fn drawn(report: &Report) -> Result<Vec<u8>, String> {
    if report.data.is_empty() {
        return Err("the node did nothing in that time that could be drawn; take a longer profile".into());
    }
    let mut picture = Vec::new();
    report.flamegraph(&mut picture).map_err(|error| format!("the profile can't be drawn: {error}"))?;
    Ok(picture)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn stacks_are_folded() {
        let stacks = vec![
            (vec!["main".to_owned(), "run".to_owned(), "decide".to_owned()], 3),
            (vec!["main".to_owned(), "run".to_owned()], 200),
        ];
        assert_eq!(folded(&stacks), "main;run;decide 3\nmain;run 200\n");
    }

    #[test]
    fn what_runs_is_seen() {
        let taking = start().expect("the timer starts");
        let until = std::time::Instant::now() + Duration::from_secs(2);
        let mut sum = 0_u64;
        while std::time::Instant::now() < until {
            sum = std::hint::black_box(busy(sum));
        }
        let folded = String::from_utf8(taking.finish(ProfileFormat::Folded).expect("a profile")).expect("text");
        assert!(folded.contains("telemetry::profile::tests::busy"), "{folded}");
    }

    #[inline(never)]
    fn busy(from: u64) -> u64 {
        (0..100_000).fold(from, |sum, number| sum.wrapping_mul(31).wrapping_add(number))
    }
}
