//! `nakku tui` in a real terminal, on a real cluster: keys are sent, the screen is read.

#[path = "support/dev.rs"]
#[allow(dead_code, reason = "made for all tests that look at such a cluster")]
mod dev;

use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use self::dev::Dev;
use self::dev::ports::free_port;

/// Five times what the screen takes to show what it was asked for; a node that is killed takes longest.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// One cluster at a time: two that start at once take each other's ports.
static ALONE: Mutex<()> = Mutex::new(());

/// A terminal of 80 by 24.
struct Terminal {
    socket: String,
}

impl Terminal {
    fn start() -> Self {
        let terminal = Self { socket: format!("nakku-{:016x}", rand::random::<u64>()) };
        terminal.tmux(&["-f", "/dev/null", "new-session", "-d", "-x", "80", "-y", "24", "env", "PS1=shell> ", "sh"]);
        terminal
    }

    fn tmux(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("tmux");
        command.args(["-u", "-L", &self.socket]).args(arguments);
        let output = command.output().expect("tmux is installed (deploy/servers/run install)");
        assert!(output.status.success(), "tmux {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Types text as it is.
    fn types(&self, text: &str) {
        self.tmux(&["send-keys", "-l", text]);
    }

    /// Presses one key by its name.
    fn presses(&self, key: &str) {
        self.tmux(&["send-keys", key]);
    }

    fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    /// Waits until the screen shows all of this, and gives it.
    #[track_caller]
    fn shows(&self, texts: &[&str]) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let screen = self.screen();
            if texts.iter().all(|text| screen.contains(text)) {
                return screen;
            }
            assert!(Instant::now() < deadline, "{texts:?} is not on the screen:\n{screen}");
            std::thread::sleep(LOOK_EVERY);
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = Command::new("tmux").args(["-L", &self.socket, "kill-server"]).output();
    }
}

#[test]
fn every_view_is_opened_an_entity_passivated_and_a_dead_node_survived() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let dev = Dev::start("tui");
    let admin = |node: usize| dev.admin(node);
    let terminal = Terminal::start();
    terminal.shows(&["shell>"]);
    let program = env!("CARGO_BIN_EXE_nakku");
    // The second one first: it is a process of its own that can be killed.
    let token = dev.admin_token();
    terminal.types(&format!(
        "clear; NAKKU_TOKEN={token} {program} tui --endpoint {} --endpoint {} --endpoint {}\n",
        admin(1),
        admin(2),
        admin(0)
    ));

    terminal.shows(&["1 nodes", "node-1@1", "node-2@1", "node-3@1", "live", &admin(1)]);
    terminal.presses("Enter");
    terminal.shows(&["nodes › shards of node-1", "commands/s", "node-1@1"]);
    terminal.presses("Escape");
    terminal.shows(&["lease"]);
    terminal.types("2");
    terminal.shows(&["shards", "node-2@1", "live"]);
    terminal.types("7");
    terminal.shows(&["moves", "opened", "took view"]);
    terminal.types("8");
    terminal.shows(&["infrastructure", "journal writer", "sqlite:", "node-2@1", "live"]);
    terminal.presses("Right");
    terminal.shows(&["database default-1", "up", "last use"]);
    terminal.presses("Right");
    terminal.shows(&["publisher", "rows behind", "order"]);
    terminal.presses("Right");
    terminal.shows(&["nakku-analytics", "dead letters", "node-3@1"]);
    terminal.types("?");
    terminal.shows(&["1 … 8", "undrain node", "any key goes back"]);
    terminal.types("x6");
    terminal.shows(&["live tail"]);
    // The riders of the demo look for work all the time.
    terminal.shows(&["delivery.rider", "accepted"]);
    terminal.types("3");
    terminal.shows(&["cart.cart", "live"]);
    terminal.types("/cart.cart");
    terminal.presses("Enter");
    terminal.types("f");
    terminal.shows(&["types › live tail of cart.cart", "waiting for commands"]);
    assert!(dev.nakku(&["order"]).status().expect("the program starts").success(), "an order goes through");
    // The cart of the order is in the memory, and nothing of it is under way any more.
    terminal.shows(&["›", "cart.cart/", "accepted"]);
    terminal.presses("Enter");
    let entity = terminal.shows(&["› cart.cart/", "version ", "history"]);
    assert!(entity.contains("loaded"), "{entity}");
    terminal.presses("Enter");
    terminal.shows(&["as of version ", "past"]);
    terminal.presses("Escape");
    // A key that comes right behind Esc is one with Alt to a terminal.
    terminal.shows(&["history", "loaded"]);
    terminal.types("p");
    terminal.shows(&["passivate cart.cart/", "reason:"]);
    terminal.types("a test");
    terminal.presses("Enter");
    terminal.shows(&["y/n"]);
    terminal.types("y");
    terminal.shows(&[": done", "passivated"]);

