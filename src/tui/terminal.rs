//! The terminal: taken, and given back however it ends. Keys come from a thread, as reading them blocks.

use std::io::{self, IsTerminal, Stdout, stdin, stdout};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::Show;
use ratatui::crossterm::event::{self, KeyEventKind};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use tokio::sync::mpsc;

use super::state::Event;

/// How soon the thread sees that it is over.
const POLL: Duration = Duration::from_millis(100);
/// How long it is waited for.
const LEAVE_MAX: Duration = Duration::from_secs(1);

/// Whether there is something to give back.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// The terminal, until the value is dropped.
pub struct Screen {
    terminal: Terminal<CrosstermBackend<Stdout>>,
    over: Arc<AtomicBool>,
    keys: Option<JoinHandle<()>>,
}

impl Screen {
    /// Takes the terminal; keys and changes of its size go to `events`.
    ///
    /// # Errors
    /// When there is none, or it does not let itself be taken.
    pub fn take(events: mpsc::Sender<Event>) -> io::Result<Self> {
        if !stdin().is_terminal() || !stdout().is_terminal() {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "nakku tui needs a terminal"));
        }
        // A panic is told on a terminal that can be read.
        let told = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            give_back();
            told(panic);
        }));
        enable_raw_mode()?;
        TAKEN.store(true, Ordering::SeqCst);
        let terminal = execute!(stdout(), EnterAlternateScreen)
            .and_then(|()| Terminal::new(CrosstermBackend::new(stdout())))
            .inspect_err(|_| give_back())?;
        let over = Arc::new(AtomicBool::new(false));
        let keys = std::thread::Builder::new().name("keys".into()).spawn({
            let over = Arc::clone(&over);
            move || read(&events, &over)
        });
        let keys = Some(keys.inspect_err(|_| give_back())?);
        Ok(Self { terminal, over, keys })
    }

    /// Draws.
    ///
    /// # Errors
    /// When the terminal has gone.
    pub fn draw(&mut self, render: impl FnOnce(&mut ratatui::Frame<'_>)) -> io::Result<()> {
        self.terminal.draw(render).map(drop)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(keys) = self.keys.take() {
            // It reads no key that is meant for the shell. One whose terminal has hung up never comes back from reading
            // and ends with the process.
            let until = Instant::now() + LEAVE_MAX;
            while !keys.is_finished() && Instant::now() < until {
                std::thread::sleep(POLL / 8);
            }
        }
        give_back();
    }
}

/// As it was before; does nothing the second time.
fn give_back() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        // Each as far as it goes: a terminal that has gone takes none of it.
        let _ = disable_raw_mode();
        let _ = execute!(stdout(), LeaveAlternateScreen, Show);
    }
}

fn read(events: &mpsc::Sender<Event>, over: &AtomicBool) {
    while !over.load(Ordering::Relaxed) {
        match event::poll(POLL) {
            Ok(false) => continue,
            Ok(true) => {}
            Err(_) => break,
        }
        let event = match event::read() {
            Ok(event::Event::Key(key)) if key.kind != KeyEventKind::Release => Event::Key(key),
            Ok(event::Event::Resize(..)) => Event::Resized,
            Ok(_) => continue,
            Err(_) => break,
        };
        if let Err(mpsc::error::TrySendError::Full(event)) = events.try_send(event) {
            // Whoever is quicker than the screen waits, unless it is over.
            std::thread::sleep(POLL);
            let _ = events.try_send(event);
        }
    }
    // Without keys nobody can leave any more.
    if !over.load(Ordering::Relaxed) {
        let _ = events.try_send(Event::Stop);
    }
}
