//! `nakku tui`: its flags, and the loop in which keys, answers and time come together.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::draw::draw;
use super::endpoints::Endpoints;
use super::fetch::{Asker, Fetcher};
use super::place::Ask;
use super::state::{Event, State};
use super::terminal::Screen;
use super::update::update;
use crate::cli::client::{self, ClientArguments, Listener};
use crate::cli::outcome::{Done, Wrong};
use crate::dev::local::Local;

/// How often time passes for the screen: ages count up, pages are asked for again.
const TICK: Duration = Duration::from_millis(250);
/// Events that wait to be taken in. Who sends more waits.
const QUEUE: usize = 256;

/// `nakku tui`.
#[derive(Debug, Args)]
pub struct Tui {
    /// Base URL of a node's admin API, such as http://127.0.0.1:7947; repeat it for each node that may be asked when
    /// another does not answer. Without it the nodes of the local `nakku dev` are taken
    #[arg(long = "endpoint", env = "NAKKU_ENDPOINT", value_delimiter = ',', value_name = "URL")]
    pub endpoints: Vec<String>,
    /// Bearer token; without it that of the local `nakku dev` is taken
    #[arg(long, env = "NAKKU_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// Data folder of the local `nakku dev`
    #[arg(long, value_name = "DIR", default_value = crate::dev::DATA_DEFAULT)]
    pub data: PathBuf,
}

impl Tui {
    /// Where to ask, and the token.
    fn endpoints(&self) -> Result<(Endpoints, String), Wrong> {
        let local = Local::read(&self.data);
        let token = self.token.clone().or_else(|| local.map(|local| local.admin_token));
        let token = token.or_else(|| client::admin_of_settings().map(|(_, token)| token)).unwrap_or_default();
        let mut given = self.endpoints.clone();
        for endpoint in &given {
            if !endpoint.starts_with("http://") && !endpoint.starts_with("https://") {
                return Err(Wrong::Usage(format!("{endpoint:?} is no URL; write --endpoint http://HOST:PORT")));
            }
        }
        if !given.is_empty() {
            // Another cluster may run on this machine: its nodes are not those that were asked for.
            return Ok((Endpoints::new(given, None), token));
        }
        let one = ClientArguments { endpoint: None, token: Some(token.clone()), data: self.data.clone() };
        given.push(one.client(Listener::Admin)?.endpoint().to_owned());
        Ok((Endpoints::new(given, Some(self.data.clone())), token))
    }
}

/// Shows the cluster until the reader has seen enough.
///
/// # Errors
/// When no node answers, or there is no terminal.
pub async fn run(arguments: &Tui) -> Done {
    let (endpoints, token) = arguments.endpoints()?;
    let (events, mut happened) = mpsc::channel(QUEUE);
    let asker = Asker::new(endpoints, &token, events.clone()).map_err(Wrong::failed)?;
    // What can't work is told where it can be read.
    asker
        .look(&Ask::Nodes)
        .await
        .map_err(|trouble| Wrong::Failed(format!("{trouble}; is it --endpoint and --token?")))?;

    let mut stops = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()].map(signal);
    let [Ok(terminate), Ok(interrupt), Ok(hangup)] = &mut stops else {
        return Err(Wrong::Failed("signals can't be listened for".into()));
    };
    let mut state = State::new(now_at_ms(), asker.endpoint());
    let mut fetcher = Fetcher::new(asker);
    let mut screen = Screen::take(events)?;
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let event = tokio::select! {
            Some(event) = happened.recv() => event,
            _ = ticks.tick() => Event::Tick { now_at_ms: now_at_ms() },
            _ = terminate.recv() => Event::Stop,
            _ = interrupt.recv() => Event::Stop,
            _ = hangup.recv() => Event::Stop,
        };
        let mut effects = update(&mut state, event);
        // What has come in the meantime is drawn at once.
        for _ in 0..QUEUE {
            let Ok(event) = happened.try_recv() else { break };
            effects.extend(update(&mut state, event));
        }
        effects.into_iter().for_each(|effect| fetcher.perform(effect));
        if state.over {
            return Ok(());
        }
        screen.draw(|frame| draw(frame, &state))?;
    }
}

fn now_at_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