    terminal.presses("Escape");
    terminal.shows(&["types › live tail of cart.cart", "outcome"]);
    terminal.presses("Escape");
    terminal.shows(&["types", "/cart.cart"]);
    terminal.presses("Enter");
    terminal.shows(&["commands of cart.cart", "node-"]);
    terminal.types("4");
    terminal.shows(&["top by messages", "commands/s"]);
    terminal.types("bbb");
    terminal.shows(&["top by state", "product.product/"]);
    terminal.types("1");
    terminal.shows(&["live", &admin(1)]);
    dev.kill("node-2");
    terminal.shows(&[&format!("asking {}", admin(2)), "live"]);
    // Silent at first, down later, and then no member any more: what is told in between depends on the moment.
    terminal.shows(&["node-1@1", "node-3@1"]);

    terminal.types("q");
    terminal.shows(&["shell>"]);
    terminal.types("clear; stty -a | tr ' ' '\\n' | grep -x -e icanon -e echo | paste -s -d + -\n");
    terminal.shows(&["icanon+echo"]);
    assert_eq!(terminal.tmux(&["display-message", "-p", "#{alternate_on} #{cursor_flag}"]).trim(), "0 1");
}

#[test]
fn a_signal_gives_the_terminal_back_and_no_cluster_is_told_without_one() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let terminal = Terminal::start();
    terminal.shows(&["shell>"]);
    let program = env!("CARGO_BIN_EXE_nakku");
    let nobody = free_port();
    terminal.types(&format!("clear; {program} tui --token t --endpoint http://127.0.0.1:{nobody}\n"));
    terminal.shows(&["nakku: http://127.0.0.1:", "does not answer", "--endpoint", "shell>"]);

    let dev = Dev::start("tui");
    let pid = dev.folder().join("tui.pid");
    let command = format!("echo $$ >{}; exec {program} tui --data {}", pid.display(), dev.folder().display());
    terminal.types(&format!("clear; sh -c '{command}'; echo it gave $?\n"));
    terminal.shows(&["1 nodes", "node-3@1", "live"]);
    let pid = std::fs::read_to_string(pid).expect("the shell wrote it").trim().parse().expect("a process id");
    kill_process(Pid::from_raw(pid).expect("a process"), Signal::TERM).expect("it lives");
    terminal.shows(&["it gave 0", "shell>"]);
    assert_eq!(terminal.tmux(&["display-message", "-p", "#{alternate_on} #{cursor_flag}"]).trim(), "0 1");

    // A terminal that hangs up takes it along.
    terminal.types(&format!("clear; sh -c '{command}'\n"));
    terminal.shows(&["1 nodes", "node-3@1", "live"]);
    let pid = std::fs::read_to_string(dev.folder().join("tui.pid")).expect("the shell wrote it");
    // Of one that has ended and nobody has asked how, it is empty.
    let command = PathBuf::from("/proc").join(pid.trim()).join("cmdline");
    let goes_on = || std::fs::read(&command).is_ok_and(|command| !command.is_empty());
    assert!(goes_on());
    terminal.tmux(&["kill-server"]);
    let deadline = Instant::now() + PATIENCE;
    while goes_on() {
        assert!(Instant::now() < deadline, "it goes on without a terminal");
        std::thread::sleep(LOOK_EVERY);
    }
}
