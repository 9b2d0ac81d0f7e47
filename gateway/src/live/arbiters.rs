//! The threads that the WebSockets' actors live on: actix actors stay on the thread of the arbiter that they
//! were created on. One more thread runs the actix system that the arbiters belong to.

use std::io;
use std::sync::mpsc;
use std::thread;

use actix::{Arbiter, ArbiterHandle, System};

/// Threads for sessions. They mostly wait: what costs (asking entities, reading the journal) is done elsewhere.
const ARBITERS_MAX: usize = 4;

/// See the module.
pub struct Arbiters {
    system: System,
    arbiters: Vec<ArbiterHandle>,
    next: usize,
}

impl Arbiters {
    /// Starts the threads.
    ///
    /// # Errors
    /// When the machine gives none.
    pub fn start() -> io::Result<Self> {
        let (started, starting) = mpsc::sync_channel(1);
        thread::Builder::new().name("live-system".into()).spawn(move || {
            let runner = System::new();
            let count = thread::available_parallelism().map_or(1, usize::from).min(ARBITERS_MAX);
            let arbiters = (0..count).map(|_| Arbiter::try_new().map(|arbiter| arbiter.handle())).collect();
            // Whoever started this waits for it.
            let _ = started.send((System::current(), arbiters));
            if let Err(error) = runner.run() {
                tracing::error!(%error, "the system of live connections failed");
            }
        })?;
        let (system, arbiters): (System, io::Result<Vec<ArbiterHandle>>) =
            starting.recv().map_err(|_| io::Error::other("the thread has ended"))?;
        match arbiters {
            Ok(arbiters) => Ok(Self { system, arbiters, next: 0 }),
            Err(error) => {
                system.stop();
                Err(error)
            }
        }
    }

    /// Runs something on one of the threads, on each in turn; false when they have been stopped.
    pub fn run(&mut self, work: impl FnOnce() + Send + 'static) -> bool {
        self.next = (self.next + 1) % self.arbiters.len();
        self.arbiters[self.next].spawn_fn(work)
    }

    /// Ends the threads with all that lives on them.
    pub fn stop(self) {
        self.system.stop();
    }
}

impl std::fmt::Debug for Arbiters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Arbiters").field("threads", &self.arbiters.len()).finish_non_exhaustive()
    }
}
